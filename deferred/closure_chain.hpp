#pragma once
// `closure_chain<T>`: what keeps g++ 12.2 from destroying a lambda's captures twice (GCC PR99576).

#include "chain.hpp"

namespace mobius {

/// A deferred to which a lambda that owns something was added in the same expression. It is one in
/// every respect, but `co_await` refuses it as long as it has no name; other compilers never make
/// one.
///
///     mobius::deferred<bool> same = fetch(url).add_callback([text](std::string s) { return s == text; });
///     co_await same;  // in the same expression g++ 12.2 would destroy `text` twice
template <class T>
class closure_chain : public deferred<T> {
  using place = detail::place;

 public:
  explicit closure_chain(deferred<T>&& d) noexcept : deferred<T>(std::move(d)) {}

  using deferred<T>::add_callback;
  using deferred<T>::add_errback;
  using deferred<T>::add_callbacks;
  using deferred<T>::add_both;
  using deferred<T>::tap;
  using deferred<T>::log_failure;
  using deferred<T>::cancel_on_drop;
  using deferred<T>::operator co_await;

  /// As on a deferred; what is returned has no name either, and is refused as well.
  template <class F>
  auto add_callback(F f, place where = place::current()) && {
    return same(plain().add_callback(std::move(f), where));
  }
  /// As on a deferred.
  template <class F>
  requires(!std::is_base_of_v<std::exception, F>) auto add_errback(F f, place where = place::current()) && {
    return same(plain().add_errback(std::move(f), where));
  }
  /// As on a deferred.
  template <class First, class... E, class F>
  auto add_errback(F f, place where = place::current()) && {
    return same(plain().template add_errback<First, E...>(std::move(f), where));
  }
  /// As on a deferred.
  template <class F, class G>
  auto add_callbacks(F f, G g, place where = place::current()) && {
    return same(plain().add_callbacks(std::move(f), std::move(g), where));
  }
  /// As on a deferred.
  template <class Tail, class F, class G>
  auto add_callbacks(F f, G g, place where = place::current()) && {
    return same(plain().template add_callbacks<Tail>(std::move(f), std::move(g), where));
  }
  /// As on a deferred.
  template <class F>
  auto add_both(F f, place where = place::current()) && {
    return same(plain().add_both(std::move(f), where));
  }
  /// As on a deferred.
  template <class F>
  auto tap(F f, place where = place::current()) && {
    return same(plain().tap(std::move(f), where));
  }
  /// As on a deferred.
  template <class F>
  requires std::invocable<F&, const failure&>
  auto log_failure(F f, place where = place::current()) && {
    return same(plain().log_failure(std::move(f), where));
  }
  /// As on a deferred.
  auto log_failure(place where = place::current()) && { return same(plain().log_failure(where)); }
  /// As on a deferred.
  auto cancel_on_drop() && { return same(plain().cancel_on_drop()); }
  /// As on a deferred.
  template <class U>
  auto as(place where = place::current()) && {
    return same(plain().template as<U>(where));
  }

  /// Refused.
  detail::deferred_awaiter<T> operator co_await() && {
    static_assert(
        !detail::breaks_closures || sizeof(closure_chain) == 0,
        "mobius: g++ 12.2 destroys what this lambda captures twice when it stands in the same "
        "expression as the co_await (GCC PR99576): write deferred<T> e = ...add_callback(...); on the "
        "line before, and then co_await e");
    return plain().operator co_await();
  }

 private:
  deferred<T>&& plain() noexcept { return std::move(static_cast<deferred<T>&>(*this)); }
  template <class U>
  static closure_chain<U> same(deferred<U>&& d) noexcept {
    return closure_chain<U>(std::move(d));
  }
};

}  // namespace mobius
