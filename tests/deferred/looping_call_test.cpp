// Looping calls and ticks.

#include "kit.hpp"

using mobius::looping_call;

TEST_CASE("a looping call fires with itself at stop (R164)") {
  const no_leak check;
  seconds_list log;
  test_clock clock;
  looping_call loop(clock, note_time(log, clock));
  CHECK_FALSE(loop.running());
  auto d = loop.start(2s);
  CHECK(loop.running());
  CHECK(log == seconds_list{0});
  clock.advance(2s);
  loop.stop();
  CHECK_FALSE(loop.running());
  CHECK(&std::move(d).get_now() == &loop);
  CHECK(clock.pending() == 0);
  CHECK(log == seconds_list{0, 2});
}

TEST_CASE("a looping call ends with what its function throws or its deferred fails with (R164)") {
  const no_leak check;
  test_clock clock;
  looping_call throwing(clock, []() -> int { throw std::runtime_error("f failed"); });
  bool running = true;
  auto d = throwing.start(1s).add_errback([&](failure f) -> deferred<looping_call&> {
    running = throwing.running();
    return mobius::fail<looping_call&>(f);
  });
  CHECK_FALSE(running);
  CHECK_THROWS_AS(std::move(d).get_now(), std::runtime_error);
  CHECK(clock.pending() == 0);

  auto [inner, fire] = make_deferred<int>();
  looping_call failing(clock, [i = std::move(inner)]() mutable { return std::move(i); });
  auto e = failing.start(1s);
  fire.errback(std::runtime_error("later"));
  CHECK_THROWS_AS(std::move(e).get_now(), std::runtime_error);
}

TEST_CASE("a looping call keeps to its grid and skips the times it missed (R165)") {
  const no_leak check;
  seconds_list log;
  test_clock clock;
  looping_call loop(clock, note_time(log, clock));
  loop.start(2s);
  clock.pump({2s, 5s, 1s, 2s});
  loop.stop();
  CHECK(log == seconds_list{0, 2, 7, 8, 10});
}

TEST_CASE("a looping call waits for the deferred of its function, and goes on on its grid (R166)") {
  const no_leak check;
  seconds_list log;
  test_clock clock;
  looping_call loop(clock, [&] {
    log.push_back(clock.elapsed() / 1s);
    return mobius::defer_later(clock, 3s);
  });
  loop.start(2s, false);
  for (int i = 0; i < 12; ++i) clock.advance(1s);
  CHECK(log == seconds_list{2, 6, 10});
  loop.stop();
}

TEST_CASE("a looping call accepts coroutines with captures") {
  const no_leak check;
  test_clock clock;
  words log;
  looping_call loop(clock,
                    [&clock, &log, word = std::string("a word that is kept on the heap")]() -> deferred<> {
                      co_await mobius::defer_later(clock, 1s);
                      log.push_back(word);
                    });
  auto d = loop.start(3s);
  clock.pump({1s, 2s, 1s});
  CHECK(log.size() == 2);
  loop.stop();
  CHECK(d.ready());
}

TEST_CASE("stop ends a looping call at once when it is idle, and else when its call ends (R167)") {
  const no_leak check;
  test_clock clock;
  looping_call idle(clock, [] {});
  auto a = idle.start(1s);
  idle.stop();
  CHECK(a.ready());

  looping_call waiting(clock, [&] { return mobius::defer_later(clock, 3s); });
  auto b = waiting.start(1s);
  waiting.stop();
  CHECK_FALSE(waiting.running());
  CHECK_FALSE(b.ready());
  CHECK_THROWS_AS(waiting.start(1s), mobius::deferred_misuse);
  clock.advance(3s);
  CHECK(b.ready());

  bool fired_inside = true;
  deferred<looping_call&> c;
  looping_call* self = nullptr;
  looping_call inside(clock, [&] {
    self->stop();
    fired_inside = c && c.ready();
  });
  self = &inside;
  c = inside.start(1s, false);
  clock.advance(1s);
  CHECK_FALSE(fired_inside);
  CHECK(c.ready());
}

TEST_CASE("stop and reset of a looping call that does not run are refused (R167)") {
  test_clock clock;
  looping_call loop(clock, [] {});
  CHECK_THROWS_AS(loop.stop(), mobius::deferred_misuse);
  CHECK_THROWS_AS(loop.reset(), mobius::deferred_misuse);
  loop.start(1s);
  CHECK_THROWS_AS(loop.start(1s), mobius::deferred_misuse);
}

TEST_CASE("reset begins the grid of a looping call anew, unless its call is waited for (R168)") {
  const no_leak check;
  seconds_list log;
  test_clock clock;
  looping_call loop(clock, note_time(log, clock));
  loop.start(3s, false);
  clock.advance(2s);
  loop.reset();
  for (int i = 0; i < 6; ++i) clock.advance(1s);
  CHECK(log == seconds_list{5, 8});
  loop.stop();

  seconds_list slow;
  looping_call waiting(clock, [&] {
    slow.push_back(clock.elapsed() / 1s);
    return mobius::defer_later(clock, 1s);
  });
  waiting.start(2s);
  waiting.reset();
  clock.pump({1s, 1s});
  CHECK(slow == seconds_list{8, 10});
  waiting.stop();
  clock.advance(1s);
}

