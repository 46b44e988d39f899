#pragma once
// Schedules: the same test under many orders of events, and with a cancel at every moment.
//
//     TEST_CASE("a channel keeps its order") {
//       mobius::testing::shake([](mobius::testing::world&) -> mobius::task<> { ... });
//     }

#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>

#include "../nested.hpp"
#include "testing.hpp"

namespace mobius::testing {

/// Decides, while it exists, in which order a reactor does what has no promised order: which of
/// the woken coroutines goes on first, how many of them go on before the kernel is asked again, and
/// how completions that came together are sorted. What is promised stays: functions given to
/// `call_soon`, `post` and `call_later` keep their order, as do the results of one operation.
class shaker : private mobius::detail::order_hook {
 public:
  /// Takes over `r`'s order, from its next turn on. Equal seeds give equal orders; 0 leaves the natural one.
  shaker(reactor& r, std::uint64_t seed);
  shaker(const shaker&) = delete;
  shaker& operator=(const shaker&) = delete;
  ~shaker() { reactor_.inject(static_cast<order_hook*>(nullptr)); }

  /// Called at every moment at which a cancel could come: before and after each piece of work.
  std::function<void()> on_step;

 private:
  static mobius::detail::node* pick_next(order_hook* self, mobius::detail::node_queue& ready) noexcept;
  static void has_run(order_hook* self) noexcept;
  static void arrange_batch(order_hook* self, mobius::detail::completion* batch, unsigned count) noexcept;
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }
  void step() noexcept {
    if (on_step) on_step();
  }

  reactor& reactor_;
  bool shakes_;
  std::mt19937_64 random_;
};

/// A test failed under some schedule; the text says how to repeat it.
class schedule_failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace detail {

using test_body = std::function<task<>(world&)>;
void run_shaken(const test_body& body, unsigned runs, const run_options& options);
std::size_t run_cancelled(const test_body& body, std::uint64_t seed, const run_options& options);

}  // namespace detail

/// Runs `body(world&)`, as `run` does, under the seeds 1 to `runs`, or only under the one that the
/// environment variable MOBIUS_SEED gives. Throws `schedule_failure` that names the seed.
template <class F>
void shake(F&& body, unsigned runs = 100, run_options options = {}) {
  detail::run_shaken(detail::test_body(std::ref(body)), runs, options);
}

/// Runs `body(world&)` again and again, each time cancelling it for good at the next later moment:
/// before it starts, then after each piece of work that the loop does, until it ends by itself.
/// Each time it must end, with a value or with `cancelled`, and leave nothing behind (see `run`).
/// With a seed other than 0 the schedule is shaken, too. Returns how often it was cancelled. Throws
/// `schedule_failure` that names the moment.
template <class F>
std::size_t cancel_at_every_await(F&& body, std::uint64_t seed = 0, run_options options = {}) {
  return detail::run_cancelled(detail::test_body(std::ref(body)), seed, options);
}

}  // namespace mobius::testing
