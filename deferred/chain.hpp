#pragma once
// `deferred<T>`: the consumer's end of a chain of callbacks.

#include "actions.hpp"
#include "await.hpp"

namespace mobius {

template <class T>
class closure_chain;

namespace detail {

template <class T>
class deferred_awaiter;
template <class T>
class deferred_promise;
struct deferred_access;

/// The type that add_callbacks gives a chain whose two sides return `V` and `E`.
template <class T, class V, class E>
struct joint_tail {
  using value = lifted_t<V, T>;
  using error = lifted_t<E, T>;
  static constexpr auto choose() {
    if constexpr (lifted<V, T>::keeps) {
      return std::type_identity<error>();
    } else if constexpr (lifted<E, T>::keeps || fits<error, value>) {
      return std::type_identity<value>();
    } else if constexpr (fits<value, error>) {
      return std::type_identity<error>();
    } else {
      return std::type_identity<not_callable>();
    }
  }
  using type = typename decltype(choose())::type;
};

#if defined(__GNUC__) && !defined(__clang__) && (__GNUC__ < 12 || (__GNUC__ == 12 && __GNUC_MINOR__ < 3))
/// GCC PR99576: what a lambda captures by value is destroyed twice when the lambda stands in the
/// same expression as a co_await.
inline constexpr bool breaks_closures = true;
#else
inline constexpr bool breaks_closures = false;
#endif

/// What the add functions on a temporary return: with such a compiler and a lambda that owns
/// something, a deferred that cannot be awaited in the same expression (closure_chain.hpp).
template <class U, class... F>
using marked = std::conditional_t<breaks_closures && !(... && std::is_trivially_destructible_v<F>),
                                  closure_chain<U>, deferred<U>>;

/// Where a stage was added.
using place = std::source_location;

}  // namespace detail

/// Holds the callbacks of a deferred back while it lives: what `pause_scope` returns.
class pause_guard {
 public:
  pause_guard(pause_guard&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
  pause_guard& operator=(pause_guard&&) = delete;
  ~pause_guard() {
    if (!core_) return;
    if (--core_->paused == 0) detail::start(core_);
    detail::release(core_);
  }

 private:
  template <class>
  friend class deferred;
  explicit pause_guard(detail::core* c) noexcept : core_(detail::hold(c)) {}

  detail::core* core_;
};

/// A value that is or will be there, and the callbacks on its way (Twisted's Deferred). Move-only;
/// typed by the tail of its chain. A `resolver` fires it once; callbacks then run at once,
/// synchronously, in the order in which they were added, and a callback that is added later runs
/// at once too. Each gets what the one before returned:
///
///     http::get_page(url)
///         .add_callback([](std::string page) { return page.size(); })
///         .add_errback([](mobius::failure) { return 0u; })
///         .add_callback([](std::size_t n) { std::cout << n << " bytes\n"; });
///
/// A callback may return a value; a `deferred`, task or other awaitable of it, for whose end the
/// chain then waits; a `result`; or a `failure`. What it throws becomes a failure, which goes to
/// the next errback. On an lvalue, `d.add_callback(f)` adds in place and must keep the type; on an
/// rvalue it may change it: `auto e = std::move(d).add_callback(f)`. A callable and its argument
/// live until the deferred or task that it returned has ended, so it may be a coroutine lambda
/// with captures.
///
/// Dropping the handle detaches the chain: its callbacks still run. A failure at the end of a
/// dropped chain goes to the unhandled hook. `co_await d` takes the outcome and leaves `d` empty.
/// All of it belongs to one thread.
template <class T>
class deferred {
  using place = detail::place;

 public:
  /// The type of the value at the tail of the chain.
  using value_type = T;
  /// What a coroutine that returns this type runs on.
  using promise_type = detail::deferred_promise<T>;

  /// An empty handle; it can be assigned to, tested and destroyed.
  deferred() noexcept = default;

