#pragma once
// A promise and a future for each stage, as libraries of futures make them: what deferred_bench
// compares chains with. A stage gets a value (`then`) or an exception (`recover`), and what it
// throws or returns goes to the next.

#include <exception>
#include <functional>
#include <memory>
#include <utility>
#include <variant>

template <class T>
class stage_future {
  using outcome = std::variant<std::monostate, T, std::exception_ptr>;
  struct shared {
    outcome result;
    std::function<void(outcome&)> next;
  };

 public:
  stage_future() : state_(std::make_shared<shared>()) {}

  /// A future of `f(value)`; an exception goes past `f`.
  template <class F>
  auto then(F f) const {
    using U = decltype(f(std::declval<T>()));
    const stage_future<U> made;
    continue_with([f = std::move(f), made](outcome& o) mutable {
      if (o.index() == 2) return made.finish(std::get<2>(o));
      try {
        made.finish(f(std::move(std::get<1>(o))));
      } catch (...) {
        made.finish(std::current_exception());
      }
    });
    return made;
  }
  /// A future of `f(exception)`, which returns a value or an exception; a value goes past `f`.
  template <class F>
  stage_future recover(F f) const {
    const stage_future made;
    continue_with([f = std::move(f), made](outcome& o) mutable {
      if (o.index() == 1) return made.finish(std::move(std::get<1>(o)));
      made.finish(f(std::move(std::get<2>(o))));
    });
    return made;
  }

  /// The promise's side: a value or an exception.
  template <class V>
  void finish(V&& result) const {
    state_->result = std::forward<V>(result);
    if (state_->next) state_->next(state_->result);
  }
  T get() const { return std::get<1>(state_->result); }

 private:
  void continue_with(std::function<void(outcome&)> next) const {
    state_->next = std::move(next);
    if (state_->result.index() != 0) state_->next(state_->result);
  }

  std::shared_ptr<shared> state_;
};
