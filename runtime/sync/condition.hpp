#pragma once
// `condition`: waiting for a state that a mutex guards.

#include <coroutine>
#include <source_location>
#include <stdexcept>

#include "mutex.hpp"
#include "wait_queue.hpp"

namespace mobius {

namespace detail {

/// First in the condition's line, then in the mutex's; woken once, with the mutex held.
class condition_awaiter final : public waiter, private wait_entry {
 public:
  condition_awaiter(wait_queue& line, mutex& m) noexcept : waiter(leaf_kind), line_(line), mutex_(m) {
    granted = &condition_awaiter::on_notified;
  }

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h,
                     std::source_location where = std::source_location::current()) noexcept {
    return suspend(h, context_of(h), where);
  }
  bool suspend(std::coroutine_handle<> h, context* ctx, const std::source_location& where) noexcept;
  void await_resume() {
    leave();
    if (was_stopped()) throw cancelled();
  }
  result<void> outcome() noexcept {
    leave();
    if (was_stopped()) return cancelled_failure();
    return {};
  }

 private:
  static const leaf_type leaf_kind;
  static bool cancel(leaf* self) noexcept;
  static void on_notified(wait_entry* e) noexcept;
  static void on_locked(wait_entry* e) noexcept;
  void lock() noexcept;

  wait_queue& line_;
  mutex& mutex_;
  bool notified_ = false;
};

class [[nodiscard("co_await it")]] condition_operation {
 public:
  condition_operation(wait_queue & line, mutex & m) noexcept : line_(&line), mutex_(&m) {}
  condition_awaiter operator co_await() const noexcept { return condition_awaiter(*line_, *mutex_); }

 private:
  wait_queue* line_;
  mutex* mutex_;
};

}  // namespace detail

/// Waits, under a mutex, for a change that others announce. Belongs to one thread; must outlive its
/// waiters.
///
///     mobius::mutex_guard guard = co_await mutex.lock();
///     while (!ready) co_await changed.wait(guard);
class condition {
 public:
  /// A condition nobody waits for.
  condition() noexcept = default;
  condition(const condition&) = delete;
  condition& operator=(const condition&) = delete;

  /// Gives the guard's mutex free, waits to be notified, and takes it again. The guard stays valid;
  /// std::logic_error if it holds no mutex. A cancel ends the wait, but not before the mutex has been taken
  /// again: whatever comes, it is held when this ends. There are no spurious wake-ups; yet the state may have
  /// changed again before the mutex was taken.
  detail::condition_operation wait(mutex_guard& guard) {
    if (!guard) throw std::logic_error("condition::wait: the guard holds no mutex; lock it before");
    return detail::condition_operation(waiters_, *guard.owner());
  }
  /// Lets the one that has waited longest go on.
  void notify_one() noexcept {
    if (!waiters_.empty()) waiters_.grant_front();
  }
  /// Lets all who wait go on, in their order.
  void notify_all() noexcept { waiters_.grant_all(); }

 private:
  detail::wait_queue waiters_;
};

}  // namespace mobius
