// Several deferreds as one: gather_results, settle, deferred_list and race.

#include <cstddef>
#include <tuple>
#include <variant>

#include "kit.hpp"

using mobius::list_flags;

namespace {

/// A number of pending deferreds and what fires them.
struct inputs {
  explicit inputs(std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
      auto [d, r] = make_deferred<int>([this, i] { cancels.push_back(i); });
      all.push_back(std::move(d));
      fire.push_back(r);
    }
  }
  inputs(const inputs&) = delete;
  inputs& operator=(const inputs&) = delete;

  std::vector<deferred<int>> take() { return std::move(all); }

  std::vector<std::size_t> cancels;
  std::vector<deferred<int>> all;
  std::vector<resolver<int>> fire;
};

task<int> number(int n) { co_return n; }
task<void> nothing() { co_return; }

deferred<std::size_t> first_of(std::vector<deferred<int>> all) {
  auto winner = co_await mobius::race(std::move(all));
  co_return winner.first;
}

// A pack gives a tuple or variant, a range a vector or one value.
template <class D, class T>
constexpr bool gives = std::is_same_v<D, deferred<T>>;
using number_d = deferred<int>;
using text_d = deferred<std::string>;
using void_d = deferred<void>;
using numbers = std::vector<number_d>;
constexpr auto one_value = list_flags::fire_on_one_callback;
constexpr auto one_error = list_flags::fire_on_one_errback | list_flags::consume_errors;
static_assert(gives<decltype(mobius::gather_results(number_d(), void_d())), std::tuple<int, std::monostate>>);
static_assert(gives<decltype(mobius::gather_results(numbers())), std::vector<int>>);
static_assert(gives<decltype(mobius::settle(number_d(), void_d())), std::tuple<result<int>, result<void>>>);
static_assert(gives<decltype(mobius::settle(numbers())), std::vector<result<int>>>);
static_assert(gives<decltype(mobius::deferred_list(number_d(), text_d())),  //
                    std::tuple<result<int>, result<std::string>>>);
static_assert(gives<decltype(mobius::deferred_list(numbers())), std::vector<result<int>>>);
static_assert(gives<decltype(mobius::deferred_list<one_error>(numbers())), std::vector<result<int>>>);
static_assert(gives<decltype(mobius::deferred_list<one_value>(number_d(), text_d())),
                    std::pair<std::variant<int, std::string>, std::size_t>>);
static_assert(
    gives<decltype(mobius::deferred_list<one_value | one_error>(numbers())), std::pair<int, std::size_t>>);
static_assert(gives<decltype(mobius::race(number_d(), text_d())),
                    std::pair<std::size_t, std::variant<int, std::string>>>);
static_assert(gives<decltype(mobius::race(numbers())), std::pair<std::size_t, int>>);

}  // namespace

TEST_CASE("gather_results of a pack gives a tuple of what deferreds, tasks and operations give") {
  const no_leak check;
  auto [d, fire] = make_deferred<std::string>();
  auto all = mobius::gather_results(std::move(d), number(2), nothing(), succeed(std::make_unique<int>(4)));
  CHECK_FALSE(all.ready());
  fire("one");
  auto [text, two, none, four] = std::move(all).get_now();
  CHECK(text == "one");
  CHECK(two == 2);
  CHECK(none == std::monostate());
  CHECK(*four == 4);
}

TEST_CASE("a list gives every outcome in the order of its inputs") {
  const no_leak check;
  inputs in(3);
  auto list = mobius::deferred_list(in.take());
  in.fire[2](30);
  in.fire[0](10);
  CHECK_FALSE(list.ready());
  in.fire[1].errback(std::runtime_error("second"));
  const auto outcomes = std::move(list).get_now();
  REQUIRE(outcomes.size() == 3);
  CHECK(*outcomes[0] == 10);
  CHECK(outcomes[1].error().what() == "second");
  CHECK(*outcomes[2] == 30);

  auto pack = mobius::settle(succeed(1), mobius::fail<std::string>(std::runtime_error("no")));
  const auto [one, no] = std::move(pack).get_now();
  CHECK(*one == 1);
  CHECK(no.error().what() == "no");
}

