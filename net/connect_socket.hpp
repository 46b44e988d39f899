#pragma once
// Connecting a socket: the operation that TCP and unix share.

#include <coroutine>
#include <source_location>
#include <string>

#include "../runtime/op.hpp"
#include "address.hpp"
#include "descriptor.hpp"

namespace mobius::net::detail {

namespace core = mobius::detail;

/// A new socket of streams; throws std::system_error "`call`: socket: ...".
descriptor make_socket(int family, const std::string& call);

/// The awaiter of one attempt to connect.
class connect_awaiter final : public core::op {
 public:
  connect_awaiter(int fd, const socket_address& address) noexcept
      : op(leaf_kind), fd_(fd), address_(address) {}

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h,
                     std::source_location where = std::source_location::current()) {
    return suspend(h, core::context_of(h), where);
  }
  bool suspend(std::coroutine_handle<> h, core::context* ctx, const std::source_location& where) {
    return submit(h, ctx, where,
                  {.opcode = IORING_OP_CONNECT,
                   .fd = fd_,
                   .address = reinterpret_cast<std::uint64_t>(address_.data()),
                   .offset = address_.size()});
  }
  void await_resume() { outcome().value(); }
  result<void> outcome();

 private:
  static const core::leaf_type leaf_kind;

  int fd_;
  socket_address address_;
};

/// Connects `fd`, which stays the caller's and must stay open.
class [[nodiscard("co_await it")]] connect_operation {
 public:
  connect_operation(int fd, const socket_address& address) noexcept : fd_(fd), address_(address) {}
  connect_awaiter operator co_await() const noexcept { return {fd_, address_}; }

 private:
  int fd_;
  socket_address address_;
};

}  // namespace mobius::net::detail
