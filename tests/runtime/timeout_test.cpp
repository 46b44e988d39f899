// `timeout`: who wins, what is thrown, and how timeouts nest.

#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>

#include <memory>
#include <stdexcept>
#include <string>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::as_result;
using mobius::task;
using mobius::testing::world;

namespace {

task<int> after(std::chrono::nanoseconds d, int value) {
  co_await mobius::sleep(d);
  co_return value;
}

std::string text_of(const mobius::failure& f) { return f.what(); }

}  // namespace

TEST_CASE("a timeout passes on the value of what ends in time, or its error") {
  mobius::testing::run([](world& w) -> task<> {
    const int n = co_await mobius::timeout(5s, after(1s, 7));
    CHECK(n == 7);
    const auto fails = []() -> task<int> {
      co_await mobius::sleep(1s);
      throw std::runtime_error("its own");
    };
    const auto r = co_await as_result(mobius::timeout(5s, fails()));
    CHECK(text_of(r.error()) == "its own");
    CHECK(w.reactor.timers().size() == 0);
  });
}

TEST_CASE("an expired timeout says how long it was") {
  mobius::testing::run([](world& w) -> task<> {
    const auto start = w.reactor.now();
    const auto r = co_await as_result(mobius::timeout(1500ms, after(1h, 7)));
    REQUIRE(!r);
    CHECK(r.error().check<mobius::timed_out>());
    CHECK(text_of(r.error()) == "timed out after 1500 ms");
    CHECK(w.reactor.now() == start + 1500ms);
    const auto s = co_await as_result(mobius::timeout(2s, after(1h, 7)));
    CHECK(text_of(s.error()) == "timed out after 2 s");
    const auto t = co_await as_result(mobius::timeout(3ns, after(1h, 7)));
    CHECK(text_of(t.error()) == "timed out after 3 ns");
  });
}

TEST_CASE("what yields a value all the same after the time was up keeps it") {
  mobius::testing::run([](world&) -> task<> {
    const auto stubborn = []() -> task<int> {
      try {
        co_await mobius::sleep(1h);
      } catch (const mobius::cancelled&) {
      }
      co_return 5;
    };
    const int n = co_await mobius::timeout(1s, stubborn());
    CHECK(n == 5);
    const auto other_error = []() -> task<int> {
      try {
        co_await mobius::sleep(1h);
      } catch (const mobius::cancelled&) {
        throw std::runtime_error("on the way out");
      }
      co_return 0;
    };
    const auto r = co_await as_result(mobius::timeout(1s, other_error()));
    CHECK(text_of(r.error()) == "on the way out");
  });
}

TEST_CASE("an expired timeout is a cancel for good inside, and none outside") {
  mobius::testing::run([](world& w) -> task<> {
    int told = 0;
    const auto stubborn = [&]() -> task<> {
      while (told < 5) {
        const auto start = w.reactor.now();
        try {
          co_await mobius::sleep(1h);
        } catch (const mobius::cancelled&) {
          CHECK((told == 0 || w.reactor.now() == start));
          ++told;
        }
      }
    };
    co_await mobius::timeout(1s, stubborn());
    CHECK(told == 5);
    const auto start = w.reactor.now();
    co_await mobius::sleep(1s);
    CHECK(w.reactor.now() == start + 1s);
  });
}

TEST_CASE("at the same instant timers go in the order they were armed, and a value that is there wins") {
  struct resumed_by_call {
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) noexcept { waiting = h; }
    int await_resume() const noexcept { return 4; }
    std::coroutine_handle<> waiting;
  };
  mobius::testing::run([](world&) -> task<> {
    const auto later = co_await as_result(mobius::timeout(1s, after(1s, 1)));
    CHECK(later.error().check<mobius::timed_out>());  // it was armed before the sleep
    resumed_by_call foreign;
    mobius::call_later(1s, [&] { mobius::detail::resume(foreign.waiting); });
    const int there = co_await mobius::timeout(1s, foreign);
    CHECK(there == 4);
    const auto ready = []() -> task<int> { co_return 3; };
    const int at_once = co_await mobius::timeout(0s, ready());
    CHECK(at_once == 3);
    const int negative = co_await mobius::timeout(-5s, ready());
    CHECK(negative == 3);
  });
}

