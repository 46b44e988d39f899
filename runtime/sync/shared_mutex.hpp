#pragma once
// `shared_mutex`: many readers or one writer, across awaits.

#include <cstddef>
#include <utility>

#include "wait_queue.hpp"

namespace mobius {

class shared_mutex;

namespace detail {
class exclusive_case;
class shared_case;
}  // namespace detail

/// Holds a shared_mutex for writing, and gives it back when it ends.
class [[nodiscard("the mutex is held as long as this lives")]] exclusive_guard {
 public:
  /// Holds nothing.
  exclusive_guard() noexcept = default;
  /// Takes over a mutex that is held for writing.
  explicit exclusive_guard(shared_mutex & m) noexcept : mutex_(&m) {}
  exclusive_guard(exclusive_guard && other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
  exclusive_guard& operator=(exclusive_guard&& other) noexcept {
    exclusive_guard taken(std::move(other));
    std::swap(mutex_, taken.mutex_);
    return *this;
  }
  ~exclusive_guard() { unlock(); }

  /// True if it holds a mutex.
  explicit operator bool() const noexcept { return mutex_ != nullptr; }
  /// Gives the mutex back now.
  void unlock() noexcept;

 private:
  shared_mutex* mutex_ = nullptr;
};

/// Holds a shared_mutex for reading, and gives it back when it ends.
class [[nodiscard("the mutex is held as long as this lives")]] shared_guard {
 public:
  /// Holds nothing.
  shared_guard() noexcept = default;
  /// Takes over a mutex that is held for reading.
  explicit shared_guard(shared_mutex & m) noexcept : mutex_(&m) {}
  shared_guard(shared_guard && other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
  shared_guard& operator=(shared_guard&& other) noexcept {
    shared_guard taken(std::move(other));
    std::swap(mutex_, taken.mutex_);
    return *this;
  }
  ~shared_guard() { unlock(); }

  /// True if it holds a mutex.
  explicit operator bool() const noexcept { return mutex_ != nullptr; }
  /// Gives the mutex back now.
  void unlock() noexcept;

 private:
  shared_mutex* mutex_ = nullptr;
};

/// Many readers or one writer, tasks of one thread. Fair: strictly first in, first out, so neither
/// kind can starve the other; readers that stand next to each other go on together. Must outlive
/// its waiters.
class shared_mutex {
 public:
  /// A free mutex.
  shared_mutex() noexcept = default;
  shared_mutex(const shared_mutex&) = delete;
  shared_mutex& operator=(const shared_mutex&) = delete;

  /// Waits until nobody holds it and takes it for writing: gives an exclusive_guard. A cancel ends
  /// the wait, and lets readers who stood behind it go on.
  detail::wait_operation<detail::exclusive_case, shared_mutex&> lock() noexcept;
  /// Waits until no writer holds it, or stands in line before, and takes it for reading: gives a
  /// shared_guard. A cancel ends the wait.
  detail::wait_operation<detail::shared_case, shared_mutex&> lock_shared() noexcept;
  /// Takes it for writing if it is free: gives a guard that may be empty.
  exclusive_guard try_lock() noexcept { return enter(true) ? exclusive_guard(*this) : exclusive_guard(); }
  /// Takes it for reading if that needs no wait: gives a guard that may be empty.
  shared_guard try_lock_shared() noexcept { return enter(false) ? shared_guard(*this) : shared_guard(); }

  /// Ends writing; what a guard does.
  void unlock() noexcept {
    writing_ = false;
    hand_over();
  }
  /// Ends reading; what a guard does.
  void unlock_shared() noexcept {
    --readers_;
    hand_over();
  }
  /// How many hold it for reading.
  std::size_t readers() const noexcept { return readers_; }
  /// True while somebody holds it for writing.
  bool writing() const noexcept { return writing_; }

 private:
  friend class detail::exclusive_case;
  friend class detail::shared_case;
  struct entry : detail::wait_entry {
    explicit entry(bool e) noexcept : exclusive(e) {}
    bool exclusive;
  };

  bool take(bool exclusive) noexcept {
    if (writing_ || (exclusive && readers_ != 0)) return false;
    if (exclusive) {
      writing_ = true;
    } else {
      ++readers_;
    }
    return true;
  }
  bool enter(bool exclusive) noexcept { return waiters_.empty() && take(exclusive); }
  void hand_over() noexcept {
    while (!waiters_.empty() && take(static_cast<entry&>(waiters_.front()).exclusive)) waiters_.grant_front();
  }

  detail::wait_queue waiters_;
  std::size_t readers_ = 0;
  bool writing_ = false;
};

inline void exclusive_guard::unlock() noexcept {
  if (mutex_) std::exchange(mutex_, nullptr)->unlock();
}
inline void shared_guard::unlock() noexcept {
  if (mutex_) std::exchange(mutex_, nullptr)->unlock_shared();
}

namespace detail {

class exclusive_case : public shared_mutex::entry {
 public:
  static constexpr const char* name = "shared_mutex.lock";

  explicit exclusive_case(shared_mutex& m) noexcept : entry(true), mutex_(m) {}
  bool begin() noexcept { return mutex_.enter(true); }
  void enqueue() noexcept { mutex_.waiters_.push(*this); }
  void withdrawn() noexcept { mutex_.hand_over(); }
  exclusive_guard take() noexcept { return exclusive_guard(mutex_); }

 private:
  shared_mutex& mutex_;
};

class shared_case : public shared_mutex::entry {
 public:
  static constexpr const char* name = "shared_mutex.lock_shared";

  explicit shared_case(shared_mutex& m) noexcept : entry(false), mutex_(m) {}
  bool begin() noexcept { return mutex_.enter(false); }
  void enqueue() noexcept { mutex_.waiters_.push(*this); }
  void withdrawn() noexcept { mutex_.hand_over(); }
  shared_guard take() noexcept { return shared_guard(mutex_); }

 private:
  shared_mutex& mutex_;
};

}  // namespace detail

inline detail::wait_operation<detail::exclusive_case, shared_mutex&> shared_mutex::lock() noexcept {
  return detail::wait_operation<detail::exclusive_case, shared_mutex&>(*this);
}
inline detail::wait_operation<detail::shared_case, shared_mutex&> shared_mutex::lock_shared() noexcept {
  return detail::wait_operation<detail::shared_case, shared_mutex&>(*this);
}

}  // namespace mobius
