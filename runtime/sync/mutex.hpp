#pragma once
// `mutex`: one task at a time, across awaits.

#include <utility>

#include "wait_queue.hpp"

namespace mobius {

class mutex;

namespace detail {
class mutex_case;
class condition_awaiter;
}  // namespace detail

/// Holds a mutex, and gives it back when it ends.
class [[nodiscard("the mutex is held as long as this lives")]] mutex_guard {
 public:
  /// Holds nothing.
  mutex_guard() noexcept = default;
  /// Takes over a mutex that is held.
  explicit mutex_guard(mutex & m) noexcept : mutex_(&m) {}
  mutex_guard(mutex_guard && other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
  mutex_guard& operator=(mutex_guard&& other) noexcept {
    mutex_guard(std::move(other)).swap(*this);
    return *this;
  }
  ~mutex_guard() { unlock(); }

  /// True if it holds a mutex.
  explicit operator bool() const noexcept { return mutex_ != nullptr; }
  /// Gives the mutex back now.
  void unlock() noexcept;
  /// Exchanges two guards.
  void swap(mutex_guard & other) noexcept { std::swap(mutex_, other.mutex_); }
  /// The mutex that it holds, or null.
  mutex* owner() const noexcept { return mutex_; }

 private:
  mutex* mutex_ = nullptr;
};

/// Mutual exclusion of tasks of one thread. Fair: unlocking hands it straight to the task that has
/// waited longest. Not recursive. Must outlive its waiters.
///
///     const mobius::mutex_guard guard = co_await mutex.lock();
class mutex {
 public:
  /// A free mutex.
  mutex() noexcept = default;
  mutex(const mutex&) = delete;
  mutex& operator=(const mutex&) = delete;

  /// Waits until it is free and takes it: gives a guard. A cancellation point; a cancel ends the
  /// wait, unless the mutex was just handed over.
  detail::wait_operation<detail::mutex_case, mutex&> lock() noexcept;
  /// Takes it if it is free: gives a guard that may be empty.
  mutex_guard try_lock() noexcept {
    return std::exchange(locked_, true) ? mutex_guard() : mutex_guard(*this);
  }
  /// Hands it on; what a guard does at its end.
  void unlock() noexcept {
    if (waiters_.empty()) {
      locked_ = false;
    } else {
      waiters_.grant_front();
    }
  }
  /// True while somebody holds it.
  bool locked() const noexcept { return locked_; }

 private:
  friend class detail::mutex_case;
  friend class detail::condition_awaiter;
  detail::wait_queue waiters_;
  bool locked_ = false;
};

inline void mutex_guard::unlock() noexcept {
  if (mutex_) std::exchange(mutex_, nullptr)->unlock();
}

namespace detail {

class mutex_case : public wait_entry {
 public:
  static constexpr const char* name = "mutex.lock";

  explicit mutex_case(mutex& m) noexcept : mutex_(m) {}
  bool begin() noexcept { return !std::exchange(mutex_.locked_, true); }
  void enqueue() noexcept { mutex_.waiters_.push(*this); }
  void withdrawn() noexcept {}
  mutex_guard take() noexcept { return mutex_guard(mutex_); }

 private:
  mutex& mutex_;
};

}  // namespace detail

inline detail::wait_operation<detail::mutex_case, mutex&> mutex::lock() noexcept {
  return detail::wait_operation<detail::mutex_case, mutex&>(*this);
}

}  // namespace mobius
