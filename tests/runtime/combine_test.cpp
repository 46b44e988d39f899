// `when_all` and `when_any`: results, errors, cancels, and that losers are joined.

#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>

#include <list>
#include <memory>
#include <ranges>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::as_result;
using mobius::task;
using mobius::when_all;
using mobius::when_any;
using mobius::testing::world;

namespace {

task<int> after(std::chrono::nanoseconds d, int value) {
  co_await mobius::sleep(d);
  co_return value;
}
task<> fail_after(std::chrono::nanoseconds d, std::string text) {
  co_await mobius::sleep(d);
  throw std::runtime_error(text);
}
task<int> ready(int value) { co_return value; }

// Ends only some time after it was cancelled, and notes that it has.
task<> slow_to_end(bool& ended) {
  struct note {
    bool& flag;
    ~note() { flag = true; }
  };
  const note n{ended};
  const auto work = [] {};
  try {
    co_await mobius::sleep(1h);
  } catch (const mobius::cancelled&) {
  }
  for (int i = 0; i < 5; ++i) {
    try {
      co_await mobius::yield();
    } catch (const mobius::cancelled&) {
    }
  }
  work();
}

}  // namespace

TEST_CASE("when_all gives all results in order, void as monostate and references as pointers") {
  mobius::testing::run([](world& w) -> task<> {
    int n = 5;
    const auto refers = [&n]() -> task<int&> { co_return n; };
    const auto boxes = []() -> task<std::unique_ptr<int>> {
      co_await mobius::sleep(1s);
      co_return std::make_unique<int>(9);
    };
    const auto start = w.reactor.now();
    auto all = when_all(after(2s, 1), mobius::sleep(3s), refers(), boxes(), mobius::yield());
    const auto got = co_await std::move(all);
    CHECK(std::get<0>(got) == 1);
    static_assert(std::is_same_v<std::remove_cvref_t<decltype(std::get<1>(got))>, std::monostate>);
    CHECK(std::get<2>(got) == &n);
    CHECK(*std::get<3>(got) == 9);
    CHECK(w.reactor.now() == start + 3s);
  });
}

TEST_CASE("when_all of ready things ends at once, of one thing and of a thousand") {
  mobius::testing::run([](world& w) -> task<> {
    const auto turns = w.reactor.stats().turns;
    const auto [a, b] = co_await when_all(ready(1), ready(2));
    CHECK(a + b == 3);
    const auto [one] = co_await when_all(ready(7));
    CHECK(one == 7);
    std::vector<task<int>> many;
    for (int i = 0; i < 1000; ++i) many.push_back(ready(i));
    const auto all = co_await when_all(std::move(many));
    REQUIRE(all.size() == 1000);
    for (int i = 0; i < 1000; ++i) CHECK(all[static_cast<std::size_t>(i)] == i);
    CHECK(w.reactor.stats().turns == turns);
  });
}

TEST_CASE("when_all takes any range that gives awaitables; an empty one gives an empty vector") {
  mobius::testing::run([](world&) -> task<> {
    const auto none = co_await when_all(std::vector<task<int>>());
    CHECK(none.empty());
    const auto make = [](int i) { return after(std::chrono::seconds(10 - i), i); };
    auto view = std::views::iota(0, 5) | std::views::transform(make);
    const auto from_view = co_await when_all(view);
    CHECK(from_view == std::vector<int>{0, 1, 2, 3, 4});
    std::list<task<>> tasks;
    tasks.push_back(task<>(fail_after(1h, "not awaited")));
    tasks.clear();
    const auto empty = co_await when_all(std::move(tasks));
    CHECK(empty.empty());
  });
}

TEST_CASE("the first error of when_all cancels the others, waits for their end, and is thrown") {
  mobius::testing::run([](world& w) -> task<> {
    bool ended = false;
    const auto start = w.reactor.now();
    const auto r = co_await as_result(when_all(slow_to_end(ended), fail_after(1s, "first"), after(1h, 1)));
    REQUIRE(!r);
    CHECK(std::string(r.error().what()) == "first");
    CHECK(ended);
    CHECK(w.reactor.now() == start + 1s);
  });
}

TEST_CASE("later errors of when_all go to the hook; cancelled losers do not") {
  mobius::testing::run([](world& w) -> task<> {
    const auto fails_on_cancel = []() -> task<> {
      try {
        co_await mobius::sleep(1h);
      } catch (const mobius::cancelled&) {
        throw std::runtime_error("second");
      }
    };
    const auto r = co_await as_result(when_all(fails_on_cancel(), fail_after(1s, "first"), after(1h, 1)));
    CHECK(std::string(r.error().what()) == "first");
    const auto said = w.unhandled.take();
    REQUIRE(said.size() == 1);
    CHECK(std::string(said[0].what.what()) == "second");
    CHECK(said[0].where == "when_all, after its first error");
  });
}

TEST_CASE("an error at the start keeps the later ones from beginning anything that waits") {
  mobius::testing::run([](world& w) -> task<> {
    const auto now = []() -> task<> {
      throw std::runtime_error("at once");
      co_return;
    };
    bool went_on = false;
    const auto other = [&]() -> task<> {
      co_await mobius::sleep(1h);
      went_on = true;
    };
    const auto start = w.reactor.now();
    const auto r = co_await as_result(when_all(other(), now(), other()));
    CHECK(std::string(r.error().what()) == "at once");
    CHECK(!went_on);
    CHECK(w.reactor.now() == start);
  });
}

