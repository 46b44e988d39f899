// A program's main function, and what is called as a reactor starts and ends.

#include <csignal>

#include "kit.hpp"

using mobius::react;
using mobius::system_event;
using mobius::system_events_of;

namespace {

/// A reactor in virtual time.
struct virtual_reactor {
  mobius::virtual_clock clock;
  mobius::reactor reactor{options()};

  mobius::reactor_options options() {
    mobius::reactor_options o;
    o.signals = false;
    o.clock = &clock;
    return o;
  }
};

}  // namespace

TEST_CASE("react runs main to its end and gives the exit status (R196)") {
  const no_leak check;
  const reports hook;
  bool ended = false;
  CHECK(react([&]() -> task<> {
          co_await mobius::sleep(1ms);
          ended = true;
        }) == 0);
  CHECK(ended);
  CHECK(react([] { return mobius::defer_later(1ms, [] { return 3; }); }) == 3);
  CHECK(react([] { return mobius::defer_later(1ms, [] { return std::string("a text is no status"); }); }) ==
        0);
  CHECK(react([] {}) == 0);
  CHECK(hook.errors.empty());
}

TEST_CASE("react hands the arguments over, without the name of the program (R196)") {
  const char* argv[] = {"program", "one", "two"};
  words seen;
  mobius::reactor* given = nullptr;
  CHECK(react(
            [&](mobius::reactor& r, std::vector<std::string> arguments) -> deferred<int> {
              given = &r;
              CHECK(given == &mobius::reactor::current());
              co_await r.sleep(1ms);
              seen = arguments;
              co_return static_cast<int>(seen.size());
            },
            3, argv) == 2);
  CHECK(seen == words{"one", "two"});
  CHECK(react([](words arguments) { return static_cast<int>(arguments.size()); }, words{"a"}) == 1);
  CHECK(react([](mobius::reactor&) { return 5; }) == 5);
  CHECK(react([](const words& arguments) { return arguments.empty() ? 0 : 1; }, 0, argv) == 0);
}

TEST_CASE("a main that fails, sooner or later, is reported and gives 1 (R196)") {
  const no_leak check;
  const reports hook;
  CHECK(react([]() -> int { throw std::runtime_error("at once"); }) == 1);
  CHECK(react([]() -> task<> {
          co_await mobius::sleep(1ms);
          throw std::runtime_error("later");
        }) == 1);
  CHECK(hook.errors == words{"at once", "later"});
  CHECK(hook.places[0].find("main") != std::string::npos);
}

TEST_CASE("an exit_request gives its status, and is not reported (R196)") {
  const reports hook;
  CHECK(react([]() -> task<> {
          co_await mobius::sleep(1ms);
          throw mobius::exit_request(42);
        }) == 42);
  CHECK(hook.errors.empty());
}

TEST_CASE("a reactor that is stopped before main has ended gives 0 and cancels main (R196)") {
  const no_leak check;
  const reports hook;
  bool cancelled = false;
  CHECK(react([&](mobius::reactor& r) -> task<int> {
          r.call_later(1ms, [&r] { r.stop(); });
          try {
            co_await mobius::sleep(1h);
          } catch (const mobius::cancelled&) {
            cancelled = true;
            throw;
          }
          co_return 7;
        }) == 0);
  CHECK(cancelled);
  CHECK(hook.errors.empty());
}

TEST_CASE("main may stop the reactor itself, and the triggers of the end come once (R196)") {
  words log;
  CHECK(react([&](mobius::reactor& r) -> task<int> {
          system_events_of(r).before(system_event::shutdown, note(log, "before"));
          co_await mobius::sleep(1ms);
          r.stop();
          co_return 7;
        }) == 7);
  CHECK(log == words{"before"});
}

// --- triggers ----------------------------------------------------------------------------------

