#pragma once
// `broadcast<T>`: each value to all subscribers.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

#include "../list_link.hpp"
#include "channel.hpp"
#include "wait_queue.hpp"

namespace mobius {

template <class T>
class broadcast;

namespace detail {

template <class T>
class broadcast_send_case;
template <class T>
class broadcast_receive_case;

template <class T>
struct broadcast_item {
  T value;
  std::size_t readers;  // that have yet to take it
};

}  // namespace detail

/// A place in a broadcast: gets all values sent after it was made. Belongs to the broadcast's thread;
/// must outlive its waiters, and end before the broadcast does.
template <class T>
class subscription {
 public:
  /// Subscribes.
  explicit subscription(broadcast<T>& b) noexcept : broadcast_(b), position_(b.end()) { ++b.subscribers_; }
  subscription(const subscription&) = delete;
  subscription& operator=(const subscription&) = delete;
  ~subscription() {
    --broadcast_.subscribers_;
    const std::uint64_t end = broadcast_.end();  // what is sent from here on is not for it
    while (position_ != end) broadcast_.done_with(position_++);
  }

  /// Receives the next value: an optional, empty when the broadcast is closed and drained. Copies it,
  /// but for the last reader. A cancel ends the wait, and no value is lost.
  detail::wait_operation<detail::broadcast_receive_case<T>, subscription&> next() noexcept {
    return detail::wait_operation<detail::broadcast_receive_case<T>, subscription&>(*this);
  }

 private:
  friend class broadcast<T>;
  friend class detail::broadcast_receive_case<T>;
  struct waiting_link : detail::list_link {
    explicit waiting_link(subscription& s) noexcept : owner(s) {}
    subscription& owner;
  };

  broadcast<T>& broadcast_;
  std::uint64_t position_;
  detail::wait_queue waiters_;
  waiting_link link_{*this};  // in the broadcast's list while somebody may wait
};

/// A channel whose values go to every subscriber of the moment. A sender waits while the slowest
/// subscriber is `capacity` values behind; without subscribers values are dropped. `T` must be
/// nothrow move-constructible and copyable. Belongs to one thread; must outlive its waiters.
///
///     mobius::broadcast<price> prices(64);
///     mobius::subscription<price> mine(prices);
///     while (auto price = co_await mine.next()) show(*price);
template <class T>
class broadcast {
  static_assert(std::is_nothrow_move_constructible_v<T> && std::is_copy_constructible_v<T>,
                "broadcast<T>: T must be copyable and nothrow move-constructible");

 public:
  /// A broadcast that keeps up to `capacity` values (at least one); the room for them is allocated here
  /// (std::length_error if no memory could hold it).
  explicit broadcast(std::size_t capacity) : capacity_(capacity == 0 ? 1 : capacity) {
    items_.reserve(capacity_);
  }
  broadcast(const broadcast&) = delete;
  broadcast& operator=(const broadcast&) = delete;

  /// Sends a value: completes when there is room for it. Throws `channel_closed`. A cancel ends the
  /// wait, and nothing was sent.
  detail::wait_operation<detail::broadcast_send_case<T>, broadcast&, T> send(T value) {
    return detail::wait_operation<detail::broadcast_send_case<T>, broadcast&, T>(*this, std::move(value));
  }
  /// Sends `value` if there is room; otherwise it is left as it was. Throws `channel_closed`.
  bool try_send(T&& value) { return put(value); }

  /// No more values: senders get `channel_closed`, subscribers what is left and then the end.
  void close() noexcept;
  /// True after `close`.
  bool closed() const noexcept { return closed_; }
  /// How many subscribers there are.
  std::size_t subscribers() const noexcept { return subscribers_; }

 private:
  friend class subscription<T>;
  friend class detail::broadcast_send_case<T>;
  friend class detail::broadcast_receive_case<T>;
  using waiting_link = typename subscription<T>::waiting_link;

  std::uint64_t end() const noexcept { return first_ + items_.size(); }
  bool put(T& value);
  void store(T& value) noexcept;
  void tell() noexcept;
  detail::broadcast_item<T>& at(std::uint64_t position) noexcept {
    return items_[static_cast<std::size_t>(position - first_)];
  }
  void done_with(std::uint64_t position) noexcept;

  detail::ring_buffer<detail::broadcast_item<T>> items_;
  std::uint64_t first_ = 0;  // the position of the oldest item
  std::size_t capacity_;
  std::size_t subscribers_ = 0;
  detail::wait_queue senders_;
  detail::list_link waiting_;  // subscriptions with waiters
  bool closed_ = false;
};

namespace detail {

template <class T>
class broadcast_send_case : public wait_entry {
 public:
  static constexpr const char* name = "broadcast.send";

