// Clocks and delayed calls.

#include "kit.hpp"

static_assert(mobius::time_source<mobius::reactor>);
static_assert(mobius::time_source<test_clock>);

TEST_CASE("call_later never calls inside itself, on the reactor and on a clock (R153)") {
  mobius::testing::run([](world& w) -> task<> {
    int calls = 0;
    auto call = w.reactor.call_later(
        0s, [&calls](int n) { calls += n; }, 2);
    CHECK(call.active());
    CHECK(calls == 0);
    co_await mobius::sleep(0s);
    CHECK(calls == 2);
    test_clock clock;
    clock.call_later(0s, [&] { ++calls; });
    CHECK(calls == 2);
    clock.advance(0s);
    CHECK(calls == 3);
  });
}

TEST_CASE("a call asked for inside a timed call comes in a later pass of the reactor (R154)") {
  mobius::testing::run([](world& w) -> task<> {
    std::uint64_t outer = 0;
    std::uint64_t inner = 0;
    auto [d, fire] = make_deferred<void>();
    w.reactor.call_later(1s, [&, f = fire] {
      outer = w.reactor.stats().turns;
      w.reactor.call_later(0s, [&inner, &w, f] {
        inner = w.reactor.stats().turns;
        f();
      });
    });
    co_await std::move(d);
    CHECK(inner > outer);
  });
}

TEST_CASE("a call asked for inside a call runs in the same advance of a clock if it is due (R154)") {
  seconds_list log;
  test_clock clock;
  clock.call_later(1s, [&] {
    log.push_back(1);
    clock.call_later(0s, [&] {
      log.push_back(2);
      clock.call_later(0s, [&] { log.push_back(3); });
      clock.call_later(1ns, [&] { log.push_back(4); });
    });
  });
  clock.advance(1s);
  CHECK(log == seconds_list{1, 2, 3});
}

TEST_CASE("what a timed call throws goes to the hook of a reactor, which goes on (R155)") {
  const reports hook;
  bool later = false;
  {
    mobius::virtual_clock clock;
    mobius::reactor_options options;
    options.signals = false;
    options.clock = &clock;
    mobius::reactor reactor(options);
    reactor.call_later(1s, [] { throw std::runtime_error("in a call"); });
    reactor.call_later(1s, [&] { later = true; });
    reactor.run();
  }
  CHECK(later);
  CHECK(hook.errors == words{"in a call"});
}

TEST_CASE("what a call throws leaves advance, and the rest comes with the next advance (R155)") {
  const no_leak check;
  seconds_list log;
  test_clock clock;
  clock.call_later(1s, [] { throw std::runtime_error("in a call"); });
  clock.call_later(1s, note_time(log, clock));
  clock.call_later(2s, note_time(log, clock));
  CHECK_THROWS_AS(clock.advance(3s), std::runtime_error);
  CHECK(log.empty());
  CHECK(clock.pending() == 2);
  clock.advance(0s);
  CHECK(log == seconds_list{3, 3});
}

TEST_CASE("a strict call tells cancelled from made (R156)") {
  const auto try_all = [](auto&& call, auto expected) {
    using expected_error = decltype(expected);
    CHECK_FALSE(call.active());
    CHECK_THROWS_AS(call.cancel(), expected_error);
    CHECK_THROWS_AS(call.reset(1s), expected_error);
    CHECK_THROWS_AS(call.delay(1s), expected_error);
  };
  mobius::testing::run([&](world& w) -> task<> {
    test_clock clock;
    mobius::strict_call cancelled = clock.call_later(1s, [] {});
    mobius::strict_call made = clock.call_later(1s, [] {});
    mobius::strict_call cancelled_too = w.reactor.call_later(1s, [] {});
    mobius::strict_call made_too = w.reactor.call_later(1s, [] {});
    CHECK(cancelled.active());
    CHECK(cancelled.time() == clock.now() + 1s);
    CHECK(made_too.time() == w.clock.now() + 1s);
    cancelled.cancel();
    cancelled_too.cancel();
    clock.advance(1s);
    co_await mobius::sleep(2s);
    try_all(cancelled, mobius::call_already_cancelled());
    try_all(cancelled_too, mobius::call_already_cancelled());
    try_all(made, mobius::call_already_made());
    try_all(made_too, mobius::call_already_made());
  });
}

TEST_CASE("a call counts as made while it runs, and a cancel drops its function (R157)") {
  const no_leak check;
  test_clock clock;
  mobius::test_call call;
  bool active = true;
  call = clock.call_later(1s, [&] { active = call.active() || call.cancel(); });
  clock.advance(1s);
  CHECK_FALSE(active);
  CHECK_FALSE(call.cancelled());

  auto held = std::make_shared<int>(1);
  auto dropped = clock.call_later(1s, [held] {});
  auto argument = clock.call_later(
      1s, [](const std::shared_ptr<int>&) {}, held);
  CHECK(held.use_count() == 3);
  CHECK(dropped.cancel());
  CHECK(argument.cancel());
  CHECK(held.use_count() == 1);
  CHECK(dropped.cancelled());
  CHECK_FALSE(dropped.cancel());
}

