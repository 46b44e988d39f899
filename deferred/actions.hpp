#pragma once
// What each of the add functions puts into a stage. An action has `on_value(sink, in)` and
// `on_error(sink, in)`, as far as its mask says that it wants them.

#include "stages.hpp"

namespace mobius::detail {

/// Calls `f` with the value of a chain of `T` and delivers what it returns as a `U`.
template <class T, class U, bool Waits>
class value_call {
 public:
  template <class F, class Sink>
  void run(F& f, Sink& sink, stored_t<T>& in) {
    if constexpr (std::is_void_v<T>) {
      deliver<U>(sink, [&]() -> decltype(auto) { return std::invoke(f); });
    } else if constexpr (Waits) {
      stored_t<T>& kept = kept_.keep(std::move(in));
      deliver<U>(sink, [&]() -> decltype(auto) { return std::invoke(f, as_argument<T>(kept)); });
    } else {
      deliver<U>(sink, [&]() -> decltype(auto) { return std::invoke(f, as_argument<T>(in)); });
    }
  }

 private:
  struct none {};
  [[no_unique_address]] std::conditional_t<Waits && !std::is_void_v<T>, kept_argument<stored_t<T>>, none>
      kept_;
};

/// Calls `f` with a failure and delivers what it returns as a `U`.
template <class U, bool Waits>
class error_call {
 public:
  template <class F, class Sink>
  void run(F& f, Sink& sink, failure& in) {
    if constexpr (Waits) {
      failure& kept = kept_.keep(in);
      deliver<U>(sink, [&]() -> decltype(auto) { return std::invoke(f, std::move(kept)); });
    } else {
      // One that has passed no place yet leaves nothing behind that a rethrow of it could continue.
      deliver<U>(sink, [&]() -> decltype(auto) {
        return std::invoke(f, in.has_trail() ? failure(in) : failure(std::move(in)));
      });
    }
  }

