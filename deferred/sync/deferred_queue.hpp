#pragma once
// `deferred_queue<T>`: values handed from who puts to who gets, by deferreds (Twisted's
// DeferredQueue).

#include <cstddef>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "../../runtime/sync/channel.hpp"
#include "deferred_line.hpp"

namespace mobius {

/// Thrown by a put into a full queue (Twisted's QueueOverflow).
class queue_overflow final : public std::runtime_error {
 public:
  explicit queue_overflow(std::size_t size)
      : std::runtime_error("deferred_queue::put: the queue holds its " + std::to_string(size) +
                           " values; get some first, or give it a larger size") {}
};

/// Thrown by a get from an empty queue for which too many wait (Twisted's QueueUnderflow).
class queue_underflow final : public std::runtime_error {
 public:
  explicit queue_underflow(std::size_t backlog)
      : std::runtime_error("deferred_queue::get: " + std::to_string(backlog) +
                           " gets wait already; put something first, or give the queue a larger backlog") {}
};

/// Values in order, for one who gets in order. A put goes straight to the oldest waiting get, whose
/// callbacks run inside the put (nested up to 64 deep, from there on in a loop). `T` must be nothrow
/// move-constructible. Who still waits when the queue is destroyed gets `broken_deferred`. Belongs to
/// one thread; a task that is to wait while the queue is full uses `channel`.
template <class T>
class deferred_queue {
  static_assert(std::is_nothrow_move_constructible_v<T>,
                "deferred_queue<T>: a value is moved while nobody can be told of an error; box a T whose "
                "move may throw");

 public:
  /// For the constructor: no limit.
  static constexpr std::size_t unlimited = static_cast<std::size_t>(-1);

  /// A queue that keeps up to `size` values nobody waits for, and lets up to `backlog` gets wait.
  /// Both may be 0 (R149).
  explicit deferred_queue(std::size_t size = unlimited, std::size_t backlog = unlimited) noexcept
      : limit_(size), backlog_(backlog) {}
  deferred_queue(const deferred_queue&) = delete;
  deferred_queue& operator=(const deferred_queue&) = delete;

  /// Gives `value` to the oldest get that waits, else keeps it; throws `queue_overflow` if it is
  /// full (R145).
  void put(T value) {
    if (!line_.empty()) {
      static_cast<detail::typed_place<T>&>(line_.front()).give(std::move(value));
      line_.hand_over();
    } else if (values_.size() < limit_) {
      values_.push(std::move(value));
    } else {
      throw queue_overflow(limit_);
    }
  }
  /// Fires with the oldest value: at once if there is one. Throws `queue_underflow` if the backlog
  /// is full (R146). A cancel ends the wait, and no value is lost (R147).
  deferred<T> get(std::source_location where = std::source_location::current()) {
    if (!values_.empty()) {
      deferred<T> d;
      detail::handle_of(d).set_value(values_.pop());
      return d;
    }
    if (line_.size() >= backlog_) throw queue_underflow(backlog_);
    return detail::stand_in_line<T>(line_, where).first;
  }
  /// How many values it holds.
  std::size_t size() const noexcept { return values_.size(); }
  /// How many gets wait.
  std::size_t waiting() const noexcept { return line_.size(); }

 private:
  detail::ring_buffer<T> values_;
  detail::deferred_line line_;
  std::size_t limit_;
  std::size_t backlog_;
};

}  // namespace mobius
