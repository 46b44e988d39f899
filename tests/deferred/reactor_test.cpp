// Deferreds in a reactor: time, scopes, combinators and shutdown, in virtual time.

#include <mobius/runtime/runtime.hpp>
#include <mobius/runtime/scope.hpp>
#include <mobius/runtime/testing/testing.hpp>

#include "kit.hpp"

using namespace std::chrono_literals;
using mobius::cancelled;
using mobius::deferred;
using mobius::failure;
using mobius::make_deferred;
using mobius::task;
using mobius::testing::world;

namespace {

deferred<int> nap(std::chrono::nanoseconds time, int value) {
  co_await mobius::sleep(time);
  co_return value;
}

task<int> nap_task(std::chrono::nanoseconds time, int value) {
  co_await mobius::sleep(time);
  co_return value;
}

}  // namespace

TEST_CASE("defer_later and add_timeout use the reactor of the thread") {
  mobius::testing::run([](world& w) -> task<> {
    const auto begin = w.clock.now();
    auto later = mobius::defer_later(
        2s, [](int a, int b) { return a * b; }, 6, 7);
    const int product = co_await std::move(later);
    CHECK(product == 42);
    CHECK(w.clock.now() - begin == 2s);

    auto [d, fire] = make_deferred<int>();
    auto limited = mobius::add_timeout(std::move(d), 1s);
    const auto outcome = co_await mobius::as_result(std::move(limited));
    CHECK_FALSE(outcome.has_value());
    CHECK(outcome.error().check<mobius::timed_out>());
  });
}

TEST_CASE("a coroutine that returns a deferred runs by itself and serves both styles") {
  mobius::testing::run([](world&) -> task<> {
    auto callback_style = nap(1s, 4);
    callback_style.add_callback([](int n) { return n + 1; });
    const int n = co_await std::move(callback_style);
    CHECK(n == 5);
    auto from_task = mobius::to_deferred(nap_task(1s, 6));
    CHECK_FALSE(from_task.ready());
    const int m = co_await mobius::to_task(std::move(from_task));
    CHECK(m == 6);
  });
}

TEST_CASE("cancel ends the operation that a detached coroutine waits for") {
  mobius::testing::run([](world& w) -> task<> {
    const auto begin = w.clock.now();
    auto d = nap(10s, 1);
    d.cancel();
    const auto outcome = co_await mobius::as_result(std::move(d));
    CHECK(outcome.error().check<cancelled>());
    CHECK(w.clock.now() == begin);
  });
}

TEST_CASE("timeout around an awaited deferred cancels it") {
  mobius::testing::run([](world&) -> task<> {
    int asked = 0;
    auto [d, fire] = make_deferred<int>([&] { ++asked; });
    const auto outcome = co_await mobius::as_result(mobius::timeout(1s, std::move(d)));
    CHECK(outcome.error().check<mobius::timed_out>());
    CHECK(asked == 1);
    const int n = co_await mobius::timeout(2s, nap(1s, 3));
    CHECK(n == 3);
  });
}

TEST_CASE("when_all takes deferreds and tasks together, and cancels the rest at an error") {
  mobius::testing::run([](world&) -> task<> {
    const auto [a, b] = co_await mobius::when_all(nap(2s, 1), nap_task(1s, 2));
    CHECK(a == 1);
    CHECK(b == 2);
    int asked = 0;
    auto [d, fire] = make_deferred<int>([&] { ++asked; });
    const auto failing = [] {
      return mobius::defer_later(1s, []() -> int { throw std::runtime_error("first"); });
    };
    const auto outcome = co_await mobius::as_result(mobius::when_all(std::move(d), failing()));
    CHECK(outcome.error().what() == "first");
    CHECK(asked == 1);
  });
}

TEST_CASE("a scope that is cancelled passes it on to the deferreds that its tasks await") {
  mobius::testing::run([](world&) -> task<> {
    int asked = 0;
    auto [d, fire] = make_deferred<int>([&] { ++asked; });
    const auto wait = [](deferred<int> x) -> task<> { co_await std::move(x); };
    const auto body = [&](mobius::scope& s) -> task<> {
      s.start(wait, std::move(d));
      co_await mobius::sleep(1s);
      s.cancel();
    };
    co_await mobius::with_scope(body);
    CHECK(asked == 1);
  });
}

TEST_CASE("code that swallows a cancel which holds, and awaits again, does not stop the reactor") {
  mobius::testing::run([](world& w) -> task<> {
    int swallowed = 0;
    const auto stubborn = [](int& count) -> task<> {
      while (count < 50) {
        auto [d, fire] = make_deferred<int>();
        try {
          co_await std::move(d);
        } catch (const cancelled&) {
          ++count;
        }
      }
    };
    const auto turns = w.reactor.stats().turns;
    const auto body = [&](mobius::scope& s) -> task<> {
      s.start(stubborn, std::ref(swallowed));
      s.cancel();
      co_return;
    };
    co_await mobius::with_scope(body);
    CHECK(swallowed == 50);
    CHECK(w.reactor.stats().turns >= turns);
  });
}

TEST_CASE("the end of the reactor cancels detached coroutines, joins them, and says nothing") {
  const no_leak check;
  const reports hook;
  bool cleaned = false;
  bool called_back = false;
  bool told = false;
  const auto detached = [](bool& done) -> deferred<> {
    try {
      co_await mobius::sleep(24h);
    } catch (const cancelled&) {
      done = true;
      throw;
    }
  };
  const auto awaiting = [](deferred<> d, bool& done) -> deferred<> {
    try {
      co_await std::move(d);
    } catch (const cancelled&) {
      done = true;
      throw;
    }
  };
  const auto start = [&]() -> task<> {
    detached(cleaned).add_callback([&called_back] { called_back = true; });
    awaiting(mobius::defer_later(24h), told);
    mobius::defer_later(24h, [&called_back] { called_back = true; });
    co_return;
  };
  {
    mobius::virtual_clock clock;
    mobius::reactor_options options;
    options.signals = false;
    options.clock = &clock;
    mobius::reactor reactor(options);
    reactor.run(start());
  }
  CHECK(cleaned);
  CHECK(told);
  CHECK_FALSE(called_back);
  CHECK(hook.errors.empty());
}
