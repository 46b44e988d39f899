#pragma once
// Stages one and two of reading a request: the head scanner, llhttp on exactly the head, and
// framing computed by us. No I/O and no allocation.

#include <array>
#include <cstdint>
#include <string_view>

#include "head_scanner.hpp"
#include "limits.hpp"
#include "request_head.hpp"

namespace mobius::http {

/// Reads request heads. A rejection names the status to answer with; the connection is to be
/// closed after it, since nothing behind a refused head can be trusted (RFC 9112 11.2).
///
///     request_parser parser(limits);
///     switch (parser.parse(buffer, head)) { ... }   // need_more: append to the buffer, call again
///     buffer.remove_prefix(parser.size());          // complete: body or next request follow
///     parser.reset();
class request_parser {
 public:
  explicit request_parser(const server_limits& limits = {}) noexcept;

  /// Goes on with everything since the first byte of the message; the buffer may have grown and
  /// moved. On complete `head` views into it.
  progress parse(std::string_view buffer, request_head& head) noexcept;
  /// Makes it ready for the next request.
  void reset() noexcept { scanner_.reset(), why_ = {}; }

  /// After complete: the size of the head.
  std::size_t size() const noexcept { return scanner_.size(); }
  /// Whether a part of a head has come.
  bool begun() const noexcept { return scanner_.begun(); }
  /// After rejected: the status to answer and the reason for the log.
  const rejection& why() const noexcept { return why_; }

 private:
  struct framing_fields;

  static rejection read_request_line(std::string_view line, request_head& head) noexcept;
  static rejection read_target(std::string_view target, request_head& head) noexcept;
  static rejection read_path(std::string_view text, request_head& head) noexcept;
  rejection read_fields(std::string_view buffer, request_head& head) const noexcept;
  rejection read_framing(request_head& head) noexcept;
  static rejection find_framing_fields(const header_views& list, framing_fields& found) noexcept;
  rejection read_host(const framing_fields& fields, request_head& head) noexcept;
  bool is_good_host(std::string_view host) noexcept;
  rejection read_body(const framing_fields& fields, request_head& head) const noexcept;

  head_scanner scanner_;
  std::uint64_t most_body_;
  rejection why_;
  std::array<char, 62> host_;  // the last Host that was right: a client sends the same one each time
  std::uint8_t host_size_ = 0;
};

}  // namespace mobius::http
