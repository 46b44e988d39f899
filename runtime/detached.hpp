#pragma once
// `detached`: the coroutine at the head of a chain that nobody awaits. It owns the chain's
// context and frees itself at its end.

#include <coroutine>
#include <exception>
#include <source_location>

#include "awaitable.hpp"
#include "context.hpp"
#include "frame_pool.hpp"
#include "root.hpp"
#include "task.hpp"

namespace mobius::detail {

class detached {
 public:
  class promise_type : public promise_base, public pooled, public node {
   public:
    promise_type() noexcept : node(&promise_type::start) { ctx = &root_.ctx; }
    detached get_return_object() noexcept { return detached(*this); }
    entry_awaiter initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    // What it awaits is wrapped so that nothing can come out.
    void unhandled_exception() const noexcept { std::terminate(); }
    template <class A>
    auto await_transform(A&& a) {
      return transform(static_cast<A&&>(a));
    }

   private:
    friend class detached;
    static void start(node* n) noexcept {
      const auto self = std::coroutine_handle<promise_type>::from_promise(*static_cast<promise_type*>(n));
      this_thread.entering = self.address();
      resume(self);
    }

    root root_;
  };

  /// The node that starts it when it is run.
  node& start_node() noexcept { return *promise_; }
  /// The chain's context.
  context& ctx() noexcept { return promise_->root_.ctx; }
  /// Frees a chain that was never started, or that waits for what can never come.
  void destroy() noexcept { std::coroutine_handle<promise_type>::from_promise(*promise_).destroy(); }

 private:
  explicit detached(promise_type& p) noexcept : promise_(&p) {}
  promise_type* promise_;
};

template <class A>
class outcome_awaiter {
 public:
  explicit outcome_awaiter(A& a) : inner_(get_awaiter(static_cast<A&&>(a))) {}
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  transfer await_suspend(std::coroutine_handle<Promise> h,
                         std::source_location where = std::source_location::current()) {
    return start_awaiter(inner_, h, context_of(h), where);
  }
  auto await_resume() { return outcome_of(inner_); }

 private:
  awaiter_t<A&&> inner_;
};

/// Awaits `a`, which stays where it is, and gives its outcome, `cancelled` included, as a result.
template <class A>
class outcome_operation {
 public:
  explicit outcome_operation(A& a) noexcept : awaitable_(a) {}
  outcome_awaiter<A> operator co_await() const { return outcome_awaiter<A>(awaitable_); }

 private:
  A& awaitable_;
};

}  // namespace mobius::detail
