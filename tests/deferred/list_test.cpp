// Several deferreds as one: gather_results, settle, deferred_list and race.

#include <cstddef>
#include <memory>
#include <tuple>

#include "kit.hpp"

using mobius::cancelled;
using mobius::deferred;
using mobius::failure;
using mobius::list_flags;
using mobius::make_deferred;
using mobius::resolver;
using mobius::result;
using mobius::succeed;
using mobius::task;

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

template <class T>
std::optional<failure> take_failure(deferred<T>& d) {
  if (!d.failure_if()) return std::nullopt;
  const failure f = *d.failure_if();
  std::move(d).add_errback([](failure) {});
  return f;
}

deferred<std::size_t> first_of(std::vector<deferred<int>> all) {
  auto winner = co_await mobius::race(std::move(all));
  co_return winner.first;
}

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
