#pragma once
// `event`: something that happens, and those who wait for it.

#include "wait_queue.hpp"

namespace mobius {

namespace detail {
class event_case;
}

/// How an event goes back to unset.
enum class event_reset : bool {
  manual,     // by `reset`: everybody waiting goes on
  automatic,  // by the one waiter that it lets through
};

/// A flag that can be waited for. Belongs to one thread; must outlive its waiters.
class event {
 public:
  /// An event that is not set.
  explicit event(event_reset reset = event_reset::manual) noexcept : reset_(reset) {}
  event(const event&) = delete;
  event& operator=(const event&) = delete;

  /// Manual: lets all who wait go on, and who comes later. Automatic: lets the oldest waiter go on,
  /// or, if there is none, the next who comes.
  void set() noexcept;
  /// Unsets it.
  void reset() noexcept { set_ = false; }
  /// True if a `wait` would go on at once.
  bool is_set() const noexcept { return set_; }

  /// Waits until it is set; at once if it is. A cancellation point; a cancel ends the wait.
  detail::wait_operation<detail::event_case, event&> wait() noexcept;

 private:
  friend class detail::event_case;
  detail::wait_queue waiters_;
  event_reset reset_;
  bool set_ = false;
};

namespace detail {

class event_case : public wait_entry {
 public:
  static constexpr const char* name = "event.wait";

  explicit event_case(event& e) noexcept : event_(e) {}
  bool begin() noexcept {
    if (!event_.set_) return false;
    if (event_.reset_ == event_reset::automatic) event_.set_ = false;
    return true;
  }
  void enqueue() noexcept { event_.waiters_.push(*this); }
  void withdrawn() noexcept {}
  void take() noexcept {}

 private:
  event& event_;
};

}  // namespace detail

inline void event::set() noexcept {
  if (reset_ == event_reset::manual) {
    set_ = true;
    waiters_.grant_all();
  } else if (!waiters_.empty()) {
    waiters_.grant_front();
  } else {
    set_ = true;
  }
}

inline detail::wait_operation<detail::event_case, event&> event::wait() noexcept {
  return detail::wait_operation<detail::event_case, event&>(*this);
}

}  // namespace mobius
