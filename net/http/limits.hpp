#pragma once
// What a peer may cost us: sizes, counts and deadlines of both sides, on by default.

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace mobius::http {

/// The most fields a request head can hold; `head_limits::fields` above it counts as this.
inline constexpr std::size_t max_request_fields = 100;

/// Limits of one head or trailer section. Sizes are in bytes.
struct head_limits {
  std::size_t start_line = 8 * 1024;  ///< request or status line without its CRLF; RFC 9112 3 asks for 8000
  std::size_t head = 16 * 1024;       ///< the whole head with the empty line that ends it
  std::size_t fields = 100;           ///< header lines
};

/// Limits of one body. Sizes are in bytes.
struct body_limits {
  std::uint64_t body = 1024 * 1024;                 ///< decoded body
  std::size_t chunk_line = 256;                     ///< one chunk-size line with its extensions
  std::uint64_t chunk_overhead = 16 * 1024;         ///< extensions and padding of all chunk lines of a body
  head_limits trailers = {8 * 1024, 8 * 1024, 32};  ///< trailer section
};

/// All limits of a server.
struct server_limits {
  head_limits head;  ///< request head: answered with 414 or 431
  body_limits body;  ///< request body: answered with 413 or 400

  std::chrono::milliseconds head_deadline = std::chrono::seconds(10);  ///< first to last byte of a head: 408
  std::chrono::milliseconds body_grace = std::chrono::seconds(5);      ///< before `body_rate` is asked for
  std::uint64_t body_rate = 1024;  ///< bytes a second of a body: 408 below
  std::chrono::milliseconds keep_alive_idle = std::chrono::seconds(60);  ///< between requests: closed
  std::chrono::milliseconds write_stall = std::chrono::seconds(60);      ///< no progress of a send: aborted
  std::chrono::milliseconds linger = std::chrono::seconds(5);            ///< reading on after an error answer
  std::uint64_t linger_bytes = 1024 * 1024;                              ///< the same, in bytes
  std::uint64_t drain_bytes = 64 * 1024;  ///< unread rest of a body that is skipped to keep a connection
};

/// All limits of a client.
struct client_limits {
  head_limits head = {8 * 1024, 32 * 1024, 200};  ///< response head: they are fatter than requests
  body_limits body = {16 * 1024 * 1024};          ///< response body
  int redirects = 20;                             ///< hops that are followed
  int interim_responses = 20;                     ///< 1xx heads before the final one

  std::chrono::milliseconds resolve = std::chrono::seconds(5);         ///< name look-up
  std::chrono::milliseconds connect = std::chrono::seconds(10);        ///< all addresses together
  std::chrono::milliseconds response_head = std::chrono::seconds(30);  ///< request sent to end of head
  std::chrono::milliseconds body_idle = std::chrono::seconds(30);      ///< between two pieces of a body
  std::chrono::milliseconds total = std::chrono::seconds(120);     ///< the whole exchange, redirects included
  std::chrono::milliseconds pool_idle = std::chrono::seconds(15);  ///< shorter than any server's own
  std::size_t pool_per_origin = 32;                                ///< connections kept for one origin
  std::size_t pool_total = 256;                                    ///< and for all
};

}  // namespace mobius::http
