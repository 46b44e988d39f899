#pragma once
// How a coroutine waits for a deferred: the awaiter is itself the end of the chain, and
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

class deferred_awaiter_base : public taker, public leaf {
 public:
  static const leaf_type type;

  deferred_awaiter_base() noexcept : taker{&resume_with, {}}, leaf{&type} {}

  /// What is being waited for; null if it was ready.
  core* waited() const noexcept { return core_; }

  /// `t` as an awaiter, or null if it is another taker or none.
  static const deferred_awaiter_base* from(const taker* t) noexcept {
    return t && t->end == &resume_with ? static_cast<const deferred_awaiter_base*>(t) : nullptr;
  }
  /// The context of the coroutine that waits, or of one that took a failure at once; else null.
  const context* waiting_context() const noexcept { return ctx_; }

 protected:
  ~deferred_awaiter_base() {
    if (core_) [[unlikely]]
      withdraw();
  }

  /// Starts to wait for `c`, whose consumer this becomes. False if the coroutine can go on.
  bool wait(core* c, std::coroutine_handle<> h, context* ctx, std::source_location site) noexcept;

  /// The outcome is there; it is taken in a coroutine of `ctx`.
  void pass(context* ctx, std::source_location site) noexcept {
    ctx_ = ctx;
    where = site;
  }

  /// Done with the core.
  void finish() noexcept {
    drop_consumer(core_);
    core_ = nullptr;
  }

  core* core_ = nullptr;

 private:
  static core* resume_with(taker* t, core* c) noexcept;
  static bool cancel_leaf(leaf* l) noexcept;
  bool deliver_again() noexcept;
  void withdraw() noexcept;

  std::coroutine_handle<> handle_;
  context* ctx_ = nullptr;
};

}  // namespace mobius::detail
