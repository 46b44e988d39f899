#pragma once
// The inside of a connected stream: a pooled block that the handle, and every operation of the
// kernel on it, keep alive. The handle may go at any time; the last completion closes the
// descriptor and frees the block.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "../runtime/buffer_pool.hpp"
#include "../runtime/context.hpp"
#include "../runtime/frame_pool.hpp"
#include "../runtime/op.hpp"
#include "../runtime/reactor.hpp"
#include "address.hpp"

namespace mobius::net::detail {

namespace core = mobius::detail;

class stream_state;
class close_awaiter;

/// Something with a socket, which a reactor that ends closes.
struct open_socket : core::list_link {
  using function = void (*)(open_socket*) noexcept;
  open_socket(reactor& r, function shut);
  function shut_down;
};

/// The sockets of a reactor (a service).
class open_sockets {
 public:
  explicit open_sockets(reactor&) noexcept {}
  void stop() noexcept;
  core::list_link list;
};

/// Someone who waits for bytes to arrive.
class read_waiter : public core::waiter {
 public:
  read_waiter(stream_state& s, const core::leaf_type& kind) noexcept;

  /// The stream has something to say: bytes, the end, or (negative) an error of this wait.
  void ready(std::int32_t error = 0) noexcept;

 protected:
  ~read_waiter();
  bool wait_for_bytes(std::coroutine_handle<> h, core::context* ctx, const std::source_location& where);
  static bool cancel(core::leaf* self) noexcept;

  stream_state& stream_;
};

/// Someone who waits for bytes to be sent; they stay in the caller's memory.
class write_waiter : public core::waiter {
 public:
  write_waiter(stream_state& s, std::span<const std::byte> bytes) noexcept;
  ~write_waiter();

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h,
                     std::source_location where = std::source_location::current()) {
    return suspend(h, core::context_of(h), where);
  }
  bool suspend(std::coroutine_handle<> h, core::context* ctx, const std::source_location& where);
  void await_resume() { outcome().value(); }
  result<void> outcome();

 private:
  friend class stream_state;
  static const core::leaf_type leaf_kind;
  static bool cancel(core::leaf* self) noexcept;

  void finish(std::int32_t error) noexcept;

  stream_state& stream_;
  std::span<const std::byte> bytes_;
  std::size_t sent_ = 0;
  write_waiter* next_write_ = nullptr;
};

class stream_state : public core::pooled, private open_socket {
 public:
  /// Takes over a connected socket.
  stream_state(reactor& r, int fd, const socket_address& peer);
  stream_state(const stream_state&) = delete;
  stream_state& operator=(const stream_state&) = delete;

  /// The handle goes: operations are cancelled, and the last of them closes the descriptor.
  void drop() noexcept;
  /// An awaiter uses the block.
  void retain() noexcept { ++references_; }
  void release() noexcept {
    --references_;
    finish_if_idle();
  }

  int fd() const noexcept { return fd_; }
  reactor& owner() const noexcept { return reactor_; }
  const socket_address& peer() const noexcept { return peer_; }
  /// "read 127.0.0.1:80", for errors.
  std::string describe(const char* call) const;
  /// Throws std::logic_error if this is not the thread of the stream's reactor.
  void check_thread(const char* call) const;

  /// Whether a virtual clock may jump while this stream waits for its peer.
  void set_idle(bool idle) noexcept { idle_ = idle; }

 private:
  friend class read_waiter;
  friend class write_waiter;
  friend class receive_awaiter;
  friend class read_some_awaiter;
  friend class close_awaiter;

  struct receiving : core::completion_handler {
    explicit receiving(stream_state& s) noexcept : completion_handler(&stream_state::on_receive), stream(s) {}
    stream_state& stream;
  };
  struct sending : core::completion_handler {
    explicit sending(stream_state& s) noexcept : completion_handler(&stream_state::on_send), stream(s) {}
    stream_state& stream;
  };
  struct feeding : core::starved {
    explicit feeding(stream_state& s) noexcept : starved(&stream_state::on_fed), stream(s) {}
    stream_state& stream;
  };

  static constexpr std::uint16_t max_queued = 16;  // buffers; past it receiving pauses

