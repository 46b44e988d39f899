#pragma once
// Structured concurrency: a `scope` owns the tasks that it starts, and ends when all of them have.
//
//   open --start()--> children run --error or cancel()--> children are cancelled --all ended--> joined
//
// A child is one coroutine (its driver) that owns the function and the arguments, and reports to
// the scope. It starts in its turn of the ready queue, so starting costs no stack at any depth.

#include <coroutine>
#include <cstddef>
#include <functional>
#include <optional>
#include <source_location>
#include <tuple>
#include <type_traits>
#include <utility>

#include "awaitable.hpp"
#include "detached.hpp"
#include "frame_pool.hpp"
#include "list_link.hpp"
#include "nested.hpp"
#include "task.hpp"

namespace mobius {

class scope;

namespace detail {

class scope_join;
class join_awaiter;
template <class F>
class with_scope_awaiter;
template <class T, class F, class... Args>
class ready_operation;

/// A child as its scope sees it.
class scope_child : public list_link {
 public:
  context chain;
  bool told = false;  // the scope's cancel has reached it
};

/// A child's driver.
class child {
 public:
  class promise_type : public promise_base, public pooled, public node, public scope_child {
   public:
    template <class... Args>
    explicit promise_type(scope& s, Args&...) noexcept;
    child get_return_object() noexcept { return child(*this); }
    entry_awaiter initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_value(const failure* error) noexcept { report(error); }
    void unhandled_exception() noexcept;
    template <class A>
    auto await_transform(A&& a) {
      return transform(static_cast<A&&>(a));
    }

   private:
    static void start(node* n) noexcept;
    void report(const failure* error) noexcept;

    scope& scope_;
  };

  /// The child as its scope sees it; valid until it has ended.
  scope_child& entry() const noexcept { return *promise_; }

 private:
  explicit child(promise_type& p) noexcept : promise_(&p) {}
  promise_type* promise_;
};

}  // namespace detail

/// Owner of concurrent tasks. It is best used through `with_scope`, which makes one and joins it.
///
/// The first error of a child cancels the others and is thrown by the join; later errors go to the
/// unhandled hook. A child that was cancelled by the scope has no error.
///
/// A scope made by hand must be joined on every path: one that is destroyed with live children
/// ends the program with a text, as a destructor cannot wait. It belongs to one thread.
class scope {
 public:
  /// An empty scope. Its children have no task-local values.
  scope() noexcept = default;
  scope(const scope&) = delete;
  scope& operator=(const scope&) = delete;
  ~scope() {
    if (live_ != 0) [[unlikely]]
      destroyed_with_children();
    if (joiner_) [[unlikely]]
      lose_joiner();
    leave_walk();
  }

  /// Starts `f(args...)`, which must return an awaitable, as a child; it owns copies of both. Or
  /// starts an awaitable, such as a task. It begins to run in the current turn, after what is ready
  /// already; its value is dropped. A child of a cancelled scope runs up to its first cancellation
  /// point. Allocates its two frames from the pool; a lambda with captures is safe here.
  ///
  ///     scope.start(serve, std::move(stream));
  template <class F, class... Args>
  void start(F&& f, Args&&... args);

  /// Starts `f(ready, args...)` and waits until the child calls `ready(value)`: then gives that
  /// value, while the child goes on. If the child ends before, its error is thrown here (and is no
  /// error of the scope), or std::logic_error if it had none. A cancel of this await cancels the
  /// child; the value wins if it comes.
  ///
  ///     task<> serve(mobius::started<int> ready, address where) { ...; ready(port); ... }
  ///     const int port = co_await scope.start_ready<int>(serve, where);
  template <class T = void, class F, class... Args>
  detail::ready_operation<T, std::decay_t<F>, std::decay_t<Args>...> start_ready(F&& f, Args&&... args);

  /// Waits until all children have ended, also those that are started meanwhile; throws the first error.
  /// After `cancel()` it returns normally. A cancel of the await cancels the children, waits for
  /// them, and throws `cancelled`, unless all of them succeeded or one failed. A scope can be used
  /// again after it; one await at a time, a second one throws std::logic_error. It must outlive the await.
  detail::join_awaiter join() noexcept;

  /// Cancels all children for good, and those still to be started. Never fails or allocates.
  void cancel() noexcept;
  /// True after `cancel()` or an error of a child.
  bool cancel_requested() const noexcept { return cancelled_; }
  /// The number of children that have not ended.
  std::size_t size() const noexcept { return live_; }

 private:
  friend class detail::scope_join;
  friend class detail::child;
  template <class F>
  friend class detail::with_scope_awaiter;

  void add(detail::scope_child& c) noexcept;
  void ended(detail::scope_child& c, const failure* error) noexcept;
  void note(const failure& error, bool told) noexcept;
  void cancel_next() noexcept;
  void leave_walk() noexcept {
    if (!walk_slot_) return;
    *walk_slot_ = walk_next_;
    if (walk_next_) walk_next_->walk_slot_ = walk_slot_;
    walk_slot_ = nullptr;
  }
  void lose_joiner() noexcept;
  [[noreturn]] void destroyed_with_children() const noexcept;

  detail::list_link children_;  // those that were told of a cancel stand at the end
  // Its place among the scopes that the cancel under way has yet to walk: nested scopes are cancelled
  // by a loop, and a scope that ends meanwhile takes itself out.
  scope* walk_next_ = nullptr;
  scope** walk_slot_ = nullptr;
  const detail::local_value* locals_ = nullptr;
  detail::scope_join* joiner_ = nullptr;
  std::optional<failure> error_;
  std::size_t live_ = 0;
  bool cancelled_ = false;
  bool stopped_ = false;  // a child was ended by a cancel
};

/// What a child that was started by `scope::start_ready` calls to say that it is ready.
template <class T = void>
class started;

namespace detail {

/// Waits for the end of all children of a scope.
class scope_join : public waiter {
 public:
  /// Called by the scope when the last child has ended.
  void finished() noexcept;
  /// Called by the scope when there is a child again before the join has gone on.
  void look_again() noexcept;

