#pragma once
// Awaitables in general: how any of them is awaited, started under another context, and asked
// for its outcome without a throw.
//
// In mobius an *awaitable* is a small movable description (`task`, `stream.receive()`,
// `sleep(1s)`); its operator co_await makes the immovable *awaiter* that lives in the frame of
// the coroutine. Awaiters of other libraries work too; only ours can be cancelled.

#include <coroutine>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>

#include "context.hpp"
#include "failure.hpp"
#include "result.hpp"

namespace mobius {

namespace detail {

template <class A>
concept member_awaitable = requires(A&& a) {
  static_cast<A&&>(a).operator co_await();
};

template <class A>
concept free_awaitable = requires(A&& a) {
  operator co_await(static_cast<A&&>(a));
};

template <class A>
concept awaiter = requires(A& a) {
  { a.await_ready() } -> std::convertible_to<bool>;
  a.await_resume();
};

/// Stands in the frame for an awaiter that lives elsewhere; g++ would copy it from a reference.
template <class A>
class borrowed_awaiter {
 public:
  explicit borrowed_awaiter(A& a) noexcept : awaiter_(a) {}
  bool await_ready() { return awaiter_.await_ready(); }
  template <class Promise>
  auto await_suspend(std::coroutine_handle<Promise> h,
                     std::source_location where = std::source_location::current()) {
    if constexpr (requires { awaiter_.suspend(h, context_of(h), where); }) {
      return awaiter_.suspend(h, context_of(h), where);
    } else {
      return awaiter_.await_suspend(h);
    }
  }
  auto suspend(std::coroutine_handle<> h, context* ctx, const std::source_location& where) requires
      requires(A& a) {
    a.suspend(h, ctx, where);
  }
  { return awaiter_.suspend(h, ctx, where); }
  decltype(auto) await_resume() { return awaiter_.await_resume(); }

 private:
  A& awaiter_;
};

/// The awaiter of `a`: what its operator co_await makes, or a stand-in for `a` itself.
template <class A>
auto get_awaiter(A&& a) {
  if constexpr (member_awaitable<A>) {
    return std::forward<A>(a).operator co_await();
  } else if constexpr (free_awaitable<A>) {
    return operator co_await(std::forward<A>(a));
  } else {
    using type = std::remove_reference_t<A>;
    static_assert(awaiter<type>,
                  "this cannot be awaited: it has neither operator co_await nor await_ready/await_resume");
    return borrowed_awaiter<type>(a);
  }
}

template <class A>
using awaiter_t = decltype(get_awaiter(std::declval<A>()));

template <class A>
using await_result_t = decltype(std::declval<awaiter_t<A>&>().await_resume());

/// What may be written behind co_await in a coroutine of ours (see reference GCC PR99576): g++ 12
/// destroys an aggregate temporary twice when it is made in the same expression as a co_await.
template <class A>
constexpr void check_awaited() {
  using type = std::remove_reference_t<A>;
  static_assert(
      std::is_lvalue_reference_v<A> || !std::is_aggregate_v<type> || std::is_trivially_destructible_v<type>,
      "g++ 12 destroys such a temporary twice (GCC PR99576): give the awaited type a constructor, or name "
      "the object on the line before and await that");
}

template <class Awaiter>
concept contextual = requires(Awaiter& a, std::coroutine_handle<> h, context* ctx,
                              const std::source_location& where) {
  a.suspend(h, ctx, where);
};

inline transfer to_transfer(bool suspended, std::coroutine_handle<> h) noexcept {
  return suspended ? stay_suspended() : go_on(h);
}
#ifdef MOBIUS_TRAMPOLINE
inline transfer to_transfer(std::coroutine_handle<> next, std::coroutine_handle<> h) noexcept {
  if (next == h) return false;
  if (next != std::noop_coroutine()) resume(next);
  return true;
}
#else
inline transfer to_transfer(std::coroutine_handle<> next, std::coroutine_handle<>) noexcept { return next; }
#endif

/// Starts any awaiter on behalf of `h`, under `ctx` if it knows of contexts.
template <class Awaiter>
transfer start_awaiter(Awaiter& a, std::coroutine_handle<> h, context* ctx,
                       const std::source_location& where) {
  if constexpr (contextual<Awaiter>) {
    return to_transfer(a.suspend(h, ctx, where), h);
  } else {
    if (a.await_ready()) return go_on(h);
    using answer = decltype(a.await_suspend(h));
    if constexpr (std::is_void_v<answer>) {
      a.await_suspend(h);
      return stay_suspended();
    } else {
      return to_transfer(a.await_suspend(h), h);
    }
  }
}

/// The outcome of an awaiter that has ended, `cancelled` included; ours give it without a throw.
template <class Awaiter>
auto outcome_of(Awaiter& a) -> result<decltype(a.await_resume())> {
  using T = decltype(a.await_resume());
  if constexpr (requires { a.outcome(); }) {
    return a.outcome();
  } else {
    try {
      if constexpr (std::is_void_v<T>) {
        a.await_resume();
        return {};
      } else {
        return a.await_resume();
      }
    } catch (...) {
      return failure();
    }
  }
}

}  // namespace detail

/// Anything that may stand behind co_await.
template <class A>
concept awaitable =
    detail::member_awaitable<A> || detail::free_awaitable<A> || detail::awaiter<std::remove_reference_t<A>>;

/// What awaiting an `A` gives.
template <awaitable A>
using await_result_t = detail::await_result_t<A>;

/// True for an awaitable that uses memory of its maker's while it is awaited (a write of a span), and
/// so cannot be started to run by itself. It says so by a member type `borrows_memory`.
template <class A>
inline constexpr bool borrows_memory = requires {
  typename A::borrows_memory;
};

/// True for an awaitable whose library has a `race` of its own, for races of nothing else.
template <class A>
inline constexpr bool has_own_race = false;

namespace detail {

/// Base of awaiters that wrap another awaiter: keeps the awaitable (by value if it was an rvalue
/// that can move, else borrowed) and the awaiter made of it.
template <class A>
using kept_t =
    std::conditional_t<std::is_lvalue_reference_v<A> || !std::is_move_constructible_v<std::remove_cvref_t<A>>,
                       A&&, std::remove_cvref_t<A>>;

template <class A>
class as_result_awaiter {
 public:
  using value_type = detail::await_result_t<A>;