TEST_CASE("triggers are called before, during and after startup and shutdown, in order (R179)") {
  words log;
  virtual_reactor v;
  auto& events = system_events_of(v.reactor);
  events.after(system_event::startup, note(log, "started"));
  events.during(system_event::startup, note(log, "starting"));
  events.before(system_event::startup, note(log, "before 1"));
  events.before(system_event::startup, note(log, "before 2"));
  events.after(system_event::shutdown, note(log, "ended"));
  events.during(system_event::shutdown, note(log, "ending"));
  events.before(system_event::shutdown, note(log, "before the end"));
  v.reactor.call_when_running(note(log, "running"));
  v.reactor.call_later(1s, [&] {
    log.push_back("stop");
    v.reactor.stop();
  });
  v.reactor.run();
  CHECK(log == words{"before 1", "before 2", "starting", "started", "running", "stop", "before the end",
                     "ending", "ended"});
  v.reactor.run();
  CHECK(log.size() == 9);
}

TEST_CASE("what a trigger before an event returns is waited for, while the loop turns on (R179, R184)") {
  words log;
  virtual_reactor v;
  auto& events = system_events_of(v.reactor);
  events.before(system_event::startup, [] { return mobius::defer_later(2s); });
  events.during(system_event::startup, note(log, "started"));
  events.before(system_event::shutdown, [&]() -> task<> {
    co_await mobius::sleep(3s);
    log.push_back("flushed");
  });
  events.before(system_event::shutdown, [] { return mobius::defer_later(1s); });
  events.after(system_event::shutdown, note(log, "ended"));
  v.reactor.call_later(1s, note(log, "timer"));
  v.reactor.call_later(5s, [&] {
    v.reactor.stop();
    v.reactor.call_later(2s, note(log, "timer at the end"));
  });
  v.reactor.run_forever();
  CHECK(log == words{"timer", "started", "timer at the end", "flushed", "ended"});
}

TEST_CASE("a trigger that throws or fails is reported, and the others are called (R180)") {
  const reports hook;
  words log;
  virtual_reactor v;
  auto& events = system_events_of(v.reactor);
  events.before(system_event::shutdown, [] { throw std::runtime_error("thrown"); });
  events.before(system_event::shutdown,
                [] { return mobius::defer_later(1s, []() -> int { throw std::runtime_error("failed"); }); });
  events.during(system_event::shutdown, [] { throw std::runtime_error("during"); });
  events.after(system_event::shutdown, note(log, "ended"));
  v.reactor.run();
  CHECK(log == words{"ended"});
  CHECK(hook.errors == words{"thrown", "failed", "during"});
}

TEST_CASE("a trigger can be taken back until it is called (R187)") {
  words log;
  virtual_reactor v;
  auto& events = system_events_of(v.reactor);
  auto a = events.before(system_event::shutdown, note(log, "a"));
  auto b = events.before(system_event::shutdown, note(log, "b"));
  CHECK(a.remove());
  CHECK_FALSE(a.remove());
  v.reactor.run();
  CHECK_FALSE(b.remove());
  CHECK(log == words{"b"});
}

TEST_CASE("the task of a run is cancelled after the triggers of the shutdown that interrupts it") {
  words log;
  virtual_reactor v;
  system_events_of(v.reactor).after(system_event::shutdown, note(log, "ended"));
  const auto main = [&]() -> task<> {
    v.reactor.call_later(1s, [&] { v.reactor.stop(); });
    try {
      co_await mobius::sleep(1h);
    } catch (const mobius::cancelled&) {
      log.push_back("cancelled");
      throw;
    }
  };
  CHECK_THROWS_AS(v.reactor.run(main()), mobius::cancelled);
  CHECK(log == words{"ended", "cancelled"});
}

TEST_CASE("a run ends with its triggers also when its task has ended, and takes those of the next run") {
  words log;
  virtual_reactor v;
  const auto once = [&](std::string word) -> task<> {
    system_events_of(v.reactor).before(system_event::shutdown, [&log, w = std::move(word)] {
      return mobius::defer_later(1s, [&log, w] { log.push_back(w); });
    });
    co_return;
  };
  v.reactor.run(once("first"));
  CHECK(log == words{"first"});
  v.reactor.run(once("second"));
  CHECK(log == words{"first", "second"});
}

TEST_CASE("a shutdown that still waits when its reactor is gone harms nobody") {
  const no_leak check;
  auto [d, fire] = mobius::make_deferred<void>();
  {
    virtual_reactor v;
    system_events_of(v.reactor).before(system_event::startup,
                                       [w = std::move(d)]() mutable { return std::move(w); });
    v.reactor.run();
  }
  fire();
}
