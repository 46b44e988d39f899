#pragma once
// The messages that a server's handler sees: a request in place, a response by value.

#include <string>
#include <string_view>
#include <utility>

#include "headers.hpp"
#include "request_head.hpp"

namespace mobius::http {

/// A request with its whole body. The server fills the same object again for each request of a
/// connection, so views from it are valid until the handler has answered.
class request {
 public:
  request() = default;
  request(const request&) = delete;
  request& operator=(const request&) = delete;

  /// The method.
  http::method method() const noexcept { return head_.method(); }
  /// The request target as it was sent, such as "/a?b".
  std::string_view target() const noexcept { return head_.target(); }
  /// The path of the target, not decoded.
  std::string_view path() const noexcept { return head_.path(); }
  /// What follows the '?' of the target, not decoded.
  std::string_view query() const noexcept { return head_.query(); }
  /// Host and port as the client named them.
  std::string_view host() const noexcept { return head_.host(); }
  /// The header fields.
  const header_views& headers() const noexcept { return head_.headers(); }
  /// The value of the first field of that name, or nothing (a null view) when there is none.
  std::string_view header(std::string_view name) const noexcept { return head_.headers().get(name); }
  /// The decoded body.
  std::string_view body() const noexcept { return body_; }
  /// Whether the client lets the connection stay open after this request.
  bool keep_alive() const noexcept { return head_.keep_alive(); }

  /// The head, for who fills it.
  request_head& head() noexcept { return head_; }
  /// The body, for who fills it; its memory is kept from one request to the next.
  std::string& body_buffer() noexcept { return body_; }

 private:
  request_head head_;
  std::string body_;
};

/// A response with its whole body. The library decides Content-Length, Transfer-Encoding and
/// Date; of Connection it honours "close".
struct response {
  int status = 200;       ///< 200-999
  std::string reason;     ///< empty: the usual phrase of the status
  http::headers headers;  ///< header fields
  std::string body;       ///< the whole body

  /// A plain text in UTF-8.
  static response text(int status, std::string body);
  /// An HTML page in UTF-8.
  static response html(int status, std::string body);
  /// A JSON document.
  static response json(int status, std::string body);
};

}  // namespace mobius::http
