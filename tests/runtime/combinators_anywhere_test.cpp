// Every combinator, each by itself: shaken, and cancelled at every moment (see everywhere.hpp).

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#include <mobius/runtime.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "everywhere.hpp"

using namespace std::chrono_literals;
using mobius::cancelled;
using mobius::task;
using mobius::testing::world;
using test::at_end;
using test::everywhere;

namespace {

task<int> value_after(std::chrono::nanoseconds after, int value) {
  co_await mobius::sleep(after);
  co_return value;
}

task<int> fail_after(std::chrono::nanoseconds after) {
  co_await mobius::sleep(after);
  throw std::runtime_error("failed");
}

// What is not there after a cancel must be there without one.
task<> expect_failure(task<int> t) {
  const auto outcome = co_await mobius::as_result(std::move(t));
  CHECK(outcome.error().check<std::runtime_error>());
}

}  // namespace

TEST_CASE("anywhere: when_all") {
  everywhere(
      [](world&) -> task<> {
        auto [a, b, c] = co_await mobius::when_all(value_after(2ms, 1), value_after(1ms, 2), mobius::yield());
        CHECK((a == 1 && b == 2));
        static_cast<void>(c);
        const auto failed =
            co_await mobius::as_result(mobius::when_all(value_after(2ms, 1), fail_after(1ms)));
        CHECK(failed.error().check<std::runtime_error>());
      },
      6);
}

TEST_CASE("anywhere: when_all of a range") {
  everywhere(
      [](world&) -> task<> {
        std::vector<task<int>> all;
        for (int i = 0; i < 5; ++i) all.push_back(value_after(std::chrono::milliseconds(5 - i), i));
        const std::vector<int> values = co_await mobius::when_all(std::move(all));
        CHECK(values == std::vector<int>{0, 1, 2, 3, 4});
      },
      5);
}

TEST_CASE("anywhere: when_any") {
  everywhere(
      [](world&) -> task<> {
        auto [index, value] = co_await mobius::when_any(value_after(2ms, 1), value_after(1ms, 2));
        CHECK((index == 1 && std::get<1>(value) == 2));
      },
      3);
}

TEST_CASE("anywhere: when_any of a range") {
  everywhere(
      [](world&) -> task<> {
        std::vector<task<int>> all;
        for (int i = 0; i < 4; ++i) all.push_back(value_after(std::chrono::milliseconds(4 - i), i));
        auto [index, value] = co_await mobius::when_any(std::move(all));
        CHECK((index == 3 && value == 3));
      },
      3);
}

TEST_CASE("anywhere: race") {
  everywhere(
      [](world&) -> task<> {
        auto [index, value] =
            co_await mobius::race(fail_after(1ms), value_after(2ms, 7), value_after(3ms, 8));
        CHECK((index == 1 && std::get<1>(value) == 7));
        co_await expect_failure([]() -> task<int> {
          auto [i, v] = co_await mobius::race(fail_after(1ms), fail_after(2ms));
          static_cast<void>(i);
          co_return std::get<0>(v);
        }());
      },
      4);
}

TEST_CASE("anywhere: race of a range") {
  everywhere(
      [](world&) -> task<> {
        std::vector<task<int>> all;
        all.push_back(fail_after(1ms));
        all.push_back(value_after(2ms, 2));
        auto [index, value] = co_await mobius::race(std::move(all));
        CHECK((index == 1 && value == 2));
      },
      3);
}

TEST_CASE("anywhere: timeout") {
  everywhere(
      [](world&) -> task<> {
        const int value = co_await mobius::timeout(2ms, value_after(1ms, 1));
        CHECK(value == 1);
        const auto late = co_await mobius::as_result(mobius::timeout(1ms, value_after(2ms, 1)));
        CHECK(late.error().check<mobius::timed_out>());
      },
      3);
}

TEST_CASE("anywhere: deadline") {
  everywhere(
      [](world& w) -> task<> {
        const auto end = w.reactor.now() + 2ms;
        const int value = co_await mobius::deadline(end, value_after(1ms, 1));
        CHECK(value == 1);
        const auto late = co_await mobius::as_result(mobius::deadline(end, value_after(5ms, 1)));
        CHECK(late.error().check<mobius::timed_out>());
      },
      3);
}

TEST_CASE("anywhere: shield") {
  everywhere(
      [](world&) -> task<> {
        bool begun = false;
        bool ended = false;
        const at_end check([&] { CHECK(begun == ended); });
        auto inner = [&]() -> task<> {
          begun = true;
          co_await mobius::sleep(1ms);
          co_await mobius::yield();
          ended = true;
        };
        co_await mobius::shield(inner());
        co_await mobius::yield();
      },
      4);
}

TEST_CASE("anywhere: finally") {
  everywhere(
      [](world&) -> task<> {
        int opened = 0;
        int closed = 0;
        const at_end check([&] { CHECK(opened == closed); });
        auto body = [&]() -> task<int> {
          ++opened;
          co_await mobius::sleep(1ms);
          co_return 1;
        };
        auto cleanup = [&]() -> task<> {
          co_await mobius::sleep(1ms);
          co_await mobius::yield();
          if (opened != 0) ++closed;
        };
        const int value = co_await mobius::finally(body, cleanup);
        CHECK(value == 1);
      },
      4);
}

TEST_CASE("anywhere: as_result") {
  everywhere(
      [](world&) -> task<> {
        const auto good = co_await mobius::as_result(value_after(1ms, 3));
        CHECK(*good == 3);
        co_await expect_failure(fail_after(1ms));
      },
      3);
}

TEST_CASE("anywhere: checkpoint, yield, sleep") {
  everywhere(
      [](world&) -> task<> {
        co_await mobius::checkpoint();
        co_await mobius::yield();
        co_await mobius::sleep(1ms);
        co_await mobius::checkpoint();
      },
      3);
}

