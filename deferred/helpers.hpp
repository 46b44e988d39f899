#pragma once
// Deferreds that are ready from the start, and small functions round them.

#include <memory>
#include <tuple>

#include "coroutine.hpp"
#include "resolver.hpp"

namespace mobius {

/// A deferred that holds `value`; allocates nothing for small values.
template <class V>
deferred<std::decay_t<V>> succeed(V&& value) {
  deferred<std::decay_t<V>> d;
  detail::handle_of(d).set_value(std::forward<V>(value));
  return d;
}
/// A deferred<void> that has succeeded.
inline deferred<void> succeed() {
  deferred<void> d;
  detail::handle_of(d).set_value();
  return d;
}

/// A deferred that holds a failure. Nobody has handled it yet: dropped, it is reported.
template <class T = void>
deferred<T> fail(failure error, std::source_location where = std::source_location::current()) {
  deferred<T> d;
  error.passed(where);
  detail::handle_of(d).set_error(std::move(error));
  return d;
}
/// A deferred that holds an exception object: `fail<int>(std::out_of_range("index"))`.
template <class T = void, class E>
requires(!std::is_convertible_v<E, failure>) deferred<T> fail(
    E exception, std::source_location where = std::source_location::current()) {
  return fail<T>(failure(std::make_exception_ptr(std::move(exception))), where);
}

/// A deferred that holds what a result holds.
template <class T>
deferred<T> from_result(result<T> r) {
  if (!r) {
    deferred<T> failed;
    detail::handle_of(failed).set_error(std::move(r.error()));
    return failed;
  }
  if constexpr (std::is_void_v<T>) {
    return succeed();
  } else {
    deferred<T> d;
    if constexpr (std::is_reference_v<T>) {
      detail::handle_of(d).set_value(&*r);
    } else {
      detail::handle_of(d).set_value(*std::move(r));
    }
    return d;
  }
}

/// Calls `f(args...)` and gives its outcome as a deferred, whatever it returns: a value, a
/// deferred, a task, a result, a failure, or an exception (Twisted's maybeDeferred). `f` and the
/// arguments live until what it returned has ended.
template <class F, class... Args>
auto maybe_deferred(F f, Args... args) {
  if constexpr (sizeof...(Args) == 0) {
    return succeed().add_callback(std::move(f));
  } else {
    return succeed().add_callback(
        [f = std::move(f), bound = std::tuple<Args...>(std::move(args)...)]() mutable -> decltype(auto) {
          return std::apply(f, std::move(bound));
        });
  }
}

/// Fires `target` with the outcome of `d` (Twisted's chainDeferred). What is returned ends when the
/// callbacks of `target` have run. A cancel of target's deferred does not reach `d`.
template <class T>
deferred<void> chain_deferred(deferred<T> d, resolver<T> target) {
  return std::move(d).add_both([target = std::move(target)](result<T> r) {
    if (!r) return target.errback(std::move(r.error()));
    if constexpr (std::is_void_v<T>) {
      target();
    } else {
      target(*std::move(r));
    }
  });
}

/// The same for a task or other awaitable, which is started.
template <detail::other_awaitable A, class T>
deferred<void> chain_deferred(A a, resolver<T> target) {
  return chain_deferred(to_deferred(std::move(a)), std::move(target));
}

/// Asks a chain to stop, from wherever it is kept: copyable, does not keep the chain alive, and
/// does nothing once that has ended. `call_later(30s, mobius::cancel_handle(attempt))`.
class cancel_handle {
 public:
  /// An empty one, which does nothing.
  cancel_handle() noexcept = default;
  /// One for `d` and what is added to it later.
  template <class T>
  explicit cancel_handle(deferred<T>& d) : core_(detail::handle_of(d).promote()) {
    ++core_->weak;
  }
  cancel_handle(const cancel_handle& other) noexcept : core_(other.core_) {
    if (core_) ++core_->weak;
  }
  cancel_handle(cancel_handle&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
  cancel_handle& operator=(cancel_handle other) noexcept {
    std::swap(core_, other.core_);
    return *this;
  }
  ~cancel_handle() {
    if (core_) detail::release_weak(core_);
  }

  /// As `deferred::cancel`.
  void cancel() const {
    if (core_ && core_->strong != 0) detail::cancel(core_);
  }
  /// The same.
  void operator()() const { cancel(); }

 private:
  friend std::string dump(const cancel_handle& h);

  detail::core* core_ = nullptr;
};

/// The same outcome, but a cancel waits for the end of `d` instead of reaching it: a failure is then
/// given, a value makes way for `cancelled`. For what must not be stopped halfway.
template <class T>
deferred<T> delay_cancel(deferred<T> d) {
  struct shared_state {
    resolver<T> fire;
    bool asked = false;
  };
  const auto state = std::make_shared<shared_state>();
  auto ends = make_deferred<T>([state] {
    state->asked = true;
    return cancel_reply::later;
  });
  state->fire = std::move(ends.resolver);
  std::move(d).add_both([state](result<T> r) {
    const resolver<T> fire = std::move(state->fire);
    if (!r) return fire.errback(std::move(r.error()));
    if (state->asked) return fire.errback(cancelled_failure());
    if constexpr (std::is_void_v<T>) {
      fire();
    } else {
      fire(*std::move(r));
    }
  });
  return std::move(ends.deferred);
}
/// The same for a task or other awaitable, which is started.
template <detail::other_awaitable A>
auto delay_cancel(A a) {
  return delay_cancel(to_deferred(std::move(a)));
}

}  // namespace mobius
