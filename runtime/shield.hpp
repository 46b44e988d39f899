#pragma once
// Cancellation, held off and made room for: `shield`, `finally`, `checkpoint`, `deadline`.

#include <coroutine>
#include <functional>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>

#include "awaitable.hpp"
#include "detached.hpp"
#include "nested.hpp"
#include "reactor.hpp"
#include "task.hpp"
#include "timeout.hpp"

namespace mobius {

namespace detail {

class shield_base : public nested {
 protected:
  shield_base() noexcept : nested(leaf_kind) {}
  bool asked() const noexcept { return asked_ || (outer_ && outer_->stopping()); }

  bool asked_ = false;

 private:
  static const leaf_type leaf_kind;
  static bool cancel(leaf* self) noexcept;
};

template <class A>
class shield_awaiter final : private shield_base {
 public:
  using value_type = await_result_t<A>;

  explicit shield_awaiter(A&& a) : inner_awaiter_(get_awaiter(static_cast<A&&>(a))) {}

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  transfer await_suspend(std::coroutine_handle<Promise> h,
                         std::source_location where = std::source_location::current()) {
    return suspend(h, context_of(h), where);
  }
  transfer suspend(std::coroutine_handle<> h, context* ctx, const std::source_location& where) {
    asked_ = begin_apart(ctx, where);
    return start_awaiter(inner_awaiter_, h, &inner_, where);
  }
  value_type await_resume() { return outcome().value(); }
  result<value_type> outcome() {
    end_apart();
    result<value_type> r = outcome_of(inner_awaiter_);
    if (asked() && (r || r.error().template check<cancelled>())) return cancelled_failure();
    return r;
  }

 private:
  awaiter_t<A> inner_awaiter_;
};

template <class A>
class [[nodiscard("co_await it")]] shield_operation {
 public:
  explicit shield_operation(A && a) : kept_(static_cast<A&&>(a)) {}
  shield_awaiter<A> operator co_await()&& { return shield_awaiter<A>(static_cast<A&&>(kept_)); }

 private:
  kept_t<A> kept_;
};

class checkpoint_awaiter final : public waiter {
 public:
  checkpoint_awaiter() noexcept : waiter(leaf_kind) {}

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h,
                     std::source_location where = std::source_location::current()) noexcept {
    return suspend(h, context_of(h), where);
  }
  bool suspend(std::coroutine_handle<> h, context* ctx, const std::source_location& where) noexcept {
    return arrive(h, ctx, where) == gate::queued;
  }
  void await_resume() {
    leave();
    if (was_stopped()) throw cancelled();
  }

 private:
  static const leaf_type leaf_kind;
};

class [[nodiscard("co_await it")]]
checkpoint_operation{public : checkpoint_operation() noexcept {} checkpoint_awaiter operator co_await()
                         const noexcept {return checkpoint_awaiter();
}  // namespace detail
};  // namespace mobius

/// The awaitable that `f` makes, or `f` itself if it is one.
template <class F, class... Args>
decltype(auto) make_awaitable(F& f, Args&... args) {
  if constexpr (std::is_invocable_v<F&, Args&...>) {
    return std::invoke(f, args...);
  } else {
    static_assert(awaitable<F>, "give an awaitable, or a function that returns one");
    return std::move(f);
  }
}

template <class F, class... Args>
using made_t = std::remove_cvref_t<decltype(make_awaitable(std::declval<F&>(), std::declval<Args&>()...))>;

/// Runs a clean-up and notes its error, also one that it throws instead of beginning.
template <class F>
task<> clean_up(F& f, std::optional<failure>& error) {
  try {
    made_t<F> made = make_awaitable(f);
    auto outcome = co_await outcome_operation<made_t<F>>(made);
    if (!outcome) error = std::move(outcome.error());
  } catch (...) {
    error = failure();
  }
}

}  // namespace detail

/// Awaits `a` out of reach of cancels: a cancel that is asked for meanwhile waits, too, and is
/// thrown as `cancelled` when `a` has ended, in place of its value; an error of `a` goes first. It
/// also runs `a` in a chain that was cancelled before. Give it an end of its own where `a` might
/// wait for ever: `shield(timeout(5s, a))`.
template <awaitable A>
detail::shield_operation<A&&> shield(A&& a) {
  return detail::shield_operation<A&&>(static_cast<A&&>(a));
}

/// Awaits `body`, then `cleanup` out of reach of cancels, whatever became of `body`; then gives
/// the value of `body` or throws its error. Either is an awaitable or a function that returns one.
/// A cancel during the clean-up is thrown after it, unless `body` has failed. An error of the
/// clean-up is thrown if `body` succeeded, else it goes to the unhandled hook. The memory to run the
/// clean-up in is taken before `body` begins: for want of it std::bad_alloc is thrown, and neither runs.
///
///     auto reply = co_await mobius::finally(ask(connection), [&] { return connection.close(); });
template <class Body, class Cleanup>
auto finally(Body body, Cleanup cleanup) -> task<await_result_t<detail::made_t<Body>>> {
  using made = detail::made_t<Body>;
  std::optional<failure> error;
  auto cleaning = shield(detail::clean_up(cleanup, error));
  std::optional<result<detail::await_result_t<made>>> outcome;
  try {
    made work = detail::make_awaitable(body);
    outcome.emplace(co_await detail::outcome_operation<made>(work));
  } catch (...) {
    outcome.emplace(failure());
  }
  const result<void> cleaned = co_await detail::outcome_operation<decltype(cleaning)>(cleaning);
  if (!*outcome) {
    if (error) report_unhandled(*error, "the clean-up of `finally`, after an error");
    outcome->error().rethrow();
  }
  if (error) error->rethrow();
  if (!cleaned) cleaned.error().rethrow();
  co_return std::move(*outcome).value();
}

/// A cancellation point and nothing else: throws `cancelled` if the awaiting chain has been
/// cancelled, and goes on without suspending if not. `yield()` also lets others run.
inline detail::checkpoint_operation checkpoint() noexcept { return {}; }

/// `timeout` with a point in time in place of a duration, by the current reactor's clock.
///
///     const auto end = mobius::reactor::current().now() + 5s;
///     auto head = co_await mobius::deadline(end, read_head(stream));
template <awaitable A>
detail::timeout_operation<A&&> deadline(std::chrono::steady_clock::time_point end, A&& a) {
  reactor& r = reactor::current();
  const auto now = r.now();
  const auto left = end > now ? end - now : std::chrono::nanoseconds(0);
  return detail::timeout_operation<A&&>(r, left, static_cast<A&&>(a));
}

}  // namespace mobius
