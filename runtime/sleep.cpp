#include "sleep.hpp"

namespace mobius::detail {

const leaf_type sleep_awaiter::kind{"sleep", &sleep_awaiter::cancel};

void sleep_awaiter::fire_sleep(timer* t) noexcept {
  auto* self = static_cast<sleep_awaiter*>(t);
  self->state_ = state::done;
  self->wake();
}

bool sleep_awaiter::cancel(leaf* l) noexcept {
  auto* self = static_cast<sleep_awaiter*>(l);
  if (self->state_ != state::waiting) return false;
  self->reactor_->timers().cancel(*self);
  self->stop();
  self->wake();
  return true;
}

const leaf_type yield_awaiter::kind{"yield", &yield_awaiter::cancel};

// It stands in the queue already, and only has to know what to say when its turn comes.
bool yield_awaiter::cancel(leaf* l) noexcept {
  auto* self = static_cast<yield_awaiter*>(l);
  if (self->state_ != state::waiting) return false;
  self->stop();
  return true;
}

}  // namespace mobius::detail
