// Long work in small steps.

#include <mobius/runtime/generator.hpp>

#include "kit.hpp"

using mobius::cooperator;

namespace {

/// A budget of so many steps for each pass.
cooperator::budget steps(int count) {
  return [count]() -> std::function<bool()> { return [left = count]() mutable { return --left <= 0; }; };
}

/// Writes down its name `count` times.
auto repeat(words& log, std::string name, int count) {
  return [&log, name = std::move(name), count]() mutable {
    log.push_back(name);
    return --count > 0;
  };
}

constexpr auto tick = 10ns;

}  // namespace

TEST_CASE("cooperate gives a task, coiterate only the deferred of its end (R171)") {
  const no_leak check;
  words log;
  test_clock clock;
  cooperator all(clock, steps(1000));
  mobius::cooperative_task a = all.cooperate(repeat(log, "a", 2));
  auto a_done = a.when_done();
  auto b_done = all.coiterate(repeat(log, "b", 1));
  CHECK(log.empty());
  clock.advance(tick);
  CHECK(a_done.ready());
  CHECK(b_done.ready());
  CHECK(log.size() == 3);
}

TEST_CASE("tasks are stepped round robin until the pass has used its budget (R172)") {
  const no_leak check;
  words log;
  test_clock clock;
  cooperator all(clock, steps(4));
  all.cooperate(repeat(log, "a", 3));
  all.cooperate(repeat(log, "b", 3));
  all.cooperate(repeat(log, "c", 1));
  clock.advance(tick);
  CHECK(log == words{"a", "b", "c", "a"});
  clock.advance(tick);
  CHECK(log == words{"a", "b", "c", "a", "b", "a", "b"});
}

TEST_CASE("a task that ends or waits does not cost the one behind it its turn (R172)") {
  const no_leak check;
  words log;
  test_clock clock;
  cooperator all(clock, steps(7));
  auto [gate, open] = make_deferred<bool>();
  auto a = all.cooperate(repeat(log, "a", 1));
  auto b = all.cooperate([&, g = std::move(gate)]() mutable {
    log.push_back("b");
    return std::move(g);
  });
  auto c = all.cooperate(repeat(log, "c", 2));
  auto d = all.cooperate(repeat(log, "d", 2));
  clock.advance(tick);
  CHECK(log == words{"a", "b", "c", "d", "c", "d"});
  open(false);
}

TEST_CASE("a task that is added or resumed in a pass has its turn before the first comes again (R172)") {
  const no_leak check;
  words log;
  test_clock clock;
  cooperator all(clock, steps(6));
  auto paused = all.cooperate(repeat(log, "p", 2));
  paused.pause();
  bool begun = false;
  all.cooperate([&]() mutable {
    log.push_back("a");
    if (!std::exchange(begun, true)) {
      all.cooperate(repeat(log, "n", 2));
      paused.resume();
    }
    return true;
  });
  all.cooperate(repeat(log, "b", 1));
  clock.advance(tick);
  CHECK(log == words{"a", "b", "n", "p", "a", "n"});
  all.stop();
}

TEST_CASE("a pass takes 10 ms by default, and lets others run between passes (R172)") {
  mobius::testing::run_options options;
  options.virtual_time = false;
  mobius::testing::run(
      [](world&) -> task<> {
        bool stop = false;
        long count = 0;
        auto done = mobius::coiterate([&] {
          ++count;
          return !stop;
        });
        co_await mobius::sleep(25ms);
        stop = true;
        co_await std::move(done);
        CHECK(count > 1);
      },
      options);
}

