#pragma once
// What a callback returns, and what that makes of the chain: values stay values, a deferred, task
// or result of U makes a chain of U, a failure or `never` leaves the type as it is.

#include <concepts>
#include <functional>
#include <type_traits>
#include <utility>

#include "../runtime/awaitable.hpp"
#include "../runtime/result.hpp"

namespace mobius {

template <class T = void>
class deferred;
template <class T = void>
class resolver;
template <class T>
class closure_chain;

/// The return type of a callback that always throws: it fits a chain of any type.
///
///     d.add_errback([](mobius::failure f) -> mobius::never { throw page_error(f.what()); });
struct never {
  never() = delete;
};

/// Deferreds race as Twisted's do (list.hpp).
template <class T>
inline constexpr bool has_own_race<deferred<T>> = true;
/// So do these.
template <class T>
inline constexpr bool has_own_race<closure_chain<T>> = true;

namespace detail {

template <class T>
inline constexpr bool is_deferred = false;
template <class T>
inline constexpr bool is_deferred<deferred<T>> = true;
template <class T>
inline constexpr bool is_deferred<closure_chain<T>> = true;
template <class T>
inline constexpr bool is_result = false;
template <class T>
inline constexpr bool is_result<result<T>> = true;

/// An awaitable that is no deferred yet: a task, an operation, anything else to `co_await`.
template <class A>
concept other_awaitable = awaitable<A> && !is_deferred<std::remove_cvref_t<A>>;

/// What a callback that returns `R` makes of a chain of `In`. `keeps`: the type stays what it is.
template <class R, class In>
struct lifted {
  static constexpr bool keeps = false;
  static constexpr bool waits = false;
  using type = R;
};
template <class R, class In>
requires std::is_reference_v<R>
struct lifted<R, In> : lifted<std::remove_cvref_t<R>, In> {
};
template <class R>
struct lifted<R&, R&> {
  static constexpr bool keeps = false;
  static constexpr bool waits = false;
  using type = R&;
};
template <class U, class In>
struct lifted<deferred<U>, In> {
  static constexpr bool keeps = false;
  static constexpr bool waits = true;
  using type = U;
};
template <class U, class In>
struct lifted<closure_chain<U>, In> : lifted<deferred<U>, In> {};
template <class U, class In>
struct lifted<result<U>, In> {
  static constexpr bool keeps = false;
  static constexpr bool waits = false;
  using type = U;
};
template <class R, class In>
requires(std::same_as<R, failure> || std::same_as<R, never>) struct lifted<R, In> {
  static constexpr bool keeps = true;
  static constexpr bool waits = false;
  using type = In;
};
template <class R, class In>
requires(!std::is_reference_v<R> && !std::is_void_v<R> && !is_deferred<R> &&
         awaitable<R>) struct lifted<R, In> {
  static constexpr bool keeps = false;
  static constexpr bool waits = true;
  using type = await_result_t<R>;
};

/// Stands for the result of a call that does not compile; a static_assert has said so.
struct not_callable {};

template <class F, class... Args>
struct called {
  using type = not_callable;
};
template <class F, class... Args>
requires std::invocable<F&, Args...>
struct called<F, Args...> {
  using type = std::invoke_result_t<F&, Args...>;
};

/// What `F` returns for the value of a chain of `T`.
template <class F, class T>
struct called_with : called<F, T&&> {};
template <class F, class T>
requires std::is_void_v<T>
struct called_with<F, T> : called<F> {
};

template <class F, class T>
using value_return_t = typename called_with<F, T>::type;
template <class F, class... Args>
using return_t = typename called<F, Args...>::type;

template <class R, class In>
using lifted_t = typename lifted<R, In>::type;

template <class F, class... Args>
inline constexpr bool callable = std::invocable<F&, Args...>;
template <class F, class T>
inline constexpr bool takes_value = !std::same_as<value_return_t<F, T>, not_callable>;

/// Can `From`, the tail of what a callback returned, be stored as a `To`?
template <class From, class To>
inline constexpr bool fits = std::same_as<From, To> ||
                             (!std::is_void_v<From> && !std::is_void_v<To> && !std::is_reference_v<To> &&
                              std::convertible_to<From, To>);

/// A callable without state: it may be called where it lies, however long what it returns runs.
template <class F>
inline constexpr bool stateless = std::is_empty_v<F> || std::is_pointer_v<F> || std::is_member_pointer_v<F>;

/// Does `F` certainly take its argument by value? Unknown (overloaded, generic) counts as no.
template <class F>
inline constexpr bool by_value = false;
template <class R, class A>
inline constexpr bool by_value<R (*)(A)> = !std::is_reference_v<A>;
template <class R, class A>
inline constexpr bool by_value<R (*)(A) noexcept> = !std::is_reference_v<A>;
template <class R, class C, class A>
inline constexpr bool by_value<R (C::*)(A)> = !std::is_reference_v<A>;
template <class R, class C, class A>
inline constexpr bool by_value<R (C::*)(A) const> = !std::is_reference_v<A>;
template <class F>
requires(std::is_class_v<F>&& requires {
  &F::operator();
}) inline constexpr bool by_value<F> = by_value<decltype(&F::operator())>;

}  // namespace detail
}  // namespace mobius
