#pragma once
// Writing heads. Everything is checked here, at the last moment before bytes leave, and the
// framing of a message is decided here and nowhere else.

#include <array>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "headers.hpp"
#include "message.hpp"
#include "request_head.hpp"
#include "url.hpp"

namespace mobius::http {

/// The usual phrase of a status, such as "Not Found"; empty for an unknown one.
std::string_view reason_phrase(int status) noexcept;

/// The Date field line for a moment (RFC 9110 5.6.7), made anew only when the second changes.
class date_line {
 public:
  /// "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"; the view is valid until the next call.
  std::string_view at(std::chrono::system_clock::time_point now) noexcept;

 private:
  std::chrono::sys_seconds second_ = std::chrono::sys_seconds::min();
  std::array<char, 37> text_{};
};

/// What a response answers.
struct response_context {
  http::method method = http::method::get;  ///< of the request; HEAD gets no body bytes
  int version_minor = 1;                    ///< of the request
  bool keep_alive = true;                   ///< whether the connection may stay open
  std::string_view date;                    ///< from `date_line`; empty: no Date field
};

/// What `write_head` decided.
struct written_head {
  bool keep_alive = true;  ///< whether the connection stays open after this response
  bool send_body = true;   ///< whether the body follows: not for HEAD, 204 and 304
};

/// Appends the head of `answer` to `out`. Content-Length is written by us, a user's own must agree
/// with the body. Throws `invalid_message` for a status outside 200-999 or a reason with a control
/// byte, `invalid_header` for Transfer-Encoding, Upgrade, a second or wrong Content-Length, or a
/// Connection other than close and keep-alive; `out` is then as it was.
written_head write_head(std::string& out, const response& answer, const response_context& context);

/// The interim response that a client with "Expect: 100-continue" waits for.
inline constexpr std::string_view continue_response = "HTTP/1.1 100 Continue\r\n\r\n";

/// A whole error response with `Connection: close`, for what no handler has seen. Nothing of the
/// request is echoed in it.
void write_error(std::string& out, int status, std::string_view date);

/// Appends a request head for `target` to `out`: request line, Host, the given fields and, when
/// there is a body or the method always has one, Content-Length. Throws `invalid_header` when the
/// fields contain Host, Content-Length, Transfer-Encoding, or Upgrade; `out` is then as it was.
void write_request_head(std::string& out, http::method method, const url& target, const headers& fields,
                        std::size_t body_size = 0);

/// The same with a request target of the caller's, such as "*". Throws `invalid_message` when the
/// target has a blank, a control or a non-ASCII byte in it, or `host` is no host and port.
void write_request_head(std::string& out, http::method method, std::string_view target, std::string_view host,
                        const headers& fields, std::size_t body_size = 0);

}  // namespace mobius::http
