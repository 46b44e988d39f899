#pragma once
// The character classes of RFC 9110 and small text helpers that every part of HTTP shares.
// Private to the library: nothing here is an interface for users.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace mobius::http::detail {

enum char_class : std::uint8_t {
  class_token = 1,   // RFC 9110 5.6.2 tchar
  class_value = 2,   // RFC 9110 5.5 field-vchar, space and tab
  class_path = 4,    // RFC 3986 pchar and '/'
  class_query = 8,   // the same and '?', and what browsers send raw in a query
  class_host = 16,   // what a registered name is made of here: letters, digits, '-', '.', '_'
  class_uri = 32,    // RFC 3986 pchar, '/' and '?'
  class_digit = 64,  // 0-9
};

constexpr bool is_alpha(unsigned char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }
constexpr bool is_digit(unsigned char c) { return c >= '0' && c <= '9'; }

constexpr std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> table{};
  auto mark = [&table](std::string_view chars, unsigned bits) {
    for (char c : chars) table[static_cast<unsigned char>(c)] |= static_cast<std::uint8_t>(bits);
  };
  for (unsigned c = 0; c < 256; ++c) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_alpha(byte) || is_digit(byte))
      table[c] |= class_token | class_path | class_query | class_host | class_uri;
    if (is_digit(byte)) table[c] |= class_digit;
    if ((c >= 0x20 && c != 0x7f) || c == '\t') table[c] |= class_value;
  }
  mark("!#$%&'*+-.^_`|~", class_token);
  mark("-._~!$&'()*+,;=:@/%", class_path | class_query | class_uri);
  mark("?", class_query | class_uri);
  mark("\\^`{|}", class_query);
  mark("-._", class_host);
  return table;
}

inline constexpr std::array<std::uint8_t, 256> classes = make_classes();

constexpr bool is_class(char c, unsigned bits) {
  return (classes[static_cast<unsigned char>(c)] & bits) != 0;
}

constexpr bool all_class(std::string_view text, unsigned bits) {
  for (char c : text)
    if (!is_class(c, bits)) return false;
  return true;
}

constexpr bool is_token(std::string_view text) { return !text.empty() && all_class(text, class_token); }

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

/// Compares `text` with `lowered`, which must be in lower case already.
constexpr bool equals_lower(std::string_view text, std::string_view lowered) {
  if (text.size() != lowered.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (lower(text[i]) != lowered[i]) return false;
  return true;
}

constexpr bool equals_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (lower(a[i]) != lower(b[i])) return false;
  return true;
}

/// Without spaces and tabs at both ends.
constexpr std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Calls `visit(element)` for each trimmed element of a comma-separated list, empty ones too;
/// stops when it returns false.
template <class Visit>
constexpr void for_each_element(std::string_view list, Visit&& visit) {
  for (;;) {
    const auto comma = list.find(',');
    if (!visit(trim(list.substr(0, comma)))) return;
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

/// Whether every '%' is followed by two hexadecimal digits.
bool percents_are_whole(std::string_view text);

/// Whether `text` is `host` or `host:port` with a name, an IPv4 address or a bracketed IPv6
/// address, nothing else; `port` 0-65535 or empty.
bool is_authority(std::string_view text);

/// Whether `text` may be the host of a URL; `why` says what is wrong otherwise.
bool is_host(std::string_view text, std::string_view& why);

/// `text` in quotes for an error message: control and non-ASCII bytes as \xNN, at most 200 bytes.
std::string quoted(std::string_view text);

/// Parses 1*DIGIT into `value`; false when it is anything else or does not fit.
bool parse_decimal(std::string_view text, std::uint64_t& value);

}  // namespace mobius::http::detail
