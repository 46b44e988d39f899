#pragma once
// `channel<T>`: values from some tasks to others, in order, with back-pressure.

#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "wait_queue.hpp"

namespace mobius {

/// Thrown by a send into a channel that was closed.
class channel_closed final : public std::runtime_error {
 public:
  /// The only text there is.
  channel_closed() : std::runtime_error("send: the channel is closed") {}
};

namespace detail {

template <class T>
class send_case;
template <class T>
class receive_case;

/// A queue in a ring of memory, which grows by doubling.
template <class T>
class ring_buffer {
 public:
  ring_buffer() noexcept = default;
  ring_buffer(const ring_buffer&) = delete;
  ring_buffer& operator=(const ring_buffer&) = delete;
  ~ring_buffer() {
    while (size_ != 0) drop_front();
    if (items_) allocator().deallocate(items_, room_);
  }

  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }
  T& operator[](std::size_t i) noexcept { return items_[(first_ + i) & (room_ - 1)]; }
  T& front() noexcept { return items_[first_]; }

  void push(T&& value) {
    if (size_ == room_) [[unlikely]]
      reserve(size_ + 1);
    push_into_room(std::move(value));
  }
  void push_into_room(T&& value) noexcept {
    std::construct_at(&(*this)[size_], std::move(value));
    ++size_;
  }
  void drop_front() noexcept {
    std::destroy_at(&front());
    first_ = (first_ + 1) & (room_ - 1);
    --size_;
  }
  T pop() noexcept {
    T value = std::move(front());
    drop_front();
    return value;
  }
  /// Makes room for `count` items.
  [[gnu::noinline]] void reserve(std::size_t count) {
    if (count > std::allocator_traits<std::allocator<T>>::max_size(allocator()) / 2) {
      throw std::length_error(
          "channel or broadcast: no memory has room for so many values; give it less capacity");
    }
    std::size_t room = room_ == 0 ? 8 : room_;
    while (room < count) room *= 2;
    if (room == room_) return;
    T* items = allocator().allocate(room);
    for (std::size_t i = 0; i < size_; ++i) {
      std::construct_at(items + i, std::move((*this)[i]));
      std::destroy_at(&(*this)[i]);
    }
    if (items_) allocator().deallocate(items_, room_);
    items_ = items;
    room_ = room;
    first_ = 0;
  }

 private:
  static std::allocator<T> allocator() noexcept { return {}; }

  T* items_ = nullptr;
  std::size_t room_ = 0;  // 0 or a power of two
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace detail

/// A queue between tasks of one thread: any number of senders and receivers, each in order of
/// arrival. A value goes straight from a waiting sender to a waiting receiver. It must outlive its
/// waiters. `T` must be nothrow move-constructible.
///
///     mobius::channel<std::string> lines(16);
///     while (auto line = co_await lines.next()) use(*line);
template <class T>
class channel {
  static_assert(
      std::is_nothrow_move_constructible_v<T>,
      "channel<T>: a value is moved while nobody can be told of an error; box a T whose move may throw");

 public:
  /// For the constructor: senders never wait.
  static constexpr std::size_t unbounded = static_cast<std::size_t>(-1);

  /// A channel that holds up to `capacity` values; senders wait while it is full. With 0 each sender
  /// waits until its value was received (a rendezvous). The room for a bounded one is allocated here
  /// (std::length_error if no memory could hold it); an unbounded one grows as it needs to.
  explicit channel(std::size_t capacity = 0) : capacity_(capacity) {
    if (capacity != unbounded && capacity != 0) buffer_.reserve(capacity);
  }
  channel(const channel&) = delete;
  channel& operator=(const channel&) = delete;

  /// Sends a value: completes when it is in the channel, or was received. Throws `channel_closed`
  /// if the channel is closed, also while it waits. A cancel ends the wait, and nothing was sent.
  detail::wait_operation<detail::send_case<T>, channel&, T> send(T value) {
    return detail::wait_operation<detail::send_case<T>, channel&, T>(*this, std::move(value));
  }
  /// Receives the next value: an optional, empty when the channel is closed and drained. A cancel ends
  /// the wait, and no value is lost.
  detail::wait_operation<detail::receive_case<T>, channel&> next() noexcept {
    return detail::wait_operation<detail::receive_case<T>, channel&>(*this);
  }

