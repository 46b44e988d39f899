#include "delayed_call.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "reactor.hpp"

namespace mobius {

namespace detail {

void delayed_block::fire_timer(timer* t) noexcept {
  auto* self = static_cast<delayed_block*>(t);
  self->due_ = true;
  if (!std::exchange(self->queued_, true)) this_thread.ready->push(self);
}

void delayed_block::run_node(node* n) noexcept {
  auto* self = static_cast<delayed_block*>(n);
  self->queued_ = false;
  if (std::exchange(self->due_, false)) {
    self->finish(true);
  } else if (!self->armed()) {
    self->release();  // cancelled while it was queued
  }
}

// The function goes before the reference does; a node still queued keeps the block.
void delayed_block::finish(bool call) noexcept {
  unlink();
  end_(this, call);
  if (!queued_) release();
}

bool delayed_block::cancel() noexcept {
  if (!active()) return false;
  owner_->timers().cancel(*this);
  due_ = false;
  cancelled_ = true;
  finish(false);
  return true;
}

bool delayed_block::reset(std::int64_t at) noexcept {
  if (!active()) return false;
  owner_->timers().cancel(*this);
  due_ = false;
  schedule(at);
  return true;
}

void delayed_block::schedule(std::int64_t at) noexcept {
  due_at_ = at;
  owner_->timers().add(*this, at);
}

}  // namespace detail

bool delayed_call::reset(std::chrono::nanoseconds after) noexcept {
  return block_ && block_->reset(block_->owner().deadline_after(after));
}

bool delayed_call::delay(std::chrono::nanoseconds more) noexcept {
  if (!active()) return false;
  std::int64_t at = 0;
  if (__builtin_add_overflow(block_->due_at(), more.count(), &at)) {
    at = more.count() < 0 ? 0 : std::numeric_limits<std::int64_t>::max();
  }
  return block_->reset(std::max<std::int64_t>(at, 0));
}

}  // namespace mobius