TEST_CASE("inputs that are ready are taken in order") {
  const no_leak check;
  std::vector<deferred<int>> ready;
  for (int n : {1, 2, 3}) ready.push_back(succeed(n));
  CHECK(std::move(mobius::gather_results(std::move(ready))).get_now() == std::vector<int>{1, 2, 3});
  CHECK(std::move(mobius::gather_results(std::vector<deferred<int>>())).get_now().empty());
  CHECK(std::move(mobius::settle(std::vector<deferred<int>>())).get_now().empty());
}

TEST_CASE("a gather fails with the first failure and its index, and the others go on") {
  const no_leak check;
  inputs in(3);
  auto all = mobius::gather_results(in.take());
  in.fire[1].errback(std::runtime_error("second"));
  const auto f = take_failure(all);
  REQUIRE(f);
  const auto* first = f->get_if<mobius::first_error>();
  REQUIRE(first != nullptr);
  CHECK(first->index() == 1);
  CHECK(first->error().what() == "second");
  CHECK(std::string(first->what()) == "input 1 failed: second");
  CHECK(in.cancels.empty());
  in.fire[0](1);
  in.fire[2](3);
}

TEST_CASE("a gather that was told so cancels the rest at the first failure") {
  const no_leak check;
  inputs in(3);
  auto all = mobius::gather_results(mobius::cancel_rest, in.take());
  in.fire[1].errback(std::runtime_error("second"));
  CHECK(take_failure(all)->check<mobius::first_error>());
  CHECK(in.cancels == std::vector<std::size_t>{0, 2});
}

TEST_CASE("the inputs of a list are its own: their failures are not reported") {
  const no_leak check;
  const reports hook;
  inputs in(2);
  auto list = mobius::deferred_list<list_flags::fire_on_one_callback>(in.take());
  in.fire[0].errback(std::runtime_error("first"));
  in.fire[1](5);
  CHECK(std::move(list).get_now() == std::pair<int, std::size_t>(5, 1));
  CHECK(hook.errors.empty());
}

TEST_CASE("inputs that end after their list has fired change nothing") {
  const no_leak check;
  const reports hook;
  inputs in(3);
  int fired = 0;
  auto list = mobius::deferred_list<list_flags::fire_on_one_callback>(in.take());
  list.add_callback([&](std::pair<int, std::size_t> w) {
    ++fired;
    return w;
  });
  in.fire[1](2);
  in.fire[0](1);
  in.fire[2].errback(std::runtime_error("late"));
  CHECK(fired == 1);
  CHECK(hook.errors.empty());
}

TEST_CASE("a list for one success fails when all have failed") {
  const no_leak check;
  inputs in(2);
  auto list = mobius::deferred_list<list_flags::fire_on_one_callback>(in.take());
  in.fire[1].errback(std::runtime_error("b"));
  in.fire[0].errback(std::runtime_error("a"));
  const auto f = take_failure(list);
  REQUIRE(f);
  const auto* group = f->get_if<mobius::failure_group>();
  REQUIRE(group != nullptr);
  REQUIRE(group->failures().size() == 2);
  CHECK(group->failures()[0].what() == "a");
  CHECK(group->failures()[1].what() == "b");
  CHECK(f->what() == "all of them failed: a; b");
}

TEST_CASE("a cancel does not fire a list by itself") {
  const no_leak check;
  resolver<int> slow;
  auto [d, fire] = make_deferred<int>([] { return mobius::cancel_reply::later; });
  auto list = mobius::deferred_list(std::move(d), succeed(1));
  list.cancel();
  CHECK_FALSE(list.ready());
  fire.errback(mobius::cancelled_failure());
  const auto [first, second] = std::move(list).get_now();
  CHECK(first.error().check<cancelled>());
  CHECK(*second == 1);
}

