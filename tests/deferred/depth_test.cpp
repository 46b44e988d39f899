// Long chains of every kind use no more stack than short ones.

#include <pthread.h>

#include <functional>

#include "kit.hpp"

namespace {

constexpr int depth = 200'000;

// Runs `f` on a thread with a stack that a recursion of this depth overflows.
void on_small_stack(std::function<void()> f) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 256 * 1024);
  pthread_t thread{};
  const auto run = [](void* p) -> void* {
    (*static_cast<std::function<void()>*>(p))();
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, &attributes, run, &f) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

deferred<int> after(deferred<int> d) {
  const int n = co_await std::move(d);
  co_return n + 1;
}
deferred<int> after_through_task(deferred<int> d) {
  task<int> t = mobius::to_task(std::move(d));
  const int n = co_await std::move(t);
  co_return n + 1;
}
deferred<int> immediate() { co_return 1; }
deferred<int> loop(int times) {
  int sum = 0;
  for (int i = 0; i < times; ++i) {
    const int n = co_await immediate();
    sum += n;
  }
  co_return sum;
}

// Each deferred waits for the one before.
deferred<int> nested(deferred<int> last) {
  for (int i = 0; i < depth; ++i) {
    auto outer = succeed(0);
    outer.add_callback([inner = std::move(last)](int) mutable { return std::move(inner); });
    outer.add_callback([](int n) { return n + 1; });
    last = std::move(outer);
  }
  return last;
}

deferred<int> coroutines(deferred<int> last, deferred<int> (*step)(deferred<int>)) {
  for (int i = 0; i < depth; ++i) last = step(std::move(last));
  return last;
}

}  // namespace

TEST_CASE("200 000 deferreds that wait for one another unwind in a small stack") {
  int result = 0;
  on_small_stack([&] {
    auto [d, fire] = make_deferred<int>();
    auto last = nested(std::move(d));
    fire(0);
    result = std::move(last).get_now();
  });
  CHECK(result == depth);
}

TEST_CASE("200 000 coroutines that await one another unwind in a small stack") {
  for (auto* step : {&after, &after_through_task}) {
    int result = 0;
    on_small_stack([&] {
      auto [d, fire] = make_deferred<int>();
      auto last = coroutines(std::move(d), step);
      fire(0);
      result = std::move(last).get_now();
    });
    CHECK(result == depth);
  }
}

TEST_CASE("a cancel through 200 000 waits and coroutines is a loop") {
  int stopped = 0;
  bool was_cancelled = false;
  on_small_stack([&] {
    auto [d, fire] = make_deferred<int>([&] {
      ++stopped;
      return mobius::cancel_reply::later;
    });
    auto last = coroutines(nested(std::move(d)), &after);
    last.cancel();
    fire(1);
    was_cancelled = std::move(last).get_now() == 2 * depth + 1;
  });
  CHECK(stopped == 1);
  CHECK(was_cancelled);
}

TEST_CASE("a deep chain whose resolver is dropped breaks in a small stack") {
  bool broken = false;
  on_small_stack([&] {
    auto ends = make_deferred<int>();
    auto last = nested(std::move(ends.deferred));
    ends.resolver = {};
    last.add_errback<mobius::broken_deferred>([&](mobius::broken_deferred&) {
      broken = true;
      return 0;
    });
  });
  CHECK(broken);
}

TEST_CASE("200 000 unfired deferreds that hold one another are destroyed in a small stack") {
  std::size_t before = 1;
  std::size_t left = 0;
  on_small_stack([&] {
    before = mobius::detail::live_frames();
    {
      deferred<int> last;
      for (int i = 0; i < depth; ++i) {
        auto [d, fire] = make_deferred<int>();
        d.add_callback([held = std::move(last)](int n) { return held ? n : 0; });
        last = std::move(d);
      }
    }
    left = mobius::detail::live_frames();
  });
  CHECK(left == before);
}

TEST_CASE("a loop of 200 000 awaits of coroutines that are ready uses no stack") {
  int result = 0;
  on_small_stack([&] { result = loop(depth).get_now(); });
  CHECK(result == depth);
}

TEST_CASE("200 000 callbacks on one deferred run in a small stack") {
  int result = 0;
  on_small_stack([&] {
    auto [d, fire] = make_deferred<int>();
    for (int i = 0; i < depth; ++i) d.add_callback([](int n) { return n + 1; });
    fire(0);
    result = std::move(d).get_now();
  });
  CHECK(result == depth);
}
