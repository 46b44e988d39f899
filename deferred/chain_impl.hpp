#pragma once
// The implementation of deferred<T> (chain.hpp): the checks that explain wrong use, and how an
// action gets onto a ready or a pending chain.

#include "chain.hpp"

namespace mobius {

namespace detail {

template <class T>
handle<T>& handle_of(deferred<T>& d) noexcept {
  return d.handle_;
}

/// How the other headers make handles.
struct deferred_access {
  template <class T>
  static deferred<T> of_core(core* c) noexcept {
    return deferred<T>(c);
  }
};

/// Ends a stage that ran on a ready handle: its outcome goes to wherever that handle is now.
template <class T>
void finish_inline(inline_run<T>& run) noexcept {
  handle<T>& out = run.out;
  if (core* c = run.promoted) [[unlikely]] {
    bool waits = false;
    if (out.state() == holding::value) {
      cell<stored_t<T>>::relocate(c->slot, &out.value_storage());
      out.forget();
      c->ops = &ops_of<stored_t<T>>;
      c->result = kind::value;
    } else if (out.state() == holding::error) {
      c->put_error(out.take_error());
    } else {
      core* inner = out.promote();
      out.forget();
      waits = link(c, inner);
    }
    if (!waits) return drain(c);
    c->reset(core::running);
    return release(c);
  }
  if (run.owner == &out) {
    out.forget();
    out.set_error(make_failure<deferred_misuse>("a deferred was returned from its own callback"));
  } else if (run.owner) {
    run.owner->forget();
    run.owner->take(out);
  }
}

}  // namespace detail

template <class T>
template <class F>
consteval bool deferred<T>::check_callback() {
  constexpr bool ok = detail::takes_value<F, T>;
  static_assert(
      ok,
      "mobius: this callback cannot be called with the value of the chain: it must take T (or nothing "
      "for deferred<void>)");
  if constexpr (ok) {
    using U = detail::lifted_t<detail::value_return_t<F, T>, T>;
    static_assert(
        !detail::is_deferred<U>,
        "mobius: this callback returns a deferred or task of a deferred: await the inner one in it");
    return !detail::is_deferred<U>;
  }
  return false;
}

template <class T>
template <class F, class Arg>
consteval bool deferred<T>::check_errback_call() {
  constexpr bool ok = std::invocable<F&, Arg>;
  static_assert(ok,
                "mobius: this errback cannot be called: it must take a mobius::failure, or, in "
                "add_errback<E...>(f), an E& for each E");
  return ok;
}

template <class T>
template <class F, class Arg, class MayDrop>
consteval bool deferred<T>::check_errback(MayDrop) {
  if constexpr (check_errback_call<F, Arg>()) {
    using U = detail::lifted_t<detail::return_t<F, Arg>, T>;
    constexpr bool drops = std::is_void_v<U> && !std::is_void_v<T>;
    static_assert(
        !drops || MayDrop::value,
        "mobius: this errback returns nothing, but the chain needs a value to go on with: return one, "
        "declare `-> mobius::never` if it always throws, use log_failure() to look at the failure "
        "only, or write std::move(d).add_errback(f) for a deferred<void>");
    static_assert(drops || detail::fits<U, T>,
                  "mobius: what this errback returns does not convert to the value type of the chain: return "
                  "that type, or use add_callbacks<type>(f, g) to give the chain another");
    return drops ? MayDrop::value : detail::fits<U, T>;
  }
  return false;
}

template <class T>
template <class F>
consteval bool deferred<T>::check_both() {
  // Not asked of one that takes a result: a generic lambda may not compile for a T.
  constexpr bool overloaded = [] {
    if constexpr (takes_result<F>) {
      return false;
    } else {
      return detail::takes_value<F, T> && std::invocable<F&, failure>;
    }
  }();
  static_assert(
      takes_result<F> || overloaded,
      "mobius: this callback cannot be called: add_both needs one that takes a mobius::result<T>, or "
      "one that takes a T and also a mobius::failure");
  if constexpr (overloaded) {
    constexpr bool joint = !std::is_same_v<both_tail<F>, detail::not_callable>;
    static_assert(joint, "mobius: the two sides of this callback return different types");
    return joint;
  }
  return takes_result<F>;
}

template <class T>
template <class F>
consteval bool deferred<T>::check_tap() {
  using seen = std::conditional_t<std::is_reference_v<T>, T, std::add_lvalue_reference_t<const T>>;
  constexpr bool ok = [] {
    if constexpr (std::is_void_v<T>) {
      return std::invocable<F&>;
    } else {
      return std::invocable<F&, seen>;
    }
  }();
  static_assert(ok, "mobius: tap needs a callable that takes a const T& (or nothing for deferred<void>)");
  if constexpr (ok) {
    using R =
        typename std::conditional_t<std::is_void_v<T>, detail::called<F>, detail::called<F, seen>>::type;
    constexpr bool waits = detail::lifted<R, T>::waits;
    static_assert(!waits,
                  "mobius: tap only looks at the value: use add_callback for what must be waited for");
    return !waits;
  }
  return false;
}

template <class T>
template <class Action>
inline void deferred<T>::attach(Action&& action, place where) {
  if (handle_.state() != detail::holding::core) return attach_here(std::forward<Action>(action), where);
  detail::core* c = handle_.pending();
  detail::push_action<T>(c, std::forward<Action>(action), where);
  detail::start(c);
}

template <class T>
template <class Action>
void deferred<T>::attach_here(Action&& action, place where) {
  using A = std::remove_cvref_t<Action>;
  if (handle_.ready_here()) {
    if (!(A::mask & static_cast<std::uint8_t>(handle_.state()))) return;
    if constexpr (A::in_place) return run_here(action, where);
  }
  detail::core* c = handle_.promote(where);
  detail::push_action<T>(c, std::forward<Action>(action), where);
  detail::start(c);
}

template <class T>
template <class Action>
void deferred<T>::run_here(Action& action, place where) noexcept {
  detail::inline_run<T> run(&handle_);
  detail::inline_sink<T> sink(run);
  detail::apply(action, sink, handle_, where, [&]() noexcept { handle_.begin_inline(run); });
  if (!run.ended) detail::finish_inline(run);
}

template <class T>
template <class Action>
inline deferred<typename Action::tail> deferred<T>::extend(Action&& action, place where) {
  using U = typename Action::tail;
  if (handle_.ready_here()) {
    deferred<U> out;
    if (Action::mask & static_cast<std::uint8_t>(handle_.state())) {
      if constexpr (Action::in_place) {
        detail::handle_sink<T, U> sink(out.handle_);
        detail::apply(action, sink, handle_, where, []() noexcept {});
        return out;
      }
    } else {
      if constexpr (std::is_same_v<T, U>) {
        out.handle_.take(handle_);
      } else {
        out.handle_.set_error(handle_.take_error());
      }
      return out;
    }
  }
  detail::core* c = handle_.promote(where);
  detail::push_action<T>(c, std::forward<Action>(action), where);
  handle_.forget();
  deferred<U> out(c);
  detail::start(c);
  return out;
}

template <class T>
void deferred<T>::pause() {
  detail::core* c = handle_.promote();
  if (c->paused == 0xffff) throw deferred_misuse("a deferred was paused 65535 times without unpause");
  ++c->paused;
}

template <class T>
pause_guard deferred<T>::pause_scope() {
  pause();
  return pause_guard(handle_.pending());
}

template <class T>
void deferred<T>::unpause() {
  if (!paused()) throw deferred_misuse("unpause() of a deferred that is not paused");
  detail::core* c = handle_.pending();
  if (--c->paused == 0) detail::start(c);
}

template <class T>
const detail::stored_t<T>* deferred<T>::value_if() noexcept {
  if (handle_.state() == detail::holding::value) return &handle_.value();
  const detail::core* c = core_or_null();
  if (!c || c->has(detail::core::running | detail::core::waiting)) return nullptr;
  if (c->result != detail::kind::value) return nullptr;
  return &detail::cell<detail::stored_t<T>>::get(handle_.pending()->slot);
}

template <class T>
const failure* deferred<T>::failure_if() noexcept {
  if (handle_.state() == detail::holding::error) return &handle_.error();
  const detail::core* c = core_or_null();
  if (!c || c->has(detail::core::running | detail::core::waiting)) return nullptr;
  return c->result == detail::kind::error ? &handle_.pending()->error() : nullptr;
}

template <class T>
inline T deferred<T>::get_now() && {
  if (handle_.ready_here()) return detail::take_value(handle_, {}, nullptr);
  if (!ready()) throw deferred_misuse("get_now() of a deferred whose outcome is not there");
  return detail::take_value<T>(handle_.release_core(), {}, nullptr);
}

}  // namespace mobius