TEST_CASE("a cancel of a list reaches every input, and what a canceller throws is reported") {
  const no_leak check;
  const reports hook;
  inputs in(2);
  auto [bad, fire_bad] = make_deferred<int>([] { throw std::runtime_error("cannot stop"); });
  in.all.insert(in.all.begin() + 1, std::move(bad));
  auto list = mobius::deferred_list(in.take());
  list.cancel();
  CHECK(in.cancels == std::vector<std::size_t>{0, 1});
  CHECK(hook.errors == std::vector<std::string>{"cannot stop"});
  CHECK_FALSE(list.ready());
  fire_bad(3);
  CHECK(*std::move(list).get_now()[1] == 3);
}

TEST_CASE("a cancel of a fired list goes to what it waits for") {
  const no_leak check;
  bool stopped = false;
  auto [inner, fire] = make_deferred<int>([&] { stopped = true; });
  auto chain = mobius::deferred_list(succeed(1)).add_callback([i = std::move(inner)](auto) mutable {
    return std::move(i);
  });
  chain.cancel();
  CHECK(stopped);
  CHECK(take_failure(chain)->check<cancelled>());
}

TEST_CASE("the first success of a race cancels the others before it fires") {
  const no_leak check;
  inputs in(3);
  auto won = mobius::race(in.take());
  std::size_t cancelled_before = 0;
  won.tap([&](const auto&) { cancelled_before = in.cancels.size(); });
  in.fire[0].errback(std::runtime_error("out"));
  CHECK_FALSE(won.ready());
  in.fire[1](7);
  CHECK(std::move(won).get_now() == std::pair<std::size_t, int>(1, 7));
  CHECK(in.cancels == std::vector<std::size_t>{2});
  CHECK(cancelled_before == 1);
}

TEST_CASE("a race of deferreds of several types gives a variant, and can be awaited") {
  const no_leak check;
  auto [number_of, fire_number] = make_deferred<int>();
  auto [text, fire_text] = make_deferred<std::string>();
  auto won = mobius::race(std::move(number_of), std::move(text));
  fire_text("won");
  const auto [index, value] = std::move(won).get_now();
  CHECK(index == 1);
  CHECK(std::get<1>(value) == "won");
  fire_number(1);

  inputs in(2);
  auto awaiting = first_of(in.take());
  in.fire[1](1);
  CHECK(std::move(awaiting).get_now() == 1);
}

TEST_CASE("a race in which all fail fails with all their failures") {
  const no_leak check;
  inputs in(2);
  auto won = mobius::race(in.take());
  in.fire[1].errback(std::runtime_error("b"));
  in.fire[0].errback(std::runtime_error("a"));
  CHECK(take_failure(won)->what() == "all of them failed: a; b");

  inputs cancelled_ones(2);
  auto stopped = mobius::race(cancelled_ones.take());
  stopped.cancel();
  CHECK(take_failure(stopped)->get_if<mobius::failure_group>()->failures().size() == 2);
}

TEST_CASE("a race of nothing fails") {
  const no_leak check;
  auto nobody = mobius::race(std::vector<deferred<int>>());
  CHECK(take_failure(nobody)->get_if<mobius::failure_group>()->failures().empty());
}

TEST_CASE("a cancelled race ends at once though an input takes its time") {
  const no_leak check;
  auto [slow, fire] = make_deferred<int>([] { return mobius::cancel_reply::later; });
  std::vector<deferred<int>> one;
  one.push_back(std::move(slow));
  auto won = mobius::race(std::move(one));
  won.cancel();
  CHECK(take_failure(won)->check<cancelled>());
  fire(1);
}

TEST_CASE("a list of inputs that nobody can fire any more ends") {
  const no_leak check;
  auto list = [] {
    inputs in(2);
    return mobius::deferred_list(in.take());
  }();
  const auto outcomes = std::move(list).get_now();
  CHECK(outcomes[0].error().check<mobius::broken_deferred>());
}