TEST_CASE("a step that waits pauses its task until that has ended (R173)") {
  const no_leak check;
  words log;
  test_clock clock;
  cooperator all(clock, steps(1));
  auto [inner, fire] = make_deferred<bool>();
  int step = 0;
  auto a = all.cooperate([&, i = std::move(inner)]() mutable -> deferred<bool> {
    log.push_back("a" + std::to_string(++step));
    if (step == 1) return std::move(i);
    return mobius::succeed(step < 3);
  });
  auto done = a.when_done();
  all.cooperate(repeat(log, "b", 2));
  clock.pump({tick, tick, tick});
  CHECK(log == words{"a1", "b", "b"});
  CHECK(clock.pending() == 0);
  fire(true);
  clock.pump({tick, tick});
  CHECK(log == words{"a1", "b", "b", "a2", "a3"});
  CHECK(done.ready());
}

TEST_CASE("a step that fails, at once or later, ends its task (R173)") {
  const no_leak check;
  test_clock clock;
  cooperator all(clock, steps(1000));
  auto now = all.cooperate([]() -> bool { throw std::runtime_error("step"); });
  auto [inner, fire] = make_deferred<bool>();
  auto later = all.cooperate([i = std::move(inner)]() mutable { return std::move(i); });
  clock.advance(tick);
  CHECK(failed_with<std::runtime_error>(now.when_done()));
  CHECK_THROWS_AS(now.pause(), mobius::task_failed);
  fire.errback(std::out_of_range("later"));
  CHECK(failed_with<std::out_of_range>(later.when_done()));
  CHECK_THROWS_AS(later.stop(), mobius::task_failed);
}

TEST_CASE("a task that failed and that nobody asked about is reported") {
  const reports hook;
  test_clock clock;
  {
    cooperator all(clock, steps(1000));
    all.cooperate([]() -> bool { throw std::runtime_error("unseen"); });
    clock.advance(tick);
  }
  CHECK(hook.errors == words{"unseen"});
}

TEST_CASE("sequences can be iterated: generators, and what awaits between its values (R173)") {
  mobius::testing::run([](world& w) -> task<> {
    std::vector<int> seen;
    const auto numbers = [](std::vector<int>& log) -> mobius::generator<int> {
      for (int i = 0; i < 3; ++i) {
        log.push_back(i);
        co_yield i;
        co_await mobius::sleep(1s);
      }
    };
    const auto begin = w.clock.now();
    auto done = mobius::coiterate(numbers(seen));
    co_await std::move(done);
    CHECK(seen == std::vector<int>{0, 1, 2});
    CHECK(w.clock.now() - begin >= 3s);
  });
}

TEST_CASE("each when_done is a deferred of its own (R174)") {
  const no_leak check;
  words log;
  test_clock clock;
  cooperator all(clock, steps(1000));
  auto a = all.cooperate(repeat(log, "a", 1));
  auto first = a.when_done().add_callback([]() -> int { throw std::runtime_error("mine"); });
  auto second = a.when_done();
  auto third = a.when_done();
  third.cancel();
  clock.advance(tick);
  CHECK_THROWS_AS(std::move(first).get_now(), std::runtime_error);
  CHECK(second.value_if() != nullptr);
  CHECK(failed_with<mobius::cancelled>(std::move(third)));
  CHECK(a.when_done().ready());
  auto stopped = all.cooperate(repeat(log, "b", 5));
  auto before = stopped.when_done();
  stopped.stop();
  CHECK(failed_with<mobius::task_stopped>(std::move(before)));
  CHECK(failed_with<mobius::task_stopped>(stopped.when_done()));
}

TEST_CASE("pause and resume of a task count, and know how it ended (R175)") {
  const no_leak check;
  words log;
  test_clock clock;
  cooperator all(clock, steps(1));
  auto a = all.cooperate(repeat(log, "a", 3));
  CHECK_THROWS_AS(a.resume(), mobius::task_not_paused);
  a.pause();
  a.pause();
  CHECK(clock.pending() == 0);
  a.resume();
  clock.advance(tick);
  CHECK(log.empty());
  a.resume();
  clock.pump({tick, tick, tick});
  CHECK(log.size() == 3);
  CHECK_THROWS_AS(a.pause(), mobius::task_done);
  CHECK_THROWS_AS(a.resume(), mobius::task_not_paused);
  CHECK_THROWS_AS(a.stop(), mobius::task_done);

  auto b = all.cooperate(repeat(log, "b", 3));
  b.pause();
  b.stop();
  b.resume();
  CHECK_THROWS_AS(b.resume(), mobius::task_not_paused);
  CHECK_THROWS_AS(b.pause(), mobius::task_stopped);
  CHECK(clock.pending() == 0);
}

