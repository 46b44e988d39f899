// Generators: values, the end, errors, cancellation, clean-up.

#include <mobius/runtime.hpp>
#include <mobius/runtime/testing/shake.hpp>

#include <memory>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::as_result;
using mobius::cancelled;
using mobius::generator;
using mobius::task;
using mobius::testing::cancel_at_every_await;
using mobius::testing::shake;
using mobius::testing::world;

namespace {

generator<int> count_to(int n) {
  for (int i = 1; i <= n; ++i) {
    co_await mobius::sleep(1ms);
    co_yield i;
  }
}

generator<int> many(int n) {
  for (int i = 0; i < n; ++i) co_yield i;
}

generator<std::unique_ptr<std::string>> boxes() {
  co_yield std::make_unique<std::string>("a");
  auto named = std::make_unique<std::string>("b");
  co_yield std::move(named);
}

generator<std::string&> lines(std::vector<std::string>& all) {
  for (auto& line : all) co_yield line;
}

generator<int> failing() {
  co_yield 1;
  throw std::runtime_error("broken");
}

struct flag_at_end {
  explicit flag_at_end(bool& f) : flag(f) {}
  ~flag_at_end() { flag = true; }
  bool& flag;
};

generator<int> guarded(bool& ended, bool& cleaned) {
  const flag_at_end at_end(ended);
  bool stopped = false;
  try {
    for (int i = 0;; ++i) co_yield i;
  } catch (const cancelled&) {
    stopped = true;
  }
  if (stopped) co_await mobius::sleep(1ms);
  cleaned = true;
}

}  // namespace

TEST_CASE("a generator gives its values, then an empty result for good") {
  shake([](world&) -> task<> {
    auto g = count_to(3);
    std::vector<int> got;
    while (auto n = co_await g.next()) got.push_back(*n);
    CHECK(got == std::vector<int>{1, 2, 3});
    const auto after = co_await g.next();
    CHECK_FALSE(after);
    generator<int> empty;
    const auto nothing = co_await empty.next();
    CHECK_FALSE(nothing);
  });
}

TEST_CASE("a generator can give what only moves, and references") {
  mobius::testing::run([](world&) -> task<> {
    auto g = boxes();
    std::string text;
    while (auto box = co_await g.next()) text += **box;
    CHECK(text == "ab");
    std::vector<std::string> all{"x", "y"};
    auto r = lines(all);
    while (auto* line = co_await r.next()) *line += "!";
    CHECK(all == std::vector<std::string>{"x!", "y!"});
  });
}

TEST_CASE("an error of a generator is thrown once, by next") {
  mobius::testing::run([](world&) -> task<> {
    auto g = failing();
    const auto first = co_await g.next();
    CHECK(first.value() == 1);
    const auto second = co_await as_result(g.next());
    CHECK(second.error().what() == "broken");
    const auto third = co_await g.next();
    CHECK_FALSE(third);
  });
}

TEST_CASE("a generator may give a million values in a row without using the stack", "[fault-54]") {
  mobius::testing::run([](world&) -> task<> {
    auto g = many(1'000'000);
    long sum = 0;
    while (auto n = co_await g.next()) sum += *n;
    CHECK(sum == 499'999'500'000);
  });
}

TEST_CASE("a generator that is dropped between two values destroys its locals") {
  mobius::testing::run([](world&) -> task<> {
    bool ended = false;
    bool cleaned = false;
    {
      auto g = guarded(ended, cleaned);
      const auto first = co_await g.next();
      CHECK(first.value() == 0);
    }
    CHECK(ended);
    CHECK_FALSE(cleaned);
  });
}

TEST_CASE("close lets a generator clean up, and nothing comes after it") {
  shake([](world&) -> task<> {
    bool ended = false;
    bool cleaned = false;
    auto g = guarded(ended, cleaned);
    const auto first = co_await g.next();
    CHECK(first.value() == 0);
    co_await g.close();
    CHECK(ended);
    CHECK(cleaned);
    const auto after = co_await g.next();
    CHECK_FALSE(after);
    co_await g.close();
    auto unstarted = count_to(2);
    co_await unstarted.close();
    const auto nothing = co_await unstarted.next();
    CHECK_FALSE(nothing);
  });
}

TEST_CASE("a generator that yields after its close is told so") {
  mobius::testing::run([](world&) -> task<> {
    auto stubborn = []() -> generator<int> {
      try {
        co_yield 1;
      } catch (const cancelled&) {
      }
      co_yield 2;
    };
    auto g = stubborn();
    const auto first = co_await g.next();
    CHECK(first.has_value());
    const auto closed = co_await as_result(g.close());
    CHECK(closed.error().check<std::logic_error>());
  });
}

TEST_CASE("a second await of the next value is an error, and does no harm to the first") {
  mobius::testing::run([](world&) -> task<> {
    auto make = []() -> mobius::generator<int> {
      co_await mobius::sleep(1s);
      co_yield 1;
      co_yield 2;
    };
    auto g = make();
    auto take = [&]() -> task<> {
      const auto first = co_await g.next();
      CHECK(first == 1);
    };
    auto intrude = [&]() -> task<> {
      co_await mobius::yield();
      const auto second = co_await mobius::as_result(g.next());
      CHECK(second.error().check<std::logic_error>());
      const auto closed = co_await mobius::as_result(g.close());
      CHECK(closed.error().check<std::logic_error>());
    };
    co_await mobius::when_all(take(), intrude());
    const auto next = co_await g.next();
    CHECK(next == 2);
  });
}

TEST_CASE("a cancel reaches what a generator waits for") {
  mobius::testing::run([](world&) -> task<> {
    auto g = count_to(1000000);
    auto read = [&]() -> task<> {
      while (auto n = co_await g.next()) static_cast<void>(n);
    };
    const auto result = co_await as_result(mobius::timeout(10ms, read()));
    CHECK(result.error().check<mobius::timed_out>());
  });
  const auto body = [](world&) -> task<> {
    auto g = count_to(3);
    while (auto n = co_await g.next()) co_await mobius::yield();
  };
  CHECK(cancel_at_every_await(body) > 5);
}
