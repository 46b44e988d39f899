// The reactor: its runs, its calls, their order, and its services.

#include <poll.h>
#include <unistd.h>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>

#include <algorithm>
#include <csignal>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using mobius::task;
using mobius::testing::world;

namespace {

struct virtual_reactor {
  mobius::virtual_clock clock;
  mobius::reactor reactor{mobius::reactor_options{.signals = false, .clock = &clock}};
  mobius::testing::unhandled_failures unhandled;
};

}  // namespace

TEST_CASE("run returns when nothing is left, and may be called again") {
  virtual_reactor v;
  int calls = 0;
  v.reactor.call_later(1h, [&] { ++calls; });
  v.reactor.run();
  CHECK(calls == 1);
  v.reactor.run();
  CHECK(calls == 1);
  v.reactor.call_soon([&] { ++calls; });
  v.reactor.run();
  CHECK(calls == 2);
  CHECK(!v.reactor.running());
}

TEST_CASE("run_forever goes on without anything to do, until stop") {
  mobius::reactor reactor({.signals = false});
  const auto begin = std::chrono::steady_clock::now();
  reactor.call_later(20ms, [&] { reactor.stop(); });
  reactor.run_forever();
  CHECK(std::chrono::steady_clock::now() - begin >= 20ms);
}

TEST_CASE("stop lets the turn's ready calls run and keeps the rest for the next run") {
  virtual_reactor v;
  std::vector<std::string> seen;
  v.reactor.call_later(1s, [&] {
    seen.push_back("stop");
    v.reactor.stop();
    v.reactor.stop();
  });
  v.reactor.call_later(1s, [&] { seen.push_back("same time"); });
  v.reactor.call_later(2s, [&] { seen.push_back("later"); });
  v.reactor.run_forever();
  CHECK(seen == std::vector<std::string>{"stop", "same time"});
  v.reactor.run();
  CHECK(seen.back() == "later");
}

TEST_CASE("a run inside a run is refused with advice, and nothing of it is left") {
  const auto before = mobius::testing::inventory::take();
  const auto begin = std::chrono::steady_clock::now();
  {
    virtual_reactor v;
    std::string text;
    int inner_ran = 0;
    const auto inner = [&]() -> task<> {
      ++inner_ran;
      co_return;
    };
    v.reactor.call_soon([&] {
      CHECK_THROWS_WITH(v.reactor.run(), Contains("running already"));
      CHECK_THROWS_WITH(v.reactor.run(inner()), Contains("running already"));
      CHECK_THROWS_WITH(v.reactor.run_forever(), Contains("await the work"));
    });
    v.reactor.run();
    CHECK(inner_ran == 0);
  }
  CHECK(std::chrono::steady_clock::now() - begin < 2s);
  before.expect_no_more();
}

TEST_CASE("run gives the task's value, or throws its error") {
  virtual_reactor v;
  const auto value = []() -> task<std::unique_ptr<int>> {
    co_await mobius::sleep(1s);
    co_return std::make_unique<int>(7);
  };
  CHECK(*v.reactor.run(value()) == 7);
  const auto fails = []() -> task<int> {
    co_await mobius::sleep(1s);
    throw std::runtime_error("as expected");
  };
  CHECK_THROWS_WITH(v.reactor.run(fails()), "as expected");
  int local = 3;
  const auto refers = [&local]() -> task<int&> { co_return local; };
  CHECK(&v.reactor.run(refers()) == &local);
}

TEST_CASE("stop cancels the task of a run, which gets the time to end") {
  virtual_reactor v;
  std::vector<std::string> seen;
  const auto body = [&]() -> task<int> {
    try {
      co_await mobius::sleep(1h);
    } catch (const mobius::cancelled&) {
      seen.push_back("cancelled");
      co_return 5;
    }
    co_return 0;
  };
  v.reactor.call_later(1s, [&] { v.reactor.stop(); });
  CHECK(v.reactor.run(body()) == 5);
  CHECK(seen.size() == 1);
  const auto plain = []() -> task<> { co_await mobius::sleep(1h); };
  v.reactor.call_later(1s, [&] { v.reactor.stop(); });
  CHECK_THROWS_AS(v.reactor.run(plain()), mobius::cancelled);
}

