// race, and when_all and when_any, under many schedules and with a cancel at every moment.

#include <mobius/runtime.hpp>
#include <mobius/runtime/testing/shake.hpp>
#include <mobius/runtime/testing/spy.hpp>

#include <string>
#include <tuple>
#include <vector>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::as_result;
using mobius::cancelled;
using mobius::race;
using mobius::task;
using mobius::when_all;
using mobius::when_any;
using mobius::testing::cancel_at_every_await;
using mobius::testing::shake;
using mobius::testing::world;

namespace {

task<int> value_after(std::chrono::milliseconds d, int n) {
  co_await mobius::sleep(d);
  co_return n;
}
task<int> fail_after(std::chrono::milliseconds d, const char* text) {
  co_await mobius::sleep(d);
  throw std::runtime_error(text);
}
task<int> stubborn(std::chrono::milliseconds d, const char* text) {
  try {
    co_await mobius::sleep(d);
  } catch (const cancelled&) {
  }
  throw std::runtime_error(text);
}

}  // namespace

TEST_CASE("race gives the first success, whatever failed before") {
  shake([](world& w) -> task<> {
    auto [index, value] = co_await race(fail_after(1ms, "a"), value_after(3ms, 3), value_after(2ms, 2));
    CHECK(index == 2);
    CHECK(std::get<2>(value) == 2);
    CHECK(w.unhandled.take().empty());
  });
}

TEST_CASE("race throws the first error if all fail") {
  shake([](world& w) -> task<> {
    const auto result = co_await as_result(race(fail_after(2ms, "b"), fail_after(1ms, "a")));
    CHECK(result.error().what() == "a");
    CHECK(w.unhandled.take().empty());
  });
}

TEST_CASE("what a loser of race fails with after its cancel goes to the hook") {
  shake([](world& w) -> task<> {
    auto [index, value] = co_await race(value_after(1ms, 1), stubborn(1h, "late"));
    CHECK(index == 0);
    const auto unhandled = w.unhandled.take();
    REQUIRE(unhandled.size() == 1);
    CHECK(unhandled[0].where == "a loser of race");
  });
}

TEST_CASE("race of a range") {
  shake([](world&) -> task<> {
    std::vector<task<int>> all;
    all.push_back(fail_after(1ms, "a"));
    all.push_back(value_after(2ms, 7));
    auto [index, value] = co_await race(std::move(all));
    CHECK(index == 1);
    CHECK(value == 7);
    CHECK_THROWS_AS(race(std::vector<task<int>>()), std::invalid_argument);
  });
}

TEST_CASE("race, when_all and when_any give the same under every schedule") {
  shake([](world&) -> task<> {
    auto [a, b] = co_await when_all(value_after(2ms, 1), value_after(1ms, 2));
    CHECK(a == 1);
    CHECK(b == 2);
    auto [index, value] = co_await when_any(value_after(2ms, 1), value_after(1ms, 2));
    CHECK(index == 1);
    CHECK(std::get<1>(value) == 2);
    const auto failed = co_await as_result(when_all(value_after(2ms, 1), fail_after(1ms, "e")));
    CHECK(failed.error().what() == "e");
  });
}

TEST_CASE("race, when_all and when_any are clean wherever they are cancelled") {
  const auto body = [](world&) -> task<> {
    auto both = when_all(value_after(2ms, 1), value_after(1ms, 2));
    auto either = when_any(value_after(2ms, 1), value_after(1ms, 2));
    auto first = race(fail_after(1ms, "x"), value_after(2ms, 2));
    co_await when_all(std::move(both), std::move(either), std::move(first), mobius::yield());
  };
  CHECK(cancel_at_every_await(body) > 10);
  for (std::uint64_t seed = 1; seed <= 20; ++seed) CHECK(cancel_at_every_await(body, seed) > 10);
}

TEST_CASE("a timeout is clean wherever it is cancelled") {
  const auto body = [](world&) -> task<> {
    co_await mobius::timeout(2ms, value_after(1ms, 1));
    const auto late = co_await as_result(mobius::timeout(1ms, value_after(2ms, 1)));
    CHECK((!late && late.error().check<mobius::timed_out>()));
  };
  CHECK(cancel_at_every_await(body) > 3);
  shake(body);
}
