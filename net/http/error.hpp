#pragma once
// The errors of HTTP: one hierarchy, so that `catch (const http::error&)` is enough for who does
// not care which. Every text names the URL, peer or header concerned.

#include <stdexcept>
#include <string>
#include <string_view>

namespace mobius::http {

/// The base of every error that mobius::http throws.
class error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A URL that cannot be used. Nothing was looked up and nothing was sent.
class invalid_url : public error {
 public:
  invalid_url(std::string_view url, std::string_view why);
  /// The refused text; user info is replaced by "***".
  const std::string& url() const noexcept { return url_; }

 private:
  std::string url_;
};

/// An https URL, which this build cannot fetch: it has no TLS. Nothing was looked up or sent.
class tls_unavailable : public error {
 public:
  explicit tls_unavailable(std::string_view url);
};

/// A header field that must not be sent: its name is not a token, its value holds a control
/// byte, or it is one that the library itself decides.
class invalid_header : public error {
 public:
  invalid_header(std::string_view name, std::string_view why);
  /// The name of the refused field.
  const std::string& name() const noexcept { return name_; }

 private:
  std::string name_;
};

/// A message that cannot be written: a bad status, reason, method or target.
class invalid_message : public error {
 public:
  using error::error;
};

/// What the peer sent is not HTTP/1.1, or not an unambiguous one (RFC 9112).
class protocol_error : public error {
 public:
  using error::error;
};

/// A head, a body or a number of fields passed its limit.
class too_large : public error {
 public:
  using error::error;
};

/// The connection ended before the first byte of a response. The request may be sent again if it
/// is idempotent.
class response_never_received : public error {
 public:
  using error::error;
};

/// The connection ended inside a response.
class response_truncated : public error {
 public:
  response_truncated(const std::string& what, std::string body) : error(what), body_(std::move(body)) {}
  /// The part of the body that did arrive.
  const std::string& body() const noexcept { return body_; }

 private:
  std::string body_;
};

/// A complete response whose status says that the request failed.
class status_error : public error {
 public:
  status_error(std::string_view url, int status, std::string reason, std::string body);
  /// The status code, such as 404.
  int status() const noexcept { return status_; }
  /// The reason phrase as the server sent it, possibly empty.
  const std::string& reason() const noexcept { return reason_; }
  /// The body of the response.
  const std::string& body() const noexcept { return body_; }

 private:
  int status_;
  std::string reason_;
  std::string body_;
};

/// A redirect that cannot be followed: too many, none or two Location fields, a bad target.
class redirect_error : public error {
 public:
  using error::error;
};

/// The part of an exchange that a time limit belongs to.
enum class phase { resolve, connect, request, response_head, response_body };

/// The name of a phase in an error text, such as "connect".
std::string_view phase_name(phase which) noexcept;

/// A time limit of an exchange ran out.
class exchange_timed_out : public error {
 public:
  exchange_timed_out(std::string_view url, phase which, std::string_view limit);
  /// Where the time went.
  phase where() const noexcept { return where_; }

 private:
  phase where_;
};

}  // namespace mobius::http
