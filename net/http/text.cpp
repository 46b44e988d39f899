#include "text.hpp"

#include <arpa/inet.h>

namespace mobius::http::detail {

namespace {

bool is_hex(char c) {
  return is_digit(static_cast<unsigned char>(c)) || (lower(c) >= 'a' && lower(c) <= 'f');
}

bool is_ip_literal(std::string_view text, int family) {
  char buffer[INET6_ADDRSTRLEN + 1];
  unsigned char address[sizeof(in6_addr)];
  if (text.empty() || text.size() >= sizeof buffer) return false;
  buffer[text.copy(buffer, text.size())] = '\0';
  return inet_pton(family, buffer, address) == 1;
}

// "127.1", "0x7f.1" and "2130706433" are addresses to inet_aton and names to other programs,
// which is how address filters are walked around: what ends in a number must be a dotted quad.
bool ends_in_number(std::string_view host) {
  if (host.back() == '.') host.remove_suffix(1);
  const auto label = host.substr(host.rfind('.') + 1);
  if (label.empty()) return false;
  if (label.size() >= 2 && label[0] == '0' && lower(label[1]) == 'x') return true;
  return all_class(label, class_digit);
}

// Whether each part between the dots has 1 to 63 characters; one dot may end the name.
bool labels_are_sane(std::string_view host) {
  if (host.size() > 253 || host == ".") return false;
  std::size_t label = 0;
  for (std::size_t i = 0; i < host.size(); ++i) {
    if (host[i] != '.') {
      if (++label > 63) return false;
    } else {
      if (label == 0) return false;
      label = 0;
    }
  }
  return true;
}

bool is_port(std::string_view text) {
  std::uint64_t port = 0;
  return text.empty() || (parse_decimal(text, port) && port <= 65535);
}

}  // namespace

bool percents_are_whole(std::string_view text) {
  for (auto at = text.find('%'); at != std::string_view::npos; at = text.find('%', at + 1))
    if (text.size() - at < 3 || !is_hex(text[at + 1]) || !is_hex(text[at + 2])) return false;
  return true;
}

bool is_host(std::string_view text, std::string_view& why) {
  if (text.empty()) return why = "the host is missing", false;
  if (text.front() == '[') {
    if (text.back() != ']') return why = "the '[' of an IPv6 address is never closed", false;
    if (is_ip_literal(text.substr(1, text.size() - 2), AF_INET6)) return true;
    return why = "what stands in [] is not an IPv6 address", false;
  }
  bool digits = false;
  for (char c : text) {
    if (!is_class(c, class_host)) return why = "the host has a character that no host name has", false;
    digits = digits || is_class(c, class_digit);
  }
  if (digits && ends_in_number(text)) {
    if (is_ip_literal(text, AF_INET)) return true;
    return why = "an IPv4 address is written as four decimal numbers with dots", false;
  }
  if (labels_are_sane(text)) return true;
  return why = "a host name has parts of 1 to 63 characters and 253 in all", false;
}

bool is_authority(std::string_view text) {
  const auto colon = text.find(':', text.starts_with('[') ? text.find(']') : 0);
  std::string_view why;
  if (!is_host(text.substr(0, colon), why)) return false;
  return colon == std::string_view::npos || is_port(text.substr(colon + 1));
}

std::string quoted(std::string_view text) {
  constexpr std::size_t most = 200;
  constexpr char digits[] = "0123456789abcdef";
  std::string out = "\"";
  for (char c : text.substr(0, most)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '"') {
      out += c;
      continue;
    }
    out += "\\x";
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
  out += text.size() > most ? "...\"" : "\"";
  return out;
}

bool parse_decimal(std::string_view text, std::uint64_t& value) {
  if (text.empty()) return false;
  std::uint64_t sum = 0;
  for (char c : text) {
    if (!is_digit(static_cast<unsigned char>(c))) return false;
    if (__builtin_mul_overflow(sum, 10, &sum)) return false;
    if (__builtin_add_overflow(sum, static_cast<std::uint64_t>(c - '0'), &sum)) return false;
  }
  value = sum;
  return true;
}

}  // namespace mobius::http::detail
