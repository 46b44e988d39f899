#include "url.hpp"

#include "error.hpp"
#include "text.hpp"

namespace mobius::http {

namespace {

using detail::class_uri;

// RFC 3986 3.1; empty when the text has no scheme.
std::string_view scheme_of(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) return {};
  const auto scheme = text.substr(0, colon);
  if (!detail::is_alpha(static_cast<unsigned char>(scheme.front()))) return {};
  for (char c : scheme) {
    const auto byte = static_cast<unsigned char>(c);
    if (!detail::is_alpha(byte) && !detail::is_digit(byte) && c != '+' && c != '-' && c != '.') return {};
  }
  return scheme;
}

void check_bytes(std::string_view text) {
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == ' ' || byte == '\t') throw invalid_url(text, "it has a blank in it (write %20)");
    if (byte < 0x20 || byte == 0x7f) throw invalid_url(text, "it has a control byte in it");
    if (byte >= 0x80)
      throw invalid_url(text,
                        "it has a byte outside ASCII in it (percent-encode paths, use punycode for hosts)");
  }
}

std::uint16_t parse_port(std::string_view text, std::string_view port, std::uint16_t otherwise) {
  if (port.empty()) return otherwise;
  std::uint64_t value = 0;
  if (!detail::parse_decimal(port, value) || value == 0 || value > 65535)
    throw invalid_url(text, "the port is not a number from 1 to 65535");
  return static_cast<std::uint16_t>(value);
}

void check_target(std::string_view text, std::string_view target) {
  for (char c : target)
    if (!detail::is_class(c, class_uri))
      throw invalid_url(text, std::string("the character '") + c + "' must be percent-encoded");
  if (!detail::percents_are_whole(target))
    throw invalid_url(text, "a '%' is not followed by two hexadecimal digits");
}

// RFC 3986 5.2.4, for a path that begins with '/'.
std::string without_dot_segments(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const auto end = path.find('/', 1);
    const auto segment = path.substr(0, end);
    const bool last = end == std::string_view::npos;
    if (segment == "/." || segment == "/..") {
      if (segment == "/..") out.resize(out.empty() ? 0 : out.rfind('/'));
      if (last) out += '/';
    } else {
      out += segment;
    }
    path.remove_prefix(segment.size());
  }
  return out;
}

std::string normal_target(std::string_view target) {
  const auto question = target.find('?');
  std::string out = without_dot_segments(target.substr(0, question));
  if (out.empty()) out = "/";
  if (question != std::string_view::npos) out += target.substr(question);
  return out;
}

std::string resolved_target(const url& base, std::string_view reference) {
  if (reference.empty()) return base.target();
  if (reference.front() == '?') return std::string(base.path()) + std::string(reference);
  if (reference.front() == '/') return normal_target(reference);
  const auto directory = base.path().substr(0, base.path().rfind('/') + 1);
  return normal_target(std::string(directory) + std::string(reference));
}

}  // namespace

std::string_view url::query() const noexcept {
  const auto question = target_.find('?');
  if (question == std::string::npos) return {};
  return std::string_view(target_).substr(question + 1);
}

std::string url::authority() const {
  const bool bracketed = host_.find(':') != std::string::npos;
  std::string out = bracketed ? "[" + host_ + "]" : host_;
  if (port_ != (secure_ ? 443 : 80)) out += ":" + std::to_string(port_);
  return out;
}

std::string url::to_string() const { return std::string(scheme()) + "://" + authority() + target_; }

bool url::same_origin(const url& other) const noexcept {
  return secure_ == other.secure_ && port_ == other.port_ && host_ == other.host_;
}

url parse_url(std::string_view text) {
  if (text.empty()) throw invalid_url(text, "it is empty");
  check_bytes(text);
  const auto scheme = scheme_of(text);
  const auto after = text.substr(scheme.empty() ? 0 : scheme.size() + 1);
  if (scheme.empty()) throw invalid_url(text, "it does not begin with http:// or https://");

  url out;
  out.secure_ = detail::equals_lower(scheme, "https");
  if (!out.secure_ && !detail::equals_lower(scheme, "http"))
    throw invalid_url(text, "the scheme is neither http nor https");
  if (!after.starts_with("//")) throw invalid_url(text, "the scheme is not followed by //");

  auto rest = after.substr(2);
  rest = rest.substr(0, rest.find('#'));
  const auto authority = rest.substr(0, rest.find_first_of("/?"));
  const auto target = rest.substr(authority.size());
  if (authority.find('@') != std::string_view::npos)
    throw invalid_url(text,
                      "user names and passwords do not belong into a URL (send an Authorization header)");

  const auto colon = authority.find(':', authority.starts_with('[') ? authority.find(']') : 0);
  auto host = authority.substr(0, colon);
  std::string_view why;
  if (!detail::is_host(host, why)) throw invalid_url(text, why);
  const auto port = colon == std::string_view::npos ? std::string_view() : authority.substr(colon + 1);
  out.port_ = parse_port(text, port, out.secure_ ? 443 : 80);
  check_target(text, target);

  if (host.front() == '[') host = host.substr(1, host.size() - 2);
  out.host_.assign(host);
  for (char& c : out.host_) c = detail::lower(c);
  if (!target.starts_with('/')) out.target_ = "/";
  out.target_ += target;
  return out;
}

url resolve(const url& base, std::string_view reference) {
  check_bytes(reference);
  reference = reference.substr(0, reference.find('#'));
  if (!scheme_of(reference).empty()) return parse_url(reference);
  const std::string scheme(base.scheme());
  if (reference.starts_with("//")) return parse_url(scheme + ":" + std::string(reference));
  return parse_url(scheme + "://" + base.authority() + resolved_target(base, reference));
}

}  // namespace mobius::http