  broadcast_send_case(broadcast<T>& b, T&& value) noexcept : broadcast_(b), value_(std::move(value)) {}
  bool begin() {
    closed_ = broadcast_.closed_;
    return closed_ || broadcast_.put(value_);
  }
  void enqueue() noexcept { broadcast_.senders_.push(*this); }
  void withdrawn() noexcept {}
  void take() const {
    if (closed_) throw channel_closed();
  }
  /// The broadcast takes the value.
  T& value() noexcept { return value_; }
  /// The broadcast was closed before it did.
  void refuse() noexcept { closed_ = true; }

 private:
  broadcast<T>& broadcast_;
  T value_;
  bool closed_ = false;
};

/// An item is reserved for it when it is granted, and copied when it is taken: an error of the copy
/// is the receiver's.
template <class T>
class broadcast_receive_case : public wait_entry {
 public:
  static constexpr const char* name = "subscription.next";

  explicit broadcast_receive_case(subscription<T>& s) noexcept : subscription_(s) {}
  ~broadcast_receive_case() {
    if (reserved_) subscription_.broadcast_.done_with(position_);
  }
  bool begin() noexcept {
    broadcast<T>& b = subscription_.broadcast_;
    if (subscription_.position_ == b.end()) return b.closed_;
    reserve();
    return true;
  }
  void enqueue() noexcept {
    if (subscription_.link_.alone()) subscription_.link_.link_before(subscription_.broadcast_.waiting_);
    subscription_.waiters_.push(*this);
  }
  void withdrawn() noexcept {}
  std::optional<T> take() {
    if (!reserved_) return std::nullopt;
    broadcast<T>& b = subscription_.broadcast_;
    auto& item = b.at(position_);
    std::optional<T> out;
    if (item.readers == 1) {
      out.emplace(std::move(item.value));
    } else {
      out.emplace(item.value);
    }
    reserved_ = false;
    b.done_with(position_);
    return out;
  }
  /// Takes the subscription's next item.
  void reserve() noexcept {
    position_ = subscription_.position_++;
    reserved_ = true;
  }

 private:
  subscription<T>& subscription_;
  std::uint64_t position_ = 0;
  bool reserved_ = false;
};

}  // namespace detail

template <class T>
bool broadcast<T>::put(T& value) {
  if (closed_) throw channel_closed();
  if (subscribers_ == 0) return true;
  if (items_.size() >= capacity_ || !senders_.empty()) return false;
  store(value);
  tell();
  return true;
}

template <class T>
void broadcast<T>::store(T& value) noexcept {
  if (subscribers_ != 0) items_.push({std::move(value), subscribers_});
}

// Gives those who wait what is there. Who stays in the list has got the last item, and stands at its end.
template <class T>
void broadcast<T>::tell() noexcept {
  while (!waiting_.alone()) {
    subscription<T>& s = static_cast<waiting_link*>(waiting_.next())->owner;
    if (s.position_ == end()) return;
    s.link_.unlink();
    if (s.waiters_.empty()) continue;
    auto& oldest = static_cast<detail::broadcast_receive_case<T>&>(s.waiters_.front());
    oldest.reserve();
    oldest.unlink();
    if (!s.waiters_.empty()) s.link_.link_before(waiting_);
    detail::wait_queue::grant(oldest);
  }
}

template <class T>
void broadcast<T>::done_with(std::uint64_t position) noexcept {
  --at(position).readers;
  while (!items_.empty() && items_.front().readers == 0) {
    items_.drop_front();
    ++first_;
  }
  // The sender is let go before anybody hears of its value: who does may send, take or close at once.
  while (!senders_.empty() && (items_.size() < capacity_ || subscribers_ == 0)) {
    store(static_cast<detail::broadcast_send_case<T>&>(senders_.front()).value());
    senders_.grant_front();
    tell();
  }
}

template <class T>
void broadcast<T>::close() noexcept {
  if (std::exchange(closed_, true)) return;
  while (!senders_.empty()) {
    static_cast<detail::broadcast_send_case<T>&>(senders_.front()).refuse();
    senders_.grant_front();
  }
  while (!waiting_.alone()) {
    subscription<T>& s = static_cast<waiting_link*>(waiting_.next())->owner;
    s.link_.unlink();
    s.waiters_.grant_all();
  }
}

}  // namespace mobius