  /// Sends `value` if that needs no wait; otherwise it is left as it was. Throws `channel_closed`.
  bool try_send(T&& value) { return put(value); }
  /// The same with a copy.
  bool try_send(const T& value) {
    T copy(value);
    return put(copy);
  }
  /// Receives a value if one is there.
  std::optional<T> try_next() noexcept {
    std::optional<T> out;
    get(out);
    return out;
  }

  /// No more values: senders get `channel_closed`, receivers what is left and then the end.
  void close() noexcept;
  /// True after `close`.
  bool closed() const noexcept { return closed_; }
  /// How many values it holds.
  std::size_t size() const noexcept { return buffer_.size(); }

 private:
  friend class detail::send_case<T>;
  friend class detail::receive_case<T>;

  bool put(T& value) {
    if (closed_) throw channel_closed();
    return put_open(value);
  }
  bool put_open(T& value);
  bool get(std::optional<T>& out) noexcept;
  detail::receive_case<T>& receiver() noexcept {
    return static_cast<detail::receive_case<T>&>(receivers_.front());
  }
  detail::send_case<T>& sender() noexcept { return static_cast<detail::send_case<T>&>(senders_.front()); }

  detail::ring_buffer<T> buffer_;
  detail::wait_queue senders_;
  detail::wait_queue receivers_;  // only while nothing is there for them
  std::size_t capacity_;
  bool closed_ = false;
};

namespace detail {

template <class T>
class send_case : public wait_entry {
 public:
  static constexpr const char* name = "channel.send";

  send_case(channel<T>& c, T&& value) noexcept : channel_(c), value_(std::move(value)) {}
  bool begin() {
    if (!channel_.closed_) return channel_.put_open(value_);
    closed_ = true;
    return true;
  }
  void enqueue() noexcept { channel_.senders_.push(*this); }
  void withdrawn() noexcept {}
  void take() const {
    if (closed_) throw channel_closed();
  }
  /// The channel takes the value.
  T& value() noexcept { return value_; }
  /// The channel was closed before it did.
  void refuse() noexcept { closed_ = true; }

 private:
  channel<T>& channel_;
  T value_;
  bool closed_ = false;
};

template <class T>
class receive_case : public wait_entry {
 public:
  static constexpr const char* name = "channel.next";

  explicit receive_case(channel<T>& c) noexcept : channel_(c) {}
  bool begin() noexcept { return channel_.get(value_) || channel_.closed_; }
  void enqueue() noexcept { channel_.receivers_.push(*this); }
  void withdrawn() noexcept {}
  // Part by part: a load of the whole would wait until the stores of its parts have left for the cache.
  std::optional<T> take() noexcept {
    if (!value_) return std::nullopt;
    return std::optional<T>(std::move(*value_));
  }
  /// The channel gives a value.
  void give(T& value) noexcept { value_.emplace(std::move(value)); }

 private:
  channel<T>& channel_;
  std::optional<T> value_;
};

}  // namespace detail

template <class T>
bool channel<T>::put_open(T& value) {
  if (!receivers_.empty()) {
    receiver().give(value);
    receivers_.grant_front();
    return true;
  }
  if (buffer_.size() >= capacity_) return false;
  buffer_.push(std::move(value));
  return true;
}

template <class T>
bool channel<T>::get(std::optional<T>& out) noexcept {
  if (!buffer_.empty()) {
    out.emplace(std::move(buffer_.front()));
    buffer_.drop_front();
    if (senders_.empty()) return true;
    buffer_.push_into_room(std::move(sender().value()));
  } else if (!senders_.empty()) {
    out.emplace(std::move(sender().value()));
  } else {
    return false;
  }
  senders_.grant_front();
  return true;
}

template <class T>
void channel<T>::close() noexcept {
  if (std::exchange(closed_, true)) return;
  while (!senders_.empty()) {
    sender().refuse();
    senders_.grant_front();
  }
  receivers_.grant_all();
}

}  // namespace mobius
