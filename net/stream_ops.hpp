#pragma once
// The operations of a stream: what `receive`, `read_some`, `write_all`, `send_file` and `close`
// return, and the awaiters behind them.

#include <sys/socket.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <ranges>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "stream.hpp"
#include "stream_state.hpp"

namespace mobius::net {

/// What a read into a buffer of its own gives back: the buffer, and how many bytes at its front
/// were read (0 at the end of the stream).
template <class Buffer>
struct read_result {
  Buffer buffer;
  std::size_t size;
};

/// What `release` gives: the descriptor, now the caller's, and what had been received already.
struct released_socket {
  int fd;
  std::string unread;
};

/// A container of bytes, passed by value, that a write or read may take with it.
template <class B>
concept owned_buffer = !std::is_reference_v<B> && std::movable<B> &&
                       (std::same_as<B, lease> ||
                        (std::ranges::contiguous_range<B> && !std::ranges::view<B> &&
                         !std::ranges::borrowed_range<B> && sizeof(std::ranges::range_value_t<B>) == 1));

/// The same, of bytes that may be written.
template <class B>
concept owned_room = owned_buffer<B> && !std::same_as<B, lease>;

namespace detail {

/// The awaiter of `receive`.
class receive_awaiter final : public read_waiter {
 public:
  explicit receive_awaiter(stream_state& s) noexcept : read_waiter(s, leaf_kind) {}

  lease await_resume() {
    if (arrived()) [[likely]]
      return take();
    error().rethrow();
  }
  result<lease> outcome() {
    if (arrived()) return take();
    return error();
  }

 private:
  static const core::leaf_type leaf_kind;
  lease take();
};

/// The awaiter of `read_some`.
class read_some_awaiter : public read_waiter {
 public:
  read_some_awaiter(stream_state& s, std::span<std::byte> to) noexcept : read_waiter(s, leaf_kind, to) {}

  std::size_t await_resume() {
    if (arrived()) [[likely]]
      return take();
    error().rethrow();
  }
  result<std::size_t> outcome() {
    if (arrived()) return take();
    return error();
  }

 private:
  static const core::leaf_type leaf_kind;
  std::size_t take();
};

/// The awaiter of a `read_some` that takes the buffer with it.
template <owned_room B>
class owning_read_awaiter final : private read_some_awaiter {
 public:
  owning_read_awaiter(stream_state& s, B&& buffer) noexcept
      : read_some_awaiter(s, {}), buffer_(std::move(buffer)) {
    into_ = std::as_writable_bytes(std::span(buffer_));
  }
  using read_some_awaiter::await_ready;
  using read_some_awaiter::await_suspend;
  using read_some_awaiter::suspend;

  read_result<B> await_resume() { return outcome().value(); }
  result<read_result<B>> outcome() {
    result<std::size_t> size = read_some_awaiter::outcome();
    if (!size) return std::move(size.error());
    return read_result<B>{std::move(buffer_), *size};
  }

 private:
  B buffer_;
};

/// The awaiter of a `write_all` that takes the buffer with it.
template <owned_buffer B>
class owning_write_awaiter final : public write_waiter {
 public:
  owning_write_awaiter(stream_state& s, B&& buffer) noexcept
      : write_waiter(s, {}), buffer_(std::move(buffer)) {
    if constexpr (std::same_as<B, lease>) {
      send(buffer_.bytes());
    } else {
      send(std::as_bytes(std::span(buffer_)));
    }
  }

  B await_resume() { return outcome().value(); }
  result<B> outcome() {
    result<void> sent = write_waiter::outcome();
    if (!sent) return std::move(sent.error());
    return std::move(buffer_);
  }

 private:
  void send(std::span<const std::byte> bytes) noexcept {
    bytes_ = bytes.data();
    total_ = bytes.size();
  }

  B buffer_;
};

/// The awaiter of a gathered write: a list of buffers that leave as one.
class gather_awaiter final : public write_waiter, private write_source {
 public:
  gather_awaiter(stream_state& s, std::span<const const_buffer> list) noexcept;

 private:
  void prepare(core::request& r) noexcept override;
  std::int32_t completed(write_waiter& w, std::int32_t result) noexcept override;

  static constexpr std::size_t at_once = 1024;  // the kernel's UIO_MAXIOV

  std::span<const const_buffer> rest_;
  std::size_t begin_ = 0;  // of the first of them: sent already
  msghdr message_{};
};

/// The awaiter of `send_file`: reads a piece, sends it, and so on, all at the front of the queue.
class send_file_awaiter final : public write_waiter, private write_source {
 public:
  send_file_awaiter(stream_state& s, int file, std::uint64_t offset, std::uint64_t count);
  std::uint64_t await_resume() { return outcome().value(); }
  result<std::uint64_t> outcome();