TEST_CASE("an error beats cancelled, whichever comes first") {
  mobius::testing::run([](world& w) -> task<> {
    const auto quits = []() -> task<> {
      co_await mobius::sleep(1s);
      throw mobius::cancelled();
    };
    const auto fails_on_cancel = []() -> task<> {
      try {
        co_await mobius::sleep(1h);
      } catch (const mobius::cancelled&) {
        throw std::runtime_error("real");
      }
    };
    const auto r = co_await as_result(when_all(quits(), fails_on_cancel()));
    CHECK(std::string(r.error().what()) == "real");
    const auto only_cancelled = co_await as_result(when_all(quits(), mobius::sleep(1h)));
    CHECK(only_cancelled.error().check<mobius::cancelled>());
    CHECK(w.unhandled.take().empty());
  });
}

TEST_CASE("a cancel from outside reaches all, and those that yield results all the same are kept") {
  mobius::testing::run([](world&) -> task<> {
    int told = 0;
    const auto stubborn = [&](int n) -> task<int> {
      try {
        co_await mobius::sleep(1h);
      } catch (const mobius::cancelled&) {
        ++told;
      }
      co_return n;
    };
    const auto [a, b] = co_await mobius::timeout(1s, when_all(stubborn(1), stubborn(2)));
    CHECK((a == 1 && b == 2));
    CHECK(told == 2);
    const auto r = co_await as_result(mobius::timeout(1s, when_all(stubborn(1), after(1h, 2))));
    CHECK(r.error().check<mobius::timed_out>());
    CHECK(told == 3);
  });
}

TEST_CASE("when_any gives the first to end, with its index, and joins the losers") {
  mobius::testing::run([](world& w) -> task<> {
    bool ended = false;
    const auto start = w.reactor.now();
    const auto [index, value] =
        co_await when_any(slow_to_end(ended), after(2s, 5), after(3s, 6), mobius::sleep(1h));
    CHECK(index == 1);
    CHECK(std::get<1>(value) == 5);
    CHECK(ended);
    CHECK(w.reactor.now() == start + 2s);
    CHECK(w.reactor.timers().size() == 0);
  });
}

TEST_CASE("when_any gives an error if that is the first to end, and the error of a loser goes to the hook") {
  mobius::testing::run([](world& w) -> task<> {
    const auto r = co_await as_result(when_any(after(2s, 5), fail_after(1s, "first")));
    CHECK(std::string(r.error().what()) == "first");
    const auto fails_on_cancel = []() -> task<> {
      try {
        co_await mobius::sleep(1h);
      } catch (const mobius::cancelled&) {
        throw std::runtime_error("loser");
      }
    };
    const auto [index, value] = co_await when_any(fails_on_cancel(), after(1s, 5));
    CHECK(index == 1);
    const auto said = w.unhandled.take();
    REQUIRE(said.size() == 1);
    CHECK(said[0].where == "a loser of when_any");
  });
}

TEST_CASE("when_any of ready things is won by the first, and the others begin cancelled") {
  mobius::testing::run([](world&) -> task<> {
    bool slept = false;
    const auto sleeps = [&]() -> task<int> {
      co_await mobius::sleep(1s);
      slept = true;
      co_return 2;
    };
    const auto [index, value] = co_await when_any(ready(1), sleeps(), ready(3));
    CHECK(index == 0);
    CHECK(std::get<0>(value) == 1);
    CHECK(!slept);
  });
}

TEST_CASE("when_any of ends in one batch: the first in the queue wins, owned results of losers are freed") {
  mobius::testing::run([](world&) -> task<> {
    const auto token = std::make_shared<int>(1);
    const auto gives = [&]() -> task<std::shared_ptr<int>> {
      co_await mobius::sleep(1s);
      co_return token;
    };
    {
      const auto [index, value] = co_await when_any(gives(), gives(), gives());
      CHECK(index == 0);
    }
    CHECK(token.use_count() == 1);
  });
}

TEST_CASE("when_any of a range gives index and value; an empty range is an error at the call") {
  mobius::testing::run([](world&) -> task<> {
    std::vector<task<int>> tasks;
    for (int i = 0; i < 10; ++i) tasks.push_back(after(std::chrono::seconds(i == 6 ? 1 : 50), i));
    const auto [index, value] = co_await when_any(std::move(tasks));
    CHECK(index == 6);
    CHECK(value == 6);
    CHECK_THROWS_AS(when_any(std::vector<task<int>>()), std::invalid_argument);
    std::vector<task<>> voids;
    voids.push_back(fail_after(2s, "loses"));
    voids.push_back(fail_after(1s, "wins"));
    const auto r = co_await as_result(when_any(std::move(voids)));
    CHECK(std::string(r.error().what()) == "wins");
  });
}

TEST_CASE("when_any that is cancelled from outside ends as cancelled, with all joined") {
  mobius::testing::run([](world& w) -> task<> {
    bool ended = false;
    const auto r = co_await as_result(mobius::timeout(1s, when_any(slow_to_end(ended), mobius::sleep(1h))));
    CHECK(r.error().check<mobius::timed_out>());
    CHECK(ended);
    CHECK(w.reactor.timers().size() == 0);
  });
}

TEST_CASE("combinations nest, and named things are borrowed") {
  mobius::testing::run([](world&) -> task<> {
    auto named = after(1s, 1);
    auto inner = when_any(after(5s, 2), after(2s, 3));
    const auto [first, second] = co_await when_all(std::move(named), std::move(inner));
    CHECK(first == 1);
    CHECK(second.first == 1);
    const auto results = co_await when_all(as_result(fail_after(1s, "kept")), as_result(after(1s, 4)));
    CHECK(!std::get<0>(results));
    CHECK(*std::get<1>(results) == 4);
  });
}