 private:
  struct none {};
  [[no_unique_address]] std::conditional_t<Waits, kept_argument<failure>, none> kept_;
};

template <class F, class T>
inline constexpr bool value_waits = lifted<value_return_t<F, T>, T>::waits;
template <class F, class T, class... Args>
inline constexpr bool error_waits = lifted<return_t<F, Args...>, T>::waits;

/// add_callback.
template <class T, class U, class F>
class callback_action
    : public action_traits<U, stage_type::on_value, value_waits<F, T>, runs_on_stack<F, T>> {
 public:
  explicit callback_action(F&& f) : f_(std::move(f)) {}
  template <class Sink>
  void on_value(Sink& sink, stored_t<T>& in) {
    call_.run(f_, sink, in);
  }

 private:
  [[no_unique_address]] F f_;
  [[no_unique_address]] value_call<T, U, value_waits<F, T>> call_;
};

/// add_errback. When it changes the chain to void, values are dropped.
template <class T, class U, class F>
class errback_action
    : public action_traits<U, std::is_same_v<T, U> ? stage_type::on_failure : stage_type::on_both,
                           error_waits<F, T, failure>, stateless<F> && by_value<F>> {
 public:
  explicit errback_action(F&& f) : f_(std::move(f)) {}
  template <class Sink>
  void on_value(Sink& sink, stored_t<T>&) {
    sink.value();
  }
  template <class Sink>
  void on_error(Sink& sink, failure& in) {
    call_.run(f_, sink, in);
  }

 private:
  [[no_unique_address]] F f_;
  [[no_unique_address]] error_call<U, error_waits<F, T, failure>> call_;
};

/// add_errback<E...>: runs for failures that are one of these, and passes others on unthrown.
template <class T, class U, class F, class... E>
class typed_errback_action
    : public action_traits<U, std::is_same_v<T, U> ? stage_type::on_failure : stage_type::on_both,
                           (... || error_waits<F, T, E&>), false> {
 public:
  explicit typed_errback_action(F&& f) : f_(std::move(f)) {}
  template <class Sink>
  void on_value(Sink& sink, stored_t<T>&) {
    sink.value();
  }
  template <class Sink>
  void on_error(Sink& sink, failure& in) {
    if (!(... || try_one<E>(sink, in))) sink.pass_error(in);
  }

 private:
  template <class One, class Sink>
  bool try_one(Sink& sink, failure& in) {
    if (!in.template get_if<One>()) return false;
    // The exception must outlive the call, and with it the failure.
    kept_.emplace(in);
    deliver<U>(sink, [&]() -> decltype(auto) { return std::invoke(f_, *kept_->template get_if<One>()); });
    return true;
  }

  [[no_unique_address]] F f_;
  std::optional<failure> kept_;
};

/// add_callbacks.
template <class T, class U, class F, class G>
class callbacks_action
    : public action_traits<U, stage_type::on_both, value_waits<F, T> || error_waits<G, T, failure>,
                           runs_on_stack<F, T> && stateless<G> && by_value<G>> {
 public:
  callbacks_action(F&& f, G&& g) : f_(std::move(f)), g_(std::move(g)) {}
  template <class Sink>
  void on_value(Sink& sink, stored_t<T>& in) {
    value_.run(f_, sink, in);
  }
  template <class Sink>
  void on_error(Sink& sink, failure& in) {
    error_.run(g_, sink, in);
  }

 private:
  [[no_unique_address]] F f_;
  [[no_unique_address]] G g_;
  [[no_unique_address]] value_call<T, U, value_waits<F, T>> value_;
  [[no_unique_address]] error_call<U, error_waits<G, T, failure>> error_;
};

/// add_both with an overloaded callable: one for values, one for failures.
template <class T, class U, class F>
class overloaded_action
    : public action_traits<U, stage_type::on_both, value_waits<F, T> || error_waits<F, T, failure>, false> {
 public:
  explicit overloaded_action(F&& f) : f_(std::move(f)) {}
  template <class Sink>
  void on_value(Sink& sink, stored_t<T>& in) {
    value_.run(f_, sink, in);
  }
  template <class Sink>
  void on_error(Sink& sink, failure& in) {
    error_.run(f_, sink, in);
  }

 private:
  [[no_unique_address]] F f_;
  [[no_unique_address]] value_call<T, U, value_waits<F, T>> value_;
  [[no_unique_address]] error_call<U, error_waits<F, T, failure>> error_;
};

template <class T>
result<T> as_result_value(stored_t<T>& in) {
  if constexpr (std::is_void_v<T>) {
    return {};
  } else {
    return result<T>(as_argument<T>(in));
  }
}

/// add_both with a callable that takes a result.
template <class T, class U, class F>
class both_action : public action_traits<U, stage_type::on_both, error_waits<F, T, result<T>>,
                                         stateless<F> && by_value<F>> {
  static constexpr bool keeps = error_waits<F, T, result<T>>;

 public:
  explicit both_action(F&& f) : f_(std::move(f)) {}
  template <class Sink>
  void on_value(Sink& sink, stored_t<T>& in) {
    call(sink, as_result_value<T>(in));
  }
  template <class Sink>
  void on_error(Sink& sink, failure& in) {
    call(sink, result<T>(in));
  }

 private:
  template <class Sink>
  void call(Sink& sink, result<T>&& r) {
    if constexpr (keeps) {
      result<T>& kept = kept_.keep(std::move(r));
      deliver<U>(sink, [&]() -> decltype(auto) { return std::invoke(f_, std::move(kept)); });
    } else {
      deliver<U>(sink, [&]() -> decltype(auto) { return std::invoke(f_, std::move(r)); });
    }
  }

  struct none {};
  [[no_unique_address]] F f_;
  [[no_unique_address]] std::conditional_t<keeps, kept_argument<result<T>>, none> kept_;
};

/// tap: looks at the value and passes it on.
template <class T, class F>
class tap_action : public action_traits<T, stage_type::on_value, false, true> {
 public:
  explicit tap_action(F&& f) : f_(std::move(f)) {}
  template <class Sink>
  void on_value(Sink& sink, stored_t<T>& in) {
    if constexpr (std::is_void_v<T>) {
      std::invoke(f_);
    } else if constexpr (std::is_reference_v<T>) {
      std::invoke(f_, *in);
    } else {
      std::invoke(f_, std::as_const(in));
    }
    sink.pass_value(in);
  }

 private:
  [[no_unique_address]] F f_;
};

/// log_failure: looks at the failure and passes it on.
template <class T, class F>
class tap_error_action : public action_traits<T, stage_type::on_failure, false, true> {
 public:
  explicit tap_error_action(F&& f) : f_(std::move(f)) {}
  template <class Sink>
  void on_error(Sink& sink, failure& in) {
    std::invoke(f_, std::as_const(in));
    sink.pass_error(in);
  }

 private:
  [[no_unique_address]] F f_;
};

}  // namespace mobius::detail
