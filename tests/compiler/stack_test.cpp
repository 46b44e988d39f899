// The stack that awaits cost. A loop over ready tasks must cost none: GCC makes a plain call of a
// symmetric transfer at -O0, -O1 and under the sanitizers unless it is helped.

#include <cstdint>
#include <cstdio>

#include "subject.hpp"
#include "support/catch.hpp"

using namespace compiler_test;

namespace {

struct stack_range {
  std::uintptr_t low = UINTPTR_MAX;
  std::uintptr_t high = 0;

  std::uintptr_t bytes() const { return high - low; }
};

[[gnu::noinline]] void note_depth(stack_range& range) {
  const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  range.low = here < range.low ? here : range.low;
  range.high = here > range.high ? here : range.high;
}

task<int> ready(stack_range& range) {
  note_depth(range);
  co_return 1;
}

task<long> sum_ready(long times, stack_range& range) {
  long sum = 0;
  for (long i = 0; i < times; ++i) sum += co_await ready(range);
  co_return sum;
}

task<int> fails(stack_range& range) {
  note_depth(range);
  throw 1;
  co_return 0;
}

task<long> count_failures(long times, stack_range& range) {
  long caught = 0;
  for (long i = 0; i < times; ++i) {
    try {
      co_await fails(range);
    } catch (int) {
      ++caught;
    }
  }
  co_return caught;
}

/// Suspends at the bottom, so that all the returns happen one after the other.
task<long> nested(long depth, stack_range& on_return) {
  if (depth == 0) {
    co_await step();
    co_return 0;
  }
  const long below = co_await nested(depth - 1, on_return);
  note_depth(on_return);
  co_return below + 1;
}

struct fire_and_forget {
  struct promise_type {
    fire_and_forget get_return_object() { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
};

fire_and_forget drive(task<long> subject, long& out) { out = co_await std::move(subject); }

long run_here(task<long> subject) {
  long out = -1;
  drive(std::move(subject), out);
  while (paused()) mobius::detail::resume(std::exchange(paused(), nullptr));
  return out;
}

}  // namespace

TEST_CASE("a loop that awaits a million ready tasks uses no stack per await") {
  stack_range range;
  CHECK(run_here(sum_ready(1'000'000, range)) == 1'000'000);
  CHECK(range.bytes() == 0);
}

TEST_CASE("a loop over tasks that fail uses no stack per await") {
  stack_range range;
  CHECK(run_here(count_failures(10'000, range)) == 10'000);
  CHECK(range.bytes() == 0);
}

TEST_CASE("a hundred thousand nested tasks return one after the other on a flat stack", "[fault-54]") {
#ifdef MOBIUS_TRAMPOLINE
  // The way down is recursive under g++ with sanitizers; only the way up is flat there.
  constexpr long depth = 2'000;
#else
  constexpr long depth = 100'000;
#endif
  stack_range range;
  CHECK(run_here(nested(depth, range)) == depth);
  CHECK(range.bytes() == 0);
}
