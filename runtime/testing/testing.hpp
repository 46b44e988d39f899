#pragma once
// The test kit: run a coroutine in virtual time and be told of everything it left behind. It is
// tied to no test framework: what is wrong is an exception.
//
//     TEST_CASE("a sleeper wakes") {
//       mobius::testing::run([](mobius::testing::world& w) -> mobius::task<> {
//         co_await mobius::sleep(24h);              // takes no real time
//       });
//     }

#include <chrono>
#include <cstddef>
#include <functional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../reactor.hpp"
#include "../task.hpp"

namespace mobius::testing {

/// Thrown for what a test left behind.
class leak : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What exists at a moment: coroutine frames and pooled blocks of this thread, open descriptors.
struct inventory {
  std::size_t frames;
  std::size_t descriptors;

  /// Counts now.
  static inventory take();
  /// Throws `leak` if there is more now than there was.
  void expect_no_more() const;
};

/// Collects the failures that nobody caught, in place of this thread's hook, while it exists.
class unhandled_failures {
 public:
  /// One of them.
  struct entry {
    failure what;
    std::string where;
  };

  unhandled_failures();
  unhandled_failures(const unhandled_failures&) = delete;
  unhandled_failures& operator=(const unhandled_failures&) = delete;
  ~unhandled_failures();

  /// Gives those that have come, and forgets them: the test has seen them.
  std::vector<entry> take() { return std::exchange(entries_, {}); }
  /// Throws `leak` if there are any that the test has not taken.
  void expect_none() const;

 private:
  std::vector<entry> entries_;
  unhandled_hook before_;
};

/// Faults at the seam between a reactor and the kernel, while it exists.
class faults {
 public:
  explicit faults(reactor& r) : reactor_(r) { reactor_.ring().inject(&faults_); }
  faults(const faults&) = delete;
  faults& operator=(const faults&) = delete;
  ~faults() { reactor_.ring().inject(nullptr); }

  /// Lets the next `times` enters fail with this errno instead of reaching the kernel.
  void fail_enter(int error, unsigned times = 1);
  /// Calls `f` with each completion before the reactor sees it; it may rewrite the result.
  void on_completion(std::function<void(mobius::detail::completion&)> f) { faults_.on_reap = std::move(f); }
  /// How many enters have failed so far.
  unsigned failed_enters() const noexcept { return failed_; }

 private:
  reactor& reactor_;
  mobius::detail::ring_faults faults_;
  unsigned failed_ = 0;
};

/// What a test body runs in.
struct world {
  /// The clock that the reactor follows.
  virtual_clock& clock;
  /// The reactor.
  mobius::reactor& reactor;
  /// What nobody caught.
  unhandled_failures& unhandled;
};

/// How `run` sets up its world.
struct run_options {
  /// False for tests whose subject is the real clock.
  bool virtual_time = true;
  /// Passed on to the reactor; signals are off and the clock is set by `run`.
  reactor_options reactor = {};
};

namespace detail {
void run_body(const std::function<task<>(world&)>& body, run_options options);
}  // namespace detail

/// Runs `body(world&)`, a function that returns a task, in a reactor of its own. Throws what the
/// body throws, and `leak` if it leaves a frame, block, operation, timer or descriptor behind or a
/// failure that nobody caught.
template <class F>
void run(F&& body, run_options options = {}) {
  detail::run_body(std::function<task<>(world&)>(std::ref(body)), std::move(options));
}

}  // namespace mobius::testing
