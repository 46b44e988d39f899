#pragma once
// `semaphore`: a number of permits.

#include <cstddef>
#include <utility>

#include "wait_queue.hpp"

namespace mobius {

class semaphore;

namespace detail {
class semaphore_case;
}

/// Holds permits of a semaphore, and gives them back when it ends.
class [[nodiscard("the permits are held as long as this lives")]] permit {
 public:
  /// Holds nothing.
  permit() noexcept = default;
  /// Takes over `count` permits that were acquired.
  permit(semaphore & s, std::size_t count) noexcept : semaphore_(&s), count_(count) {}
  permit(permit && other) noexcept
      : semaphore_(std::exchange(other.semaphore_, nullptr)), count_(other.count_) {}
  permit& operator=(permit&& other) noexcept {
    permit taken(std::move(other));
    std::swap(semaphore_, taken.semaphore_);
    std::swap(count_, taken.count_);
    return *this;
  }
  ~permit() { release(); }

  /// True if it holds permits.
  explicit operator bool() const noexcept { return semaphore_ != nullptr; }
  /// Gives them back now.
  void release() noexcept;
  /// Keeps them for good: somebody else calls `semaphore::release`.
  void detach() noexcept { semaphore_ = nullptr; }

 private:
  semaphore* semaphore_ = nullptr;
  std::size_t count_ = 0;
};

/// Permits for tasks of one thread. Fair: first in, first out, also if a later one asks for less.
/// Must outlive its waiters.
///
///     mobius::semaphore slots(10);
///     const mobius::permit slot = co_await slots.acquire();
class semaphore {
 public:
  /// A semaphore with `permits` free ones.
  explicit semaphore(std::size_t permits) noexcept : free_(permits) {}
  semaphore(const semaphore&) = delete;
  semaphore& operator=(const semaphore&) = delete;

  /// Waits for `count` permits and takes them at once: gives a `permit`. A cancellation point; a
  /// cancel ends the wait and takes none.
  detail::wait_operation<detail::semaphore_case, semaphore&, std::size_t> acquire(
      std::size_t count = 1) noexcept;
  /// Takes them if that needs no wait: gives a permit that may be empty.
  permit try_acquire(std::size_t count = 1) noexcept { return take(count) ? permit(*this, count) : permit(); }
  /// Adds `count` permits, and hands them on to those who wait.
  void release(std::size_t count = 1) noexcept {
    free_ += count;
    hand_over();
  }
  /// How many are free.
  std::size_t available() const noexcept { return free_; }

 private:
  friend class detail::semaphore_case;
  bool take(std::size_t count) noexcept {
    if (!waiters_.empty() || free_ < count) return false;
    free_ -= count;
    return true;
  }
  void hand_over() noexcept;

  detail::wait_queue waiters_;
  std::size_t free_;
};

inline void permit::release() noexcept {
  if (semaphore_) std::exchange(semaphore_, nullptr)->release(count_);
}

namespace detail {

class semaphore_case : public wait_entry {
 public:
  static constexpr const char* name = "semaphore.acquire";

  semaphore_case(semaphore& s, std::size_t count) noexcept : semaphore_(s), count_(count) {}
  bool begin() noexcept { return semaphore_.take(count_); }
  void enqueue() noexcept { semaphore_.waiters_.push(*this); }
  void withdrawn() noexcept { semaphore_.hand_over(); }
  permit take() noexcept { return permit(semaphore_, count_); }
  std::size_t count() const noexcept { return count_; }

 private:
  semaphore& semaphore_;
  std::size_t count_;
};

}  // namespace detail

inline void semaphore::hand_over() noexcept {
  while (!waiters_.empty()) {
    const std::size_t wanted = static_cast<detail::semaphore_case&>(waiters_.front()).count();
    if (free_ < wanted) return;
    free_ -= wanted;
    waiters_.grant_front();
  }
}

inline detail::wait_operation<detail::semaphore_case, semaphore&, std::size_t> semaphore::acquire(
    std::size_t count) noexcept {
  return detail::wait_operation<detail::semaphore_case, semaphore&, std::size_t>(*this, std::move(count));
}

}  // namespace mobius
