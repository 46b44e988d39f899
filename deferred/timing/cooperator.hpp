#pragma once
// `cooperator`: long work in small steps, taken in turn (Twisted's Cooperator).

#include <chrono>
#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "../../runtime/reactor.hpp"
#include "../helpers.hpp"
#include "time_source.hpp"

namespace mobius {

class cooperator;

/// The base of the errors below (Twisted's SchedulerError).
class cooperator_error : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};
/// What becomes of the tasks of a cooperator that is stopped, and of those added to it later.
class cooperator_stopped final : public cooperator_error {
 public:
  cooperator_stopped() : cooperator_error("the cooperator was stopped; start() it before adding to it") {}
};
/// Thrown by `resume` without a `pause`.
class task_not_paused final : public cooperator_error {
 public:
  task_not_paused() : cooperator_error("cooperative_task::resume: the task is not paused; pause it first") {}
};
/// The base of what `pause` and `stop` throw when the task has ended.
class task_finished : public cooperator_error {
 public:
  using cooperator_error::cooperator_error;
};
/// Its steps were all taken.
class task_done final : public task_finished {
 public:
  task_done() : task_finished("the cooperative task has done all its steps; wait for when_done() instead") {}
};
/// It was stopped; also what `when_done` fails with then.
class task_stopped final : public task_finished {
 public:
  task_stopped() : task_finished("the cooperative task was stopped; cooperate() again to start anew") {}
};
/// A step failed.
class task_failed final : public task_finished {
 public:
  task_failed() : task_finished("a step of the cooperative task has failed; when_done() says how") {}
};

namespace detail {

class cooperator_state;

/// A sequence of steps in a cooperator.
class cooperative_steps : public std::enable_shared_from_this<cooperative_steps> {
 public:
  cooperative_steps() = default;
  cooperative_steps(const cooperative_steps&) = delete;
  cooperative_steps& operator=(const cooperative_steps&) = delete;
  virtual ~cooperative_steps();

  void pause();
  void resume();
  void stop();
  deferred<void> when_done(const std::source_location& where);

 protected:
  /// Takes a step: true if there may be more.
  virtual deferred<bool> step() = 0;

 private:
  friend class cooperator_state;
  void take_step();
  void step_ended(result<bool>& outcome);
  void check_running() const;
  void hold_back();
  void complete(std::exception_ptr state, result<void> outcome);

  std::weak_ptr<cooperator_state> owner_;
  std::vector<resolver<void>> watchers_;
  std::exception_ptr ended_;  // what pause and stop throw
  std::optional<result<void>> outcome_;
  unsigned paused_ = 0;
  bool watched_ = false;
};

template <class F>
class steps_of final : public cooperative_steps {
 public:
  explicit steps_of(F&& f) : function_(std::move(f)) {}

 private:
  deferred<bool> step() override {
    return maybe_deferred([self = this->shared_from_this()]() -> decltype(auto) {
             return std::invoke(static_cast<steps_of&>(*self).function_);
           })
        .add_callback([](auto&& more) { return static_cast<bool>(more); });
  }

  F function_;
};

/// What a cooperator shares with its tasks.
class cooperator_state : public std::enable_shared_from_this<cooperator_state> {
 public:
  using predicate = std::function<bool()>;

  std::function<std::function<void()>(std::function<void()>)> schedule;  // gives what takes it back
  std::function<predicate()> budget;
  bool started = true;
  bool stopped = false;

  void add(std::shared_ptr<cooperative_steps> steps);
  void remove(const cooperative_steps& steps) noexcept;
  void reschedule();
  void stop();

 private:
  void tick();

  std::vector<std::shared_ptr<cooperative_steps>> tasks_;  // in the order in which they came
  std::size_t next_ = 0;                                   // whose turn it is
  std::function<void()> take_back_;                        // empty unless a tick is due
};

template <class F>
concept step_function = std::invocable<F&> && requires(lifted_t<std::invoke_result_t<F&>, bool>& more) {
  static_cast<bool>(more);
};
template <class S>
concept step_sequence = !step_function<S> && requires(S & s) {
  s.next();
};

}  // namespace detail