TEST_CASE("nested timeouts: the one that expires is the one that speaks") {
  mobius::testing::run([](world&) -> task<> {
    const auto inner_first = co_await as_result(mobius::timeout(5s, mobius::timeout(1s, after(1h, 1))));
    CHECK(text_of(inner_first.error()) == "timed out after 1 s");
    const auto outer_first = co_await as_result(mobius::timeout(1s, mobius::timeout(5s, after(1h, 1))));
    CHECK(text_of(outer_first.error()) == "timed out after 1 s");
    const auto same = co_await as_result(mobius::timeout(2s, mobius::timeout(2s, after(1h, 1))));
    CHECK(same.error().check<mobius::timed_out>());
    const auto through_tasks = []() -> task<int> {
      const int n = co_await mobius::timeout(3s, after(1h, 1));
      co_return n;
    };
    const auto deep = co_await as_result(mobius::timeout(1s, through_tasks()));
    CHECK(text_of(deep.error()) == "timed out after 1 s");
  });
}

TEST_CASE("an inner timeout that was caught leaves the outer one in force") {
  mobius::testing::run([](world& w) -> task<> {
    const auto start = w.reactor.now();
    int retries = 0;
    const auto retry = [&]() -> task<> {
      while (true) {
        const auto r = co_await as_result(mobius::timeout(1s, after(1h, 1)));
        ++retries;
      }
    };
    const auto r = co_await as_result(mobius::timeout(3500ms, retry()));
    CHECK(text_of(r.error()) == "timed out after 3500 ms");
    CHECK(retries == 3);
    CHECK(w.reactor.now() == start + 3500ms);
  });
}

TEST_CASE("a timeout within a cancelled one begins cancelled") {
  mobius::testing::run([](world& w) -> task<> {
    bool told = false;
    const auto body = [&]() -> task<> {
      try {
        co_await mobius::sleep(1h);
      } catch (const mobius::cancelled&) {
        told = true;
      }
      CHECK(told);
      const auto start = w.reactor.now();
      told = false;
      try {
        co_await mobius::timeout(1h, mobius::sleep(1h));
      } catch (const mobius::cancelled&) {
        told = true;
      }
      CHECK(told);
      CHECK(w.reactor.now() == start);
      co_await mobius::sleep(1h);
    };
    const auto r = co_await as_result(mobius::timeout(1s, body()));
    CHECK(r.error().check<mobius::timed_out>());
  });
}

TEST_CASE("what cannot be cancelled makes the limit soft: the await ends when it has ended") {
  mobius::testing::run(
      [](world&) -> task<> {
        const auto begin = std::chrono::steady_clock::now();
        const auto work = [] {
          const auto until = std::chrono::steady_clock::now() + 60ms;
          while (std::chrono::steady_clock::now() < until) {
          }
          return 9;
        };
        const auto body = [&]() -> task<int> {
          const int n = co_await mobius::offload(work);
          co_return n;
        };
        const auto r = co_await as_result(mobius::timeout(30ms, body()));
        // Taken back before a thread began, or run to its end: nothing between.
        if (r) CHECK(std::chrono::steady_clock::now() - begin >= 60ms);
        if (!r) CHECK(r.error().check<mobius::timed_out>());
      },
      {.virtual_time = false});
}

TEST_CASE("the longest timeout never expires, and move-only and reference results pass through") {
  mobius::testing::run([](world&) -> task<> {
    const auto box = []() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(4); };
    const auto got = co_await mobius::timeout(std::chrono::nanoseconds::max(), box());
    CHECK(*got == 4);
    int n = 0;
    const auto refers = [](int& m) -> task<int&> {
      co_await mobius::sleep(1h);
      co_return m;
    };
    int& same = co_await mobius::timeout(std::chrono::nanoseconds::max(), refers(n));
    CHECK(&same == &n);
  });
}

TEST_CASE("a timeout around what throws when it is begun lets that through and is gone") {
  struct refuses {
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<>) const { throw std::runtime_error("cannot begin"); }
    void await_resume() const noexcept {}
  };
  mobius::testing::run([](world& w) -> task<> {
    const auto body = [&w]() -> task<> {
      std::string text;
      try {
        co_await mobius::timeout(1s, refuses());
      } catch (const std::runtime_error& e) {
        text = e.what();
      }
      CHECK(text == "cannot begin");
      CHECK(w.reactor.timers().size() == 1);  // the outer one
      // Nothing waits now; what cancels the chain must not find the timeout that has gone.
      w.clock.advance(10s);
      co_await mobius::yield();
      co_await mobius::yield();
    };
    const auto r = co_await as_result(mobius::timeout(5s, body()));
    CHECK(r.error().check<mobius::timed_out>());
  });
}
