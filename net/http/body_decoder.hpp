#pragma once
// Stage three of reading a message: the body, whatever ends it, for both sides. No I/O, no copies.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "framing.hpp"
#include "head_scanner.hpp"
#include "headers.hpp"
#include "limits.hpp"

namespace mobius::http {

/// Takes a body out of a stream of bytes. A body of known length is a counter; a chunked one goes
/// through llhttp, one piece at a time, and its trailer section through the head scanner.
///
///     while (!input.empty() && decoder.state() == progress::need_more) {
///       auto piece = decoder.next(input);
///       use(piece.data);
///       input.remove_prefix(piece.consumed);
///     }
class body_decoder {
 public:
  /// What one step found.
  struct piece {
    std::string_view data;     ///< body bytes, a part of the input; may be empty
    std::size_t consumed = 0;  ///< input bytes that are done with, `data` included
  };

  /// A decoder that is complete: there is no body.
  body_decoder() noexcept = default;
  /// A decoder of one body.
  body_decoder(const framing& body, const body_limits& limits) { begin(body, limits); }

  /// Starts a body; what was there before is forgotten, its memory kept. A body that is over its
  /// limit by its declared length is rejected here, with 413.
  void begin(const framing& body, const body_limits& limits);
  /// Takes the next piece out of `input`. It consumes something unless the body has ended or was
  /// rejected; bytes behind the body are never consumed.
  piece next(std::string_view input);
  /// The stream has ended. Complete when the body may end here, else need_more: it was cut off.
  progress finish() noexcept;

  /// Whether the body goes on, is complete, or was refused.
  progress state() const noexcept { return state_; }
  /// After rejected: 413 too large, 431 trailers too large, 400 malformed; and the reason.
  const rejection& why() const noexcept { return why_; }
  /// Body bytes given out so far.
  std::uint64_t received() const noexcept { return received_; }
  /// After complete: the trailer fields of a chunked body. They are never merged into the header
  /// fields, and those that frame, route or authenticate are dropped (RFC 9110 6.5.1).
  const headers& trailers() const noexcept { return trailers_; }

 private:
  friend struct chunk_callbacks;
  enum class chunk_step : std::uint8_t { coding, too_large, trailers };

  piece next_chunked(std::string_view input);
  piece next_trailers(std::string_view input);
  void meter(std::size_t overhead, bool data_followed);
  void read_trailers(std::string_view section);
  void reject(int status, std::string_view reason);

  progress state_ = progress::complete;
  chunk_step step_ = chunk_step::coding;
  body_kind kind_ = body_kind::none;
  std::uint64_t left_ = 0;  // of a body of known length
  std::uint64_t received_ = 0;
  std::uint64_t line_ = 0;      // bytes since the last body byte
  std::uint64_t overhead_ = 0;  // what chunk lines cost beyond their need
  std::size_t name_ = 0;        // of the current chunk extension
  std::size_t value_ = 0;
  std::string_view data_;
  body_limits limits_;
  rejection why_;
  head_scanner scanner_{head_scanner::kind::trailers, {}};
  std::string section_;
  headers trailers_;
  alignas(8) std::array<std::byte, 128> parser_;  // an llhttp_t, which stays out of our headers
};

}  // namespace mobius::http