TEST_CASE("reset counts from now, delay from the time it was due (R158)") {
  seconds_list log;
  test_clock clock;
  auto a = clock.call_later(5s, note_time(log, clock));
  auto b = clock.call_later(5s, note_time(log, clock));
  auto c = clock.call_later(5s, note_time(log, clock));
  clock.advance(1s);
  CHECK(a.reset(1s));
  CHECK(b.delay(2s));
  CHECK(c.delay(-1s));
  CHECK(b.time() == clock.now() + 6s);
  for (int i = 0; i < 8; ++i) clock.advance(1s);
  CHECK(log == seconds_list{2, 4, 7});
}

TEST_CASE("a call moved into the past is due at once, before those due later (R158)") {
  words log;
  test_clock clock;
  mobius::test_call late;
  clock.call_later(1s, [&] {
    log.push_back("a");
    late.delay(-100s);
  });
  clock.call_later(2s, note(log, "b"));
  late = clock.call_later(50s, note(log, "late"));
  clock.advance(3s);
  CHECK(log == words{"a", "late", "b"});
}

TEST_CASE("dropping the handle of a call does not cancel it, nor does one outlive its clock (R159)") {
  const no_leak check;
  int calls = 0;
  mobius::test_call left;
  {
    test_clock clock;
    clock.call_later(1s, [&] { ++calls; });
    clock.advance(1s);
    left = clock.call_later(1s, [&] { ++calls; });
  }
  CHECK(calls == 1);
  CHECK_FALSE(left.active());
  CHECK_FALSE(left.reset(1s));
}

TEST_CASE("a scoped call is taken back when its scope ends (R159)") {
  const no_leak check;
  int calls = 0;
  test_clock clock;
  {
    mobius::scoped_call first = clock.call_later(1s, [&] { ++calls; });
    mobius::scoped_call second = std::move(first);
    clock.advance(1s);
    second = clock.call_later(1s, [&] { ++calls; });
    CHECK(second->active());
    mobius::scoped_call kept = clock.call_later(2s, [&] { ++calls; });
    kept.release();
  }
  CHECK(clock.pending() == 1);
  clock.advance(5s);
  CHECK(calls == 2);
}

TEST_CASE("calls due at the same time come in the order they were asked for (R160)") {
  mobius::testing::run([](world& w) -> task<> {
    std::vector<int> by_reactor;
    std::vector<int> by_clock;
    test_clock clock;
    for (int i = 0; i < 200; ++i) {
      w.reactor.call_later(1s, [&, i] { by_reactor.push_back(i); });
      clock.call_later(1s, [&, i] { by_clock.push_back(i); });
    }
    co_await mobius::sleep(2s);
    clock.advance(5s);
    CHECK(by_reactor.size() == 200);
    CHECK(std::is_sorted(by_reactor.begin(), by_reactor.end()));
    CHECK(by_clock == by_reactor);
  });
}

TEST_CASE("a call that was moved comes after those already due at its new time, on reactor and clock (D4)") {
  const auto move_and_wait = [](auto& source, words& log) {
    auto a = source.call_later(1s, note(log, "a"));
    auto b = source.call_later(5s, note(log, "b"));
    auto c = source.call_later(2s, note(log, "c"));
    source.call_later(3s, note(log, "d"));
    CHECK(b.reset(3s));
    CHECK(a.reset(3s));
    CHECK(c.delay(1s));
  };
  const words wanted{"d", "b", "a", "c"};
  words on_clock;
  test_clock clock;
  move_and_wait(clock, on_clock);
  clock.advance(10s);
  CHECK(on_clock == wanted);
  mobius::testing::run([&](world& w) -> task<> {
    words on_reactor;
    move_and_wait(w.reactor, on_reactor);
    co_await mobius::sleep(10s);
    CHECK(on_reactor == wanted);
  });
}

TEST_CASE("time is monotonic: the reactor's is the steady clock (R161)") {
  static_assert(mobius::reactor::clock::is_steady);
  mobius::testing::run_options options;
  options.virtual_time = false;
  mobius::testing::run(
      [](world& w) -> task<> {
        const auto before = std::chrono::steady_clock::now();
        co_await mobius::sleep(1ms);
        CHECK(w.reactor.now() >= before + 1ms);
        CHECK(w.reactor.now() <= std::chrono::steady_clock::now());
      },
      options);
}

