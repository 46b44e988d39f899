#include "cooperator.hpp"

#include <algorithm>

namespace mobius {

namespace detail {

cooperative_steps::~cooperative_steps() {
  if (watched_ || !outcome_ || *outcome_) return;
  const failure& f = outcome_->error();
  if (!f.check<task_stopped, cooperator_stopped>()) report_unhandled(f, "a cooperative task");
}

void cooperative_steps::check_running() const {
  if (ended_) std::rethrow_exception(ended_);
}

void cooperative_steps::pause() {
  check_running();
  hold_back();
}

void cooperative_steps::hold_back() {
  if (paused_++ != 0) return;
  if (const auto owner = owner_.lock()) owner->remove(*this);
}

void cooperative_steps::resume() {
  if (paused_ == 0) throw task_not_paused();
  if (--paused_ != 0 || ended_) return;
  if (const auto owner = owner_.lock()) {
    owner->add(shared_from_this());
  } else {
    complete(std::make_exception_ptr(cooperator_stopped()), make_failure<cooperator_stopped>());
  }
}

void cooperative_steps::stop() {
  check_running();
  complete(std::make_exception_ptr(task_stopped()), make_failure<task_stopped>());
}

deferred<void> cooperative_steps::when_done(const std::source_location& where) {
  watched_ = true;
  if (outcome_) return from_result(*outcome_);
  auto [d, fire] = make_deferred<void>(where);
  watchers_.push_back(std::move(fire));
  return std::move(d);
}

// The watchers come last: they may look at this task, and stop or start others.
void cooperative_steps::complete(std::exception_ptr state, result<void> outcome) {
  const auto self = shared_from_this();
  ended_ = std::move(state);
  outcome_.emplace(std::move(outcome));
  if (const auto owner = owner_.lock()) owner->remove(*this);
  for (const resolver<void>& fire : std::exchange(watchers_, {})) {
    if (fire.fired()) continue;
    if (*outcome_) {
      fire();
    } else {
      fire.errback(outcome_->error());
    }
  }
}

void cooperative_steps::take_step() {
  auto more = step();
  if (const bool* value = more.value_if()) {
    if (!*value && !ended_) complete(std::make_exception_ptr(task_done()), {});
    return;
  }
  const bool waits = !more.ready();
  if (waits) hold_back();
  std::move(more).add_both([self = shared_from_this(), waits](result<bool> r) -> result<void> {
    if (waits && r && *r) {
      self->resume();
      return {};
    }
    if (waits) --self->paused_;
    if (!self->ended_) {
      self->step_ended(r);
    } else if (!r) {
      return std::move(r.error());
    }
    return {};
  });
}

void cooperative_steps::step_ended(result<bool>& outcome) {
  if (!outcome) {
    complete(std::make_exception_ptr(task_failed()), std::move(outcome.error()));
  } else if (!*outcome) {
    complete(std::make_exception_ptr(task_done()), {});
  }
}

void cooperator_state::add(std::shared_ptr<cooperative_steps> steps) {
  steps->owner_ = weak_from_this();
  if (stopped) {
    steps->complete(std::make_exception_ptr(cooperator_stopped()), make_failure<cooperator_stopped>());
    return;
  }
  tasks_.push_back(std::move(steps));
  reschedule();
}

void cooperator_state::remove(const cooperative_steps& steps) noexcept {
  const auto at =
      std::find_if(tasks_.begin(), tasks_.end(), [&](const auto& t) { return t.get() == &steps; });
  if (at == tasks_.end()) return;
  if (static_cast<std::size_t>(at - tasks_.begin()) < next_) --next_;
  tasks_.erase(at);
  if (tasks_.empty() && take_back_) std::exchange(take_back_, {})();
}

void cooperator_state::reschedule() {
  if (!started || take_back_ || tasks_.empty()) return;
  take_back_ = schedule([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->tick();
  });
}

void cooperator_state::tick() {
  take_back_ = {};
  const auto self = shared_from_this();
  const predicate over = budget();
  while (!tasks_.empty()) {
    if (next_ >= tasks_.size()) next_ = 0;
    const auto current = tasks_[next_++];
    current->take_step();
    if (over()) break;
  }
  reschedule();
}

void cooperator_state::stop() {
  const auto self = shared_from_this();
  stopped = true;
  if (take_back_) std::exchange(take_back_, {})();
  for (const auto& steps : std::exchange(tasks_, {})) {
    if (steps->ended_) continue;
    steps->complete(std::make_exception_ptr(cooperator_stopped()), make_failure<cooperator_stopped>());
  }
}

}  // namespace detail

void cooperator::start() {
  state_->stopped = false;
  state_->started = true;
  state_->reschedule();
}

cooperator::budget cooperator::ten_milliseconds() {
  return []() -> std::function<bool()> {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(10);
    return [end] { return std::chrono::steady_clock::now() >= end; };
  };
}

}  // namespace mobius
