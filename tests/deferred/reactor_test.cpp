// Deferreds in a reactor: time, scopes, combinators and shutdown, in virtual time.

#include <mobius/runtime/runtime.hpp>

#include "kit.hpp"

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

TEST_CASE("a task or an operation may stand wherever a deferred may") {
  mobius::testing::run([](world& w) -> task<> {
    const mobius::shared_deferred shared(nap_task(1ms, 1));
    const int& one = co_await shared;
    CHECK(one == 1);
    auto delayed = mobius::delay_cancel(nap_task(1ms, 2));
    delayed.cancel();
    const auto outcome = co_await mobius::as_result(std::move(delayed));
    CHECK(outcome.error().check<cancelled>());
    auto [d, fire] = make_deferred<int>();
    auto chained = mobius::chain_deferred(nap_task(1ms, 3), fire);
    co_await chained;
    const int three = co_await d;
    CHECK(three == 3);
    auto as_task = mobius::to_task(mobius::sleep(1ms));
    co_await std::move(as_task);
    auto in_time = mobius::add_timeout(nap_task(1ms, 4), w.reactor, 1s);
    const int four = co_await in_time;
    CHECK(four == 4);
    auto late = mobius::add_timeout(mobius::sleep(1h), 1s);
    const auto timed_out = co_await mobius::as_result(std::move(late));
    CHECK(timed_out.error().check<mobius::timed_out>());
    auto decided = mobius::add_timeout(nap(1h, 5), w.reactor, 1s, [](result<int>) { return 6; });
    const int six = co_await decided;
    CHECK(six == 6);
    auto future = mobius::to_future(nap_task(1ms, 7));
    co_await mobius::sleep(2ms);
    CHECK(future.get() == 7);
    mobius::deferred_lock lock;
    auto run = lock.run([] { return mobius::sleep(1ms); });
    co_await run;
    auto all = mobius::gather_results(mobius::sleep(1ms), nap_task(1ms, 8), nap(1ms, 9));
    const auto values = co_await all;
    CHECK(std::get<1>(values) + std::get<2>(values) == 17);
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
