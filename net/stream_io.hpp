#pragma once
// What can be done with any stream: read an exact number of bytes, copy one to another.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "../runtime/task.hpp"
#include "stream.hpp"

namespace mobius::net {

namespace detail {

/// "read from 10.0.0.1:80: the stream ended after 3 of 10 bytes".
std::string ended_text(const socket_address& peer, std::size_t done, std::size_t wanted);

}  // namespace detail

/// Fills `to` from the stream. `done` counts the bytes as they come: after a cancel or a timeout it
/// says how many are there, and the same call again goes on behind them, so that none is lost. Both
/// are the caller's and must live until it ends. Throws `unexpected_end` if the stream ends before,
/// and what `read_some` throws.
///
///     std::size_t done = 0;
///     co_await read_exactly(stream, std::span(header), done);
template <stream S>
task<> read_exactly(S& s, std::span<std::byte> to, std::size_t& done) {
  while (done < to.size()) {
    const std::size_t part = co_await s.read_some(to.subspan(done));
    if (part == 0) throw unexpected_end(detail::ended_text(s.peer_address(), done, to.size()));
    done += part;
  }
}
/// The same for chars.
template <stream S>
task<> read_exactly(S& s, std::span<char> to, std::size_t& done) {
  return read_exactly(s, std::as_writable_bytes(to), done);
}

/// Sends what it receives from `from` to `to`, without copying it, until the end of `from`; gives how
/// many bytes that was. It holds one buffer at a time: while `to` does not take it, nothing more is
/// received than the stream's own bound, and so the peer of `from` has to wait. Neither stream is
/// closed or shut down. Throws what either throws. Cancel: what was received and not yet sent is lost.
///
///     co_await copy(client, server);
///     server.shutdown_write();
template <stream From, stream To>
task<std::uint64_t> copy(From& from, To& to) {
  std::uint64_t total = 0;
  while (lease data = co_await from.receive()) {
    co_await to.write_all(const_buffer(data));
    total += data.size();
  }
  co_return total;
}

}  // namespace mobius::net
