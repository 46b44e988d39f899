#include "system_events.hpp"

namespace mobius {

namespace detail {

bool event_phases::empty() const noexcept {
  return lists_[before].empty() && lists_[during].empty() && lists_[after].empty();
}

void event_phases::fire(std::function<void()> done) {
  done_ = std::move(done);
  waiting_ = 1;
  while (!lists_[before].empty()) {
    const auto trigger = std::move(lists_[before].front());
    lists_[before].pop_front();
    ++waiting_;
    trigger->call().add_both([self = shared_from_this()](result<void> r) {
      if (!r) report_unhandled(r.error(), "a trigger before startup or shutdown");
      if (--self->waiting_ == 0) self->call_rest();
    });
  }
  if (--waiting_ == 0) call_rest();
}

void event_phases::call_rest() noexcept {
  for (const phase p : {during, after}) {
    while (!lists_[p].empty()) {
      const auto trigger = std::move(lists_[p].front());
      lists_[p].pop_front();
      trigger->call();
    }
  }
  if (const auto done = std::exchange(done_, nullptr)) done();
}

}  // namespace detail

bool event_trigger::remove() {
  const auto trigger = trigger_.lock();
  return trigger && std::erase(*list_, trigger) != 0;
}

void system_events::begin_run(run_hook* hook) noexcept {
  auto& self = *static_cast<system_events*>(hook);
  self.shutdown_state_ = state::idle;
  if (!self.startup_->empty()) self.startup_->fire({});
}

bool system_events::end_run(run_hook* hook) noexcept {
  auto& self = *static_cast<system_events*>(hook);
  if (self.shutdown_state_ == state::idle && !self.shutdown_->empty()) {
    self.shutdown_state_ = state::firing;
    self.shutdown_->fire([&self] { self.shutdown_state_ = state::fired; });
  }
  return self.shutdown_state_ != state::firing;
}

}  // namespace mobius
