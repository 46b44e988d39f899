#include "looping_call.hpp"

#include <stdexcept>

namespace mobius::detail {

deferred<looping_call&> loop::start(std::chrono::nanoseconds interval, bool now,
                                    const std::source_location& where) {
  if (running_ || calling_) {
    throw deferred_misuse(running_ ? "looping_call::start: it runs already; stop it first"
                                   : "looping_call::start: its last call has not ended; wait for the "
                                     "deferred of its start first");
  }
  if (interval.count() < 0) {
    throw std::invalid_argument("looping_call::start: the interval is negative; give 0 or more");
  }
  auto [d, fire] = make_deferred<looping_call&>(where);
  ended_ = std::move(fire);
  running_ = true;
  started_at_ = this->now();
  interval_ = interval.count();
  last_.reset();
  if (now) last_ = started_at_ - interval_;
  if (now) {
    turn();
  } else {
    schedule_from(started_at_);
  }
  return std::move(d);
}

void loop::stop() {
  if (!running_) throw deferred_misuse("looping_call::stop: it does not run; start it first");
  running_ = false;
  if (!std::exchange(scheduled_, false)) return;
  unschedule();
  const auto fire = std::exchange(ended_, {});
  fire(*owner_);
}

void loop::reset() {
  if (!running_) throw deferred_misuse("looping_call::reset: it does not run; start it first");
  if (!std::exchange(scheduled_, false)) return;
  unschedule();
  started_at_ = now();
  schedule_from(started_at_);
}

void loop::close() noexcept {
  owner_ = nullptr;
  running_ = false;
  if (std::exchange(scheduled_, false)) unschedule();
  ended_ = {};
}

void loop::turn() {
  const auto self = shared_from_this();
  scheduled_ = false;
  calling_ = true;
  call(passed(now())).add_both([self](result<void> outcome) -> result<void> {
    self->calling_ = false;
    if (!self->owner_) return outcome;
    self->call_ended(outcome);
    return {};
  });
}

// The grid points since the last call, also those before a reset, by the grid of now; each turn is one if
// the interval is 0.
std::uint64_t loop::passed(std::int64_t time) noexcept {
  if (interval_ == 0) return 1;
  const std::int64_t last = last_.value_or(started_at_);
  const std::int64_t count = (time - started_at_) / interval_ - (last - started_at_) / interval_;
  if (count <= 0) return 0;
  last_ = time;
  return static_cast<std::uint64_t>(count);
}

void loop::schedule_from(std::int64_t time) {
  const std::int64_t delay = interval_ == 0 ? 0 : interval_ - (time - started_at_) % interval_;
  scheduled_ = true;
  schedule(std::chrono::nanoseconds(delay));
}

void loop::call_ended(result<void>& outcome) {
  if (outcome && running_) return schedule_from(now());
  running_ = false;
  const auto fire = std::exchange(ended_, {});
  if (outcome) {
    fire(*owner_);
  } else {
    fire.errback(std::move(outcome.error()));
  }
}

}  // namespace mobius::detail
