#pragma once
// How the end of a body is known (RFC 9112 6), for both sides.

#include <cstdint>
#include <string_view>

namespace mobius::http {

/// What ends a body.
enum class body_kind : std::uint8_t {
  none,       ///< there is none
  length,     ///< a number of bytes
  chunked,    ///< the last chunk
  until_eof,  ///< the end of the connection; responses only
};

/// The framing of one body.
struct framing {
  body_kind kind = body_kind::none;
  std::uint64_t length = 0;  ///< bytes; for `body_kind::length` only

  friend bool operator==(const framing&, const framing&) = default;
};

namespace detail {

/// What a Transfer-Encoding value asks for.
enum class transfer_coding { chunked, unknown, malformed };

/// Reads a Transfer-Encoding value (RFC 9112 6.1). Only "chunked" alone is implemented; "unknown"
/// is a well-formed list of codings that ends in chunked or has none.
transfer_coding read_transfer_encoding(std::string_view value);

/// What the fields of a Connection header say together.
struct connection_options {
  bool close = false;
  bool keep_alive = false;
  /// Adds the options of one field.
  void read(std::string_view value);
  /// Whether the connection persists (RFC 9112 9.3).
  bool persists(int version_minor) const noexcept { return !close && (version_minor >= 1 || keep_alive); }
};

}  // namespace detail

}  // namespace mobius::http
