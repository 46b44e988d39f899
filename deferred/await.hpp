#pragma once
// How a coroutine waits for a deferred: the awaiter is itself the last stage of the chain, and
// the leaf of the coroutine's context, so that a cancel of the coroutine goes on to the deferred.

#include <coroutine>
#include <optional>
#include <source_location>

#include "../runtime/awaitable.hpp"
#include "core.hpp"

namespace mobius::detail {

/// A coroutine that a drain has resumed. When it ends meanwhile, its core is left in `next` for
/// the drain to go on with: completion is a loop, not a recursion.
struct resumption {
  context* ctx;
  core* next;
  resumption* outer;
  std::optional<failure> thrown;  // what an await has thrown since, with its trail
  bool stopped = false;           // what it got came from work that was stopped for good
};

extern thread_local constinit resumption* this_resumption __attribute__((tls_model("initial-exec")));

class deferred_awaiter_base : public placed_stage, public leaf {
 public:
  static const leaf_type type;

  deferred_awaiter_base() noexcept : placed_stage(&act_on, on_both, {}), leaf{&type} {}

  /// What is being waited for; null if it was ready.
  core* waited() const noexcept { return core_; }

  /// `s` as an awaiter, or null if it is another stage.
  static const deferred_awaiter_base* from(const stage* s) noexcept {
    return s->act == &act_on ? static_cast<const deferred_awaiter_base*>(s) : nullptr;
  }
  /// The context of the coroutine that waits, or null.
  const context* waiting_context() const noexcept { return ctx_; }

 protected:
  ~deferred_awaiter_base() {
    if (core_) [[unlikely]]
      withdraw();
  }

  /// Starts to wait for `c`, whose consumer this becomes. False if the coroutine can go on.
  bool wait(core* c, std::coroutine_handle<> h, context* ctx, const std::source_location& site) noexcept;

  /// Done with the core.
  void finish() noexcept {
    drop_consumer(core_);
    core_ = nullptr;
  }

  core* core_ = nullptr;

 private:
  static core* act_on(stage* s, core* c, step what) noexcept;
  static bool cancel_leaf(leaf* l) noexcept;
  bool deliver_again() noexcept;
  void withdraw() noexcept;

  std::coroutine_handle<> handle_;
  context* ctx_ = nullptr;
};

}  // namespace mobius::detail
