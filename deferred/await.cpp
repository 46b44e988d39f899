#include "await.hpp"

#include "../runtime/frame_pool.hpp"

namespace mobius::detail {

thread_local constinit resumption* this_resumption = nullptr;

const leaf_type deferred_awaiter_base::type{"a deferred", &deferred_awaiter_base::cancel_leaf};

namespace {

/// Resumes a coroutine in its turn.
struct turn : node {
  explicit turn(std::coroutine_handle<> h) noexcept : node(&turn::run_turn), handle(h) {}

  static void run_turn(node* n) noexcept {
    auto* self = static_cast<turn*>(n);
    const std::coroutine_handle<> h = self->handle;
    free_frame(self, sizeof(turn));
    resume(h);
  }

  std::coroutine_handle<> handle;
};

}  // namespace

bool deferred_awaiter_base::wait(core* c, std::coroutine_handle<> h, context* ctx,
                                 std::source_location site) noexcept {
  core_ = c;
  handle_ = h;
  ctx_ = ctx;
  where = site;
  break_if_abandoned(c);
  if (c->idle()) return false;
  // The cancel is passed on before this becomes the end of the chain: it may fire at once, and then the
  // coroutine must not be resumed inside its own await_suspend.
  if (ctx && ctx->mark_ != cancel_mark::none) {
    if (ctx->mark_ == cancel_mark::once) ctx->mark_ = cancel_mark::none;
    cancel_quietly(c);
    if (c->idle()) return deliver_again();
  }
  c->set(core::awaited);
  c->awaiter = this;
  if (ctx) ctx->enter(*this, site);
  return true;
}

// As with every leaf, the first delivery of a cancel that holds is immediate and the later ones
// take a turn through the ready queue, so that code which swallows it cannot spin.
bool deferred_awaiter_base::deliver_again() noexcept {
  if (!ctx_->stopping()) return false;
  if (ctx_->deliveries_ == 99) {
    report_unhandled(make_failure<std::logic_error>(
                         "a cancelled task was told so a hundred times and still goes on awaiting; let "
                         "`mobius::cancelled` leave its loop"),
                     to_string(where));
  }
  const bool again = ctx_->deliveries_ > 0;
  if (ctx_->deliveries_ < 255) ++ctx_->deliveries_;
  if (!again || !this_thread.ready) return false;
  this_thread.ready->push(new (allocate_frame(sizeof(turn))) turn(handle_));
  return true;
}

core* deferred_awaiter_base::resume_with(taker* t, core* c) noexcept {
  auto* self = static_cast<deferred_awaiter_base*>(t);
  if (self->ctx_) self->ctx_->leave();
  resumption mine{self->ctx_, nullptr, this_resumption, std::nullopt, c->has(core::stopped)};
  this_resumption = &mine;
  resume(self->handle_);  // which ends the life of `self`
  this_resumption = mine.outer;
  return mine.next;
}

bool deferred_awaiter_base::cancel_leaf(leaf* l) noexcept {
  cancel_quietly(static_cast<deferred_awaiter_base*>(l)->core_);
  return true;
}

// The coroutine is destroyed while it waits: the deferred goes on without a consumer.
void deferred_awaiter_base::withdraw() noexcept {
  if (ctx_ && ctx_->waiting() == this) ctx_->leave();
  if (core_->awaiter == this) {
    core_->awaiter = nullptr;
    core_->reset(core::awaited);
  }
  finish();
}

}  // namespace mobius::detail
