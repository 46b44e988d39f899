#pragma once
// `latch`: waits until a number of things have happened.

#include <cstddef>

#include "wait_queue.hpp"

namespace mobius {

namespace detail {
class latch_case;
}

/// A count that goes down to 0 once. Belongs to one thread; must outlive its waiters.
class latch {
 public:
  /// A latch that waits for `count` arrivals.
  explicit latch(std::size_t count) noexcept : left_(count) {}
  latch(const latch&) = delete;
  latch& operator=(const latch&) = delete;

  /// Counts `by` arrivals (no more than are left); at 0 all who wait go on.
  void count_down(std::size_t by = 1) noexcept {
    left_ -= by < left_ ? by : left_;
    if (left_ == 0) waiters_.grant_all();
  }
  /// True at 0.
  bool done() const noexcept { return left_ == 0; }
  /// How many arrivals are missing.
  std::size_t left() const noexcept { return left_; }

  /// Waits for 0; at once if it is there. A cancel ends the wait.
  detail::wait_operation<detail::latch_case, latch&> wait() noexcept;
  /// Counts one arrival, then waits. The arrival counts also if the wait is cancelled.
  detail::wait_operation<detail::latch_case, latch&> arrive_and_wait() noexcept;

 private:
  friend class detail::latch_case;
  detail::wait_queue waiters_;
  std::size_t left_;
};

namespace detail {

class latch_case : public wait_entry {
 public:
  static constexpr const char* name = "latch.wait";

  explicit latch_case(latch& l) noexcept : latch_(l) {}
  bool begin() noexcept { return latch_.done(); }
  void enqueue() noexcept { latch_.waiters_.push(*this); }
  void withdrawn() noexcept {}
  void take() noexcept {}

 private:
  latch& latch_;
};

}  // namespace detail

inline detail::wait_operation<detail::latch_case, latch&> latch::wait() noexcept {
  return detail::wait_operation<detail::latch_case, latch&>(*this);
}

inline detail::wait_operation<detail::latch_case, latch&> latch::arrive_and_wait() noexcept {
  count_down();
  return wait();
}

}  // namespace mobius
