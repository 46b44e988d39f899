#pragma once
// `with_deadlines`: a stream whose reads and writes each have an end.

#include <chrono>
#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

#include "../runtime/timeout.hpp"
#include "stream.hpp"

namespace mobius::net {

/// How long one read may wait for bytes, and one write for its last byte to leave.
struct deadlines {
  /// For each `receive` and `read_some`.
  std::chrono::nanoseconds read = std::chrono::nanoseconds::max();
  /// For each `write_all`.
  std::chrono::nanoseconds write = std::chrono::nanoseconds::max();
};

/// A stream that owns another and puts an end to each read and write: past it `timed_out` is thrown,
/// or `write_interrupted` by a write that has sent a part. A read that timed out has lost no byte. It
/// is a stream itself, so what is written against streams takes it.
///
///     with_deadlines stream(co_await listener.accept(), {.read = 30s, .write = 10s});
template <stream S>
class with_deadlines {
 public:
  /// Takes a stream over.
  with_deadlines(S s, deadlines d) noexcept : stream_(std::move(s)), limits_(d) {}

  /// The stream's own, with the deadline of reads.
  auto receive() { return timeout(limits_.read, stream_.receive()); }
  /// The stream's own, with the deadline of reads.
  auto read_some(std::span<std::byte> to) { return timeout(limits_.read, stream_.read_some(to)); }
  /// The same for chars.
  auto read_some(std::span<char> to) { return read_some(std::as_writable_bytes(to)); }
  /// The stream's own, with the deadline of writes.
  auto write_all(const_buffer bytes) { return timeout(limits_.write, stream_.write_all(bytes)); }
  /// The same for a list of buffers.
  auto write_all(std::span<const const_buffer> list) {
    return timeout(limits_.write, stream_.write_all(list));
  }

  /// The stream's own.
  auto close() noexcept { return stream_.close(); }
  /// The stream's own.
  void abort() noexcept { stream_.abort(); }
  /// The stream's own.
  void shutdown_write() { stream_.shutdown_write(); }
  /// The stream's own.
  void shutdown_read() { stream_.shutdown_read(); }
  /// The stream's own.
  socket_address peer_address() const { return stream_.peer_address(); }
  /// The stream's own.
  socket_address local_address() const { return stream_.local_address(); }
  /// The stream's own.
  std::string_view application_protocol() const noexcept { return stream_.application_protocol(); }
  /// True if it holds a stream.
  explicit operator bool() const noexcept { return static_cast<bool>(stream_); }

  /// The stream itself, without deadlines.
  S& inner() noexcept { return stream_; }
  /// Other deadlines, for what begins from now on.
  void set(deadlines d) noexcept { limits_ = d; }

 private:
  S stream_;
  deadlines limits_;
};

}  // namespace mobius::net
