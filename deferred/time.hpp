#pragma once
// Deferreds and time: `defer_later` and time limits, on any source of time.

#include <chrono>
#include <concepts>
#include <memory>

#include "../runtime/reactor.hpp"
#include "../runtime/timeout.hpp"
#include "helpers.hpp"
#include "timing/time_source.hpp"

namespace mobius {

/// Fires after `delay` with what `f(args...)` returns then, or waits for it (Twisted's deferLater).
/// Cancel takes the call back and gives `cancelled`.
template <time_source Source, class F, class... Args>
auto defer_later(Source& source, std::chrono::nanoseconds delay, F f, Args... args);

namespace detail {

/// The call that defer_later makes. Dropped unmade, by a cancel or by a reactor that ends, it gives
/// `cancelled` to who waits.
class due {
 public:
  explicit due(resolver<void> r) noexcept : fire_(std::move(r)) {}
  due(const due&) = default;
  due(due&&) noexcept = default;
  due& operator=(const due&) = delete;
  ~due() {
    core* c = fire_.core_;
    if (c && c->resolvers == 1 && c->has(core::awaited) && !c->has(core::fired | core::cancelling)) {
      c->set(core::stopped);
      fire_.errback(cancelled_failure());
    }
  }

  void operator()() const { fire_(); }

 private:
  resolver<void> fire_;
};

}  // namespace detail

/// Fires after `delay`.
template <time_source Source>
deferred<void> defer_later(Source& source, std::chrono::nanoseconds delay,
                           std::source_location where = std::source_location::current()) {
  auto [d, fire] = make_deferred<void>(where);
  auto call = source.call_later(delay, detail::due(std::move(fire)));
  detail::set_canceller(d, [call]() mutable { call.cancel(); });
  return std::move(d);
}

template <time_source Source, class F, class... Args>
auto defer_later(Source& source, std::chrono::nanoseconds delay, F f, Args... args) {
  if constexpr (sizeof...(Args) == 0) {
    return defer_later(source, delay).add_callback(std::move(f));
  } else {
    return defer_later(source, delay)
        .add_callback(
            [f = std::move(f), bound = std::tuple<Args...>(std::move(args)...)]() mutable -> decltype(auto) {
              return std::apply(f, std::move(bound));
            });
  }
}

/// The same on this thread's reactor: `defer_later(1s, print, "The future is now!")`.
template <class F, class... Args>
auto defer_later(std::chrono::nanoseconds delay, F f, Args... args) {
  return defer_later(reactor::current(), delay, std::move(f), std::move(args)...);
}
/// The same without a function.
inline deferred<void> defer_later(std::chrono::nanoseconds delay,
                                  std::source_location where = std::source_location::current()) {
  return defer_later(reactor::current(), delay, where);
}

namespace detail {

template <class Call>
struct time_limit {
  bool expired = false;
  Call call{};
};

/// Adds to `d`, at its end, a stage that stops the clock, or gives `on_timeout` the result.
template <class T, time_source Source, class F>
void limit_time(deferred<T>& d, Source& source, std::chrono::nanoseconds limit, F on_timeout,
                const std::source_location& where) {
  using call = decltype(source.call_later(limit, [] {}));
  using R = std::invoke_result_t<F&, result<T>>;
  const auto state = std::make_shared<time_limit<call>>();
  state->call = source.call_later(limit, [state, target = cancel_handle(d)] {
    state->expired = true;
    target.cancel();
  });
  if constexpr (lifted<R, T>::waits) {
    d.add_both(
        [state, on_timeout = std::move(on_timeout)](result<T> r) mutable -> deferred<T> {
          if (state->expired) return to_deferred(on_timeout(std::move(r)));
          state->call.cancel();
          return from_result<T>(std::move(r));
        },
        where);
  } else {
    d.add_both(
        [state, on_timeout = std::move(on_timeout)](result<T> r) mutable -> result<T> {
          if (state->expired) return on_timeout(std::move(r));
          state->call.cancel();
          return r;
        },
        where);
  }
}

}  // namespace detail

/// Cancels `d` if it has not come as far as this within `limit`: the callbacks added before are
/// covered, those added later are not. `cancelled` then becomes `timed_out`; any other outcome
/// stays (Twisted's addTimeout).
template <class T, time_source Source>
deferred<T>& add_timeout(deferred<T>& d, Source& source, std::chrono::nanoseconds limit,
                         std::source_location where = std::source_location::current()) {
  detail::limit_time(
      d, source, limit,
      [limit](result<T> r) -> result<T> {
        if (r || !r.error().template check<cancelled>()) return r;
        return detail::timed_out_failure(limit);
      },
      where);
  return d;
}
/// The same on a temporary.
template <class T, time_source Source>
deferred<T> add_timeout(deferred<T>&& d, Source& source, std::chrono::nanoseconds limit,
                        std::source_location where = std::source_location::current()) {
  add_timeout(d, source, limit, where);
  return std::move(d);
}
/// The same, but when the time was up `on_timeout(result<T>)` decides what the outcome becomes. It
/// is not called when somebody else cancels.
template <class T, time_source Source, class F>
requires std::invocable<F&, result<T>> deferred<T>
&add_timeout(deferred<T>& d, Source& source, std::chrono::nanoseconds limit, F on_timeout,
             std::source_location where = std::source_location::current()) {
  detail::limit_time(d, source, limit, std::move(on_timeout), where);
  return d;
}

/// The same on a temporary.
template <class T, time_source Source, class F>
requires std::invocable<F&, result<T>> deferred<T> add_timeout(
    deferred<T>&& d, Source& source, std::chrono::nanoseconds limit, F on_timeout,
    std::source_location where = std::source_location::current()) {
  detail::limit_time(d, source, limit, std::move(on_timeout), where);
  return std::move(d);
}
/// For a task or other awaitable, which is started.
template <detail::other_awaitable A, time_source Source>
auto add_timeout(A a, Source& source, std::chrono::nanoseconds limit,
                 std::source_location where = std::source_location::current()) {
  return add_timeout(to_deferred(std::move(a)), source, limit, where);
}

/// The time limit on this thread's reactor.
template <class T>
deferred<T>& add_timeout(deferred<T>& d, std::chrono::nanoseconds limit,
                         std::source_location where = std::source_location::current()) {
  return add_timeout(d, reactor::current(), limit, where);
}
/// The same on a temporary.
template <class T>
deferred<T> add_timeout(deferred<T>&& d, std::chrono::nanoseconds limit,
                        std::source_location where = std::source_location::current()) {
  return add_timeout(std::move(d), reactor::current(), limit, where);
}
/// For a task or other awaitable, which is started.
template <detail::other_awaitable A>
auto add_timeout(A a, std::chrono::nanoseconds limit,
                 std::source_location where = std::source_location::current()) {
  return add_timeout(std::move(a), reactor::current(), limit, where);
}

}  // namespace mobius