 protected:
  scope_join() noexcept : waiter(leaf_kind) {}
  ~scope_join() {
    if (scope_) [[unlikely]]
      forget();
  }

  /// Starts to wait; false if there is nothing to wait for.
  bool wait_for(scope& s) noexcept;
  /// The same for a join, which must wait even if the chain has been cancelled.
  bool arrive_and_wait_for(scope& s, std::coroutine_handle<> h, context* ctx,
                           const std::source_location& where);
  /// The scope has nobody any more to tell of the end of its children; also if the frame that waits is
  /// destroyed before.
  void forget() noexcept;
  /// Leaves the context, and gives what the join says when all have ended.
  result<void> take(scope& s) noexcept;
  void begin_locals(scope& s) const noexcept { s.locals_ = ctx_ ? ctx_->locals() : nullptr; }

 private:
  friend class mobius::scope;
  static const leaf_type leaf_kind;
  static bool cancel(leaf* self) noexcept;
  static void resume_if_ended(node* n) noexcept;
  void heed_cancel() noexcept;

  scope* scope_ = nullptr;
  bool asked_ = false;
};

class [[nodiscard("co_await it")]] join_awaiter final : public scope_join {
 public:
  explicit join_awaiter(scope & s) noexcept : owner_(s) {}

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h,
                     std::source_location where = std::source_location::current()) {
    return suspend(h, context_of(h), where);
  }
  bool suspend(std::coroutine_handle<> h, context * ctx, const std::source_location& where) {
    return arrive_and_wait_for(owner_, h, ctx, where);
  }
  void await_resume() { outcome().value(); }
  result<void> outcome() noexcept { return take(owner_); }

 private:
  scope& owner_;
};

template <class F, class... Args>
child run_child(scope&, F f, Args... args) {
  std::optional<failure> error;
  if constexpr (sizeof...(Args) == 0 && awaitable<F>) {
    auto outcome = co_await outcome_operation<F>(f);
    if (!outcome) error = std::move(outcome.error());
  } else {
    auto made = std::invoke(std::move(f), std::move(args)...);
    auto outcome = co_await outcome_operation<decltype(made)>(made);
    if (!outcome) error = std::move(outcome.error());
  }
  co_return error ? &*error : nullptr;
}

template <class F, class T>
child run_body(scope& s, F& f, std::optional<result<T>>& out) {
  auto made = std::invoke(f, s);
  out.emplace(co_await outcome_operation<decltype(made)>(made));
  co_return out->has_value() ? nullptr : &out->error();
}

template <class F>
class with_scope_awaiter final : public scope_join {
 public:
  using value_type = await_result_t<std::invoke_result_t<F&, scope&>>;

  explicit with_scope_awaiter(F& f) noexcept : function_(f) {}

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h,
                     std::source_location where = std::source_location::current()) {
    return suspend(h, context_of(h), where);
  }
  bool suspend(std::coroutine_handle<> h, context* ctx, const std::source_location& where) {
    if (const gate g = arrive(h, ctx, where); g != gate::open) return g == gate::queued;
    begin_locals(scope_object_);
    run_body(scope_object_, function_, value_);
    return wait_for(scope_object_);
  }
  value_type await_resume() { return outcome().value(); }
  result<value_type> outcome() {
    result<void> r = take(scope_object_);
    if (!r) return std::move(r.error());
    if (value_ && *value_) return std::move(*value_);
    // Cancelled from inside: there is a result only if it is none.
    if constexpr (std::is_void_v<value_type>) {
      return {};
    } else {
      return cancelled_failure();
    }
  }

 private:
  F& function_;
  scope scope_object_;
  std::optional<result<value_type>> value_;
};

template <class F>
class [[nodiscard("co_await it")]] with_scope_operation {
 public:
  explicit with_scope_operation(F && f) : function_(static_cast<F&&>(f)) {}
  with_scope_awaiter<std::remove_reference_t<F>> operator co_await()&& {
    return with_scope_awaiter<std::remove_reference_t<F>>(function_);
  }

 private:
  F function_;
};

}  // namespace detail

/// Runs `body(scope&)`, a function that returns an awaitable, as the first child of a new scope, and
/// gives its value when it and all that it started have ended. The first error of any of them
/// cancels the others and is thrown. A cancel reaches all of them; `cancelled` is thrown if it
/// stopped any. After `scope.cancel()` it returns normally if `body` gives void; otherwise the
/// value, or `cancelled` if `body` has none.
///
/// A named `body` is borrowed, an unnamed one moved in; as with `offload`, an unnamed lambda that
/// captures by value must be named first.
///
///     co_await mobius::with_scope([&](mobius::scope& scope) -> mobius::task<> {
///       while (auto stream = co_await listener.next()) scope.start(serve, std::move(*stream));
///     });
template <class F>
requires std::is_invocable_v<F&, scope&> detail::with_scope_operation<F> with_scope(F&& body) {
  static_assert(std::is_lvalue_reference_v<F> || std::is_trivially_destructible_v<std::remove_cvref_t<F>>,
                "g++ 12 destroys such a temporary function object twice (GCC PR99576): name it on the line "
                "before and pass the name, or capture by reference");
  return detail::with_scope_operation<F>(std::forward<F>(body));
}

}  // namespace mobius

#include "scope_impl.hpp"