  /// Adds `f(T)` (`f()` for void), which runs if the chain has a value then.
  template <class F>
  deferred& add_callback(F f, place where = place::current()) & {
    using R = detail::value_return_t<F, T>;
    constexpr bool ok = check_callback<F>();
    static_assert(
        !ok || detail::fits<detail::lifted_t<R, T>, T>,
        "mobius: this callback changes the type of the chain, which a named deferred cannot: return "
        "the value from it, use tap() to look at the value only, or write "
        "std::move(d).add_callback(f) and use the deferred that this returns");
    if constexpr (ok && detail::fits<detail::lifted_t<R, T>, T>) {
      attach(detail::callback_action<T, T, F>(std::move(f)), where);
    }
    return *this;
  }
  /// The same; the type may change.
  template <class F>
  auto add_callback(F f, place where = place::current()) && {
    if constexpr (check_callback<F>()) {
      using U = detail::lifted_t<detail::value_return_t<F, T>, T>;
      return detail::marked<U, F>(extend(detail::callback_action<T, U, F>(std::move(f)), where));
    } else {
      return std::move(*this);
    }
  }

  /// Adds `f(failure)`, which runs if the chain has a failure then. What it returns must fit `T`;
  /// use `-> mobius::never` for one that always throws.
  template <class F>
  requires(!std::is_base_of_v<std::exception, F>) deferred& add_errback(F f,
                                                                        place where = place::current()) & {
    if constexpr (check_errback<F, failure>(std::false_type())) {
      attach(detail::errback_action<T, T, F>(std::move(f)), where);
    }
    return *this;
  }
  /// The same; one that returns nothing makes a chain of void, whose value is dropped.
  template <class F>
  auto add_errback(F f, place where = place::current()) && {
    if constexpr (check_errback<F, failure>(std::true_type())) {
      return detail::marked<errback_tail<F, failure>, F>(
          extend(detail::errback_action<T, errback_tail<F, failure>, F>(std::move(f)), where));
    } else {
      return std::move(*this);
    }
  }
  /// Adds `f(E&)` for failures that are one of `E...`; others pass it by, unthrown.
  template <class First, class... E, class F>
  deferred& add_errback(F f, place where = place::current()) & {
    if constexpr ((check_errback<F, First&>(std::false_type()) && ... &&
                   check_errback<F, E&>(std::false_type()))) {
      attach(detail::typed_errback_action<T, T, F, First, E...>(std::move(f)), where);
    }
    return *this;
  }
  /// The same; one that returns nothing makes a chain of void.
  template <class First, class... E, class F>
  auto add_errback(F f, place where = place::current()) && {
    if constexpr ((check_errback<F, First&>(std::true_type()) && ... &&
                   check_errback<F, E&>(std::true_type()))) {
      using U = errback_tail<F, First&>;
      return detail::marked<U, F>(
          extend(detail::typed_errback_action<T, U, F, First, E...>(std::move(f)), where));
    } else {
      return std::move(*this);
    }
  }

  /// Adds a pair of which exactly one runs: `f` on a value, or `g` on a failure that was there
  /// before; `g` does not see what `f` throws.
  template <class F, class G>
  deferred& add_callbacks(F f, G g, place where = place::current()) & {
    constexpr bool ok = check_callback<F>() && check_errback_call<G, failure>();
    if constexpr (ok) {
      using V = detail::lifted_t<detail::value_return_t<F, T>, T>;
      static_assert(
          detail::fits<V, T>,
          "mobius: this callback changes the type of the chain, which a named deferred cannot: return "
          "the value from it, or write std::move(d).add_callbacks(f, g)");
      if constexpr (detail::fits<V, T> && check_errback<G, failure>(std::false_type())) {
        attach(detail::callbacks_action<T, T, F, G>(std::move(f), std::move(g)), where);
      }
    }
    return *this;
  }
  /// The same; the type may change. When the two sides return different types, name the one that
  /// the chain goes on with: `add_callbacks<page>(f, g)`.
  template <class F, class G>
  auto add_callbacks(F f, G g, place where = place::current()) && {
    if constexpr (check_callback<F>() && check_errback_call<G, failure>()) {
      using V = detail::value_return_t<F, T>;
      using U = typename detail::joint_tail<T, V, detail::return_t<G, failure>>::type;
      static_assert(
          !std::is_same_v<U, detail::not_callable>,
          "mobius: the callback and the errback return different types: name the one that the chain "
          "goes on with, add_callbacks<type>(f, g)");
      if constexpr (!std::is_same_v<U, detail::not_callable>) {
        return detail::marked<U, F, G>(
            extend(detail::callbacks_action<T, U, F, G>(std::move(f), std::move(g)), where));
      } else {
        return std::move(*this);
      }
    } else {
      return std::move(*this);
    }
  }
  /// The same with the type of the tail given.
  template <class Tail, class F, class G>
  auto add_callbacks(F f, G g, place where = place::current()) && {
    if constexpr (check_callback<F>() && check_errback_call<G, failure>()) {
      using V = detail::lifted_t<detail::value_return_t<F, T>, Tail>;
      using E = detail::lifted_t<detail::return_t<G, failure>, Tail>;
      static_assert(detail::fits<V, Tail> && detail::fits<E, Tail>,
                    "mobius: add_callbacks<type>(f, g): what f or g returns does not convert to that type");
      if constexpr (detail::fits<V, Tail> && detail::fits<E, Tail>) {
        return detail::marked<Tail, F, G>(
            extend(detail::callbacks_action<T, Tail, F, G>(std::move(f), std::move(g)), where));
      } else {
        return deferred<Tail>();
      }
    } else {
      return deferred<Tail>();
    }
  }

