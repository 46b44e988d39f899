#pragma once
// Waiting for a descriptor of somebody else's: how other libraries' sockets join the loop.

#include <poll.h>

#include <coroutine>
#include <cstdint>
#include <source_location>

#include "op.hpp"

namespace mobius {

namespace detail {

class poll_awaiter final : public op {
 public:
  poll_awaiter(int fd, std::uint32_t events) noexcept : op(leaf_kind), fd_(fd), events_(events) {}

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h,
                     std::source_location where = std::source_location::current()) {
    return suspend(h, context_of(h), where);
  }
  bool suspend(std::coroutine_handle<> h, context* ctx, const std::source_location& where) {
    return submit(h, ctx, where, {.opcode = IORING_OP_POLL_ADD, .fd = fd_, .op_flags = events_});
  }
  std::uint32_t await_resume() { return outcome().value(); }
  result<std::uint32_t> outcome();

 private:
  static const leaf_type leaf_kind;

  int fd_;
  std::uint32_t events_;
};

class [[nodiscard("co_await it")]] poll_operation {
 public:
  poll_operation(int fd, std::uint32_t events) noexcept : fd_(fd), events_(events) {}
  poll_awaiter operator co_await() const noexcept { return poll_awaiter(fd_, events_); }

 private:
  int fd_;
  std::uint32_t events_;
};

}  // namespace detail

/// Waits until `fd` is ready for one of `events` (POLLIN, POLLOUT ... of poll(2)) and gives those
/// that hold, errors and hang-up included. One shot. The descriptor stays the caller's and must
/// stay open meanwhile; any number of polls may overlap. A cancel ends it at once. Throws
/// std::system_error for a bad descriptor.
///
///     co_await mobius::poll(PQsocket(connection), POLLIN);
inline detail::poll_operation poll(int fd, short events) {
  return {fd, static_cast<std::uint32_t>(static_cast<unsigned short>(events))};
}

}  // namespace mobius
