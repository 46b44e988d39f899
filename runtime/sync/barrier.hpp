#pragma once
// `barrier`: a number of tasks wait for each other, again and again.

#include <cstddef>
#include <cstdint>

#include "wait_queue.hpp"

namespace mobius {

namespace detail {
class barrier_case;
}

/// Lets tasks go on in rounds of a fixed number. Belongs to one thread; must outlive its waiters.
class barrier {
 public:
  /// A barrier for `parties` tasks; 0 counts as 1.
  explicit barrier(std::size_t parties) noexcept : parties_(parties == 0 ? 1 : parties) {}
  barrier(const barrier&) = delete;
  barrier& operator=(const barrier&) = delete;

  /// Arrives, and waits until all parties of this round have. Gives true to the one that came last.
  /// A cancel ends the wait and takes the arrival back.
  detail::wait_operation<detail::barrier_case, barrier&> arrive_and_wait() noexcept;
  /// Leaves for good: this and later rounds need one party less (never less than one).
  void drop() noexcept;
  /// How many wait in this round.
  std::size_t waiting() const noexcept { return arrived_; }
  /// How many a round needs.
  std::size_t parties() const noexcept { return parties_; }

 private:
  friend class detail::barrier_case;
  void end_round() noexcept {
    arrived_ = 0;
    ++round_;
    waiters_.grant_all();
  }

  detail::wait_queue waiters_;
  std::size_t parties_;
  std::size_t arrived_ = 0;
  std::uint64_t round_ = 0;
};

namespace detail {

class barrier_case : public wait_entry {
 public:
  static constexpr const char* name = "barrier.arrive_and_wait";

  explicit barrier_case(barrier& b) noexcept : barrier_(b) {}
  bool begin() noexcept {
    round_ = barrier_.round_;
    last_ = ++barrier_.arrived_ >= barrier_.parties_;
    if (last_) barrier_.end_round();
    return last_;
  }
  void enqueue() noexcept { barrier_.waiters_.push(*this); }
  // A select may have arrived here twice, and given up one when the other had ended the round.
  void withdrawn() noexcept {
    if (round_ == barrier_.round_) --barrier_.arrived_;
  }
  bool take() noexcept { return last_; }

 private:
  barrier& barrier_;
  std::uint64_t round_ = 0;
  bool last_ = false;
};

}  // namespace detail

inline void barrier::drop() noexcept {
  if (parties_ > 1) --parties_;
  if (arrived_ != 0 && arrived_ >= parties_) end_round();
}

inline detail::wait_operation<detail::barrier_case, barrier&> barrier::arrive_and_wait() noexcept {
  return detail::wait_operation<detail::barrier_case, barrier&>(*this);
}

}  // namespace mobius
