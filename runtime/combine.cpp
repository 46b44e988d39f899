#include "combine.hpp"

#include <cstdio>

#include "timeout.hpp"

namespace mobius::detail {

// --- when_all, when_any, race ------------------------------------------------------------------------

const leaf_type join::leaf_kind{"when_all, when_any or race", &join::cancel};

void join::arrived(branch_slot& slot, failure* error) noexcept {
  slot.ended = true;
  const bool decided = first_ended_ != nullptr;
  if (!decided && !(rule_ == join_rule::success && error)) first_ended_ = &slot;
  if (error) note(*error, decided);
  const bool ends_it = rule_ == join_rule::all ? error != nullptr : !decided && first_ended_;
  // Once: branches that end inside their cancel do not begin it anew, each on top of the one before.
  if (ends_it && !std::exchange(rest_cancelled_, true)) cancel_rest();
  if (--pending_ != 0 || starting_) return;
  state_ = state::done;
  wake();
}

// Keeps the error that is to be thrown. An error beats `cancelled`, but not in a race: what was
// stopped there might have succeeded.
void join::note(const failure& error, bool decided) noexcept {
  const bool stopped = error.check<cancelled>();
  if (rule_ == join_rule::success && !decided) {
    if (!error_ || stopped) error_ = error;
    return;
  }
  const bool counts = rule_ == join_rule::all || !decided;
  if (counts && (!error_ || (!stopped && error_->check<cancelled>()))) {
    error_ = error;
  } else if (!stopped) {
    report_unhandled(error, rule_ == join_rule::all   ? "when_all, after its first error"
                            : rule_ == join_rule::any ? "a loser of when_any"
                                                      : "a loser of race");
  }
}

void join::cancel_rest() noexcept {
  for (branch_slot* b = branches_; b; b = b->next) {
    if (!b->ended && !b->ctx.stopping()) b->ctx.cancel();
  }
}

bool join::cancel(leaf* l) noexcept {
  auto& self = *static_cast<join*>(l);
  if (self.state_ != state::waiting || self.pending_ == 0) return false;
  for (branch_slot* b = self.branches_; b; b = b->next) {
    if (!b->ended) b->ctx.forward_cancel(*self.ctx_);
  }
  return true;
}

// --- timeout -----------------------------------------------------------------------------------

const leaf_type timeout_base::leaf_kind{"timeout", &timeout_base::cancel};

void timeout_base::begin(context* outer, const std::source_location& where) noexcept {
  outer_ = outer;
  if (outer) {
    outer->enter(*this, where);
    inner_ctx_.adopt(*outer);
  }
  reactor_.timers().add(*this, reactor_.deadline_after(limit_));
}

void timeout_base::end() noexcept {
  reactor_.timers().cancel(*this);
  if (!outer_) return;
  outer_->leave();
  inner_ctx_.give_back(*outer_);
}

void timeout_base::expire(timer* t) noexcept {
  auto& self = *static_cast<timeout_base*>(t);
  self.expired_ = true;
  self.inner_ctx_.cancel();
}

bool timeout_base::cancel(leaf* l) noexcept {
  auto& self = *static_cast<timeout_base*>(l);
  self.inner_ctx_.forward_cancel(*self.outer_);
  return true;
}

std::string to_text(std::chrono::nanoseconds duration) {
  struct unit {
    std::int64_t size;
    const char* name;
  };
  constexpr unit units[] = {{1'000'000'000, " s"}, {1'000'000, " ms"}, {1'000, " us"}};
  for (const unit& u : units) {
    if (duration.count() >= u.size && duration.count() % u.size == 0) {
      return std::to_string(duration.count() / u.size) + u.name;
    }
  }
  return std::to_string(duration.count()) + " ns";
}

failure timed_out_failure(std::chrono::nanoseconds limit) {
  return make_failure<timed_out>("timed out after " + to_text(limit));
}

}  // namespace mobius::detail
