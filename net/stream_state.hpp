#pragma once
// The inside of a connected stream: a pooled block that the handle, and every operation of the
// kernel on it, keep alive. The handle may go at any time; the last completion closes the
// descriptor and frees the block. TCP, unix and socket pairs all are this one.
//
// Receiving has three ways. Normally it is multishot into the reactor's buffers. While more keeps coming than
// full buffers take it is single-shot into larger ones: what a multishot receives ahead of its reader goes
// cold in the cache meanwhile. For a reader that has room for large amounts then, and when the reactor has
// no buffer left, it is single-shot into the reader's own memory (`direct`). It changes over only when
// nothing is armed and nothing is queued, so no byte overtakes another.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

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

/// Bytes that one request of the kernel may be about: its own limit is a little below 2 GiB.
inline constexpr std::size_t most_at_once = 1U << 30;

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

/// Who counts streams: told when one of them has ended.
struct stream_counter {
  using function = void (*)(stream_counter*) noexcept;
  explicit stream_counter(function f) noexcept : ended(f) {}
  function ended;
};

/// Bytes that came into the memory of a read whose cancel was too late for them: the next read takes them.
struct kept_bytes final : core::buffer_owner {
  explicit kept_bytes(std::span<const std::byte> all)
      : buffer_owner(&kept_bytes::free_it), bytes(all.begin(), all.end()) {}

  std::span<const std::byte> left() const noexcept { return std::span(bytes).subspan(begin); }

  std::vector<std::byte> bytes;
  std::size_t begin = 0;

 private:
  static void free_it(buffer_owner* self, std::uint16_t) noexcept { delete static_cast<kept_bytes*>(self); }
};

/// Someone who waits for bytes to arrive.
class read_waiter : public core::waiter {
 public:
  /// `into` is where a large read may receive directly; empty if it wants a lease.
  read_waiter(stream_state& s, const core::leaf_type& kind, std::span<std::byte> into = {}) noexcept;

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h,
                     std::source_location where = std::source_location::current()) {
    return suspend(h, core::context_of(h), where);
  }
  bool suspend(std::coroutine_handle<> h, core::context* ctx, const std::source_location& where);

 protected:
  ~read_waiter();
  /// What await_resume begins with: true if there is something to take, else see `error`.
  bool arrived() noexcept;
  failure error() const;
  static bool cancel(core::leaf* self) noexcept;

  std::int32_t result_ = 0;
  stream_state& stream_;
  std::span<std::byte> into_;
  std::unique_ptr<core::spare_buffer> spare_;
  std::uint32_t received_ = 0;  // directly

 private:
  friend class stream_state;

  bool waits() const noexcept { return state_ == state::waiting; }
  /// The stream has something to say: bytes, the end, or (negative) an error of this wait.
  void ready(std::int32_t error = 0) noexcept;
  void interrupted() noexcept;
  void lost() noexcept;
};

class write_waiter;

/// Where the bytes of a write come from when they are not one span.
class write_source {
 public:
  /// Fills in the next request for the write that is at the front.
  virtual void prepare(core::request& r) noexcept = 0;
  /// Its result: gives the bytes that left by it, or the (negative) error.
  virtual std::int32_t completed(write_waiter& w, std::int32_t result) noexcept = 0;

 protected:
  ~write_source() = default;
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

  /// For a source: there is no more than what has been sent.
  void end_here() noexcept { total_ = sent_; }
  /// For a source: the error that comes is its own, the stream is all right.
  void blame_source() noexcept { source_failed_ = true; }

 protected:
  write_waiter(stream_state& s, write_source& source, std::uint64_t total) noexcept;

  bool source_failed_ = false;
  std::int32_t result_ = 0;
  stream_state& stream_;
  const std::byte* bytes_ = nullptr;
  write_source* source_ = nullptr;
  std::uint64_t total_;
  std::uint64_t sent_ = 0;

 private:
  friend class stream_state;
  static const core::leaf_type leaf_kind;
  static bool cancel(core::leaf* self) noexcept;

  void finish(std::int32_t error) noexcept;

  write_waiter* next_write_ = nullptr;
};

class stream_state : public core::pooled, private open_socket {
 public:
  /// Takes over a connected socket. `counter`, if any, hears of its end.
  stream_state(reactor& r, int fd, const socket_address& peer, stream_counter* counter = nullptr);
  stream_state(const stream_state&) = delete;
  stream_state& operator=(const stream_state&) = delete;

  /// The handle goes: operations are cancelled, and the last of them closes the descriptor.
  void drop() noexcept;
  /// The same, and what is unsent is thrown away: the peer sees a reset.
  void abort() noexcept;
  /// An awaiter uses the block.
  void retain() noexcept { ++references_; }
  void release() noexcept {
    --references_;
    finish_if_idle();
  }

