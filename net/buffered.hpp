#pragma once
// `buffered_reader` and `buffered_writer`: messages out of a stream, and small writes put together.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "../runtime/task.hpp"
#include "stream.hpp"
#include "stream_io.hpp"

namespace mobius::net {

namespace detail {

/// What a reader has and its user has not taken: the last buffer that was received, or, where a
/// message is in several, a copy of what is needed of them.
class read_buffer {
 public:
  /// All of it; valid until something is added or taken.
  std::string_view view() const noexcept {
    return copy_.empty() ? lease_.text() : std::string_view(copy_).substr(begin_);
  }
  /// Adds a buffer.
  void add(lease&& more);
  /// Leaves out the first `n` bytes.
  void drop(std::size_t n) noexcept;
  /// Puts bytes in front of it that were taken too early.
  void put_back(std::span<const std::byte> bytes);
  /// Lets go of the buffer that it holds, as the wait for the next may be long.
  void release_lease();

 private:
  lease lease_;       // empty unless copy_ is
  std::string copy_;  // from begin_ on
  std::size_t begin_ = 0;
};

/// Puts bytes back that were read for an await that did not come to its end.
class unread_guard {
 public:
  unread_guard(read_buffer& b, std::span<const std::byte> to, const std::size_t& done) noexcept
      : buffer_(b), to_(to), done_(done) {}
  unread_guard(const unread_guard&) = delete;
  unread_guard& operator=(const unread_guard&) = delete;
  ~unread_guard() {
    if (done_ < to_.size()) buffer_.put_back(to_.first(done_));
  }

 private:
  read_buffer& buffer_;
  std::span<const std::byte> to_;
  const std::size_t& done_;
};

[[noreturn]] void throw_limit(const socket_address& peer, std::size_t limit);
[[noreturn]] void throw_unfinished(const socket_address& peer, std::size_t had);

}  // namespace detail

/// Reads messages out of a stream. It borrows the stream, which must outlive it and be read through
/// it only. One read at a time. The views that it gives are valid until the next read. While it
/// waits for the first byte of a message it holds no buffer. A read that was cancelled, timed out or
/// failed has taken nothing: the next one sees the same bytes.
///
///     buffered_reader reader(stream);
///     while (auto line = co_await reader.read_until("\r\n", 8192)) co_await handle(*line);
template <stream S>
class buffered_reader {
 public:
  explicit buffered_reader(S& s) noexcept : stream_(s) {}
  buffered_reader(const buffered_reader&) = delete;
  buffered_reader& operator=(const buffered_reader&) = delete;

  /// What was received and not yet read.
  std::string_view buffered() const noexcept { return buffer_.view().substr(taken_); }

  /// Reads up to `delimiter`, which is taken but not given; nothing at the end of the stream. At most
  /// `limit` bytes, without the delimiter, else throws `limit_exceeded`. Throws `unexpected_end` if
  /// the stream ends in the middle. Time is linear in the bytes, however they come.
  task<std::optional<std::string_view>> read_until(std::string delimiter, std::size_t limit) {
    if (delimiter.empty()) throw std::invalid_argument("read_until: the delimiter is empty");
    forget_taken();
    std::size_t searched = 0;
    while (true) {
      const std::string_view text = buffer_.view();
      const std::size_t at = text.find(delimiter, searched);
      if (at <= limit && at != text.npos) {
        taken_ = at + delimiter.size();
        co_return text.substr(0, at);
      }
      if (at != text.npos || text.size() >= limit + delimiter.size())
        detail::throw_limit(stream_.peer_address(), limit);
      searched = text.size() - std::min(text.size(), delimiter.size() - 1);
      const bool more = co_await receive_more();
      if (!more && !buffer_.view().empty())
        detail::throw_unfinished(stream_.peer_address(), buffer_.view().size());
      if (!more) co_return std::nullopt;
    }
  }

  /// Reads exactly `size` bytes. Throws `unexpected_end` if the stream ends before.
  task<std::string_view> read_exactly(std::size_t size) {
    forget_taken();
    while (buffer_.view().size() < size) {
      const bool more = co_await receive_more();
      if (!more)
        throw unexpected_end(detail::ended_text(stream_.peer_address(), buffer_.view().size(), size));
    }
    taken_ = size;
    co_return buffer_.view().substr(0, size);
  }

  /// Fills `to`, which is the caller's: large amounts without a copy. Throws as above.
  task<> read_exactly(std::span<std::byte> to) {
    std::size_t done = take(to);
    const detail::unread_guard guard(buffer_, to, done);
    co_await net::read_exactly(stream_, to, done);
  }

  /// Reads what there is, or waits for some; 0 at the end of the stream.
  task<std::size_t> read_some(std::span<std::byte> to) {
    const std::size_t done = take(to);
    if (done != 0 || to.empty()) co_return done;
    co_return co_await stream_.read_some(to);
  }

 private:
  void forget_taken() noexcept { buffer_.drop(std::exchange(taken_, 0)); }
  std::size_t take(std::span<std::byte> to) noexcept {
    forget_taken();
    const std::string_view text = buffer_.view();
    const std::size_t size = std::min(to.size(), text.size());
    if (size != 0) std::memcpy(to.data(), text.data(), size);
    buffer_.drop(size);
    return size;
  }
  task<bool> receive_more() {
    buffer_.release_lease();
    lease more = co_await stream_.receive();
    if (more.empty()) co_return false;
    buffer_.add(std::move(more));
    co_return true;
  }

  S& stream_;
  detail::read_buffer buffer_;
  std::size_t taken_ = 0;  // of the buffer: given by the last read, which its user still looks at
};

/// Puts small writes together into large ones. It borrows the stream, which must outlive it. Nothing
/// leaves unless `flush` is called or more than `capacity` bytes are there. Its writes must not
/// overlap. What it holds when it is destroyed is lost.
///
///     buffered_writer writer(stream);
///     for (auto& item : items) co_await writer.write(item.text);
///     co_await writer.flush();
template <stream S>
class buffered_writer {
 public:
  explicit buffered_writer(S& s, std::size_t capacity = 16 * 1024) : stream_(s), capacity_(capacity) {}
  buffered_writer(const buffered_writer&) = delete;
  buffered_writer& operator=(const buffered_writer&) = delete;

  /// Takes the bytes over, or, if they do not fit, sends them with what it holds in one write, without
  /// a copy; they must live until it ends. Errors and cancel as `write_all`.
  task<> write(const_buffer bytes) {
    if (buffer_.size() + bytes.size() <= capacity_) {
      buffer_.append(reinterpret_cast<const char*>(bytes.bytes().data()), bytes.size());
      co_return;
    }
    const std::array<const_buffer, 2> parts{const_buffer(buffer_), bytes};
    co_await stream_.write_all(std::span<const const_buffer>(parts));
    buffer_.clear();
  }
  /// Sends what it holds.
  task<> flush() {
    co_await stream_.write_all(const_buffer(buffer_));
    buffer_.clear();
  }
  /// How many bytes it holds.
  std::size_t size() const noexcept { return buffer_.size(); }

 private:
  S& stream_;
  std::string buffer_;
  std::size_t capacity_;
};

}  // namespace mobius::net
