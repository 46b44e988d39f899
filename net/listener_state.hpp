#pragma once
// The inside of a listening socket: like a stream's, a block that may outlive its handle. Accepting
// is multishot: armed once, it stays armed.

#include <coroutine>
#include <cstdint>
#include <source_location>
#include <vector>

#include "../runtime/op.hpp"
#include "../runtime/timer_wheel.hpp"
#include "stream_state.hpp"

namespace mobius::net::detail {

class listener_state;

/// Someone who waits for a connection.
class accept_awaiter : public core::waiter {
 public:
  explicit accept_awaiter(listener_state& s) noexcept;
  ~accept_awaiter();

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h,
                     std::source_location where = std::source_location::current()) {
    return suspend(h, core::context_of(h), where);
  }
  bool suspend(std::coroutine_handle<> h, core::context* ctx, const std::source_location& where);

 protected:
  /// The next connection's descriptor; its error; or that the wait was cancelled.
  result<int> accepted();

 private:
  friend class listener_state;
  static const core::leaf_type leaf_kind;
  static bool cancel(core::leaf* self) noexcept;
  void ready(std::int32_t error) noexcept;

  listener_state& listener_;
};

class listener_state : private open_socket {
 public:
  /// Takes over a listening socket.
  listener_state(reactor& r, int fd);
  listener_state(const listener_state&) = delete;
  listener_state& operator=(const listener_state&) = delete;

  void drop() noexcept;
  void retain() noexcept { ++references_; }
  void release() noexcept {
    --references_;
    finish_if_idle();
  }

  const socket_address& address() const noexcept { return address_; }
  std::string describe() const { return "accept on " + address_.to_string(); }

 private:
  friend class accept_awaiter;

  struct accepting : core::completion_handler {
    explicit accepting(listener_state& s) noexcept
        : completion_handler(&listener_state::on_accept), listener(s) {}
    listener_state& listener;
  };
  struct pausing : core::timer {
    explicit pausing(listener_state& s) noexcept : timer(&listener_state::on_pause_over), listener(s) {}
    listener_state& listener;
  };

  static constexpr std::size_t max_waiting = 64;  // accepted and not yet taken; past it accepting pauses

  ~listener_state();
  bool has_connection() const noexcept { return next_ != waiting_.size(); }
  void arm();
  void begin_close() noexcept;
  void finish_if_idle() noexcept;
  static void on_accept(core::completion_handler* self, std::int32_t result, std::uint32_t flags) noexcept;
  static void on_pause_over(core::timer* t) noexcept;
  static void on_shutdown(open_socket* self) noexcept;

  reactor& reactor_;
  accepting accept_{*this};
  pausing pause_{*this};
  accept_awaiter* acceptor_ = nullptr;
  std::vector<int> waiting_;  // from next_ on: accepted, in order
  std::size_t next_ = 0;
  int fd_;
  std::int32_t error_ = 0;
  bool armed_ = false;
  bool stopping_ = false;  // its cancel has been asked for
  bool closing_ = false;
  std::uint32_t references_ = 1;
  socket_address address_;
};

}  // namespace mobius::net::detail