  explicit as_result_awaiter(A&& a) : inner_(get_awaiter(static_cast<A&&>(a))) {}

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  transfer await_suspend(std::coroutine_handle<Promise> h,
                         std::source_location where = std::source_location::current()) {
    return suspend(h, context_of(h), where);
  }
  transfer suspend(std::coroutine_handle<> h, context* ctx, const std::source_location& where) {
    ctx_ = ctx;
    try {
      return start_awaiter(inner_, h, ctx, where);
    } catch (...) {
      refused_ = failure();
      return go_on(h);
    }
  }

  result<value_type> await_resume() {
    result<value_type> r = take();
    if (ctx_ && ctx_->stopping() && !r && r.error().template check<cancelled>()) throw cancelled();
    return r;
  }
  result<result<value_type>> outcome() {
    result<value_type> r = take();
    if (ctx_ && ctx_->stopping() && !r && r.error().template check<cancelled>()) return std::move(r.error());
    return result<result<value_type>>(std::move(r));
  }

 private:
  result<value_type> take() {
    if (refused_) return std::move(*refused_);
    return outcome_of(inner_);
  }

  awaiter_t<A> inner_;
  context* ctx_ = nullptr;
  std::optional<failure> refused_;  // it could not even be started
};

}  // namespace detail

/// What `as_result` returns: an awaitable whose result is a `result<T>`.
template <class A>
class [[nodiscard("co_await it")]] as_result_operation {
 public:
  explicit as_result_operation(A && a) : kept_(static_cast<A&&>(a)) {}
  detail::as_result_awaiter<A> operator co_await()&& {
    return detail::as_result_awaiter<A>(static_cast<A&&>(kept_));
  }

 private:
  detail::kept_t<A> kept_;
};

template <class A>
inline constexpr bool borrows_memory<as_result_operation<A>> = borrows_memory<std::remove_cvref_t<A>>;

/// Awaits `a` and gives its outcome as a `result`: nothing is thrown for an error, also not inside.
/// If the awaiting chain itself is being cancelled for good, `cancelled` is thrown all the same: a
/// cancel is not an error of `a`.
///
///     auto page = co_await mobius::as_result(http::get_page(url));
///     if (!page) std::cerr << page.error().what();
template <awaitable A>
as_result_operation<A&&> as_result(A&& a) {
  return as_result_operation<A&&>(static_cast<A&&>(a));
}

}  // namespace mobius
