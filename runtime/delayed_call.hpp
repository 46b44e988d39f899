#pragma once
// A call that is due at some time, and the handle to it (Twisted's DelayedCall).

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "context.hpp"
#include "failure.hpp"
#include "frame_pool.hpp"
#include "list_link.hpp"
#include "timed_call.hpp"
#include "timer_wheel.hpp"

namespace mobius {

class reactor;
template <class T>
class task;

namespace detail {

template <class T>
inline constexpr bool is_task = false;
template <class T>
inline constexpr bool is_task<task<T>> = true;

template <class F, class... Args>
constexpr void check_callback() {
  static_assert(std::is_invocable_v<F, Args...>, "the function cannot be called with these arguments");
  static_assert(!is_task<std::invoke_result_t<F, Args...>>,
                "this function returns a task, which nobody would await: let it return a deferred, or call "
                "background(f(...)) in it");
}

/// Calls what the reactor was given to call; what it throws goes to the hook.
template <class F, class Tuple>
void call_guarded(F& f, Tuple& args, std::string_view where) noexcept {
  try {
    call_once_with(f, args);
  } catch (...) {
    report_unhandled(failure(), where);
  }
}

/// The shared block of a delayed call: the reactor holds one reference while the call is due, each
/// handle one more.
class delayed_block : public timer, public node, public list_link {
 public:
  /// Calls the function if told to, and destroys it.
  using function_end = void (*)(delayed_block*, bool call) noexcept;
  static constexpr bool call_throws = false;
  template <class F, class Tuple>
  static void make_call(F& f, Tuple& args) noexcept {
    call_guarded(f, args, "a function given to call_later");
  }

  delayed_block(reactor& owner, function_end f, std::size_t size) noexcept
      : timer(&delayed_block::fire_timer),
        node(&delayed_block::run_node),
        owner_(&owner),
        end_(f),
        size_(size) {}

  bool active() const noexcept { return armed() || due_; }
  bool cancelled() const noexcept { return cancelled_; }
  bool cancel() noexcept;
  bool reset(std::int64_t at) noexcept;
  void schedule(std::int64_t at) noexcept;
  std::int64_t due_at() const noexcept { return due_at_; }
  reactor& owner() const noexcept { return *owner_; }

  void retain() noexcept { ++references_; }
  void release() noexcept {
    if (--references_ == 0) free_frame(this, size_);
  }

 private:
  static void fire_timer(timer* t) noexcept;
  static void run_node(node* n) noexcept;
  void finish(bool call) noexcept;

  reactor* owner_;
  function_end end_;
  std::size_t size_;
  std::int64_t due_at_ = 0;
  std::uint32_t references_ = 1;
  bool due_ = false;     // fired, and waiting for its turn in the ready queue
  bool queued_ = false;  // its node stands in the ready queue
  bool cancelled_ = false;
};

}  // namespace detail

/// A handle to a call made by `call_later`. Copies mean the same call; dropping the handle does
/// not cancel it. Use it in the reactor's thread only.
class delayed_call : public detail::call_handle<detail::delayed_block> {
 public:
  /// A handle to nothing.
  delayed_call() noexcept = default;

  /// Moves it to `after` from now, earlier or later; false if it is no longer active.
  bool reset(std::chrono::nanoseconds after) noexcept;
  /// Moves it by `more`, which may be negative; false if it is no longer active.
  bool delay(std::chrono::nanoseconds more) noexcept;

 private:
  friend class reactor;
  using call_handle::call_handle;
};

}  // namespace mobius