  ~stream_state();

  bool has_input() const noexcept {
    return first_ != core::buffer_pool::none || ended_ || receive_error_ != 0;
  }
  void arm();
  void start_receive(bool poll_first);
  void queue_buffer(std::uint16_t id, std::uint32_t size) noexcept;
  /// The next received buffer, or an empty lease at the end; the queue or the end must be there.
  lease take_lease();
  std::size_t take_bytes(std::span<std::byte> to);
  void pop_buffer() noexcept;

  void enqueue(write_waiter& w);
  void start_send();
  void fail_writes(std::int32_t error) noexcept;
  bool withdraw(write_waiter& w) noexcept;

  void begin_close() noexcept;
  void finish_if_idle() noexcept;

  static void on_receive(core::completion_handler* self, std::int32_t result, std::uint32_t flags) noexcept;
  static void on_send(core::completion_handler* self, std::int32_t result, std::uint32_t flags) noexcept;
  static void on_fed(core::starved* self) noexcept;
  static void on_shutdown(open_socket* self) noexcept;

  reactor& reactor_;
  core::buffer_pool& pool_;
  receiving receive_{*this};
  sending send_{*this};
  feeding feed_{*this};
  read_waiter* reader_ = nullptr;
  write_waiter* first_write_ = nullptr;
  write_waiter* last_write_ = nullptr;
  close_awaiter* closer_ = nullptr;
  int fd_;
  std::int32_t receive_error_ = 0;
  std::int32_t write_error_ = 0;
  std::uint16_t first_ = core::buffer_pool::none;
  std::uint16_t last_ = core::buffer_pool::none;
  std::uint16_t queued_ = 0;
  bool armed_ = false;    // a receive is in flight
  bool pausing_ = false;  // its cancel has been asked for, as nobody takes the buffers
  bool sending_ = false;  // a send is in flight
  bool ended_ = false;    // the peer has sent its last byte
  bool closing_ = false;
  bool idle_ = false;
  std::uint32_t references_ = 1;
  socket_address peer_;
};

/// The awaiter of `receive`.
class receive_awaiter final : public read_waiter {
 public:
  explicit receive_awaiter(stream_state& s) noexcept : read_waiter(s, leaf_kind) {}

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h,
                     std::source_location where = std::source_location::current()) {
    return wait_for_bytes(h, core::context_of(h), where);
  }
  bool suspend(std::coroutine_handle<> h, core::context* ctx, const std::source_location& where) {
    return wait_for_bytes(h, ctx, where);
  }
  lease await_resume();
  result<lease> outcome();

 private:
  static const core::leaf_type leaf_kind;
};

/// The awaiter of `read_some`.
class read_some_awaiter final : public read_waiter {
 public:
  read_some_awaiter(stream_state& s, std::span<std::byte> to) noexcept : read_waiter(s, leaf_kind), to_(to) {}

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h,
                     std::source_location where = std::source_location::current()) {
    return wait_for_bytes(h, core::context_of(h), where);
  }
  bool suspend(std::coroutine_handle<> h, core::context* ctx, const std::source_location& where) {
    return wait_for_bytes(h, ctx, where);
  }
  std::size_t await_resume();
  result<std::size_t> outcome();

 private:
  static const core::leaf_type leaf_kind;
  std::span<std::byte> to_;
};

/// The awaiter of `close`. It is no cancellation point: closing is short, and has to happen.
class close_awaiter final : public core::waiter {
 public:
  /// Takes the handle's share of the stream.
  explicit close_awaiter(stream_state* s) noexcept : waiter(leaf_kind), stream_(s) {}
  ~close_awaiter();

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h,
                     std::source_location where = std::source_location::current()) {
    return suspend(h, core::context_of(h), where);
  }
  bool suspend(std::coroutine_handle<> h, core::context* ctx, const std::source_location& where);
  void await_resume() { outcome().value(); }
  result<void> outcome();

  /// The stream has no operation any more.
  void closed(int fd) noexcept;

 private:
  static const core::leaf_type leaf_kind;
  static bool cancel(core::leaf* self) noexcept;

  stream_state* stream_;
  bool starting_ = false;
};

}  // namespace mobius::net::detail