TEST_CASE("defer_later without a function fires with nothing, and a cancel takes it back (R162)") {
  const no_leak check;
  test_clock clock;
  auto a = mobius::defer_later(clock, 1s);
  auto b = mobius::defer_later(
      clock, 1s, [](int n) { return n; }, 4);
  auto c = mobius::defer_later(clock, 1s, []() -> int { throw std::runtime_error("c"); });
  auto d = mobius::defer_later(clock, 1s);
  d.cancel();
  CHECK(clock.pending() == 3);
  clock.advance(1s);
  std::move(a).get_now();
  CHECK(std::move(b).get_now() == 4);
  CHECK_THROWS_AS(std::move(c).get_now(), std::runtime_error);
  CHECK_THROWS_AS(std::move(d).get_now(), mobius::cancelled);
}

TEST_CASE("advance moves the time first and then calls in order of time, and pump does so in steps (R163)") {
  seconds_list log;
  test_clock clock;
  CHECK(clock.elapsed() == 0s);
  clock.call_later(2s, note_time(log, clock));
  clock.call_later(1s, note_time(log, clock));
  clock.call_later(4s, note_time(log, clock));
  const auto calls = clock.delayed_calls();
  REQUIRE(calls.size() == 3);
  CHECK(calls[0].time() - clock.now() == 2s);
  clock.advance(3s);
  CHECK(log == seconds_list{3, 3});
  clock.pump({500ms, 500ms, 1s});
  CHECK(log == seconds_list{3, 3, 4});
  clock.pump(std::vector<std::chrono::seconds>{1s, 2s});
  CHECK(clock.elapsed() == 8s);
  CHECK_THROWS_AS(clock.advance(-1ns), std::invalid_argument);
}

TEST_CASE("advance may be called from inside a call") {
  seconds_list log;
  test_clock clock;
  clock.call_later(1s, [&] { clock.advance(5s); });
  clock.call_later(3s, note_time(log, clock));
  clock.call_later(9s, note_time(log, clock));
  clock.advance(1s);
  CHECK(log == seconds_list{6});
  clock.advance(3s);
  CHECK(log == seconds_list{6, 9});
}

TEST_CASE("a clock with random calls, moves and cancels calls each when a plain list would") {
  std::uint64_t seed = 20240607;
  if (const char* given = std::getenv("MOBIUS_SEED")) seed = std::strtoull(given, nullptr, 10);
  INFO("MOBIUS_SEED=" << seed);
  std::uint64_t state = seed | 1;
  const auto random = [&](std::uint64_t n) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % n;
  };
  struct entry {
    std::int64_t due;
    std::uint64_t asked;
    int id;
  };
  test_clock clock;
  std::vector<entry> model;
  std::vector<mobius::test_call> handles;
  std::vector<int> called;
  std::vector<int> expected;
  std::uint64_t asked = 0;
  const auto now = [&] { return clock.elapsed().count(); };
  const auto find = [&](int id) {
    return std::find_if(model.begin(), model.end(), [&](const entry& e) { return e.id == id; });
  };
  for (int round = 0; round < 20'000; ++round) {
    const auto what = random(10);
    if (what < 4) {
      const auto after = static_cast<std::int64_t>(random(3) == 0 ? random(5) : random(5'000'000));
      const int id = static_cast<int>(handles.size());
      handles.push_back(
          clock.call_later(std::chrono::nanoseconds(after), [&called, id] { called.push_back(id); }));
      model.push_back({now() + after, asked++, id});
    } else if (what < 7 && !handles.empty()) {
      const int id = static_cast<int>(random(handles.size()));
      const auto at = find(id);
      const auto by = static_cast<std::int64_t>(random(2'000'000)) - 1'000'000;
      const bool active = at != model.end();
      if (what == 4) {
        CHECK(handles[static_cast<std::size_t>(id)].cancel() == active);
        if (active) model.erase(at);
      } else if (what == 5) {
        CHECK(handles[static_cast<std::size_t>(id)].delay(std::chrono::nanoseconds(by)) == active);
        if (active) {
          at->due = std::max<std::int64_t>(at->due + by, 0);
          at->asked = asked++;
        }
      } else {
        CHECK(handles[static_cast<std::size_t>(id)].reset(
                  std::chrono::nanoseconds(std::max<std::int64_t>(by, 0))) == active);
        if (active) {
          at->due = now() + std::max<std::int64_t>(by, 0);
          at->asked = asked++;
        }
      }
    } else {
      clock.advance(std::chrono::nanoseconds(random(1'000'000)));
      std::sort(model.begin(), model.end(), [](const entry& a, const entry& b) {
        return std::tie(a.due, a.asked) < std::tie(b.due, b.asked);
      });
      while (!model.empty() && model.front().due <= now()) {
        expected.push_back(model.front().id);
        model.erase(model.begin());
      }
      CHECK(clock.pending() == model.size());
    }
  }
  CHECK(called == expected);
}
