// Deferreds and time, on a clock that the test moves.

#include "kit.hpp"

TEST_CASE("defer_later calls the function after the delay and fires with what it returns") {
  const no_leak check;
  test_clock clock;
  auto d = mobius::defer_later(
      clock, 3s, [](int a, int b) { return a + b; }, 1, 2);
  clock.advance(2s);
  CHECK_FALSE(d.ready());
  clock.advance(1s);
  CHECK(std::move(d).get_now() == 3);
}

TEST_CASE("defer_later waits for a deferred that the function returns, and takes what it throws") {
  const no_leak check;
  test_clock clock;
  auto [inner, fire] = make_deferred<int>();
  auto d = mobius::defer_later(clock, 1s, [i = std::move(inner)]() mutable { return std::move(i); });
  auto bad = mobius::defer_later(clock, 1s, []() -> int { throw std::runtime_error("then"); });
  clock.advance(1s);
  CHECK(d.waiting());
  fire(4);
  CHECK(std::move(d).get_now() == 4);
  CHECK_THROWS_AS(std::move(bad).get_now(), std::runtime_error);
}

TEST_CASE("cancelling defer_later takes the call back") {
  const no_leak check;
  test_clock clock;
  bool called = false;
  auto d = mobius::defer_later(clock, 1s, [&] { called = true; });
  d.cancel();
  CHECK(clock.pending() == 0);
  CHECK_THROWS_AS(std::move(d).get_now(), mobius::cancelled);
  clock.advance(2s);
  CHECK_FALSE(called);
}

TEST_CASE("a coroutine that waits for defer_later is cancelled through it") {
  const no_leak check;
  test_clock clock;
  const auto nap = [](test_clock& c) -> deferred<> {
    auto pause = mobius::defer_later(c, 5s);
    co_await std::move(pause);
  };
  auto d = nap(clock);
  d.cancel();
  CHECK(clock.pending() == 0);
  CHECK_THROWS_AS(std::move(d).get_now(), mobius::cancelled);
}

TEST_CASE("a time limit cancels what it covers and turns cancelled into timed_out") {
  const no_leak check;
  test_clock clock;
  auto [d, fire] = make_deferred<int>();
  auto limited = mobius::add_timeout(std::move(d), clock, 2s);
  clock.advance(2s);
  REQUIRE(limited.failure_if() != nullptr);
  CHECK(limited.failure_if()->check<mobius::timed_out>());
  CHECK(limited.failure_if()->what().find("2 s") != std::string::npos);
  limited.add_errback([](failure) { return 0; });
}

TEST_CASE("a time limit that is met stops its clock and does not touch what comes later") {
  const no_leak check;
  test_clock clock;
  auto [d, fire] = make_deferred<int>();
  auto [inner, fire_inner] = make_deferred<int>();
  mobius::add_timeout(d, clock, 2s);
  d.add_callback([i = std::move(inner)](int) mutable { return std::move(i); });
  fire(1);
  CHECK(clock.pending() == 0);
  clock.advance(9s);
  fire_inner(5);
  CHECK(std::move(d).get_now() == 5);
}

TEST_CASE("a time limit on what stops later is met when that has stopped") {
  const no_leak check;
  test_clock clock;
  auto [d, fire] = make_deferred<int>([] { return cancel_reply::later; });
  mobius::add_timeout(d, clock, 1s);
  clock.advance(2s);
  CHECK_FALSE(d.ready());
  fire.errback(mobius::cancelled_failure());
  CHECK(failed_with<mobius::timed_out>(d));

  auto [won, fire_won] = make_deferred<int>([] { return cancel_reply::later; });
  mobius::add_timeout(won, clock, 1s);
  clock.advance(2s);
  fire_won(7);  // the result wins
  CHECK(std::move(won).get_now() == 7);
}

TEST_CASE("the caller may decide what a time limit gives, also by waiting") {
  const no_leak check;
  test_clock clock;
  auto [d, fire] = make_deferred<int>();
  auto [late, fire_late] = make_deferred<int>();
  mobius::add_timeout(d, clock, 1s,
                      [l = std::move(late)](mobius::result<int>) mutable { return std::move(l); });
  clock.advance(1s);
  CHECK(d.waiting());
  fire_late(8);
  CHECK(std::move(d).get_now() == 8);
}
