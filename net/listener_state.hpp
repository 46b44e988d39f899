#pragma once
// The inside of a listening socket: like a stream's, a block that may outlive its handle. Accepting
// is multishot: armed once, it stays armed.

#include <coroutine>
#include <cstdint>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

#include "../runtime/op.hpp"
#include "../runtime/timer_wheel.hpp"
#include "stream_state.hpp"

namespace mobius::net::detail {

class listener_state;

[[noreturn]] void throw_no_listener();

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

  listener_state& listener_;

 private:
  friend class listener_state;
  static const core::leaf_type leaf_kind;
  static bool cancel(core::leaf* self) noexcept;
  bool waits() const noexcept { return state_ == state::waiting; }
  void ready(std::int32_t error) noexcept;

  std::int32_t result_ = 0;
};

/// Someone who waits until the kernel has let go of a listening socket. It is no cancellation point:
/// that is short, and who listens there next depends on it.
class listener_close_awaiter final : public core::waiter {
 public:
  /// Takes over a share of the listener; null if there is none.
  explicit listener_close_awaiter(listener_state* s) noexcept : waiter(leaf_kind), listener_(s) {}
  ~listener_close_awaiter();

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h,
                     std::source_location where = std::source_location::current()) {
    return suspend(h, core::context_of(h), where);
  }
  bool suspend(std::coroutine_handle<> h, core::context* ctx, const std::source_location& where);
  void await_resume() { leave(); }

 private:
  friend class listener_state;
  static const core::leaf_type leaf_kind;
  static bool cancel(core::leaf*) noexcept { return true; }
  void closed() noexcept;

  listener_state* listener_;
};

/// What a listener's `close` gives. It may be awaited or dropped; the closing goes on by itself.
class listener_close_operation {
 public:
  explicit listener_close_operation(listener_state* s) noexcept : listener_(s) {}
  listener_close_operation(listener_close_operation&& other) noexcept
      : listener_(std::exchange(other.listener_, nullptr)) {}
  listener_close_operation& operator=(listener_close_operation&&) = delete;
  ~listener_close_operation();
  listener_close_awaiter operator co_await() && noexcept {
    return listener_close_awaiter(std::exchange(listener_, nullptr));
  }

 private:
  listener_state* listener_;
};

class listener_state : private open_socket, private stream_counter {
 public:
  /// Takes over a listening socket. At most `max_open` connections at a time; 0 is no limit. `path`
  /// is a unix socket's, to be removed at the end.
  listener_state(reactor& r, int fd, std::size_t max_open, std::string path = {});
  listener_state(const listener_state&) = delete;
  listener_state& operator=(const listener_state&) = delete;

  /// Listens no more, and lets go of the handle's share.
  void drop() noexcept {
    begin_close();
    release();
  }
  /// Listens no more; the handle's share goes on to who may wait for the end.
  listener_close_operation close() noexcept {
    begin_close();
    return listener_close_operation(this);
  }
  /// Listens no more; what the kernel has accepted is still handed out.
  void stop() noexcept;
  /// A stream was made of an accepted descriptor: whom its end is to be told.
  stream_counter* count() noexcept {
    ++open_;
    retain();
    return this;
  }
  /// Connections that were handed out and have not ended.
  std::size_t open_connections() const noexcept { return open_; }
  void retain() noexcept { ++references_; }
  void release() noexcept {
    --references_;
    finish_if_idle();
  }

  const socket_address& address() const noexcept { return address_; }
  std::string describe() const { return "accept on " + address_.to_string(); }

 private:
  friend class accept_awaiter;
  friend class listener_close_awaiter;

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
  std::size_t waiting() const noexcept { return waiting_.size() - next_; }
  bool at_limit(std::size_t more) const noexcept { return max_open_ != 0 && open_ + more >= max_open_; }
  bool has_connection() const noexcept { return waiting() != 0 && !at_limit(0); }
  /// Stopped, and all is handed out.
  bool drained() const noexcept { return stopped_ && fd_ < 0 && waiting() == 0; }
  void arm();
  void pause_accepting() noexcept;
  void finish_stop() noexcept;
  void close_socket() noexcept;
  void serve_acceptor() noexcept;
  void begin_close() noexcept;
  void finish_if_idle() noexcept;
  static void on_accept(core::completion_handler* self, std::int32_t result, std::uint32_t flags) noexcept;
  static void on_pause_over(core::timer* t) noexcept;
  static void on_shutdown(open_socket* self) noexcept;
  static void on_stream_ended(stream_counter* self) noexcept;

  reactor& reactor_;
  accepting accept_{*this};
  pausing pause_{*this};
  accept_awaiter* acceptor_ = nullptr;  // from its wait to its resumption
  listener_close_awaiter* closer_ = nullptr;
  std::vector<int> waiting_;  // from next_ on: accepted, in order
  std::size_t next_ = 0;
  std::size_t open_ = 0;
  std::size_t max_open_;
  std::string path_;  // of a unix socket
  std::uint64_t inode_ = 0;
  int fd_;
  std::int32_t error_ = 0;
  bool armed_ = false;
  bool pausing_ = false;  // its cancel has been asked for
  bool stopped_ = false;  // no new connections; those accepted are still handed out
  bool closing_ = false;
  std::uint32_t references_ = 1;
  socket_address address_;
};

/// The awaiter of `accept`: makes a stream of the descriptor.
template <class Stream>
class stream_accept_awaiter final : public accept_awaiter {
 public:
  using accept_awaiter::accept_awaiter;
  Stream await_resume() { return outcome().value(); }
  result<Stream> outcome() {
    result<int> fd = accepted();
    if (!fd) return std::move(fd.error());
    return Stream(*fd, socket_address::peer_of(*fd), listener_.count());
  }
};

/// What a listener's `accept` gives: awaited, a stream.
template <class Stream>
class [[nodiscard("co_await it")]] accept_operation {
 public:
  explicit accept_operation(listener_state & s) noexcept : listener_(&s) {}
  stream_accept_awaiter<Stream> operator co_await() const noexcept {
    return stream_accept_awaiter<Stream>(*listener_);
  }

 private:
  listener_state* listener_;
};

}  // namespace mobius::net::detail
