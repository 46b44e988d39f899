#pragma once
// `every(interval)`: the times of a grid as a sequence, for coroutines; what a `looping_call` is for
// callbacks.

#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>

#include "../../runtime/reactor.hpp"
#include "../helpers.hpp"
#include "time_source.hpp"

namespace mobius {

/// The grid that begins when it is made. It must not be destroyed before its time source, nor while
/// somebody awaits `next`, who would get `broken_deferred`.
template <time_source Source>
class ticks {
 public:
  /// Made by `every`.
  ticks(Source& source, std::chrono::nanoseconds interval)
      : source_(source), interval_(interval), begin_(source.now()) {
    if (interval.count() < 0) throw std::invalid_argument("every: the interval is negative; give 0 or more");
  }
  ticks(const ticks&) = delete;
  ticks& operator=(const ticks&) = delete;
  ~ticks() { call_.cancel(); }

  /// Fires at the first point of the grid that lies ahead, with how many points have passed since
  /// the last one: 1, unless the reader was late. Empty after `stop`. With an interval of 0 it fires
  /// in the next turn. A cancel ends the wait. Throws `deferred_misuse` if one is waited for already.
  deferred<std::optional<std::uint64_t>> next(std::source_location where = std::source_location::current()) {
    if (stopped_) return succeed(std::optional<std::uint64_t>());
    if (call_.active()) throw deferred_misuse("ticks::next: the last one has not come yet; await it first");
    auto [d, fire] = make_deferred<std::optional<std::uint64_t>>(where);
    waiting_ = fire;
    call_ = source_.call_later(until_next(), [this] { tick(); });
    detail::set_canceller(d, [call = call_]() mutable { call.cancel(); });
    return std::move(d);
  }
  /// Ends the sequence: who waits, and every later `next`, gets an empty result.
  void stop() {
    stopped_ = true;
    if (!call_.cancel()) return;
    const auto fire = std::exchange(waiting_, {});
    fire(std::optional<std::uint64_t>());
  }
  /// Begins the grid anew, now.
  void reset() {
    begin_ = source_.now();
    last_ = 0;
    if (call_.active()) call_.reset(interval_);
  }

 private:
  std::int64_t point() const {
    return interval_.count() == 0 ? last_ + 1 : (source_.now() - begin_) / interval_;
  }
  std::chrono::nanoseconds until_next() const {
    if (interval_.count() == 0) return interval_;
    return interval_ - (source_.now() - begin_) % interval_;
  }
  void tick() {
    const std::int64_t now = point();
    const auto passed = static_cast<std::uint64_t>(now - std::exchange(last_, now));
    const auto fire = std::exchange(waiting_, {});
    fire(std::optional<std::uint64_t>(passed));
  }

  Source& source_;
  std::chrono::nanoseconds interval_;
  std::chrono::steady_clock::time_point begin_;
  std::int64_t last_ = 0;
  bool stopped_ = false;
  scheduled_call_t<Source> call_;
  resolver<std::optional<std::uint64_t>> waiting_;
};

/// The points now + k * interval, k = 1, 2, ...; those that the reader misses are skipped:
///
///     auto ticks = mobius::every(1s);
///     while (auto tick = co_await ticks.next()) report();
template <time_source Source>
ticks<Source> every(Source& source, std::chrono::nanoseconds interval) {
  return ticks<Source>(source, interval);
}
/// The same on this thread's reactor.
inline ticks<reactor> every(std::chrono::nanoseconds interval) {
  return ticks<reactor>(reactor::current(), interval);
}

}  // namespace mobius
