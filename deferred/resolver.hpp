#pragma once
// `resolver<T>`: the producer's end of a chain, and `make_deferred`, which makes both ends.

#include <utility>

#include "chain.hpp"

namespace mobius {

namespace detail {

class due;

template <class T, class F>
class canceller_of final : public canceller {
 public:
  explicit canceller_of(F&& f) : canceller{&act_on}, f_(std::move(f)) {}

 private:
  static cancel_reply act_on(canceller* c, core* target, step what);
  cancel_reply call(core* target);

  [[no_unique_address]] F f_;
};

}  // namespace detail

/// The producer's end of a `deferred<T>`: fires it once, with a value or a failure. Copyable and
/// callable: `r(v)` is `r.callback(v)`; for void `r()`. When the last one is dropped unfired, who
/// waits for the deferred gets `broken_deferred`; callbacks alone are dropped silently.
///
/// The callbacks run inside the call. A second firing throws `already_called`, but after a cancel
/// of a deferred without canceller one is ignored. Belongs to the thread of its deferred.
template <class T>
class resolver {
 public:
  /// The type of the value that it fires with.
  using value_type = T;

  /// An empty resolver; it can be assigned to, tested and destroyed.
  resolver() noexcept = default;
  resolver(const resolver& other) noexcept : core_(other.core_) {
    if (core_) detail::add_resolver(core_);
  }
  resolver(resolver&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
  resolver& operator=(resolver other) noexcept {
    std::swap(core_, other.core_);
    return *this;
  }
  ~resolver() {
    if (core_) detail::drop_resolver(core_);
  }

  /// Fires with a value.
  template <class U = T>
  requires(!std::is_void_v<T> && std::is_convertible_v<U&&, T>) void operator()(
      U&& value, std::source_location where = std::source_location::current()) const {
    fire(where, std::forward<U>(value));
  }
  /// Fires a deferred<void>.
  void operator()(
      std::source_location where = std::source_location::current()) const requires std::is_void_v<T> {
    fire(where);
  }
  /// Fires with a value.
  template <class U = T>
  requires(!std::is_void_v<T> && std::is_convertible_v<U&&, T>) void callback(
      U&& value, std::source_location where = std::source_location::current()) const {
    fire(where, std::forward<U>(value));
  }
  /// Fires a deferred<void>.
  void callback(
      std::source_location where = std::source_location::current()) const requires std::is_void_v<T> {
    fire(where);
  }
  /// Fires with a failure.
  void errback(failure error, std::source_location where = std::source_location::current()) const {
    detail::fire_error(checked(), std::move(error), where);
  }
  /// Fires with an exception object.
  template <class E>
  requires(!std::is_convertible_v<E, failure>) void errback(
      E exception, std::source_location where = std::source_location::current()) const {
    errback(failure(std::make_exception_ptr(std::move(exception))), where);
  }

  /// True if it holds a deferred.
  explicit operator bool() const noexcept { return core_ != nullptr; }
  /// True if the deferred has been fired, by this or another resolver or by a cancel.
  bool fired() const noexcept { return core_ && core_->has(detail::core::fired); }

 private:
  template <class, class>
  friend class detail::canceller_of;
  friend class detail::due;
  template <class U>
  friend std::string dump(const resolver<U>& r);
  template <class U>
  friend auto make_deferred(std::source_location where);

  explicit resolver(detail::core* c) noexcept : core_(c) { detail::add_resolver(c); }

  detail::core* checked() const {
    if (!core_) throw no_deferred("this resolver is empty: it was moved from or never set");
    return core_;
  }

  template <class... U>
  void fire(const std::source_location& where, U&&... value) const {
    detail::core* c = checked();
    if (c->has(detail::core::fired)) [[unlikely]]
      return detail::refuse(c, where);
    using stored = detail::stored_t<T>;
    if constexpr (std::is_reference_v<T>) {
      detail::cell<stored>::make(c->slot, &static_cast<T>(value)...);
    } else {
      detail::cell<stored>::make(c->slot, std::forward<U>(value)...);
    }
    c->ops = &detail::ops_of<stored>;
    c->result = detail::kind::value;
    detail::fired_now(c, where);
  }

  detail::core* core_ = nullptr;
};

/// What make_deferred returns: both ends, for a structured binding. The names that it binds are
/// not moved by `return d`: write `return std::move(d)`.
template <class T>
struct deferred_ends {
  mobius::deferred<T> deferred;
  mobius::resolver<T> resolver;
};

/// Makes a pending deferred and its resolver:
///
///     auto [d, fire] = mobius::make_deferred<std::string>();
///     d.add_callback(print_and_passthrough);
///     reactor.call_later(1s, fire, "now");
template <class T = void>
auto make_deferred(std::source_location where = std::source_location::current()) {
  detail::core* c = detail::make_core(detail::core::consumed, where);
  resolver<T> fire(c);
  return deferred_ends<T>{detail::deferred_access::of_core<T>(c), std::move(fire)};
}

namespace detail {

template <class F, class... Args>
cancel_reply ask(F& f, Args&... args) {
  if constexpr (std::is_void_v<std::invoke_result_t<F&, Args&...>>) {
    std::invoke(f, args...);
    return cancel_reply::done;
  } else {
    return cancel_reply(std::invoke(f, args...));
  }
}

template <class T, class F>
cancel_reply canceller_of<T, F>::call(core* target) {
  if constexpr (std::invocable<F&, resolver<T>&>) {
    resolver<T> r(target);
    return ask(f_, r);
  } else {
    static_assert(
        std::invocable<F&>,
        "mobius: a canceller takes a resolver<T>& or nothing, and returns nothing or a cancel_reply");
    if constexpr (std::invocable<F&>) return ask(f_);
  }
}

template <class T, class F>
cancel_reply canceller_of<T, F>::act_on(canceller* c, core* target, step what) {
  auto* self = static_cast<canceller_of*>(c);
  if (what == step::run) return self->call(target);
  self->~canceller_of();
  target->deallocate(self, sizeof(canceller_of));
  return cancel_reply::done;
}

template <class T, class F>
void set_canceller(deferred<T>& d, F f) {
  using C = canceller_of<T, F>;
  static_assert(alignof(C) <= 16, "mobius: a canceller aligned beyond 16 bytes: box what it captures");
  core* c = handle_of(d).pending();
  c->stop = new (c->allocate(sizeof(C), alignof(C))) C(std::move(f));
}

}  // namespace detail

/// The same with a canceller, which `cancel` calls while the deferred is pending: `stop()` or
/// `stop(resolver<T>&)`. It returns nothing or `cancel_reply::done` (the deferred ends at once,
/// with `cancelled` unless the canceller fired it; a late firing throws), `later` (the operation is
/// still stopping and will fire it; asked once) or `again` (the same; asked at each cancel).
/// It should not keep a resolver of its own: take the parameter.
template <class T = void, class F>
requires(!std::is_convertible_v<F, std::source_location>) auto make_deferred(
    F stop, std::source_location where = std::source_location::current()) {
  auto ends = make_deferred<T>(where);
  detail::set_canceller(ends.deferred, std::move(stop));
  return ends;
}

}  // namespace mobius
