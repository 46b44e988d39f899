#pragma once
// What the timed calls of a reactor and those of a test's clock have in common: the block that holds
// the function with its arguments, and the handle to it.

#include <chrono>
#include <cstddef>
#include <functional>
#include <new>
#include <tuple>
#include <utility>

#include "frame_pool.hpp"

namespace mobius::detail {

/// Calls `f` with what `args` holds, once.
template <class F, class Tuple>
void call_once_with(F& f, Tuple& args) {
  std::apply([&f](auto&... a) { static_cast<void>(std::invoke(std::move(f), std::move(a)...)); }, args);
}

/// A `Block` with its function. The block says what a call is (`Block::make_call`), and whether that
/// may throw (`Block::call_throws`).
template <class Block, class F, class... Args>
class timed_function final : public Block {
 public:
  template <class Owner, class G, class... Rest>
  static Block* make(Owner& owner, G&& f, Rest&&... args) {
    void* memory = allocate_frame(sizeof(timed_function));
    try {
      return new (memory) timed_function(owner, std::forward<G>(f), std::forward<Rest>(args)...);
    } catch (...) {
      free_frame(memory, sizeof(timed_function));
      throw;
    }
  }

 private:
  template <class Owner, class G, class... Rest>
  timed_function(Owner& owner, G&& f, Rest&&... args)
      : Block(owner, &timed_function::end, sizeof(timed_function)),
        function_(std::forward<G>(f)),
        args_(std::forward<Rest>(args)...) {}

  // The function goes with its call; the block may stay for its handles.
  static void end(Block* self, bool call) noexcept(!Block::call_throws) {
    struct destroyed_at_end {
      explicit destroyed_at_end(timed_function& f) noexcept : function(f) {}
      destroyed_at_end(const destroyed_at_end&) = delete;
      destroyed_at_end& operator=(const destroyed_at_end&) = delete;
      ~destroyed_at_end() {
        function.function_.~F();
        function.args_.~tuple();
      }
      timed_function& function;
    };
    auto& me = *static_cast<timed_function*>(self);
    const destroyed_at_end guard(me);
    if (call) Block::make_call(me.function_, me.args_);
  }

  union {
    F function_;
  };
  union {
    std::tuple<Args...> args_;
  };
};

/// A counted handle to a block: what `delayed_call` and `test_call` share.
template <class Block>
class call_handle {
 public:
  /// A handle to nothing.
  call_handle() noexcept = default;
  call_handle(const call_handle& other) noexcept : block_(other.block_) {
    if (block_) block_->retain();
  }
  call_handle(call_handle&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  call_handle& operator=(call_handle other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~call_handle() {
    if (block_) block_->release();
  }

  /// True until the call has been made or cancelled; false already while it runs (R157).
  bool active() const noexcept { return block_ && block_->active(); }
  /// True if it was cancelled.
  bool cancelled() const noexcept { return block_ && block_->cancelled(); }
  /// Cancels it and drops the function with its arguments; false if it was no longer active.
  bool cancel() noexcept { return block_ && block_->cancel(); }
  /// When it is due, by its clock.
  std::chrono::steady_clock::time_point time() const noexcept {
    return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(block_ ? block_->due_at() : 0));
  }

 protected:
  /// Takes over a reference.
  explicit call_handle(Block* block) noexcept : block_(block) {}

  Block* block_ = nullptr;
};

}  // namespace mobius::detail
