#pragma once
// `looping_call`: a function called again and again, on a grid of times (Twisted's LoopingCall).

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "../../runtime/reactor.hpp"
#include "../helpers.hpp"
#include "time_source.hpp"

namespace mobius {

class looping_call;

namespace detail {

/// What runs a looping call. It may outlive the looping_call, for as long as its function's last
/// deferred does.
class loop : public std::enable_shared_from_this<loop> {
 public:
  explicit loop(looping_call& owner) noexcept : owner_(&owner) {}
  loop(const loop&) = delete;
  loop& operator=(const loop&) = delete;
  virtual ~loop() = default;

  deferred<looping_call&> start(std::chrono::nanoseconds interval, bool now,
                                const std::source_location& where);
  void stop();
  void reset();
  void close() noexcept;
  bool running() const noexcept { return running_; }

 protected:
  virtual std::int64_t now() = 0;
  /// Calls `turn` after `delay`.
  virtual void schedule(std::chrono::nanoseconds delay) = 0;
  virtual void unschedule() noexcept = 0;
  /// Calls the function, unless it counts and `passed` is 0.
  virtual deferred<void> call(std::uint64_t passed) = 0;
  void turn();

 private:
  std::uint64_t passed(std::int64_t time) noexcept;
  void schedule_from(std::int64_t time);
  void call_ended(result<void>& outcome);

  looping_call* owner_;  // null when it has been destroyed
  resolver<looping_call&> ended_;
  std::int64_t started_at_ = 0;
  std::int64_t interval_ = 0;
  std::optional<std::int64_t> last_;  // when the last call was made
  bool running_ = false;
  bool scheduled_ = false;
  bool calling_ = false;
};

template <time_source Source, class F>
class loop_of final : public loop {
 public:
  static constexpr bool counts = !std::invocable<F&>;

  loop_of(looping_call& owner, Source& source, F&& f)
      : loop(owner), source_(source), function_(std::move(f)) {}

 private:
  std::int64_t now() override { return std::chrono::nanoseconds(source_.now().time_since_epoch()).count(); }
  void schedule(std::chrono::nanoseconds delay) override {
    call_ = source_.call_later(delay, [weak = this->weak_from_this()] {
      if (const auto self = weak.lock()) static_cast<loop_of&>(*self).turn();
    });
  }
  void unschedule() noexcept override { call_.cancel(); }
  deferred<void> call(std::uint64_t passed) override {
    if (counts && passed == 0) return succeed();
    return maybe_deferred([self = this->shared_from_this(), passed]() -> decltype(auto) {
             F& f = static_cast<loop_of&>(*self).function_;
             if constexpr (counts) {
               return std::invoke(f, passed);
             } else {
               static_cast<void>(passed);
               return std::invoke(f);
             }
           })
        .add_callback([](auto&&...) {});
  }

  Source& source_;
  F function_;
  scheduled_call_t<Source> call_;
};

}  // namespace detail

/// Calls `f` at start + k * interval, whatever time the calls take: after a late or long call the
/// next comes at the first of these times that lies ahead, and those missed are skipped. A deferred
/// or task that `f` returns is waited for first. An `f(std::uint64_t)` is given how many of these
/// times have passed since its last call (Twisted's withCount).
///
///     mobius::looping_call heartbeat(send_ping);
///     heartbeat.start(30s);
///
/// Destroying it stops it without a word: who waits gets `broken_deferred`. A call of `f` that still
/// waits then goes on. Belongs to one thread.
class looping_call {
 public:
  /// A loop on this thread's reactor.
  template <class F>
  requires std::invocable<F&> || std::invocable<F&, std::uint64_t>
  explicit looping_call(F f) : looping_call(reactor::current(), std::move(f)) {}
  /// A loop on a time source, which must outlive it.
  template <time_source Source, class F>
  requires std::invocable<F&> || std::invocable<F&, std::uint64_t> looping_call(Source& source, F f)
      : loop_(std::make_shared<detail::loop_of<Source, F>>(*this, source, std::move(f))) {}
  looping_call(const looping_call&) = delete;
  looping_call& operator=(const looping_call&) = delete;
  ~looping_call() { loop_->close(); }

  /// Begins: with a call here and now if `now`, else after one interval. Fires with this when `stop`
  /// is called and the last call has ended; fails if `f` throws or its deferred fails, with
  /// `running()` false by then (R164). An interval of 0 calls once each turn. Throws
  /// std::invalid_argument for less, `deferred_misuse` if it has not ended yet. A cancel of the
  /// deferred does not stop the loop.
  deferred<looping_call&> start(std::chrono::nanoseconds interval, bool now = true,
                                std::source_location where = std::source_location::current()) {
    return loop_->start(interval, now, where);
  }
  /// Ends it: here and now, or, if `f` or its deferred runs, when that ends (R167). Throws
  /// `deferred_misuse` if it does not run.
  void stop() { loop_->stop(); }
  /// Begins the grid anew, now: the next call comes after one interval. Does nothing while the
  /// deferred of `f` is waited for (R168). Throws `deferred_misuse` if it does not run.
  void reset() { loop_->reset(); }
  /// True from `start` to `stop` or failure.
  bool running() const noexcept { return loop_->running(); }

 private:
  std::shared_ptr<detail::loop> loop_;
};

}  // namespace mobius