TEST_CASE("a second stop does not cut short a cancelled task that waits for what cannot be interrupted") {
  mobius::reactor reactor({.signals = false});
  bool worked = false;
  const auto work = [&] {
    for (int i = 0; i < 3; ++i) {
      reactor.post([&] { reactor.stop(); });
      ::usleep(10'000);
    }
    worked = true;
    return 4;
  };
  const auto body = [&work]() -> task<int> {
    const int got = co_await mobius::offload(work);
    co_return got;
  };
  CHECK(reactor.run(body()) == 4);
  CHECK(worked);
}

TEST_CASE("a task that waits for what nothing can bring about is a deadlock under a virtual clock") {
  virtual_reactor v;
  const auto body = []() -> task<> { co_await std::suspend_always(); };
  CHECK_THROWS_AS(v.reactor.run(body()), mobius::deadlock);
  const auto before = mobius::testing::inventory::take();
  CHECK_THROWS_WITH(v.reactor.run(body()), Contains("nothing can bring about"));
  before.expect_no_more();
}

TEST_CASE("the report of a deadlock names the task") {
  virtual_reactor v;
  const auto wait = []() -> task<> { co_await std::suspend_always(); };
  const auto body = [&wait]() -> task<> { co_await mobius::named("accountant", wait()); };
  CHECK_THROWS_WITH(v.reactor.run(body()), Contains("run: task accountant waits, at "));
  CHECK_THROWS_WITH(v.reactor.run(wait()), Contains("run: the task waits, at "));
}

TEST_CASE("other work left over at the end of run(task) goes on in the next run") {
  virtual_reactor v;
  int done = 0;
  const auto side = [&]() -> task<> {
    co_await mobius::sleep(2s);
    ++done;
  };
  const auto body = [&]() -> task<> {
    mobius::background(side());
    co_await mobius::sleep(1s);
  };
  v.reactor.run(body());
  CHECK(done == 0);
  v.reactor.run();
  CHECK(done == 1);
}

TEST_CASE("the current reactor is the one that runs, else the thread's first") {
  CHECK(mobius::reactor::current_or_null() == nullptr);
  CHECK_THROWS_WITH(mobius::reactor::current(), Contains("make a mobius::reactor first"));
  {
    virtual_reactor first;
    CHECK(&mobius::reactor::current() == &first.reactor);
    virtual_reactor second;
    CHECK(&mobius::reactor::current() == &first.reactor);
    mobius::reactor* inside = nullptr;
    second.reactor.call_soon([&] { inside = mobius::reactor::current_or_null(); });
    second.reactor.run();
    CHECK(inside == &second.reactor);
    CHECK(&mobius::reactor::current() == &first.reactor);
  }
  CHECK(mobius::reactor::current_or_null() == nullptr);
}

TEST_CASE("a reactor may run inside another one's call") {
  virtual_reactor outer;
  int answer = 0;
  outer.reactor.call_soon([&] {
    virtual_reactor inner;
    const auto body = []() -> task<int> {
      co_await mobius::sleep(1s);
      co_return 6;
    };
    answer = inner.reactor.run(body());
    CHECK(&mobius::reactor::current() == &outer.reactor);
  });
  outer.reactor.run();
  CHECK(answer == 6);
}

TEST_CASE("calls come in the order they were asked for, each in the turn after") {
  virtual_reactor v;
  std::vector<int> seen;
  v.reactor.call_soon([&] {
    seen.push_back(1);
    v.reactor.call_soon([&] { seen.push_back(4); });
    v.reactor.call_later(0ns, [&] { seen.push_back(5); });
    CHECK(seen.size() == 1);
  });
  v.reactor.call_soon([&](int n) { seen.push_back(n); }, 2);
  v.reactor.call_soon([&](std::unique_ptr<int> n) { seen.push_back(*n); }, std::make_unique<int>(3));
  v.reactor.run();
  std::vector<int> sorted = seen;
  std::sort(sorted.begin(), sorted.end());
  CHECK(sorted == std::vector<int>{1, 2, 3, 4, 5});
  CHECK(std::vector<int>(seen.begin(), seen.begin() + 3) == std::vector<int>{1, 2, 3});
}

TEST_CASE("delayed calls come in order of time, equal times in the order they were asked for (R160)") {
  virtual_reactor v;
  std::vector<int> seen;
  for (int i = 0; i < 100; ++i) v.reactor.call_later(1s, [&seen, i] { seen.push_back(1000 + i); });
  for (int i = 0; i < 100; ++i) {
    v.reactor.call_later(std::chrono::milliseconds(100 - i), [&seen, i] { seen.push_back(100 - i); });
  }
  v.reactor.run();
  CHECK(seen.size() == 200);
  CHECK(std::is_sorted(seen.begin(), seen.end()));
}

TEST_CASE("a call made in a timed call, even with no delay, waits for the next pass (R154)", "[fault-37]") {
  virtual_reactor v;
  std::vector<std::string> seen;
  v.reactor.call_later(1s, [&] {
    seen.push_back("first");
    v.reactor.call_later(0ns, [&] { seen.push_back("nested"); });
    v.reactor.call_later(-5s, [&] { seen.push_back("negative"); });
  });
  v.reactor.call_later(1s, [&] { seen.push_back("second"); });
  v.reactor.run();
  CHECK(seen == std::vector<std::string>{"first", "second", "nested", "negative"});
}

TEST_CASE("an error out of a call goes to the hook, and the loop goes on (R155)", "[fault-53]") {
  virtual_reactor v;
  int after = 0;
  v.reactor.call_soon([] { throw std::runtime_error("soon"); });
  v.reactor.call_later(1s, [] { throw std::runtime_error("delayed"); });
  v.reactor.call_later(2s, [&] { ++after; });
  CHECK(v.reactor.post([] { throw std::runtime_error("posted"); }));
  v.reactor.run();
  CHECK(after == 1);
  auto failures = v.unhandled.take();
  REQUIRE(failures.size() == 3);
  std::string all;
  for (const auto& f : failures) all += f.where + ": " + f.what.what() + "\n";
  CHECK_THAT(all, Contains("a function given to call_soon: soon") &&
                      Contains("a function given to call_later: delayed") &&
                      Contains("a function given to post: posted"));
}

TEST_CASE("a delayed call can be cancelled, once, which drops its function and arguments (R156, R157)") {
  virtual_reactor v;
  auto token = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = token;
  auto call = v.reactor.call_later(
      1s, [](const std::shared_ptr<int>&) { FAIL("cancelled"); }, std::move(token));
  CHECK(call.active());
  CHECK(call.time() == v.reactor.now() + 1s);
  CHECK(call.cancel());
  CHECK(watch.expired());
  CHECK(!call.active());
  CHECK(!call.cancel());
  CHECK(!call.reset(1s));
  CHECK(!call.delay(1s));
  v.reactor.run();
}

TEST_CASE("a call that is due already can still be cancelled or put off by one before it") {
  virtual_reactor v;
  std::vector<std::string> seen;
  mobius::delayed_call second;
  mobius::delayed_call third;
  v.reactor.call_later(1s, [&] {
    CHECK(second.active());
    CHECK(second.cancel());
    CHECK(third.reset(1s));
    CHECK(third.reset(0s));
    seen.push_back("first");
  });
  second = v.reactor.call_later(1s, [&] { seen.push_back("second"); });
  third = v.reactor.call_later(1s, [&] { seen.push_back("third"); });
  v.reactor.call_later(1s, [&] { seen.push_back("fourth"); });
  v.reactor.run();
  CHECK(seen == std::vector<std::string>{"first", "fourth", "third"});
}

TEST_CASE("while its function runs a delayed call is no longer active (R157)") {
  virtual_reactor v;
  mobius::delayed_call call;
  bool ran = false;
  call = v.reactor.call_later(1s, [&] {
    ran = true;
    CHECK(!call.active());
    CHECK(!call.cancel());
    CHECK(!call.reset(1s));
  });
  v.reactor.run();
  CHECK(ran);
}

TEST_CASE("reset and delay move a call either way, and the handle may be dropped (R158, R159)") {
  virtual_reactor v;
  const auto start = v.reactor.now();
  std::vector<std::pair<std::string, std::chrono::nanoseconds>> seen;
  const auto note = [&](const char* what) { seen.emplace_back(what, v.reactor.now() - start); };
  auto earlier = v.reactor.call_later(10s, note, "earlier");
  CHECK(earlier.reset(1s));
  auto later = v.reactor.call_later(1s, note, "later");
  CHECK(later.delay(4s));
  auto sooner = v.reactor.call_later(10s, note, "sooner");
  CHECK(sooner.delay(-8s));
  auto past = v.reactor.call_later(3s, note, "past");
  CHECK(past.delay(-1h));
  { auto dropped = v.reactor.call_later(3s, note, "dropped"); }
  v.reactor.run();
  REQUIRE(seen.size() == 5);
  CHECK(seen[0] == std::pair<std::string, std::chrono::nanoseconds>("past", 0s));
  CHECK(seen[1] == std::pair<std::string, std::chrono::nanoseconds>("earlier", 1s));
  CHECK(seen[2] == std::pair<std::string, std::chrono::nanoseconds>("sooner", 2s));
  CHECK(seen[3] == std::pair<std::string, std::chrono::nanoseconds>("dropped", 3s));
  CHECK(seen[4] == std::pair<std::string, std::chrono::nanoseconds>("later", 5s));
}

TEST_CASE("delays beyond the end of time are as long as can be", "[fault-37]") {
  virtual_reactor v;
  bool called = false;
  auto call = v.reactor.call_later(std::chrono::nanoseconds::max(), [&] { called = true; });
  CHECK(call.delay(24h));
  CHECK(call.delay(std::chrono::nanoseconds::max()));
  CHECK(call.active());
  CHECK(call.delay(std::chrono::nanoseconds::min()));
  CHECK(call.delay(std::chrono::nanoseconds::min()));
  CHECK(call.reset(std::chrono::nanoseconds::max()));
  v.reactor.call_later(1s, [&] {
    CHECK(!called);
    CHECK(call.cancel());
  });
  v.reactor.run();
  CHECK(!called);
}

TEST_CASE("call_when_running calls at once in a run, else first thing when one begins (R182)") {
  virtual_reactor v;
  std::vector<int> seen;
  v.reactor.call_soon([&] { seen.push_back(9); });
  v.reactor.call_when_running([&](int n) { seen.push_back(n); }, 1);
  v.reactor.call_when_running([&] {
    seen.push_back(2);
    v.reactor.call_when_running([&] { seen.push_back(3); });
  });
  CHECK(seen.empty());
  v.reactor.run();
  CHECK(seen == std::vector<int>{1, 2, 3, 9});
}

TEST_CASE("a reactor that never runs leaves nothing of its calls behind") {
  const auto before = mobius::testing::inventory::take();
  auto token = std::make_shared<int>(1);
  {
    virtual_reactor v;
    v.reactor.call_when_running([token] {});
    v.reactor.call_soon([token] {});
    v.reactor.call_later(1s, [token] { FAIL("too early"); });
    CHECK(v.reactor.post([token] {}));
    const auto sleeper = [token]() -> task<> { co_await mobius::sleep(1h); };
    v.reactor.background(sleeper());
  }
  CHECK(token.use_count() == 1);
  before.expect_no_more();
}

TEST_CASE("wake makes the loop turn, also from a signal handler", "[fault-33]") {
  mobius::reactor reactor({.signals = false});
  static mobius::reactor* woken = nullptr;
  woken = &reactor;
  struct sigaction before {};
  struct sigaction ours {};
  ours.sa_handler = [](int) { woken->wake(); };
  sigaction(SIGUSR1, &ours, &before);
  std::uint64_t turns = 0;
  reactor.call_later(5ms, [&] { turns = reactor.stats().turns; });
  reactor.call_later(10ms, [] { ::raise(SIGUSR1); });
  reactor.call_later(30ms, [] {});
  reactor.run();
  CHECK(reactor.stats().turns >= turns + 3);
  sigaction(SIGUSR1, &before, nullptr);
}

TEST_CASE("the error of a background task goes to the hook with the place that started it") {
  virtual_reactor v;
  const auto fails = []() -> task<> {
    co_await mobius::sleep(1s);
    throw std::runtime_error("in the background");
  };
  const auto stopped = []() -> task<> {
    co_await mobius::sleep(1s);
    throw mobius::cancelled();
  };
  v.reactor.background(fails());
  v.reactor.background(stopped());
  v.reactor.run();
  const auto failures = v.unhandled.take();
  REQUIRE(failures.size() == 1);
  CHECK(failures[0].where == "a background task");
  CHECK(std::string(failures[0].what.what()) == "in the background");
  REQUIRE(failures[0].what.trail().size() == 1);
  CHECK_THAT(mobius::to_string(failures[0].what.trail()[0]), Contains("reactor_test.cpp"));
}

TEST_CASE("stats count turns, enters, submissions and completions") {
  virtual_reactor v;
  const auto before = v.reactor.stats();
  v.reactor.call_later(1s, [] {});
  v.reactor.run();
  const auto after = v.reactor.stats();
  CHECK(after.turns > before.turns);
  CHECK(after.enters > before.enters);
  CHECK(after.submissions == before.submissions + 1);  // the wake-up's poll
  CHECK(after.completions == before.completions);
}

TEST_CASE("a virtual clock moved by hand makes due what it passes, in order", "[fault-35][fault-38]") {
  mobius::testing::run([](world& w) -> task<> {
    w.clock.jumps = false;
    std::vector<int> seen;
    w.reactor.call_later(3s, [&] { seen.push_back(3); });
    w.reactor.call_later(1s, [&] { seen.push_back(1); });
    w.reactor.call_later(2s, [&] { seen.push_back(2); });
    w.reactor.call_later(9s, [&] { seen.push_back(9); });
    w.clock.advance(5s);
    co_await mobius::yield();
    co_await mobius::yield();
    CHECK(seen == std::vector<int>{1, 2, 3});
    w.clock.jumps = true;
    co_await mobius::sleep(10s);
    CHECK(seen.size() == 4);
  });
}

TEST_CASE("yield goes on in the next turn, after what is ready now") {
  mobius::testing::run([](world& w) -> task<> {
    std::vector<int> seen;
    w.reactor.call_soon([&] { seen.push_back(1); });
    const auto turn = w.reactor.stats().turns;
    co_await mobius::yield();
    CHECK(w.reactor.stats().turns == turn + 1);
    CHECK(seen == std::vector<int>{1});
  });
}

TEST_CASE("endless ready work does not keep timers and the kernel from their turn", "[fault-47]") {
  mobius::reactor reactor({.signals = false});
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  bool polled = false;
  bool timed = false;
  const auto spin = [&](int) -> task<> {
    while (!polled || !timed) co_await mobius::yield();
  };
  const auto wait = [&]() -> task<> {
    co_await mobius::poll(ends[0], POLLIN);
    polled = true;
  };
  for (int i = 0; i < 2000; ++i) reactor.background(spin(i));
  reactor.background(wait());
  reactor.call_later(1ms, [&] {
    timed = true;
    REQUIRE(::write(ends[1], "x", 1) == 1);
  });
  reactor.run();
  CHECK((polled && timed));
  ::close(ends[0]);
  ::close(ends[1]);
}