TEST_CASE("a task that is paused while its step waits stays paused until it is resumed (R175)") {
  const no_leak check;
  test_clock clock;
  cooperator all(clock, steps(1));
  auto [inner, fire] = make_deferred<bool>();
  int count = 0;
  auto a = all.cooperate([&, i = std::move(inner)]() mutable -> deferred<bool> {
    if (++count == 1) return std::move(i);
    return mobius::succeed(false);
  });
  clock.advance(tick);
  a.pause();
  fire(true);
  clock.advance(tick);
  CHECK(count == 1);
  a.resume();
  clock.advance(tick);
  CHECK(count == 2);
}

TEST_CASE("a task may stop itself and others from inside a step (R175)") {
  const no_leak check;
  words log;
  test_clock clock;
  cooperator all(clock, steps(1000));
  std::vector<mobius::cooperative_task> tasks;
  tasks.push_back(all.cooperate([&] {
    log.push_back("a");
    tasks[1].stop();
    tasks[0].stop();
    return false;
  }));
  tasks.push_back(all.cooperate(repeat(log, "b", 2)));
  auto a = tasks[0].when_done();
  auto b = tasks[1].when_done();
  clock.advance(tick);
  CHECK(log == words{"a"});
  CHECK(failed_with<mobius::task_stopped>(std::move(a)));
  CHECK(failed_with<mobius::task_stopped>(std::move(b)));
  CHECK(clock.pending() == 0);
}

TEST_CASE("stopping a cooperator fails its tasks, and those added before it starts again (R176)") {
  const no_leak check;
  words log;
  test_clock clock;
  cooperator all(clock, steps(1000));
  auto a = all.coiterate(repeat(log, "a", 2));
  auto paused = all.cooperate(repeat(log, "p", 2));
  paused.pause();
  CHECK(all.running());
  all.stop();
  CHECK_FALSE(all.running());
  CHECK(failed_with<mobius::cooperator_stopped>(std::move(a)));
  CHECK(failed_with<mobius::cooperator_stopped>(all.coiterate(repeat(log, "b", 2))));
  paused.resume();
  CHECK(failed_with<mobius::cooperator_stopped>(paused.when_done()));
  CHECK(clock.pending() == 0);
  all.start();
  auto c = all.coiterate(repeat(log, "c", 2));
  clock.advance(tick);
  CHECK(c.ready());
  CHECK(log == words{"c", "c"});
}

TEST_CASE("a cooperator that was made stopped keeps its tasks until it starts (R176)") {
  const no_leak check;
  words log;
  test_clock clock;
  cooperator all(clock, cooperator::ten_milliseconds(), false);
  auto a = all.coiterate(repeat(log, "a", 1));
  CHECK(clock.pending() == 0);
  all.start();
  clock.advance(tick);
  CHECK(a.ready());
}

TEST_CASE("a cooperator without tasks has no timer (R177)") {
  const no_leak check;
  words log;
  test_clock clock;
  cooperator all(clock, steps(1000));
  CHECK(clock.pending() == 0);
  auto a = all.cooperate(repeat(log, "a", 1));
  auto b = all.cooperate(repeat(log, "b", 1));
  CHECK(clock.pending() == 1);
  a.stop();
  CHECK(clock.pending() == 1);
  b.pause();
  CHECK(clock.pending() == 0);
  b.resume();
  CHECK(clock.pending() == 1);
  clock.advance(tick);
  CHECK(clock.pending() == 0);
}
