// The test kit itself: it finds what it is there to find.

#include <unistd.h>
#include <mobius/runtime.hpp>
#include <mobius/runtime/testing/shake.hpp>
#include <mobius/runtime/testing/spy.hpp>

#include <set>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using mobius::task;
using mobius::testing::cancel_at_every_await;
using mobius::testing::schedule_failure;
using mobius::testing::shake;
using mobius::testing::world;

namespace {

task<std::string> order_of_ten() {
  std::string order;
  auto append = [&](char c) -> task<> {
    co_await mobius::yield();
    order += c;
  };
  auto body = [&](mobius::scope& s) -> task<> {
    for (char c = '0'; c <= '9'; ++c) s.start(std::ref(append), c);
    co_return;
  };
  co_await mobius::with_scope(body);
  co_return order;
}

}  // namespace

TEST_CASE("shaken schedules differ, and a seed repeats its own") {
  std::vector<std::string> orders;
  shake([&](world&) -> task<> { orders.push_back(co_await order_of_ten()); }, 20);
  CHECK(std::set<std::string>(orders.begin(), orders.end()).size() > 10);
  std::vector<std::string> again;
  shake([&](world&) -> task<> { again.push_back(co_await order_of_ten()); }, 20);
  CHECK(orders == again);
}

TEST_CASE("without a seed the order is the natural one") {
  mobius::testing::run([](world& w) -> task<> {
    const mobius::testing::shaker natural(w.reactor, 0);
    co_await mobius::yield();
    const std::string order = co_await order_of_ten();
    CHECK(order == "0123456789");
  });
}

TEST_CASE("shaking leaves the order of calls alone") {
  shake([](world& w) -> task<> {
    std::string order;
    for (char c = 'a'; c <= 'e'; ++c) w.reactor.call_soon([&order, c] { order += c; });
    for (char c = 'f'; c <= 'h'; ++c) w.reactor.call_later(1ms, [&order, c] { order += c; });
    co_await mobius::sleep(5ms);
    CHECK(order == "abcdefgh");
  });
}

TEST_CASE("shaking moves completions that come together, but not those of one operation") {
  std::set<std::string> orders;
  shake([&](world&) -> task<> {
    int fds[2];
    REQUIRE(::pipe(fds) == 0);
    REQUIRE(::write(fds[1], "x", 1) == 1);
    std::string order;
    auto wait = [&](char c) -> task<> {
      co_await mobius::poll(fds[0], POLLIN);
      order += c;
    };
    co_await mobius::when_all(wait('a'), wait('b'), wait('c'));
    ::close(fds[0]);
    ::close(fds[1]);
    orders.insert(order);
  });
  CHECK(orders.size() > 1);
}

TEST_CASE("a failure under some schedule names the seed") {
  const auto body = [](world&) -> task<> {
    const std::string order = co_await order_of_ten();
    if (order[0] != '0') throw std::runtime_error("out of order");
  };
  CHECK_THROWS_WITH(shake(body), Contains("with MOBIUS_SEED=") && Contains("out of order"));
}

TEST_CASE("MOBIUS_SEED runs one schedule only") {
  ::setenv("MOBIUS_SEED", "17", 1);
  int runs = 0;
  shake([&](world&) -> task<> {
    ++runs;
    co_return;
  });
  ::unsetenv("MOBIUS_SEED");
  CHECK(runs == 1);
}

TEST_CASE("cancel_at_every_await comes to every await, also those inside") {
  std::set<std::string> cancelled_in;
  const auto body = [&](world&) -> task<> {
    std::string at = "first";
    try {
      co_await mobius::sleep(1ms);
      at = "second";
      auto inner = [&]() -> task<> {
        co_await mobius::yield();
        at = "third";
        co_await mobius::sleep(1ms);
      };
      co_await mobius::when_all(inner(), mobius::yield());
      at = "end";
    } catch (const mobius::cancelled&) {
      cancelled_in.insert(at);
      throw;
    }
  };
  CHECK(cancel_at_every_await(body) >= 4);
  CHECK(cancelled_in == std::set<std::string>{"first", "second", "third"});
}

TEST_CASE("cancel_at_every_await finds what a cancelled task leaves behind") {
  const auto leaves_timer = [](world& w) -> task<> {
    auto call = w.reactor.call_later(1h, [] {});
    co_await mobius::sleep(1ms);
    call.cancel();
  };
  CHECK_THROWS_WITH(cancel_at_every_await(leaves_timer),
                    Contains("cancelled at moment") && Contains("timer"));
  const auto throws_other = [](world&) -> task<> {
    try {
      co_await mobius::yield();
    } catch (const mobius::cancelled&) {
      throw std::runtime_error("instead");
    }
  };
  CHECK_THROWS_WITH(cancel_at_every_await(throws_other), Contains("instead"));
}

TEST_CASE("a spy knows what became of its values") {
  mobius::testing::result_spy spy;
  auto a = spy.make(1);
  {
    auto b = spy.make(2);
    auto c = std::move(a);
    CHECK(c.take() == 1);
    CHECK(c.take() == 1);
  }
  CHECK(spy.made() == 2);
  CHECK(spy.taken() == 1);
  CHECK(spy.dropped() == 1);
  CHECK(spy.live() == 0);
}

TEST_CASE("the kit finds leaked frames, descriptors, timers and failures") {
  using mobius::testing::leak;
  using mobius::testing::run;
  std::vector<task<>> kept;
  auto nothing = []() -> task<> { co_return; };
  CHECK_THROWS_WITH(run([&](world&) -> task<> {
                      kept.push_back(nothing());
                      co_return;
                    }),
                    Contains("coroutine frames"));
  kept.clear();
  int fd = -1;
  CHECK_THROWS_WITH(run([&](world&) -> task<> {
                      fd = ::dup(0);
                      co_return;
                    }),
                    Contains("descriptors"));
  ::close(fd);
  CHECK_THROWS_WITH(run([](world& w) -> task<> {
                      w.reactor.call_later(1h, [] {});
                      co_return;
                    }),
                    Contains("timers"));
  CHECK_THROWS_WITH(run([](world&) -> task<> {
                      mobius::report_unhandled(mobius::make_failure<std::runtime_error>("lost"), "nowhere");
                      co_return;
                    }),
                    Contains("unhandled failure in nowhere: lost"));
}
