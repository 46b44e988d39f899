#pragma once
// Strict http and https URLs (RFC 3986): parsed once, then only read.

#include <cstdint>
#include <string>
#include <string_view>

namespace mobius::http {

/// An absolute http or https URL. Scheme and host are in lower case, the path is never empty,
/// there is no fragment and no user info.
class url {
 public:
  /// "http" or "https".
  std::string_view scheme() const noexcept { return secure_ ? "https" : "http"; }
  /// Whether the scheme is https.
  bool secure() const noexcept { return secure_; }
  /// A name or an address; an IPv6 address without its brackets.
  const std::string& host() const noexcept { return host_; }
  /// The port, the scheme's own (80 or 443) when the URL names none.
  std::uint16_t port() const noexcept { return port_; }
  /// Path and query, what a request line carries ("/a?b=c").
  const std::string& target() const noexcept { return target_; }
  /// The path alone, as it was written, not decoded.
  std::string_view path() const noexcept { return std::string_view(target_).substr(0, target_.find('?')); }
  /// What follows the '?', without it; empty when there is none.
  std::string_view query() const noexcept;
  /// Host and port for a Host field: IPv6 in brackets, the port only when it is not the scheme's own.
  std::string authority() const;
  /// The URL in its normal form.
  std::string to_string() const;
  /// Whether scheme, host and port are the same (RFC 6454), so that credentials may be sent again.
  bool same_origin(const url& other) const noexcept;

  friend bool operator==(const url&, const url&) = default;

 private:
  friend url parse_url(std::string_view text);
  url() = default;

  std::string host_;
  std::string target_;
  std::uint16_t port_ = 0;
  bool secure_ = false;
};

/// Parses an absolute http or https URL; a fragment is dropped. Throws `invalid_url` for
/// everything else, also for what browsers repair: blanks, control and non-ASCII bytes, user info,
/// an IPv4 address in any form but four decimal numbers.
url parse_url(std::string_view text);

/// Resolves a reference such as a Location field against `base` (RFC 3986 5.2). Throws
/// `invalid_url` when the result is not a usable http or https URL.
url resolve(const url& base, std::string_view reference);

}  // namespace mobius::http
