#pragma once
// `socket_listener`: what TCP and unix listeners have in common.

#include <cstddef>
#include <utility>

#include "listener_state.hpp"

namespace mobius::net {

/// A listening socket of streams of type `Stream`. Dropping it closes it; connections not yet
/// accepted are closed too. Move-only; it belongs to the reactor it was made in.
template <class Stream>
class socket_listener {
 public:
  /// No listener.
  socket_listener() noexcept = default;
  socket_listener(socket_listener&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  socket_listener& operator=(socket_listener&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~socket_listener() { close(); }

  /// Waits for a connection. Cancel: ends the wait; connections that arrive are kept for the next
  /// one. One at a time; a second fails with EBUSY. When descriptors run out it pauses and tries
  /// again by itself, so that clients wait in the backlog; at the limit of connections it waits until
  /// one has ended. Throws std::system_error naming the address; EBADF after `close`, or when all is
  /// handed out after `stop`.
  ///
  ///     while (true) {
  ///       mobius::net::tcp_stream client = co_await listener.accept();
  ///       mobius::background(serve(std::move(client)));
  ///     }
  detail::accept_operation<Stream> accept() { return detail::accept_operation<Stream>(state()); }

  /// The address it listens on, with the port that the kernel chose.
  const socket_address& local_address() const { return state().address(); }
  /// How many connections it has handed out that have not ended.
  std::size_t open_connections() const { return state().open_connections(); }
  /// Stops listening at once: a waiting accept fails with EBADF, and who was not yet accepted is reset.
  /// What it gives need not be awaited; when it has been, the kernel has let go of the socket, so that
  /// the next one can listen there. That await is short and is no cancellation point.
  ///
  ///     co_await listener.close();
  ///     listener = mobius::net::tcp_listener("127.0.0.1", port);
  detail::listener_close_operation close() noexcept {
    auto* s = std::exchange(state_, nullptr);
    return s ? s->close() : detail::listener_close_operation(nullptr);
  }
  /// Stops listening in order: who has connected before is still handed out by `accept`, which then
  /// fails with EBADF. Open connections go on.
  void stop() { state().stop(); }
  /// True if it holds a socket.
  explicit operator bool() const noexcept { return state_ != nullptr; }

 protected:
  explicit socket_listener(detail::listener_state* s) noexcept : state_(s) {}

 private:
  detail::listener_state& state() const {
    if (!state_) detail::throw_no_listener();
    return *state_;
  }

  detail::listener_state* state_ = nullptr;
};

}  // namespace mobius::net
