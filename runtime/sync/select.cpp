#include "select.hpp"

namespace mobius::detail {

const leaf_type selection::leaf_kind{"select", &selection::cancel};

void selection::add(branch_slot& slot) noexcept {
  if (ctx_) slot.ctx.inherit(*ctx_);
  slot.next = branches_;
  branches_ = &slot;
  ++pending_;
}

void selection::granted(std::size_t index) noexcept {
  winner_ = index;
  withdraw_others();
  cancel_branches();
  finish_if_over();
}

void selection::arrived(branch_slot& slot, failure* error) noexcept {
  slot.ended = true;
  --pending_;
  if (!decided()) {
    first_ended_ = &slot;
    if (error) error_ = *error;
    withdraw_others();
    cancel_branches();
  } else if (error && !error->check<cancelled>()) {
    if (error_ && error_->check<cancelled>()) {
      error_ = *error;  // an error beats `cancelled`
    } else {
      report_unhandled(*error, "a loser of select");
    }
  }
  finish_if_over();
}

bool selection::skip(branch_slot& slot) noexcept {
  if (!decided() && !stopping_) return false;
  slot.ended = true;
  --pending_;
  return true;
}

bool selection::wait() noexcept {
  starting_ = false;
  if (pending_ != 0 || !(decided() || stopping_)) return true;
  settle();
  return false;
}

void selection::throw_if_failed() {
  if (error_ && winner_ == none) error_->rethrow();
}

void selection::cancel_branches() noexcept {
  for (branch_slot* b = branches_; b; b = b->next) {
    if (!b->ended && !b->ctx.stopping()) b->ctx.cancel();
  }
}

void selection::settle() noexcept {
  if (decided()) {
    state_ = state::done;
  } else {
    stop();
  }
}

void selection::finish_if_over() noexcept {
  if (starting_ || pending_ != 0 || state_ != state::waiting) return;
  settle();
  wake();
}

// The branches may still win against the cancel; the others are withdrawn at once.
bool selection::cancel(leaf* l) noexcept {
  auto& self = *static_cast<selection*>(l);
  if (self.state_ != state::waiting) return false;
  if (self.decided()) return true;
  self.withdraw_others();
  for (branch_slot* b = self.branches_; b; b = b->next) {
    if (!b->ended) b->ctx.forward_cancel(*self.ctx_);
  }
  if (self.starting_ || self.pending_ == 0) {
    self.stopping_ = true;
    self.finish_if_over();
  }
  return true;
}

}  // namespace mobius::detail
