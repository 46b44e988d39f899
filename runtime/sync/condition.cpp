#include "condition.hpp"

#include <utility>

namespace mobius::detail {

const leaf_type condition_awaiter::leaf_kind{"condition.wait", &condition_awaiter::cancel};

bool condition_awaiter::suspend(std::coroutine_handle<> h, context* ctx,
                                const std::source_location& where) noexcept {
  if (const gate g = arrive(h, ctx, where); g != gate::open) return g == gate::queued;
  line_.push(*this);
  mutex_.unlock();
  return true;
}

void condition_awaiter::on_notified(wait_entry* e) noexcept {
  auto& self = *static_cast<condition_awaiter*>(e);
  self.notified_ = true;
  self.lock();
}

void condition_awaiter::on_locked(wait_entry* e) noexcept {
  auto& self = *static_cast<condition_awaiter*>(e);
  if (self.notified_) {
    self.state_ = state::done;
  } else {
    self.stop();
  }
  self.wake();
}

void condition_awaiter::lock() noexcept {
  granted = &condition_awaiter::on_locked;
  if (std::exchange(mutex_.locked_, true)) {
    mutex_.waiters_.push(*this);
  } else {
    on_locked(this);
  }
}

// A cancel that comes before a notification wins, one that comes after it does not; either waits
// for the mutex.
bool condition_awaiter::cancel(leaf* l) noexcept {
  auto& self = *static_cast<condition_awaiter*>(l);
  if (self.state_ != state::waiting || self.granted == &condition_awaiter::on_locked) return false;
  self.unlink();
  self.lock();
  return true;
}

}  // namespace mobius::detail
