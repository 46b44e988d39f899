#pragma once
// `with_deadlines`: a stream whose reads and writes each have an end.

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <memory>
#include <source_location>
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

namespace detail {

/// "read from 10.0.0.1:80: timed out after 5 s".
failure deadline_passed(const char* call, const socket_address& peer, std::chrono::nanoseconds limit);

/// The peer, kept apart from the stream, whose handle may go while something waits on it.
using peer_name = std::shared_ptr<const socket_address>;

/// A `timeout` whose error says on what.
template <class A>
class deadline_awaiter {
 public:
  using value_type = await_result_t<A>;

  deadline_awaiter(peer_name peer, const char* call, std::chrono::nanoseconds limit, A&& a)
      : peer_(std::move(peer)), call_(call), limit_(limit), inner_(reactor::current(), limit, std::move(a)) {}

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  mobius::detail::transfer await_suspend(std::coroutine_handle<Promise> h,
                                         std::source_location where = std::source_location::current()) {
    return suspend(h, mobius::detail::context_of(h), where);
  }
  mobius::detail::transfer suspend(std::coroutine_handle<> h, mobius::detail::context* ctx,
                                   const std::source_location& where) {
    return inner_.suspend(h, ctx, where);
  }
  value_type await_resume() { return outcome().value(); }
  result<value_type> outcome() {
    result<value_type> r = inner_.outcome();
    if (r || !r.error().template check<timed_out>()) return r;
    return deadline_passed(call_, *peer_, limit_);
  }

 private:
  peer_name peer_;
  const char* call_;
  std::chrono::nanoseconds limit_;
  mobius::detail::timeout_awaiter<A> inner_;
};

/// A read or write of a stream, with its deadline.
template <class A>
class [[nodiscard("co_await it")]] deadline_operation {
 public:
  deadline_operation(peer_name peer, const char* call, std::chrono::nanoseconds limit, A a)
      : peer_(std::move(peer)), call_(call), limit_(limit), operation_(std::move(a)) {}
  deadline_awaiter<A> operator co_await()&& {
    return deadline_awaiter<A>(std::move(peer_), call_, limit_, std::move(operation_));
  }

 private:
  peer_name peer_;
  const char* call_;
  std::chrono::nanoseconds limit_;
  A operation_;
};

}  // namespace detail

/// A stream that owns another and puts an end to each read and write: past it `timed_out` is thrown,
/// which names the call and the peer ("read from 10.0.0.1:80: timed out after 30 s"), or
/// `write_interrupted` by a write that has sent a part. A read that timed out has lost no byte. It
/// is a stream itself, so what is written against streams takes it.
///
///     with_deadlines stream(co_await listener.accept(), {.read = 30s, .write = 10s});
template <stream S>
class with_deadlines {
 public:
  /// Takes a stream over.
  with_deadlines(S s, deadlines d)
      : stream_(std::move(s)),
        peer_(std::make_shared<socket_address>(stream_ ? stream_.peer_address() : socket_address())),
        limits_(d) {}

  /// The stream's own, with the deadline of reads.
  auto receive() { return reading(stream_.receive()); }
  /// The stream's own, with the deadline of reads.
  auto read_some(std::span<std::byte> to) { return reading(stream_.read_some(to)); }
  /// The same for chars.
  auto read_some(std::span<char> to) { return read_some(std::as_writable_bytes(to)); }
  /// The stream's own, with the deadline of writes.
  auto write_all(const_buffer bytes) { return writing(stream_.write_all(bytes)); }
  /// The same for a list of buffers.
  auto write_all(std::span<const const_buffer> list) { return writing(stream_.write_all(list)); }

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
  template <class A>
  auto reading(A a) {
    return detail::deadline_operation<A>(peer_, "read from", limits_.read, std::move(a));
  }
  template <class A>
  auto writing(A a) {
    return detail::deadline_operation<A>(peer_, "write to", limits_.write, std::move(a));
  }

  S stream_;
  detail::peer_name peer_;
  deadlines limits_;
};

}  // namespace mobius::net

template <class A>
inline constexpr bool mobius::borrows_memory<mobius::net::detail::deadline_operation<A>> =
    mobius::borrows_memory<A>;
