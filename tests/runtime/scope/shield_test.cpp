// shield, finally, checkpoint, deadline.

#include <mobius/runtime.hpp>
#include <mobius/runtime/testing/shake.hpp>

#include <string>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using mobius::as_result;
using mobius::cancelled;
using mobius::finally;
using mobius::shield;
using mobius::task;
using mobius::timed_out;
using mobius::timeout;
using mobius::testing::cancel_at_every_await;
using mobius::testing::shake;
using mobius::testing::world;

namespace {

task<int> slow(bool& done) {
  co_await mobius::sleep(10ms);
  co_await mobius::sleep(10ms);
  done = true;
  co_return 5;
}

}  // namespace

TEST_CASE("shield gives the value where nobody cancels") {
  shake([](world&) -> task<> {
    bool done = false;
    const int n = co_await shield(slow(done));
    CHECK(n == 5);
    CHECK(done);
  });
}

TEST_CASE("shield waits for its end, then throws what was asked for") {
  shake([](world&) -> task<> {
    bool done = false;
    const auto result = co_await as_result(timeout(1ms, shield(slow(done))));
    CHECK(result.error().check<timed_out>());
    CHECK(done);
  });
}

TEST_CASE("shield lets an error go before the cancel") {
  mobius::testing::run([](world&) -> task<> {
    auto failing = []() -> task<> {
      co_await mobius::sleep(10ms);
      throw std::runtime_error("broken");
    };
    const auto result = co_await as_result(timeout(1ms, shield(failing())));
    CHECK(result.error().what() == "broken");
  });
}

TEST_CASE("shield works in a chain that was cancelled before") {
  mobius::testing::run([](world&) -> task<> {
    bool done = false;
    auto body = [&]() -> task<> {
      try {
        co_await mobius::sleep(1h);
      } catch (const cancelled&) {
      }
      const auto after = co_await mobius::as_result(mobius::yield());
      static_cast<void>(after);
    };
    const auto first = co_await as_result(timeout(1ms, body()));
    CHECK(first.error().check<timed_out>());
    auto cleaning = [&]() -> task<> {
      try {
        co_await mobius::sleep(1h);
      } catch (const cancelled&) {
      }
      co_await shield(slow(done));
      FAIL("the cancel was to be thrown after the shield");
    };
    const auto second = co_await as_result(timeout(1ms, cleaning()));
    CHECK(second.error().check<timed_out>());
    CHECK(done);
  });
}

TEST_CASE("a timeout inside a shield still counts") {
  mobius::testing::run([](world& w) -> task<> {
    const auto begin = w.clock.now();
    const auto result = co_await as_result(timeout(1ms, shield(timeout(5ms, mobius::sleep(1h)))));
    CHECK(result.error().check<timed_out>());
    CHECK_THAT(result.error().what(), Contains("5 ms"));
    CHECK(w.clock.now() - begin == 5ms);
  });
}

TEST_CASE("finally cleans up after a value, an error and a cancel, and passes them on") {
  shake([](world&) -> task<> {
    int cleaned = 0;
    auto clean = [&]() -> task<> {
      co_await mobius::sleep(2ms);
      ++cleaned;
    };
    auto give = []() -> task<int> {
      co_await mobius::yield();
      co_return 7;
    };
    const int n = co_await finally(give, clean);
    CHECK(n == 7);
    CHECK(cleaned == 1);
    auto fail = []() -> task<int> {
      throw std::runtime_error("body");
      co_return 0;
    };
    const auto failed = co_await as_result(finally(fail(), clean));
    CHECK(failed.error().what() == "body");
    CHECK(cleaned == 2);
    const auto stopped = co_await as_result(timeout(1ms, finally(mobius::sleep(1h), clean)));
    CHECK(stopped.error().check<timed_out>());
    CHECK(cleaned == 3);
  });
}

TEST_CASE("an error of the clean-up is thrown, or goes to the hook if the body failed") {
  mobius::testing::run([](world& w) -> task<> {
    auto broken = []() -> task<> {
      co_await mobius::yield();
      throw std::runtime_error("clean-up");
    };
    const auto first = co_await as_result(finally(mobius::yield(), broken));
    CHECK(first.error().what() == "clean-up");
    auto fail = []() -> task<> {
      co_await mobius::yield();
      throw std::runtime_error("body");
    };
    const auto second = co_await as_result(finally(fail, broken));
    CHECK(second.error().what() == "body");
    const auto unhandled = w.unhandled.take();
    REQUIRE(unhandled.size() == 1);
    CHECK(unhandled[0].what.what() == "clean-up");
  });
}

TEST_CASE("a cancel during the clean-up of finally waits for its end") {
  mobius::testing::run([](world&) -> task<> {
    bool cleaned = false;
    auto clean = [&]() -> task<> {
      co_await mobius::sleep(10ms);
      cleaned = true;
    };
    const auto result = co_await as_result(timeout(5ms, finally(mobius::yield(), clean)));
    CHECK(result.error().check<timed_out>());
    CHECK(cleaned);
  });
}

TEST_CASE("the clean-up of finally runs wherever it is cancelled") {
  int runs = 0;
  int cleaned = 0;
  const auto body = [&](world&) -> task<> {
    ++runs;
    auto clean = [&]() -> task<> {
      co_await mobius::yield();
      co_await mobius::sleep(1ms);
      ++cleaned;
    };
    auto work = []() -> task<int> {
      co_await mobius::sleep(1ms);
      co_await mobius::yield();
      co_return 1;
    };
    const int n = co_await finally(work, clean);
    CHECK(n == 1);
    co_await shield(mobius::sleep(1ms));
  };
  CHECK(cancel_at_every_await(body) > 5);
  for (std::uint64_t seed = 1; seed <= 20; ++seed) cancel_at_every_await(body, seed);
  CHECK(cleaned == runs);
}

TEST_CASE("checkpoint throws only in a cancelled chain, and does not let others run") {
  mobius::testing::run([](world& w) -> task<> {
    bool other = false;
    w.reactor.call_soon([&] { other = true; });
    co_await mobius::checkpoint();
    CHECK_FALSE(other);
    int reached = 0;
    auto body = [&]() -> task<> {
      try {
        co_await mobius::sleep(1h);
      } catch (const cancelled&) {
        ++reached;
      }
      try {
        co_await mobius::checkpoint();
      } catch (const cancelled&) {
        ++reached;
        throw;
      }
    };
    const auto result = co_await as_result(timeout(1ms, body()));
    CHECK(result.error().check<timed_out>());
    CHECK(reached == 2);
  });
}

TEST_CASE("a deadline is a timeout up to a point in time") {
  shake([](world& w) -> task<> {
    const auto end = w.reactor.now() + 10ms;
    co_await mobius::deadline(end, mobius::sleep(4ms));
    const auto result = co_await as_result(mobius::deadline(end, mobius::sleep(1h)));
    CHECK(result.error().check<timed_out>());
    CHECK(w.reactor.now() == end);
    const auto past = co_await as_result(mobius::deadline(end - 5ms, mobius::sleep(1h)));
    CHECK(past.error().check<timed_out>());
    CHECK(w.reactor.now() == end);
  });
}