/// A handle to work in a cooperator; copies mean the same. Dropping it does not stop the work.
class cooperative_task {
 public:
  /// Holds the work back until as many `resume`. Throws the `task_finished` that tells how it ended.
  void pause() { steps_->pause(); }
  /// Undoes one `pause`; throws `task_not_paused`. Of a task that ended while it was paused it does
  /// nothing (R175).
  void resume() { steps_->resume(); }
  /// Ends it: `when_done` fails with `task_stopped`. Throws as `pause` does.
  void stop() { steps_->stop(); }
  /// Fires when all steps are done; fails with what a step failed with, or with `task_stopped` or
  /// `cooperator_stopped`. Each call gives a deferred of its own (R174).
  deferred<void> when_done(std::source_location where = std::source_location::current()) {
    return steps_->when_done(where);
  }

 private:
  friend class cooperator;
  explicit cooperative_task(std::shared_ptr<detail::cooperative_steps> s) noexcept : steps_(std::move(s)) {}

  std::shared_ptr<detail::cooperative_steps> steps_;
};

/// Runs the steps of its tasks round robin, for 10 ms at a time, and then lets everything else run. A
/// task that ends or waits does not cost the one behind it its turn, as it does in Twisted.
///
/// A step is a call of a function that says whether there is more to do, or `next()` of a sequence,
/// such as a generator, whose result is empty at its end. One that returns a deferred or task of that
/// pauses its task until it ends (R173). What a step throws ends the task.
///
///     mobius::cooperate([it = files.begin(), &files]() mutable {
///       index(*it);
///       return ++it != files.end();
///     });
class cooperator {
 public:
  /// Called when a pass begins; what it returns is asked after each step whether the pass is over.
  using budget = std::function<std::function<bool()>()>;

  /// One on this thread's reactor.
  cooperator() : cooperator(reactor::current()) {}
  /// One on a time source, which must outlive it.
  template <time_source Source>
  explicit cooperator(Source& source, budget limit = ten_milliseconds(), bool started = true)
      : state_(std::make_shared<detail::cooperator_state>()) {
    state_->schedule = [&source](std::function<void()> f) -> std::function<void()> {
      // Not 0: a clock that is moved by hand would never come to the end of an endless task.
      auto call = source.call_later(std::chrono::nanoseconds(10), std::move(f));
      return [call]() mutable { call.cancel(); };
    };
    state_->budget = std::move(limit);
    state_->started = started;
  }
  cooperator(const cooperator&) = delete;
  cooperator& operator=(const cooperator&) = delete;
  ~cooperator() { state_->stop(); }

  /// Adds a step function; the first step comes in a later turn.
  template <detail::step_function F>
  cooperative_task cooperate(F f) {
    auto steps = std::make_shared<detail::steps_of<F>>(std::move(f));
    state_->add(steps);
    return cooperative_task(std::move(steps));
  }
  /// Adds a sequence.
  template <detail::step_sequence S>
  cooperative_task cooperate(S sequence) {
    return cooperate([s = std::move(sequence)]() mutable { return s.next(); });
  }
  /// The same; only the deferred that tells its end.
  template <class S>
  deferred<void> coiterate(S steps) {
    return cooperate(std::move(steps)).when_done();
  }
  /// Begins or goes on; one is made started.
  void start();
  /// Ends all tasks with `cooperator_stopped`, and so each that is added before the next `start`.
  void stop() { state_->stop(); }
  /// True if it takes steps.
  bool running() const noexcept { return state_->started && !state_->stopped; }
  /// The usual budget.
  static budget ten_milliseconds();

 private:
  std::shared_ptr<detail::cooperator_state> state_;
};

/// Adds steps to the one cooperator of this thread's reactor.
template <class S>
cooperative_task cooperate(S steps) {
  return reactor::current().service<cooperator>().cooperate(std::move(steps));
}
/// The same; only the deferred that tells its end.
template <class S>
deferred<void> coiterate(S steps) {
  return cooperate(std::move(steps)).when_done();
}

}  // namespace mobius