namespace {

// A tree of scopes; `live` counts those of its tasks that run.
task<> nest(int depth, int& live) {
  ++live;
  const at_end leave([&] { --live; });
  if (depth == 0) {
    co_await mobius::sleep(1ms);
    co_return;
  }
  auto body = [&](mobius::scope& s) -> task<> {
    s.start(nest, depth - 1, std::ref(live));
    s.start(nest, depth - 1, std::ref(live));
    co_await mobius::yield();
  };
  co_await mobius::with_scope(body);
}

}  // namespace

TEST_CASE("anywhere: with_scope") {
  everywhere(
      [](world&) -> task<> {
        int live = 0;
        const at_end check([&] { CHECK(live == 0); });
        co_await nest(3, live);
      },
      10);
}

TEST_CASE("anywhere: scope.start and scope.join") {
  everywhere(
      [](world&) -> task<> {
        int ended = 0;
        auto work = [&](int ms) -> task<> {
          co_await mobius::sleep(std::chrono::milliseconds(ms));
          ++ended;
        };
        mobius::scope s;
        for (int round = 0; round < 2; ++round) {
          s.start(work, 2);
          s.start(work, 1);
          co_await s.join();
        }
        CHECK(ended == 4);
      },
      5);
}

TEST_CASE("anywhere: scope.start_ready") {
  everywhere(
      [](world&) -> task<> {
        mobius::scope s;
        int stopped = 0;
        auto serve = [&](mobius::started<int> ready) -> task<> {
          const at_end stop([&] { ++stopped; });
          co_await mobius::sleep(1ms);
          ready(80);
          co_await mobius::sleep(1h);
        };
        const auto port = co_await mobius::as_result(s.start_ready<int>(serve));
        if (port) CHECK(*port == 80);
        s.cancel();
        co_await s.join();
        CHECK(stopped == 1);
      },
      2);
}

TEST_CASE("anywhere: generator.next and generator.close") {
  everywhere(
      [](world&) -> task<> {
        int opened = 0;
        const at_end check([&] { CHECK(opened == 0); });
        auto count = [&](int to) -> mobius::generator<int> {
          ++opened;
          const at_end leave([&] { --opened; });
          for (int i = 0; i < to; ++i) {
            co_await mobius::yield();
            co_yield i;
          }
        };
        auto all = count(3);
        int sum = 0;
        while (auto i = co_await all.next()) sum += *i;
        CHECK(sum == 3);
        auto some = count(100);
        const auto first = co_await some.next();
        CHECK(first == 0);
        co_await some.close();
        const auto none = co_await some.next();
        CHECK_FALSE(none);
      },
      5);
}

TEST_CASE("anywhere: task_local and named") {
  everywhere(
      [](world&) -> task<> {
        static const mobius::task_local<int> number{0};
        auto below = []() -> task<> {
          co_await mobius::yield();
          const int n = co_await number.get();
          const std::string name = co_await mobius::task_name();
          CHECK((n == 7 && name == "below"));
        };
        auto body = [&](mobius::scope& s) -> task<> {
          s.start(below);
          co_await mobius::yield();
        };
        co_await number.with(7, mobius::named("below", mobius::with_scope(body)));
        const int outside = co_await number.get();
        CHECK(outside == 0);
      },
      3);
}

TEST_CASE("anywhere: with_stop_token") {
  everywhere(
      [](world&) -> task<> {
        std::stop_source source;
        const int value = co_await mobius::with_stop_token(source.get_token(), value_after(1ms, 1));
        CHECK(value == 1);
        auto stop = [&]() -> task<> {
          co_await mobius::sleep(1ms);
          source.request_stop();
        };
        auto wait = [&]() -> task<> {
          const auto stopped =
              co_await mobius::as_result(mobius::with_stop_token(source.get_token(), mobius::sleep(1h)));
          CHECK(stopped.error().check<cancelled>());
        };
        co_await mobius::when_all(stop(), wait());
      },
      4);
}

TEST_CASE("anywhere: stoppable") {
  everywhere(
      [](world&) -> task<> {
        auto work = [](std::stop_token) -> task<int> {
          co_await mobius::sleep(1ms);
          co_return 1;
        };
        const int value = co_await mobius::stoppable(work);
        CHECK(value == 1);
      },
      2);
}

TEST_CASE("anywhere: offload") {
  everywhere(
      [](world&) -> task<> {
        std::atomic<int> running = 0;
        std::atomic<int> ran = 0;
        const at_end check([&] { CHECK(running == 0); });
        auto work = [&](int n) {
          ++running;
          ++ran;
          --running;
          return n + 1;
        };
        auto call = [&](int n) -> task<int> {
          const int value = co_await mobius::offload(work, n);
          co_return value;
        };
        auto [a, b, c] = co_await mobius::when_all(call(1), call(2), call(3));
        CHECK((a == 2 && b == 3 && c == 4 && ran == 3));
      },
      1);
}

TEST_CASE("anywhere: poll") {
  everywhere(
      [](world&) -> task<> {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        const at_end close_both([&] {
          ::close(ends[0]);
          ::close(ends[1]);
        });
        auto wait = [&]() -> task<> {
          for (int i = 0; i < 2; ++i) {
            const std::uint32_t events = co_await mobius::poll(ends[0], POLLIN);
            CHECK(events == POLLIN);
            char byte = 0;
            CHECK(::read(ends[0], &byte, 1) == 1);
          }
        };
        auto write = [&]() -> task<> {
          for (int i = 0; i < 2; ++i) {
            co_await mobius::yield();
            CHECK(::write(ends[1], "x", 1) == 1);
          }
        };
        co_await mobius::when_all(wait(), write());
      },
      3);
}
