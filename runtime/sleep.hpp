#pragma once
// `sleep` and `yield`: waiting for a time, and for the next turn.

#include <chrono>
#include <coroutine>
#include <source_location>

#include "awaitable.hpp"
#include "context.hpp"
#include "reactor.hpp"
#include "timer_wheel.hpp"

namespace mobius {

/// The unit of work behind `sleep`.
class [[nodiscard("co_await it")]] sleep_operation {
 public:
  sleep_operation(reactor & r, std::chrono::nanoseconds after) noexcept : reactor_(&r), after_(after) {}
  detail::sleep_awaiter operator co_await() const noexcept;

 private:
  reactor* reactor_;
  std::chrono::nanoseconds after_;
};

namespace detail {

class sleep_awaiter final : public waiter, public timer {
 public:
  sleep_awaiter(reactor& r, std::chrono::nanoseconds after) noexcept
      : waiter(kind), timer(&sleep_awaiter::fire_sleep), reactor_(&r), after_(after) {}
  ~sleep_awaiter() { reactor_->timers().cancel(*this); }

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h,
                     std::source_location where = std::source_location::current()) noexcept {
    return suspend(h, context_of(h), where);
  }
  bool suspend(std::coroutine_handle<> h, context* ctx, const std::source_location& where) noexcept {
    if (const gate g = arrive(h, ctx, where); g != gate::open) return g == gate::queued;
    reactor_->timers().add(*this, reactor_->deadline_after(after_));
    return true;
  }
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
  static const leaf_type kind;
  static void fire_sleep(timer* t) noexcept;
  static bool cancel(leaf* self) noexcept;

  reactor* reactor_;
  std::chrono::nanoseconds after_;
};

/// Yields to the next turn of the loop.
class yield_awaiter final : public waiter {
 public:
  explicit yield_awaiter(reactor& r) noexcept : waiter(kind), reactor_(&r) {}

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h,
                     std::source_location where = std::source_location::current()) noexcept {
    return suspend(h, context_of(h), where);
  }
  bool suspend(std::coroutine_handle<> h, context* ctx, const std::source_location& where) noexcept {
    if (const gate g = arrive(h, ctx, where); g != gate::open) return g == gate::queued;
    reactor_->push_later(*this);
    return true;
  }
  void await_resume() {
    leave();
    if (was_stopped()) throw cancelled();
  }

 private:
  static const leaf_type kind;
  static bool cancel(leaf* self) noexcept;

  reactor* reactor_;
};

class [[nodiscard("co_await it")]] yield_operation {
 public:
  explicit yield_operation(reactor & r) noexcept : reactor_(&r) {}
  yield_awaiter operator co_await() const noexcept { return yield_awaiter(*reactor_); }

 private:
  reactor* reactor_;
};

}  // namespace detail

inline detail::sleep_awaiter sleep_operation::operator co_await() const noexcept {
  return detail::sleep_awaiter(*reactor_, after_);
}
inline sleep_operation reactor::sleep(std::chrono::nanoseconds after) noexcept { return {*this, after}; }

/// Waits for `after`, by the current reactor's clock: never early; 0 or less ends in the next
/// turn. A cancel ends it at once. May overlap with anything. Nanosecond resolution.
///
///     co_await mobius::sleep(1s);
inline sleep_operation sleep(std::chrono::nanoseconds after) { return reactor::current().sleep(after); }

/// Lets everything else that is ready run, and the kernel report, before going on: the awaiting
/// task continues in the reactor's next turn. A cancellation point.
inline detail::yield_operation yield() { return detail::yield_operation(reactor::current()); }

}  // namespace mobius