  /// Nothing is sent after the writes that have begun.
  void shutdown_write();
  /// Nothing is received any more; readers see the end.
  void shutdown_read() noexcept;

  int fd() const noexcept { return fd_; }
  reactor& owner() const noexcept { return reactor_; }
  socket_address peer() const noexcept;
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

  static constexpr std::size_t max_queued = 256 * 1024;  // bytes of buffers; past it receiving pauses
  // After so many full buffers in a row larger ones are worth their memory, or, if the reader has
  // room for this much, its own: at 64 KiB either takes two thirds of the CPU of buffers of 16 KiB.
  // Three, as a segment of loopback (65483 bytes) fills three and a part.
  static constexpr std::size_t large_read = 2 * core::buffer_pool::small.buffer_size();
  static constexpr std::uint8_t full_before_large = 3;

  ~stream_state();

  bool has_bytes() const noexcept { return kept_ || first_ != core::buffer_pool::none; }
  bool has_input() const noexcept { return has_bytes() || ended_ || receive_error_ != 0; }
  bool reader_waits() const noexcept { return reader_ && reader_->waits(); }
  bool suits_directly(const read_waiter& r) const noexcept {
    return r.into_.size() >= large_read && filling_;
  }
  bool has_large_buffers() const noexcept { return pool_->shape().group == core::buffer_pool::large.group; }
  bool wants_once() const noexcept { return outpaced_ != 0 && has_large_buffers(); }
  /// The receive under way is not what it should be for this reader: into its memory, into larger or
  /// smaller buffers, or no more than it takes.
  bool misfits(const read_waiter& r) const noexcept {
    return suits_directly(r) || filling_ != has_large_buffers() || (!once_ && wants_once());
  }
  void choose_pool() noexcept;
  void note_size(std::uint32_t size) noexcept;
  void use_small_buffers() noexcept;
  void arm(bool starved = false);
  void start_receive();
  void receive_into(read_waiter& r);
  void on_multishot(std::int32_t result, std::uint32_t flags) noexcept;
  void on_direct(std::int32_t result) noexcept;
  bool keep(std::span<const std::byte> bytes) noexcept;
  void pause_receiving() noexcept;
  void queue_buffer(std::uint16_t id, std::uint32_t size) noexcept;
  /// The next bytes received, or an empty lease at the end; either must be there.
  lease take_lease();
  std::size_t take_bytes(std::span<std::byte> to);
  void pop_buffer() noexcept;
  void drop_input() noexcept;

  void enqueue(write_waiter& w);
  void start_send();
  std::int32_t refuses_writes() const noexcept;
  void fail_writes(std::int32_t error) noexcept;
  bool withdraw(write_waiter& w) noexcept;

  void begin_close(bool keep_input = false) noexcept;
  void finish_if_idle() noexcept;

  static void on_receive(core::completion_handler* self, std::int32_t result, std::uint32_t flags) noexcept;
  static void on_send(core::completion_handler* self, std::int32_t result, std::uint32_t flags) noexcept;
  static void on_shutdown(open_socket* self) noexcept;

  reactor& reactor_;
  core::buffer_pool* pool_;  // of the multishot under way and of what is queued
  receiving receive_{*this};
  sending send_{*this};
  read_waiter* reader_ = nullptr;  // from its wait to its resumption
  write_waiter* first_write_ = nullptr;
  write_waiter* last_write_ = nullptr;
  close_awaiter* closer_ = nullptr;
  std::unique_ptr<kept_bytes> kept_;  // older than what is queued
  stream_counter* counter_;
  int fd_;
  std::int32_t receive_error_ = 0;
  std::int32_t write_error_ = 0;
  std::uint16_t first_ = core::buffer_pool::none;
  std::uint16_t last_ = core::buffer_pool::none;
  std::uint16_t queued_ = 0;
  std::uint8_t full_in_a_row_ = 0;  // while `filling_` each smaller piece takes one off
  std::uint8_t outpaced_ = 0;       // not zero if one of the last receives left something
  bool armed_ = false;              // a receive is in flight
  bool direct_ = false;             // it goes into the reader's memory
  bool pausing_ = false;      // its cancel has been asked for: nobody takes the buffers, or soon directly
  bool sending_ = false;      // a send, or a read of the file to send, is in flight
  bool ended_ = false;        // the peer has sent its last byte
  bool write_ended_ = false;  // shutdown_write was called
  bool closing_ = false;
  bool keep_input_ = false;  // while closing: the descriptor is handed on, with what is unread
  bool idle_ = false;
  bool filling_ = false;  // full buffers keep coming
  bool more_ = false;     // the last receive left something in the socket
  bool once_ = false;     // the receive into a buffer of the reactor's is no multishot
  std::uint32_t references_ = 1;
  sockaddr_in6 peer_{};  // room for both families; the name of a unix peer is left to the kernel
};

}  // namespace mobius::net::detail