TEST_CASE(
    "an interval of 0 calls in each turn, a negative one is refused, and a loop can start again (R169)") {
  mobius::testing::run([](world&) -> task<> {
    int calls = 0;
    looping_call* self = nullptr;
    looping_call loop([&] {
      if (++calls == 5) self->stop();
    });
    self = &loop;
    CHECK_THROWS_AS(loop.start(-1ns), std::invalid_argument);
    CHECK_FALSE(loop.running());
    auto first = loop.start(0s);
    CHECK(calls == 1);
    co_await std::move(first);
    CHECK(calls == 5);
    auto second = loop.start(1s);
    co_await mobius::sleep(2500ms);
    CHECK(calls == 8);
    loop.stop();
    co_await std::move(second);
  });
}

TEST_CASE("a looping call that counts is told how many times have passed, never 0 (R170)") {
  const no_leak check;
  std::vector<std::uint64_t> log;
  test_clock clock;
  looping_call loop(clock, [&](std::uint64_t passed) { log.push_back(passed); });
  loop.start(2s);
  clock.pump({2s, 5s, 1s, 2s, 7s});
  loop.stop();
  CHECK(log == std::vector<std::uint64_t>{1, 1, 2, 1, 1, 3});
  log.clear();
  loop.start(2s, false);
  clock.pump({6s, 2s});
  loop.stop();
  CHECK(log == std::vector<std::uint64_t>{3, 1});
  log.clear();
  looping_call* self = nullptr;
  looping_call fast(clock, [&](std::uint64_t passed) {
    log.push_back(passed);
    if (log.size() == 3) self->stop();
  });
  self = &fast;
  fast.start(0s);
  clock.advance(1s);
  CHECK(log == std::vector<std::uint64_t>{1, 1, 1});
}

TEST_CASE("a looping call that counts is also told of the times missed before a reset (R168, R170)") {
  const no_leak check;
  std::vector<std::uint64_t> log;
  test_clock clock;
  auto [gate, open] = make_deferred<>();
  looping_call loop(clock, [&, g = std::move(gate)](std::uint64_t passed) mutable {
    log.push_back(passed);
    return log.size() == 1 ? std::move(g) : succeed();
  });
  loop.start(2s);
  clock.advance(7s);
  open();
  loop.reset();
  clock.pump({2s, 1s});
  loop.reset();
  clock.advance(2s);
  CHECK(log == std::vector<std::uint64_t>{1, 4, 1});
  loop.stop();
}

TEST_CASE("a looping call that is destroyed stops, its last call goes on, and its failure is told") {
  const no_leak check;
  const reports hook;
  test_clock clock;
  bool ended = false;
  auto loop = std::make_unique<looping_call>(clock, [&] {
    return mobius::defer_later(clock, 1s, [&] {
      ended = true;
      throw std::runtime_error("nobody waits");
    });
  });
  const auto wait = [](looping_call& l) -> deferred<> { co_await l.start(1s); };
  auto waiting = wait(*loop);
  loop.reset();
  CHECK_THROWS_AS(std::move(waiting).get_now(), mobius::broken_deferred);
  clock.advance(5s);
  CHECK(ended);
  CHECK(clock.pending() == 0);
  CHECK(hook.errors == words{"nobody waits"});

  std::unique_ptr<looping_call> suicidal;
  suicidal = std::make_unique<looping_call>(clock, [&] { suicidal.reset(); });
  suicidal->start(1s, false);
  clock.advance(2s);
  CHECK(suicidal == nullptr);
}

// --- every -------------------------------------------------------------------------------------

TEST_CASE("ticks come on a grid, and tell how many were missed") {
  mobius::testing::run([](world& w) -> task<> {
    const auto begin = w.clock.now();
    auto ticks = mobius::every(1s);
    std::vector<std::uint64_t> passed;
    while (auto tick = co_await ticks.next()) {
      passed.push_back(*tick);
      if (passed.size() == 2) co_await mobius::sleep(2500ms);
      if (passed.size() == 4) ticks.stop();
    }
    CHECK(passed == std::vector<std::uint64_t>{1, 1, 3, 1});
    CHECK(w.clock.now() - begin == 6s);
  });
}

TEST_CASE("ticks can be stopped, reset and cancelled while somebody waits") {
  const no_leak check;
  test_clock clock;
  auto ticks = mobius::every(clock, 4s);
  auto a = ticks.next();
  CHECK_THROWS_AS(ticks.next(), mobius::deferred_misuse);
  clock.advance(3s);
  ticks.reset();
  clock.advance(3s);
  CHECK_FALSE(a.ready());
  clock.advance(1s);
  CHECK(std::move(a).get_now() == 1u);
  auto b = ticks.next();
  b.cancel();
  CHECK_THROWS_AS(std::move(b).get_now(), mobius::cancelled);
  CHECK(clock.pending() == 0);
  auto c = ticks.next();
  ticks.stop();
  CHECK_FALSE(std::move(c).get_now().has_value());
  CHECK_FALSE(ticks.next().get_now().has_value());
  CHECK_THROWS_AS(mobius::every(clock, -1s), std::invalid_argument);
}

TEST_CASE("ticks of no interval come in each turn, and end with who made them") {
  const no_leak check;
  test_clock clock;
  const auto wait = [](deferred<std::optional<std::uint64_t>> d) -> deferred<> { co_await std::move(d); };
  deferred<> waiting;
  deferred<std::optional<std::uint64_t>> left;
  {
    auto ticks = mobius::every(clock, 0s);
    auto a = ticks.next();
    clock.advance(0s);
    CHECK(std::move(a).get_now() == 1u);
    waiting = wait(ticks.next());
  }
  CHECK_THROWS_AS(std::move(waiting).get_now(), mobius::broken_deferred);
  {
    auto ticks = mobius::every(clock, 1s);
    left = ticks.next();
  }
  left.cancel();
  CHECK_THROWS_AS(std::move(left).get_now(), mobius::cancelled);
}