 private:
  static constexpr std::uint32_t piece = 128 * 1024;

  void prepare(core::request& r) noexcept override;
  std::int32_t completed(write_waiter& w, std::int32_t result) noexcept override;

  int file_;
  std::uint64_t offset_;
  std::uint64_t left_;  // to be read
  std::unique_ptr<std::byte[]> buffer_;
  std::uint32_t begin_ = 0;
  std::uint32_t end_ = 0;  // of what is read and not yet sent
};

/// The awaiter of `close` and `release`. It is no cancellation point: closing is short, and has to
/// happen.
class close_awaiter : public core::waiter {
 public:
  /// Takes the handle's share of the stream.
  explicit close_awaiter(stream_state* s, bool release = false) noexcept
      : waiter(leaf_kind), stream_(s), release_(release) {}
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

 protected:
  released_socket released_{-1, {}};

 private:
  static const core::leaf_type leaf_kind;
  static bool cancel(core::leaf* self) noexcept;

  stream_state* stream_;
  std::int32_t result_ = 0;
  bool release_;
  bool starting_ = false;
};

class release_awaiter final : public close_awaiter {
 public:
  explicit release_awaiter(stream_state* s) noexcept : close_awaiter(s, true) {}
  released_socket await_resume() { return outcome().value(); }
  result<released_socket> outcome() {
    result<void> r = close_awaiter::outcome();
    if (!r) return std::move(r.error());
    return std::exchange(released_, {-1, {}});
  }
};

/// What the operations that use the caller's memory have in common: to_deferred refuses them, as a
/// deferred outlives the call.
template <class Awaiter, class... Args>
class [[nodiscard("co_await it")]] borrowing_operation {
 public:
  using borrows_memory = void;

  explicit borrowing_operation(stream_state & s, Args... args) noexcept : stream_(&s), args_(args...) {}
  Awaiter operator co_await() const {
    return std::apply([this](const Args&... args) { return Awaiter(*stream_, args...); }, args_);
  }

 private:
  stream_state* stream_;
  std::tuple<Args...> args_;
};

using read_some_operation = borrowing_operation<read_some_awaiter, std::span<std::byte>>;
using write_operation = borrowing_operation<write_waiter, std::span<const std::byte>>;
using gather_operation = borrowing_operation<gather_awaiter, std::span<const const_buffer>>;

class [[nodiscard("co_await it")]] receive_operation {
 public:
  explicit receive_operation(stream_state & s) noexcept : stream_(&s) {}
  receive_awaiter operator co_await() const noexcept { return receive_awaiter(*stream_); }

 private:
  stream_state* stream_;
};

class [[nodiscard("co_await it")]] send_file_operation {
 public:
  send_file_operation(stream_state & s, int file, std::uint64_t offset, std::uint64_t count) noexcept
      : stream_(&s), file_(file), offset_(offset), count_(count) {}
  send_file_awaiter operator co_await() const { return {*stream_, file_, offset_, count_}; }

 private:
  stream_state* stream_;
  int file_;
  std::uint64_t offset_;
  std::uint64_t count_;
};

/// An operation that owns its buffer. It may become a deferred.
template <class Awaiter, class B>
class [[nodiscard("co_await it")]] owning_operation {
 public:
  owning_operation(stream_state & s, B && buffer) noexcept : stream_(&s), buffer_(std::move(buffer)) {}
  Awaiter operator co_await()&& noexcept { return Awaiter(*stream_, std::move(buffer_)); }

 private:
  stream_state* stream_;
  B buffer_;
};

/// `close` and `release`: both take the stream out of its handle.
template <class Awaiter>
class [[nodiscard("co_await it")]] ending_operation {
 public:
  explicit ending_operation(stream_state * s) noexcept : stream_(s) {}
  ending_operation(ending_operation && other) noexcept : stream_(std::exchange(other.stream_, nullptr)) {}
  ending_operation& operator=(ending_operation&&) = delete;
  ~ending_operation() {
    if (stream_) stream_->drop();
  }
  Awaiter operator co_await()&& noexcept { return Awaiter(std::exchange(stream_, nullptr)); }

 private:
  stream_state* stream_;
};

using close_operation = ending_operation<close_awaiter>;
using release_operation = ending_operation<release_awaiter>;

}  // namespace detail
}  // namespace mobius::net
