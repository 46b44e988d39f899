// broadcast: each value to all subscribers.

#include <mobius/runtime.hpp>
#include <mobius/runtime/testing/shake.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::as_result;
using mobius::broadcast;
using mobius::cancelled;
using mobius::subscription;
using mobius::task;
using mobius::timeout;
using mobius::testing::cancel_at_every_await;
using mobius::testing::shake;
using mobius::testing::world;

TEST_CASE("every subscriber gets every value sent after it came, in order") {
  shake([](world&) -> task<> {
    broadcast<std::string> b(2);
    co_await b.send("dropped: nobody listens");
    std::string first;
    std::string second;
    auto read = [&](std::string& into, std::chrono::milliseconds pause) -> task<> {
      subscription<std::string> mine(b);
      while (auto text = co_await mine.next()) {
        into += *text;
        co_await mobius::sleep(pause);
      }
    };
    auto send = [&]() -> task<> {
      co_await mobius::sleep(1ms);
      for (const char* text : {"a", "b", "c", "d", "e", "f"}) co_await b.send(text);
      b.close();
    };
    co_await mobius::when_all(read(first, 0ms), read(second, 3ms), send());
    CHECK(first == "abcdef");
    CHECK(second == "abcdef");
    CHECK(b.subscribers() == 0);
    const auto late = co_await as_result(b.send("x"));
    CHECK(late.error().check<mobius::channel_closed>());
  });
}

TEST_CASE("the slowest subscriber holds the sender back, until it leaves") {
  mobius::testing::run([](world&) -> task<> {
    broadcast<int> b(2);
    subscription<int> quick(b);
    auto held = [&]() -> task<> {
      subscription<int> slow(b);
      co_await b.send(1);
      co_await b.send(2);
      const auto one = co_await quick.next();
      CHECK(one == 1);
      const auto full = co_await as_result(timeout(1ms, b.send(3)));
      CHECK(full.error().check<mobius::timed_out>());
      CHECK_FALSE(b.try_send(3));
    };
    co_await held();
    CHECK(b.try_send(3));
    const auto two = co_await quick.next();
    const auto three = co_await quick.next();
    CHECK(two == 2);
    CHECK(three == 3);
  });
}

TEST_CASE("several tasks may share a subscription: each value goes to one of them") {
  shake([](world&) -> task<> {
    broadcast<int> b(4);
    subscription<int> shared(b);
    int sum = 0;
    auto read = [&]() -> task<> {
      while (auto n = co_await shared.next()) sum += *n;
    };
    auto send = [&]() -> task<> {
      co_await mobius::yield();
      for (int i = 1; i <= 10; ++i) co_await b.send(i);
      b.close();
    };
    co_await mobius::when_all(read(), read(), send());
    CHECK(sum == 55);
  });
}

TEST_CASE("a broadcast is clean wherever a wait is cancelled") {
  const auto body = [](world&) -> task<> {
    broadcast<std::string> b(1);
    auto read = [&]() -> task<> {
      subscription<std::string> mine(b);
      for (int i = 0; i < 3; ++i) {
        auto [index, value] = co_await mobius::select(mine.next(), mobius::sleep(1h));
        CHECK(index == 0);
      }
    };
    auto send = [&]() -> task<> {
      co_await mobius::yield();
      for (int i = 0; i < 3; ++i) co_await b.send("text longer than what a string holds by itself");
    };
    try {
      co_await mobius::when_all(read(), read(), send());
    } catch (const cancelled&) {
    }
    CHECK(b.subscribers() == 0);
    CHECK(b.try_send("goes nowhere"));
  };
  CHECK(cancel_at_every_await(body) > 10);
  for (std::uint64_t seed = 1; seed <= 20; ++seed) cancel_at_every_await(body, seed);
}
