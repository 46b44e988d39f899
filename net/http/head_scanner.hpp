#pragma once
// Stage one of reading a message: finds the end of a head in raw bytes and refuses every shape of
// line on which two parsers could disagree.

#include <cstddef>
#include <string_view>

#include "limits.hpp"

namespace mobius::http {

/// Why a message is refused: the status a server answers with, and a text in static storage.
/// Status 0 means that nothing is wrong.
struct rejection {
  int status = 0;
  std::string_view reason;
  /// Whether there is something to refuse.
  explicit operator bool() const noexcept { return status != 0; }
};

/// How far a reading stage has come.
enum class progress { need_more, complete, rejected };

/// Finds the empty line that ends a head. It refuses a line feed without carriage return and the
/// reverse, NUL, a line that begins with a blank (folding) or a colon (no name), and whatever
/// passes its limits (RFC 9112 2.2, 5.1, 5.2). It does not look into names and values.
///
/// Each `scan` is given everything since the first byte of the message, in one piece that may have
/// moved; bytes that were looked at are not looked at again, so a head that comes byte by byte
/// costs linear time.
class head_scanner {
 public:
  /// What the lines are: a start line and fields, or fields only (a trailer section). One empty
  /// line before a request line is skipped (RFC 9112 2.2).
  enum class kind { request, response, trailers };

  head_scanner(kind what, const head_limits& limits) noexcept;

  /// Goes on with `buffer`. Once it answered complete or rejected it must be reset.
  progress scan(std::string_view buffer) noexcept;
  /// Makes it ready for the next message.
  void reset() noexcept;

  /// After complete: the size of the head with its final empty line.
  std::size_t size() const noexcept { return offset_; }
  /// The offset of the start line: 2 when an empty line was skipped.
  std::size_t start() const noexcept { return start_; }
  /// The size of the start line without its CRLF; 0 before it is complete.
  std::size_t start_line_size() const noexcept { return start_line_size_; }
  /// Whether bytes have come that belong to a message, so that an end of stream now cuts one off.
  bool begun() const noexcept { return offset_ > start_; }
  /// After rejected: why.
  const rejection& why() const noexcept { return why_; }

 private:
  progress end_line() noexcept;
  progress reject_start(char first) noexcept;
  progress reject(int status, std::string_view reason) noexcept;
  progress reject_over_limit(std::string_view buffer) noexcept;

  head_limits limits_;
  kind kind_;
  bool after_cr_ = false;
  std::size_t offset_ = 0;
  std::size_t line_ = 0;   // where the current line begins
  std::size_t lines_ = 0;  // complete lines
  std::size_t start_ = 0;
  std::size_t start_line_size_ = 0;
  rejection why_;
};

}  // namespace mobius::http