  /// Adds `f(result<T>)`, or an overloaded `f` that takes a `T` and a `failure`; it runs in either
  /// case.
  template <class F>
  deferred& add_both(F f, place where = place::current()) & {
    if constexpr (check_both<F>()) {
      static_assert(
          detail::fits<both_tail<F>, T>,
          "mobius: this callback changes the type of the chain, which a named deferred cannot: return "
          "the value or the result from it, or write std::move(d).add_both(f)");
      if constexpr (detail::fits<both_tail<F>, T>) attach_both<T>(*this, std::move(f), where);
    }
    return *this;
  }
  /// The same; the type may change.
  template <class F>
  auto add_both(F f, place where = place::current()) && {
    if constexpr (check_both<F>()) {
      return detail::marked<both_tail<F>, F>(
          attach_both<both_tail<F>>(std::move(*this), std::move(f), where));
    } else {
      return std::move(*this);
    }
  }

  /// Adds `f(const T&)` (`f()` for void), which looks at a value; the value passes on. What `f`
  /// throws becomes the result, what it returns is ignored.
  template <class F>
  deferred& tap(F f, place where = place::current()) & {
    if constexpr (check_tap<F>()) attach(detail::tap_action<T, F>(std::move(f)), where);
    return *this;
  }
  /// The same on a temporary.
  template <class F>
  auto tap(F f, place where = place::current()) && {
    if constexpr (check_tap<F>()) {
      return detail::marked<T, F>(extend(detail::tap_action<T, F>(std::move(f)), where));
    } else {
      return std::move(*this);
    }
  }

  /// Adds `f(const failure&)`, which looks at a failure; the failure passes on.
  template <class F>
  requires std::invocable<F&, const failure&> deferred& log_failure(F f, place where = place::current()) & {
    attach(detail::tap_error_action<T, F>(std::move(f)), where);
    return *this;
  }
  /// The same on a temporary.
  template <class F>
  requires std::invocable<F&, const failure&> deferred log_failure(F f, place where = place::current()) && {
    return extend(detail::tap_error_action<T, F>(std::move(f)), where);
  }
  /// Gives a failure to the unhandled hook, with the place of this call, and passes it on.
  deferred& log_failure(place where = place::current()) & {
    return log_failure([where](const failure& f) { report_unhandled(f, to_string(where)); }, where);
  }
  /// The same on a temporary.
  deferred log_failure(place where = place::current()) && {
    return std::move(*this).log_failure([where](const failure& f) { report_unhandled(f, to_string(where)); },
                                        where);
  }

  /// The same chain with its value converted to `U`.
  template <class U>
  deferred<U> as(place where = place::current()) && {
    if constexpr (std::is_same_v<U, T>) {
      return std::move(*this);
    } else {
      auto convert = [](T&& value) -> U { return static_cast<U>(std::forward<T>(value)); };
      return extend(detail::callback_action<T, U, decltype(convert)>(std::move(convert)), where);
    }
  }

  /// Asks what the chain waits for now to stop (Twisted's cancel): a pending deferred fires with
  /// `cancelled` unless its canceller decides otherwise; a chain that waits for another passes it
  /// on; one that is fired, or running a callback, takes no notice. The code may recover, go on,
  /// and be cancelled again. What a canceller throws is thrown here, and the deferred stays pending.
  void cancel() {
    if (handle_.state() == detail::holding::core) detail::cancel(handle_.pending());
  }

  /// Holds the callbacks back until as many `unpause` have been called; the one that is running,
  /// and what it is followed by, goes on.
  void pause();
  /// Undoes one `pause`; throws `deferred_misuse` if there was none.
  void unpause();

