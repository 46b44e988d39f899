#pragma once
// Reading a response head on the client side: head scanner, llhttp, framing computed by us.

#include <string>
#include <string_view>

#include "framing.hpp"
#include "head_scanner.hpp"
#include "headers.hpp"
#include "limits.hpp"
#include "request_head.hpp"

namespace mobius::http {

/// A parsed response head, which owns its text.
struct response_head {
  int status = 0;           ///< 200-999; 1xx heads are skipped
  std::string reason;       ///< as the server sent it, possibly empty
  int version_minor = 1;    ///< the digit after "HTTP/1."
  http::headers headers;    ///< the header fields
  framing body;             ///< what ends the body
  bool keep_alive = false;  ///< whether the connection may carry another exchange
};

/// Reads response heads. What is not an unambiguous HTTP/1.x response throws `protocol_error`, a
/// head over its limits `too_large`; both texts begin with the subject. The connection is of no
/// use after either.
class response_parser {
 public:
  /// `subject` names the exchange in error texts, such as "GET http://example.org/".
  explicit response_parser(std::string subject, const client_limits& limits = {});

  /// Starts the response to a request with that method: one to HEAD has no body (RFC 9112 6.3).
  void begin(http::method requested);

  /// How a step went.
  struct step {
    bool complete = false;     ///< `head()` is the final response
    std::size_t consumed = 0;  ///< bytes that are done with, to be taken off the buffer
  };
  /// Goes on with everything that has come since the last byte that was consumed. Interim (1xx)
  /// heads are consumed and skipped; after a complete step the body follows.
  step parse(std::string_view buffer);

  /// The head after a complete step.
  response_head& head() noexcept { return head_; }
  /// The same.
  const response_head& head() const noexcept { return head_; }
  /// Whether any byte of a response has come: without one the request may not have arrived.
  bool begun() const noexcept { return interims_ != 0 || scanner_.begun(); }
  /// Throws what it means that the connection ended before the response did:
  /// `response_never_received`, or `response_truncated` with the part of the body that came.
  [[noreturn]] void throw_cut_off(std::string partial_body = {}) const;
  /// Throws what a rejection by the body decoder means: `too_large` or `protocol_error`.
  [[noreturn]] void throw_refused(const rejection& why) const;

 private:
  void read_head(std::string_view text);
  void read_status_line(std::string_view line);
  void read_fields(std::string_view text);
  void read_framing();
  [[noreturn]] void refuse(std::string_view why) const;

  std::string subject_;
  head_scanner scanner_;
  int most_interims_;
  int interims_ = 0;
  http::method requested_ = http::method::get;
  response_head head_;
};

}  // namespace mobius::http
