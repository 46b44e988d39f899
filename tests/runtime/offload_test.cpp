// Blocking work in the pool's threads.

#include <unistd.h>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>

#include <atomic>
#include <csignal>
#include <future>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "child.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::as_result;
using mobius::offload;
using mobius::task;
using mobius::testing::world;

namespace {

int twice(int n) { return 2 * n; }
[[noreturn]] void fail(const std::string& text) { throw std::runtime_error(text); }

}  // namespace

TEST_CASE("offload runs a function in another thread and gives its result or throws its error") {
  mobius::testing::run([](world&) -> task<> {
    const int n = co_await offload(twice, 21);
    CHECK(n == 42);
    const auto here = std::this_thread::get_id();
    const auto there = co_await offload([] { return std::this_thread::get_id(); });
    CHECK(there != here);
    const auto r = co_await as_result(offload(fail, std::string("from a thread")));
    CHECK(std::string(r.error().what()) == "from a thread");
    int local = 0;
    const auto refers = [&local]() -> int& { return local; };
    int& same = co_await offload(refers);
    CHECK(&same == &local);
  });
}

TEST_CASE("arguments are moved in, a named function is borrowed") {
  mobius::testing::run([](world&) -> task<> {
    const auto opens = [](std::unique_ptr<int> p) { return std::make_unique<int>(*p + 1); };
    const auto got = co_await offload(opens, std::make_unique<int>(4));
    CHECK(*got == 5);
    struct counts {
      int operator()() { return ++calls; }
      int calls = 0;
    };
    counts c;
    co_await offload(c);
    co_await offload(c);
    CHECK(c.calls == 2);
  });
}

TEST_CASE("work in a thread holds a virtual clock") {
  mobius::testing::run([](world& w) -> task<> {
    const auto start = w.reactor.now();
    mobius::call_later(1s, [] {});
    co_await offload([] { ::usleep(20'000); });
    CHECK(w.reactor.now() == start);
    co_await mobius::sleep(2s);
  });
}

TEST_CASE("much more work than threads is all done, in no more threads than allowed") {
  mobius::testing::run(
      [](world&) -> task<> {
        std::atomic<int> at_once{0};
        std::atomic<int> most{0};
        const auto work = [&](int n) {
          const int now = ++at_once;
          int seen = most.load();
          while (seen < now && !most.compare_exchange_weak(seen, now)) {
          }
          if (n % 50 == 0) ::usleep(1000);
          --at_once;
          return n;
        };
        const auto one = [&](int n) -> task<int> {
          const int got = co_await offload(work, n);
          co_return got;
        };
        std::vector<task<int>> tasks;
        for (int i = 0; i < 2000; ++i) tasks.push_back(one(i));
        const auto all = co_await mobius::when_all(std::move(tasks));
        for (int i = 0; i < 2000; ++i) CHECK(all[static_cast<std::size_t>(i)] == i);
        CHECK(most <= 3);
      },
      {.reactor = {.max_threads = 3}});
}

TEST_CASE("a cancel takes back what no thread has begun, and waits for what runs: its result wins") {
  mobius::testing::run(
      [](world&) -> task<> {
        std::promise<void> gate;
        std::promise<void> begun;
        std::atomic<int> calls{0};
        const auto blocks = [&] {
          begun.set_value();
          gate.get_future().wait();
          return 7;
        };
        const auto counts = [&] { return ++calls; };
        const auto running = [&]() -> task<int> {
          const int n = co_await offload(blocks);
          co_return n;
        };
        const auto queued = [&]() -> task<> {
          begun.get_future().wait();  // the one thread is taken
          const auto r = co_await as_result(mobius::timeout(0s, offload(counts)));
          CHECK(r.error().check<mobius::timed_out>());
          mobius::call_later(5ms, [&] { gate.set_value(); });
        };
        const auto [n, done] = co_await mobius::when_all(mobius::timeout(1ms, running()), queued());
        CHECK(n == 7);
        CHECK(calls == 0);
      },
      {.virtual_time = false, .reactor = {.max_threads = 1}});
}

TEST_CASE("signals are not delivered to the pool's threads") {
  mobius::testing::run([](world&) -> task<> {
    const bool blocked = co_await offload([] {
      sigset_t mask;
      pthread_sigmask(SIG_BLOCK, nullptr, &mask);
      return sigismember(&mask, SIGINT) == 1 && sigismember(&mask, SIGTERM) == 1;
    });
    CHECK(blocked);
  });
}

TEST_CASE("run waits for work in a thread, and goes on when only that is left") {
  mobius::reactor r({.signals = false});
  bool done = false;
  const auto body = [&]() -> task<> {
    co_await offload([] { ::usleep(20'000); });
    done = true;
  };
  r.background(body());
  r.run();
  CHECK(done);
}

TEST_CASE("no thread to be had is an error that says so, and the task goes on") {
  const ended_child c = in_child([] {
    mobius::reactor r({.signals = false});
    // A stack larger than the address space: pthread_create fails with EAGAIN.
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, std::size_t{1} << 46);
    pthread_setattr_default_np(&attributes);
    const auto body = []() -> task<int> {
      const auto failed = co_await as_result(mobius::timeout(1s, offload(twice, 1)));
      if (failed) co_return 1;
      std::puts(failed.error().what().c_str());
      co_await mobius::sleep(1ms);
      co_return 0;
    };
    const auto direct = []() -> task<int> {
      int answer = 1;
      try {
        answer = co_await offload(twice, 1);
      } catch (const std::system_error&) {
        answer = 0;
      }
      mobius::reactor::current().stop();  // cancels the chain while nothing waits in it
      co_await mobius::sleep(1ms);
      co_return answer;
    };
    int code = r.run(body());
    try {
      code += r.run(direct());
    } catch (const mobius::cancelled&) {
    }
    return code;
  });
  INFO(c.text);
  CHECK(c.exited_with(0));
  CHECK(c.says("offload: no thread can be started (raise ulimit -u)"));
}