  /// The same for a block: undone when what is returned ends.
  ///
  ///     const auto held = d.pause_scope();
  [[nodiscard("what is returned holds the callbacks back")]] pause_guard pause_scope();

  /// From now on dropping the handle cancels the chain instead of detaching it; so does the end of a
  /// coroutine that awaits it. Handing it over passes this on.
  deferred& cancel_on_drop() & {
    handle_.promote()->set(detail::core::frail);
    return *this;
  }
  /// The same on a temporary: `auto attempt = connect().cancel_on_drop();`
  deferred cancel_on_drop() && {
    cancel_on_drop();
    return std::move(*this);
  }

  /// True unless it is empty: moved from, awaited or handed to a chain.
  explicit operator bool() const noexcept { return handle_.state() != detail::holding::nothing; }
  /// True if its outcome is there and can be taken at once.
  bool ready() const noexcept { return handle_.ready_here() || (core_or_null() && core_or_null()->idle()); }
  /// True if it has been paused more often than unpaused.
  bool paused() const noexcept { return core_or_null() && core_or_null()->paused != 0; }
  /// True while a callback's own deferred or task is waited for.
  bool waiting() const noexcept { return core_or_null() && core_or_null()->has(detail::core::waiting); }
  /// The value that it has now, or null; while a callback runs there is none.
  const detail::stored_t<T>* value_if() noexcept;
  /// The failure that it has now, or null.
  const failure* failure_if() noexcept;
  /// Takes the outcome, which must be there (`ready`): the value, or the failure, thrown.
  T get_now() &&;

  /// Waits for the outcome: the value, or the failure, thrown. Takes it: the handle is empty from
  /// then on. A cancel of the awaiting coroutine is passed on to the deferred, and the outcome is
  /// what that makes of it.
  detail::deferred_awaiter<T> operator co_await() & { return detail::deferred_awaiter<T>(for_await()); }
  /// The same for a temporary.
  detail::deferred_awaiter<T> operator co_await() && { return detail::deferred_awaiter<T>(for_await()); }

 private:
  friend struct detail::deferred_access;
  template <class>
  friend class deferred;
  template <class U>
  friend detail::handle<U>& detail::handle_of(deferred<U>& d) noexcept;

  explicit deferred(detail::core* c) noexcept : handle_(c) {}

  template <class F>
  static consteval bool check_callback();
  template <class F, class Arg>
  static consteval bool check_errback_call();
  template <class F, class Arg, class MayDrop>
  static consteval bool check_errback(MayDrop);
  template <class F>
  static consteval bool check_both();
  template <class F>
  static consteval bool check_tap();

  /// void if the errback returns nothing, else T.
  template <class F, class Arg>
  using errback_tail =
      std::conditional_t<std::is_void_v<detail::lifted_t<detail::return_t<F, Arg>, T>>, void, T>;

  template <class F>
  static constexpr bool takes_result = std::invocable<F&, result<T>>;
  template <class F>
  struct both_types {
    using value = detail::value_return_t<F, T>;
    using type = typename detail::joint_tail<T, value, detail::return_t<F, failure>>::type;
  };
  template <class F>
  requires takes_result<F>
  struct both_types<F> {
    using type = detail::lifted_t<detail::return_t<F, result<T>>, T>;
  };
  template <class F>
  using both_tail = typename both_types<F>::type;

  template <class U, class Self, class F>
  static auto attach_both(Self&& self, F&& f, place where) {
    using action =
        std::conditional_t<takes_result<F>, detail::both_action<T, U, F>, detail::overloaded_action<T, U, F>>;
    if constexpr (std::is_lvalue_reference_v<Self>) {
      self.attach(action(std::forward<F>(f)), where);
    } else {
      return self.extend(action(std::forward<F>(f)), where);
    }
  }

  template <class Action>
  void attach(Action&& action, place where);
  template <class Action>
  void attach_here(Action&& action, place where);
  template <class Action>
  void run_here(Action& action, place where) noexcept;
  template <class Action>
  deferred<typename Action::tail> extend(Action&& action, place where);

  detail::core* core_or_null() const noexcept {
    return handle_.state() == detail::holding::core ? handle_.pending() : nullptr;
  }
  detail::handle<T>& for_await() {
    if (handle_.state() == detail::holding::nothing) handle_.throw_empty();
    return handle_;
  }

  detail::handle<T> handle_;
};

}  // namespace mobius

#include "chain_impl.hpp"
#include "closure_chain.hpp"
