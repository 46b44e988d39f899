#pragma once
// The templates of `scope`, and the readiness hand-shake.

#include "scope.hpp"

namespace mobius {

namespace detail {

template <class... Args>
child::promise_type::promise_type(scope& s, Args&...) noexcept : node(&promise_type::start), scope_(s) {
  ctx = &chain;
  s.add(*this);
  this_thread.ready->push(this);
}

class ready_base;
class ready_link;

/// What a child holds to say that it is ready; it may outlive the child.
class ready_handle {
 public:
  explicit ready_handle(ready_link& l) noexcept : link_(&l) { hold(); }
  ready_handle(ready_handle&& other) noexcept : link_(std::exchange(other.link_, nullptr)) { hold(); }
  ready_handle& operator=(ready_handle&& other) noexcept {
    ready_handle(std::move(other)).swap(*this);
    return *this;
  }
  ~ready_handle() { let_go(); }

 protected:
  /// The link, if its child has neither said that it is ready nor ended; else throws std::logic_error.
  ready_link& unanswered() const;

 private:
  friend class ready_link;
  void swap(ready_handle& other) noexcept;
  void hold() noexcept;
  void let_go() noexcept;

  ready_link* link_;
};

/// The child's end of a hand-shake; it lives in the driver of the child.
class ready_link {
 public:
  explicit ready_link(ready_base& b) noexcept : waiting_(&b) {}
  ready_link(const ready_link&) = delete;
  ready_link& operator=(const ready_link&) = delete;
  ~ready_link();

  /// Who waits for it; null once it was answered.
  ready_base* waiting() const noexcept { return waiting_; }
  /// Ends the hand-shake.
  ready_base* answer() noexcept { return std::exchange(waiting_, nullptr); }

 private:
  friend class ready_handle;
  ready_base* waiting_;
  ready_handle* holder_ = nullptr;
};

/// Waits for a child to be ready.
class ready_base : public waiter {
 public:
  /// The child is ready: the value has been stored.
  void succeed() noexcept;
  /// The child has ended before.
  void fail(std::optional<failure> error) noexcept;

 protected:
  ready_base() noexcept : waiter(leaf_kind) {}
  void throw_if_failed();

  scope_child* child_ = nullptr;
  std::optional<failure> error_;

 private:
  static const leaf_type leaf_kind;
  static bool cancel(leaf* self) noexcept;
};

template <class T>
class ready_slot : public ready_base {
 public:
  outcome_slot<T> value;
};

template <class T, class F, class... Args>
child run_ready_child(scope&, ready_slot<T>& slot, F f, Args... args) {
  ready_link link(slot);
  std::optional<failure> error;
  auto made = std::invoke(std::move(f), started<T>(link, slot.value), std::move(args)...);
  auto outcome = co_await outcome_operation<decltype(made)>(made);
  if (!outcome) error = std::move(outcome.error());
  if (ready_base* waiting = link.answer()) {
    waiting->fail(std::move(error));
    error.reset();
  }
  co_return error ? &*error : nullptr;
}

template <class T, class F, class... Args>
class ready_awaiter final : public ready_slot<T> {
  using typename waiter::gate;

 public:
  ready_awaiter(scope& s, F&& f, std::tuple<Args...>&& args)
      : scope_(s), function_(std::move(f)), args_(std::move(args)) {}

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h,
                     std::source_location where = std::source_location::current()) {
    return suspend(h, context_of(h), where);
  }
  bool suspend(std::coroutine_handle<> h, context* ctx, const std::source_location& where) {
    if (const gate g = this->arrive(h, ctx, where); g != gate::open) return g == gate::queued;
    const child started = std::apply(
        [this](Args&... args) {
          return run_ready_child<T, F, Args...>(scope_, *this, std::move(function_), std::move(args)...);
        },
        args_);
    this->child_ = &started.entry();
    return true;
  }
  T await_resume() {
    this->throw_if_failed();
    return this->value.take();
  }

 private:
  scope& scope_;
  F function_;
  std::tuple<Args...> args_;
};

template <class T, class F, class... Args>
class [[nodiscard("co_await it")]] ready_operation {
 public:
  template <class G, class... Rest>
  explicit ready_operation(scope & s, G && f, Rest && ... args)
      : scope_(&s), function_(std::forward<G>(f)), args_(std::forward<Rest>(args)...) {}
  ready_awaiter<T, F, Args...> operator co_await()&& {
    return ready_awaiter<T, F, Args...>(*scope_, std::move(function_), std::move(args_));
  }

 private:
  scope* scope_;
  F function_;
  std::tuple<Args...> args_;
};

}  // namespace detail

/// What a child that was started by `scope::start_ready` calls to say that it is ready. It may be moved to
/// whoever knows, also out of the child.
template <class T>
class started : private detail::ready_handle {
 public:
  /// Made by `scope::start_ready`.
  started(detail::ready_link& link, detail::outcome_slot<T>& value) noexcept
      : ready_handle(link), value_(&value) {}
  started(started&& other) noexcept = default;
  started& operator=(started&& other) noexcept = default;

  /// Gives the value to who waits in `start_ready`. Throws std::logic_error the second time, and when the
  /// child has ended.
  template <class... V>
  requires std::is_constructible_v<detail::stored_t<T>, V...>
  void operator()(V&&... value) {
    detail::ready_link& link = unanswered();
    value_->set_value(std::forward<V>(value)...);
    link.answer()->succeed();
  }

 private:
  detail::outcome_slot<T>* value_;
};

template <class F, class... Args>
void scope::start(F&& f, Args&&... args) {
  using function = std::decay_t<F>;
  static_assert(
      (sizeof...(Args) == 0 && awaitable<function>) || std::is_invocable_v<function, std::decay_t<Args>...>,
      "scope::start(f, args...): f cannot be called with copies of these arguments; pass "
      "std::ref(x) for a reference to x");
  detail::run_child<function, std::decay_t<Args>...>(*this, std::forward<F>(f), std::forward<Args>(args)...);
}

template <class T, class F, class... Args>
detail::ready_operation<T, std::decay_t<F>, std::decay_t<Args>...> scope::start_ready(F&& f, Args&&... args) {
  return detail::ready_operation<T, std::decay_t<F>, std::decay_t<Args>...>(*this, std::forward<F>(f),
                                                                            std::forward<Args>(args)...);
}

inline detail::join_awaiter scope::join() noexcept { return detail::join_awaiter(*this); }

}  // namespace mobius
