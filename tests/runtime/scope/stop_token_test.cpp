// The bridge to and from std::stop_token.

#include <mobius/runtime.hpp>
#include <mobius/runtime/testing/shake.hpp>

#include <atomic>
#include <stop_token>
#include <thread>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::as_result;
using mobius::cancelled;
using mobius::task;
using mobius::testing::world;

TEST_CASE("a stop request cancels an await") {
  mobius::testing::run([](world& w) -> task<> {
    std::stop_source source;
    w.reactor.call_later(1s, [&] { source.request_stop(); });
    const auto result = co_await as_result(mobius::with_stop_token(source.get_token(), mobius::sleep(1h)));
    CHECK(result.error().check<cancelled>());
    CHECK(w.clock.now().time_since_epoch() < 10s);
  });
}

TEST_CASE("a token that was stopped before cancels at once, and one that cannot stop never does") {
  mobius::testing::run([](world&) -> task<> {
    std::stop_source source;
    source.request_stop();
    const auto stopped = co_await as_result(mobius::with_stop_token(source.get_token(), mobius::sleep(1h)));
    CHECK(stopped.error().check<cancelled>());
    co_await mobius::with_stop_token(std::stop_token(), mobius::sleep(1s));
    std::stop_source unused;
    co_await mobius::with_stop_token(unused.get_token(), mobius::sleep(1s));
    unused.request_stop();
  });
}

TEST_CASE("what is cancelled before it begins, two hundred times, is no cancel of the task around it") {
  mobius::testing::run([](world&) -> task<> {
    std::stop_source source;
    source.request_stop();
    for (int i = 0; i < 200; ++i) {
      const auto stopped = co_await as_result(mobius::with_stop_token(source.get_token(), mobius::sleep(1h)));
      CHECK(stopped.error().check<cancelled>());
    }
  });
}

TEST_CASE("a stop request from another thread cancels an await") {
  mobius::testing::run_options real;
  real.virtual_time = false;
  mobius::testing::run(
      [](world&) -> task<> {
        for (int i = 0; i < 200; ++i) {
          std::stop_source source;
          std::jthread other([&] { source.request_stop(); });
          const auto result =
              co_await as_result(mobius::with_stop_token(source.get_token(), mobius::sleep(1h)));
          CHECK(result.error().check<cancelled>());
        }
      },
      real);
}

TEST_CASE("a stop request that comes when the await ends does no harm") {
  mobius::testing::run_options real;
  real.virtual_time = false;
  mobius::testing::run(
      [](world&) -> task<> {
        for (int i = 0; i < 500; ++i) {
          std::stop_source source;
          std::jthread other([&] { source.request_stop(); });
          const auto result =
              co_await as_result(mobius::with_stop_token(source.get_token(), mobius::yield()));
          CHECK((result || result.error().check<cancelled>()));
        }
      },
      real);
}

TEST_CASE("stoppable gives a token that follows the chain") {
  mobius::testing::run([](world&) -> task<> {
    std::stop_token seen;
    auto work = [&](std::stop_token token) {
      seen = std::move(token);
      return mobius::sleep(1h);
    };
    const auto result = co_await as_result(mobius::timeout(1s, mobius::stoppable(work)));
    CHECK(result.error().check<mobius::timed_out>());
    CHECK(seen.stop_requested());
  });
}

TEST_CASE("a function in another thread can be asked to end early") {
  mobius::testing::run_options real;
  real.virtual_time = false;
  mobius::testing::run(
      [](world&) -> task<> {
        auto spin = [](const std::stop_token& token) {
          int rounds = 0;
          while (!token.stop_requested()) {
            std::this_thread::sleep_for(1ms);
            ++rounds;
          }
          return rounds;
        };
        auto work = [&](std::stop_token token) { return mobius::offload(spin, std::move(token)); };
        const int rounds = co_await mobius::timeout(20ms, mobius::stoppable(work));
        CHECK(rounds > 0);
      },
      real);
}

TEST_CASE("the stop token bridges are clean wherever they are cancelled") {
  const auto body = [](world&) -> task<> {
    std::stop_source source;
    auto work = [](std::stop_token) { return mobius::sleep(1ms); };
    co_await mobius::with_stop_token(source.get_token(), mobius::stoppable(work));
    co_await mobius::with_stop_token(source.get_token(), mobius::yield());
  };
  CHECK(mobius::testing::cancel_at_every_await(body) > 2);
  mobius::testing::shake(body);
}
