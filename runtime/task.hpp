#pragma once
// `task<T>`: a coroutine that starts when it is awaited.
//
//   created --co_await--> running <--> waiting at a leaf
//      |                     |
//      +--destroyed          +--> ended: value, exception or `cancelled`; its frame is freed by
//         (never ran)             the await, which takes the outcome

#include <atomic>
#include <coroutine>
#include <exception>
#include <source_location>
#include <type_traits>
#include <utility>

#include "awaitable.hpp"
#include "context.hpp"
#include "failure.hpp"
#include "frame_pool.hpp"
#include "outcome.hpp"

namespace mobius {

template <class T>
class task;

namespace detail {

[[noreturn]] void throw_empty_task();

/// Turns what a coroutine of ours awaits into its awaiter.
template <class A>
auto transform(A&& a) {
  check_awaited<A&&>();
  return get_awaiter(static_cast<A&&>(a));
}

/// Begins every coroutine of ours: notes that the compiler really entered it (GCC PR106188).
struct entry_awaiter {
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  void await_resume() const noexcept { this_thread.entering = nullptr; }
};

class task_promise_base : public promise_base, public pooled {
 public:
  /// Called by whoever awaits the task, from its await_suspend.
  transfer start(std::coroutine_handle<> self, std::coroutine_handle<> continuation,
                 context* context) noexcept {
    continuation_ = continuation.address();
    // Between them, or g++ makes one wide store of both, which the loads of its halves wait for.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    ctx = context;
    this_thread.entering = self.address();
#ifdef MOBIUS_TRAMPOLINE
    inline_ = true;
    self.resume();
    if (this_thread.entering) abort_not_entered();
    if (!inline_) return false;  // it has ended
    inline_ = false;
    return true;
#else
    return self;
#endif
  }

  entry_awaiter initial_suspend() const noexcept { return {}; }

  struct final_awaiter {
    bool await_ready() const noexcept { return false; }
#ifdef MOBIUS_TRAMPOLINE
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> self) const noexcept {
      task_promise_base& p = self.promise();
      if (p.inline_) {
        p.inline_ = false;
      } else {
        this_thread.returning = p.continuation_;
      }
    }
#else
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) const noexcept {
      return std::coroutine_handle<>::from_address(self.promise().continuation_);
    }
#endif
    void await_resume() const noexcept {}
  };
  final_awaiter final_suspend() const noexcept { return {}; }

  template <class A>
  auto await_transform(A&& a) {
    return transform(static_cast<A&&>(a));
  }

 private:
  void* continuation_;  // who awaits it, from its start on
#ifdef MOBIUS_TRAMPOLINE
  bool inline_ = false;  // the awaiting coroutine is still inside its await_suspend
#endif
};

template <class T>
class task_promise final : public task_promise_base {
 public:
  task<T> get_return_object() noexcept;
  template <class U = T>
  requires std::is_constructible_v<stored_t<T>, U> || std::is_reference_v<T>
  void return_value(U&& value) { slot_.set_value(std::forward<U>(value)); }
  void unhandled_exception() noexcept { slot_.set_exception(); }
  outcome_slot<T, false>& slot() noexcept { return slot_; }

 private:
  outcome_slot<T, false> slot_;
};

template <>
class task_promise<void> final : public task_promise_base {
 public:
  task<void> get_return_object() noexcept;
  void return_void() noexcept { slot_.set_value(); }
  void unhandled_exception() noexcept { slot_.set_exception(); }
  outcome_slot<void, false>& slot() noexcept { return slot_; }

 private:
  outcome_slot<void, false> slot_;
};

/// Owns the frame of the awaited task and frees it with the outcome.
template <class T>
class task_awaiter {
  using handle = std::coroutine_handle<task_promise<T>>;

 public:
  explicit task_awaiter(handle child) noexcept : child_(child) {}
  task_awaiter(const task_awaiter&) = delete;
  task_awaiter& operator=(const task_awaiter&) = delete;
  ~task_awaiter() {
    if (!child_) return;
    if (child_.done()) child_.promise().slot().drop_error();
    child_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  transfer await_suspend(std::coroutine_handle<Promise> h) noexcept {
    return child_.promise().start(child_, h, context_of(h));
  }
  transfer suspend(std::coroutine_handle<> h, context* ctx, const std::source_location&) noexcept {
    return child_.promise().start(child_, h, ctx);
  }

  T await_resume() {
    const owned frame(*this);
    return child_.promise().slot().take();
  }
  result<T> outcome() {
    const owned frame(*this);
    return child_.promise().slot().take_result();
  }

 private:
  // Frees the frame when the outcome has been taken: before the awaiting coroutine goes on, not
  // at the end of its full expression.
  struct owned {
    explicit owned(task_awaiter& a) noexcept : awaiter(a) {}
    ~owned() {
      awaiter.child_.destroy();
      awaiter.child_ = nullptr;
    }
    task_awaiter& awaiter;
  };

  handle child_;
};

}  // namespace detail

/// A lazy coroutine: it starts when it is awaited, runs on the awaiting chain, and its frame is
/// freed with its outcome. Move-only, single-owner, no atomics; a task that is never awaited is
/// just freed. It inherits the cancellation of the coroutine that awaits it: calling a task is
/// not a cancellation point, the leaves in it are.
///
///     mobius::task<int> answer() { co_return 42; }
///     mobius::task<> ask() { std::cout << co_await answer(); }
///
/// Errors: an exception that leaves the body is thrown at the await. `T` may be void, move-only
/// or a reference; it must not be aligned beyond 16 bytes, which no compiler here honours in a
/// coroutine frame.
template <class T = void>
class [[nodiscard("a task does nothing until it is awaited: co_await it, or give it to background()")]] task {
  static_assert(std::is_reference_v<T> || std::is_void_v<T> || alignof(detail::stored_t<T>) <= 16,
                "coroutine frames are aligned to 16 bytes: box an over-aligned result, or pad it instead");

 public:
  /// What its coroutine frame holds.
  using promise_type = detail::task_promise<T>;
  /// The type of the result.
  using value_type = T;

  /// An empty task; it can be assigned to, tested and destroyed.
  task() noexcept = default;
  task(task && other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  task& operator=(task&& other) noexcept {
    task(std::move(other)).swap(*this);
    return *this;
  }
  ~task() {
    if (handle_) handle_.destroy();
  }

  /// True if it holds a coroutine.
  explicit operator bool() const noexcept { return static_cast<bool>(handle_); }
  /// Exchanges two tasks.
  void swap(task & other) noexcept { std::swap(handle_, other.handle_); }

  /// Starts it and waits for its outcome. A named task must be moved: `co_await std::move(t)`.
  detail::task_awaiter<T> operator co_await()&& {
    if (!handle_) [[unlikely]]
      detail::throw_empty_task();
    return detail::task_awaiter<T>(std::exchange(handle_, nullptr));
  }

 private:
  template <class>
  friend class detail::task_promise;
  explicit task(std::coroutine_handle<promise_type> h) noexcept : handle_(h) {}

  std::coroutine_handle<promise_type> handle_;
};

namespace detail {

template <class T>
task<T> task_promise<T>::get_return_object() noexcept {
  static_assert(alignof(task_promise) <= 16);
  return task<T>(std::coroutine_handle<task_promise>::from_promise(*this));
}

inline task<void> task_promise<void>::get_return_object() noexcept {
  return task<void>(std::coroutine_handle<task_promise>::from_promise(*this));
}

}  // namespace detail
}  // namespace mobius
