#pragma once
// TCP: streams, listeners, and connecting.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "../runtime/buffer_pool.hpp"
#include "../runtime/task.hpp"
#include "address.hpp"
#include "listener_state.hpp"
#include "stream_state.hpp"

namespace mobius::net {

/// Bytes to be sent: a view of a std::string, string_view, span, vector of bytes, or lease.
class const_buffer {
 public:
  /// No bytes.
  constexpr const_buffer() noexcept = default;
  const_buffer(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}
  const_buffer(std::span<const char> text) noexcept : bytes_(std::as_bytes(text)) {}
  const_buffer(std::string_view text) noexcept : const_buffer(std::span(text)) {}
  const_buffer(const std::string& text) noexcept : const_buffer(std::string_view(text)) {}
  const_buffer(const char* text) noexcept : const_buffer(std::string_view(text)) {}
  const_buffer(const lease& l) noexcept : bytes_(l.bytes()) {}

  /// The bytes.
  std::span<const std::byte> bytes() const noexcept { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

namespace detail {

class [[nodiscard("co_await it")]] receive_operation {
 public:
  explicit receive_operation(stream_state & s) noexcept : stream_(&s) {}
  receive_awaiter operator co_await() const noexcept { return receive_awaiter(*stream_); }

 private:
  stream_state* stream_;
};

class [[nodiscard("co_await it")]] read_some_operation {
 public:
  read_some_operation(stream_state & s, std::span<std::byte> to) noexcept : stream_(&s), to_(to) {}
  read_some_awaiter operator co_await() const noexcept { return read_some_awaiter(*stream_, to_); }

 private:
  stream_state* stream_;
  std::span<std::byte> to_;
};

class [[nodiscard("co_await it")]] write_operation {
 public:
  write_operation(stream_state & s, std::span<const std::byte> bytes) noexcept : stream_(&s), bytes_(bytes) {}
  write_waiter operator co_await() const noexcept { return write_waiter(*stream_, bytes_); }

 private:
  stream_state* stream_;
  std::span<const std::byte> bytes_;
};

class [[nodiscard("co_await it")]] close_operation {
 public:
  explicit close_operation(stream_state * s) noexcept : stream_(s) {}
  close_operation(close_operation && other) noexcept : stream_(std::exchange(other.stream_, nullptr)) {}
  close_operation& operator=(close_operation&&) = delete;
  ~close_operation() {
    if (stream_) stream_->drop();
  }
  close_awaiter operator co_await()&& noexcept { return close_awaiter(std::exchange(stream_, nullptr)); }

 private:
  stream_state* stream_;
};

}  // namespace detail

/// A connected TCP stream. Move-only; it belongs to the reactor it was made in. Dropping it is
/// always safe and never blocks: operations under way are cancelled, and the last of them closes
/// the descriptor. One reader at a time; any number of writers, whose bytes do not mix.
class tcp_stream {
 public:
  /// No stream; it can be assigned to, tested and destroyed.
  tcp_stream() noexcept = default;
  /// Takes over a connected socket, for the current reactor.
  static tcp_stream adopt(int fd) { return tcp_stream(fd, socket_address::peer_of(fd)); }
  tcp_stream(tcp_stream&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  tcp_stream& operator=(tcp_stream&& other) noexcept {
    tcp_stream(std::move(other)).swap(*this);
    return *this;
  }
  ~tcp_stream() {
    if (state_) state_->drop();
  }

  /// True if it holds a stream.
  explicit operator bool() const noexcept { return state_ != nullptr; }
  /// Exchanges two streams.
  void swap(tcp_stream& other) noexcept { std::swap(state_, other.state_); }

  /// Waits for bytes and gives them in the buffer they arrived in, without a copy; an empty lease
  /// at the end of the stream. At most 16 KiB at a time. Cancel: ends the wait and loses no byte.
  /// A second reader meanwhile fails with EBUSY; writes may overlap. The buffer is the caller's
  /// until the lease is dropped; hold few and not for long, as all streams share them. Throws
  /// std::system_error naming the peer ("read from 10.0.0.1:80: Connection reset by peer").
  ///
  ///     while (mobius::lease data = co_await stream.receive()) co_await stream.write_all(data);
  detail::receive_operation receive() { return detail::receive_operation(state("receive")); }

  /// Waits for bytes and copies up to `to.size()` of them; gives how many, 0 at the end of the
  /// stream. `to` is the caller's and must live until then. Otherwise as `receive`.
  detail::read_some_operation read_some(std::span<std::byte> to) { return {state("read_some"), to}; }
  /// The same for chars.
  detail::read_some_operation read_some(std::span<char> to) { return read_some(std::as_writable_bytes(to)); }

  /// Sends all of `bytes`; ends when the kernel has taken the last of them. They stay in the
  /// caller's memory and must live until then. Writes that overlap are sent whole, one after the
  /// other. Cancel: a write that has sent nothing ends at once; one that has sent a part fails with
  /// ECANCELED and says how much, and the stream then refuses further writes. Throws
  /// std::system_error naming the peer.
  detail::write_operation write_all(const_buffer bytes) { return {state("write_all"), bytes.bytes()}; }

  /// Says to the peer that nothing more will be sent; to be called when no write is under way.
  /// Reading goes on. Throws std::system_error naming the peer.
  void shutdown_write();

  /// Closes the stream and waits until the kernel has let go of it; waiters fail with EBADF. Cancel
  /// does not interrupt it. Throws std::system_error for what close(2) reports.
  detail::close_operation close() noexcept { return detail::close_operation(std::exchange(state_, nullptr)); }

  /// The peer's address.
  const socket_address& peer_address() const { return state("peer_address").peer(); }
  /// Our address.
  socket_address local_address() const { return socket_address::local_of(native_handle()); }
  /// The descriptor, which stays the stream's; -1 for no stream.
  int native_handle() const noexcept { return state_ ? state_->fd() : -1; }
  /// Whether small writes leave at once (TCP_NODELAY), as they do by default.
  void set_no_delay(bool on);
  /// For tests: a virtual clock does not wait for this stream's peer. Before the first read.
  void mark_idle() noexcept { state_->set_idle(true); }

 private:
  friend class tcp_listener;
  friend class connecting;
  tcp_stream(int fd, const socket_address& peer);

  detail::stream_state& state(const char* call) const;

  detail::stream_state* state_ = nullptr;
};

/// How a listener is made.
struct listen_options {
  /// How many connections the kernel keeps for us; it has a limit of its own (net.core.somaxconn).
  int backlog = 4096;
  /// Several listeners, one per reactor, may share the port (SO_REUSEPORT).
  bool reuse_port = false;
  /// Small writes of accepted streams leave at once.
  bool no_delay = true;
};

/// A listening TCP socket. Dropping it closes it; connections not yet accepted are closed too.
class tcp_listener {
 public:
  /// No listener.
  tcp_listener() noexcept = default;
  /// Listens on an address; port 0 lets the kernel choose one. Throws std::system_error naming the
  /// address ("listen on 127.0.0.1:80: Address already in use").
  explicit tcp_listener(const socket_address& address, listen_options options = {});
  /// The same for a literal such as "127.0.0.1" or "::"; throws std::invalid_argument for a name.
  tcp_listener(std::string_view literal, std::uint16_t port, listen_options options = {});
  tcp_listener(tcp_listener&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  tcp_listener& operator=(tcp_listener&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~tcp_listener() {
    if (state_) state_->drop();
  }

  /// Waits for a connection. Cancel: ends the wait; connections that arrive are kept for the next
  /// one. One at a time; a second fails with EBUSY. When descriptors run out it pauses and tries
  /// again by itself, so that clients wait in the backlog. Throws std::system_error naming the
  /// address.
  ///
  ///     while (true) {
  ///       mobius::net::tcp_stream client = co_await listener.accept();
  ///       mobius::background(serve(std::move(client)));
  ///     }
  class accept_operation accept();

  /// The address it listens on, with the port that the kernel chose.
  const socket_address& local_address() const { return state().address(); }
  /// Stops listening; a waiting accept fails with EBADF.
  void close() noexcept {
    if (auto* s = std::exchange(state_, nullptr)) s->drop();
  }
  /// True if it listens.
  explicit operator bool() const noexcept { return state_ != nullptr; }

 private:
  detail::listener_state& state() const;

  detail::listener_state* state_ = nullptr;
};

namespace detail {

/// The awaiter of `accept`.
class stream_accept_awaiter final : public accept_awaiter {
 public:
  using accept_awaiter::accept_awaiter;
  tcp_stream await_resume() { return outcome().value(); }
  result<tcp_stream> outcome();
};

}  // namespace detail

/// What `tcp_listener::accept` gives: awaited, a stream.
class [[nodiscard("co_await it")]] accept_operation {
 public:
  explicit accept_operation(detail::listener_state & s) noexcept : listener_(&s) {}
  detail::stream_accept_awaiter operator co_await() const noexcept {
    return detail::stream_accept_awaiter(*listener_);
  }

 private:
  detail::listener_state* listener_;
};

inline accept_operation tcp_listener::accept() { return accept_operation(state()); }

/// Connects to an address. Cancel: ends the attempt. Throws std::system_error naming the address
/// ("connect 10.0.0.1:80: Connection refused").
task<tcp_stream> connect(socket_address address);

/// Connects to the first of `addresses` that answers, tried in the order given; `name` is what they
/// are called in errors. Cancel at any point ends it. Throws as below.
task<tcp_stream> connect(std::vector<socket_address> addresses, std::string name);

/// Looks `host` up (literals short-cut) and connects to its addresses in the order given until one
/// answers. Cancel at any point ends it. Throws what the look-up throws, or, when all addresses
/// fail, std::system_error with the last one's code, whose text names each address and why.
///
///     auto stream = co_await mobius::net::connect("localhost", 8080);
task<tcp_stream> connect(std::string host, std::uint16_t port);

}  // namespace mobius::net