TEST_CASE("a dropped list lets its inputs go on, and its callbacks run") {
  const no_leak check;
  inputs in(2);
  std::vector<int> seen;
  mobius::gather_results(in.take()).add_callback([&](std::vector<int> all) { seen = all; });
  in.fire[1](2);
  in.fire[0](1);
  CHECK(seen == std::vector<int>{1, 2});
}

TEST_CASE("a list of ten thousand inputs, and a list of lists a hundred thousand deep, are flat") {
  const no_leak check;
  inputs in(10'000);
  auto wide = mobius::gather_results(in.take());
  for (std::size_t i = in.fire.size(); i-- > 0;) in.fire[i](static_cast<int>(i));
  CHECK(std::move(wide).get_now().at(9'999) == 9'999);

  auto [d, fire] = make_deferred<int>();
  deferred<int> deep = std::move(d);
  for (int i = 0; i < 100'000; ++i) {
    deep = mobius::gather_results(std::move(deep)).add_callback([](std::tuple<int> t) {
      return std::get<0>(t);
    });
  }
  fire(3);
  CHECK(std::move(deep).get_now() == 3);
}

TEST_CASE("an empty deferred in a list is refused, and the others are let go") {
  const no_leak check;
  inputs in(2);
  deferred<int> moved_to = std::move(in.all[0]);
  CHECK_THROWS_AS(mobius::gather_results(in.take()), mobius::no_deferred);
}

TEST_CASE("a race of deferreds does not wait for its losers, one with a task among them does") {
  mobius::testing::run([](world&) -> task<> {
    int ended = 0;
    const auto slow_to_stop = [&ended]() -> deferred<int> {
      static_cast<void>(co_await mobius::as_result(mobius::sleep(1h)));
      co_await mobius::sleep(1s);
      co_return ++ended;
    };
    auto of_deferreds = mobius::race(nap(1ms, 1), slow_to_stop());
    const auto first = co_await of_deferreds;
    CHECK(first.first == 0);
    CHECK(ended == 0);
    co_await mobius::sleep(2s);
    CHECK(ended == 1);

    auto with_a_task = mobius::race(nap_task(1ms, 1), slow_to_stop());
    const auto second = co_await std::move(with_a_task);
    CHECK(second.first == 0);
    CHECK(ended == 2);
  });
}

TEST_CASE("chains whose lambdas own something may stand in every list, and wherever a deferred may") {
  mobius::testing::run([](world&) -> task<> {
    const std::string text = "a text that does not fit into a small string";
    const auto chain = [&text](std::chrono::milliseconds time) {
      return nap(time, 1).add_callback([text](int n) { return n + static_cast<int>(text.size()); });
    };
    const int wanted = 1 + static_cast<int>(text.size());
    auto won = mobius::race(chain(1ms), chain(2ms));
    won.add_callback([](auto w) { return w; });
    const auto winner = co_await won;
    CHECK(winner.first == 0);
    CHECK(std::get<0>(winner.second) == wanted);
    std::vector<decltype(chain(1ms))> several;
    several.push_back(chain(2ms));
    several.push_back(chain(1ms));
    auto of_range = mobius::race(std::move(several));
    const auto quickest = co_await of_range;
    CHECK(quickest == std::pair<std::size_t, int>(1, wanted));
    auto all = mobius::gather_results(chain(1ms), chain(1ms));
    const auto both = co_await all;
    CHECK(both == std::tuple<int, int>(wanted, wanted));
    auto limited = mobius::add_timeout(mobius::delay_cancel(chain(1ms)), 1s);
    const int n = co_await limited;
    CHECK(n == wanted);
    const mobius::shared_deferred<int> shared(chain(1ms));
    const int& seen = co_await shared;
    CHECK(seen == wanted);
    deferred<int> named = chain(1ms);
    auto timed = mobius::timeout(1s, std::move(named));
    const int in_time = co_await std::move(timed);
    CHECK(in_time == wanted);
  });
}
