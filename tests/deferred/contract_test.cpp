// Twisted's rules that neither the trace programs nor another test file show.

#include <cstring>

#include "kit.hpp"

namespace {

struct base_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct derived_error : base_error {
  using base_error::base_error;
};

task<int> give(int n) { co_return n; }
deferred<int> waits_for(deferred<int> d) { co_return co_await std::move(d); }
deferred<int> waits_through(deferred<int> d) { co_return co_await waits_for(std::move(d)); }

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a canceller is thrown away when its deferred is fired") {
  const no_leak check;
  const auto held = std::make_shared<int>(1);
  auto [d, fire] = make_deferred<int>([held] {});
  CHECK(held.use_count() == 2);
  d.add_callback([&held](int n) {
    CHECK(held.use_count() == 1);
    return n;
  });
  fire(1);
}

TEST_CASE("errback takes a failure, an exception object, or the exception being handled") {
  const no_leak check;
  std::vector<std::string> seen;
  const auto make = [&seen] {
    auto ends = make_deferred<void>();
    ends.deferred.add_errback([&seen](failure f) { seen.push_back(f.what()); });
    return std::move(ends.resolver);
  };
  make().errback(mobius::make_failure<std::runtime_error>("failure"));
  make().errback(std::runtime_error("object"));
  try {
    throw std::runtime_error("handled");
  } catch (...) {
    make().errback(failure());
  }
  CHECK(seen == std::vector<std::string>{"failure", "object", "handled"});
  auto [d, fire] = make_deferred<void>();
  CHECK_THROWS_AS(fire.errback(failure()), mobius::no_current_exception);
  CHECK_FALSE(fire.fired());
}

TEST_CASE("a deferred that waits stays fired") {
  const no_leak check;
  auto [inner, fire_inner] = make_deferred<int>();
  auto [d, fire] = make_deferred<int>();
  d.add_callback([i = std::move(inner)](int) mutable { return std::move(i); });
  fire(1);
  CHECK(d.waiting());
  CHECK(fire.fired());
  CHECK_THROWS_AS(fire(2), mobius::already_called);
  fire_inner(3);
}

TEST_CASE("what succeed and fail give behaves like what was fired by hand") {
  const no_leak check;
  const auto run = [](deferred<int> d) {
    std::string seen;
    d.add_callback([&](int n) {
      seen += "v" + std::to_string(n);
      return n;
    });
    d.add_errback([&](failure f) {
      seen += f.what();
      return 2;
    });
    d.add_callback([&](int n) {
      seen += "w" + std::to_string(n);
      return n;
    });
    return seen;
  };
  auto [value, fire] = make_deferred<int>();
  auto [error, fail_it] = make_deferred<int>();
  fire(1);
  fail_it.errback(std::runtime_error("e"));
  CHECK(run(std::move(value)) == run(succeed(1)));
  CHECK(run(std::move(error)) == run(mobius::fail<int>(std::runtime_error("e"))));
}

TEST_CASE("extra arguments are bound by capture and by the helpers that take them") {
  const no_leak check;
  const std::string extra = "!";
  CHECK(succeed(std::string("a")).add_callback([extra](std::string s) { return s + extra; }).get_now() ==
        "a!");
  const auto join = [](std::string a, std::string b) { return a + b; };
  CHECK(mobius::maybe_deferred(join, std::string("x"), std::string("y")).get_now() == "xy");
}

TEST_CASE("a cancel of the target of chain_deferred does not reach its source") {
  const no_leak check;
  bool source_asked = false;
  auto [source, fire_source] = make_deferred<int>([&] { source_asked = true; });
  auto [target, fire_target] = make_deferred<int>();
  auto end = mobius::chain_deferred(std::move(source), fire_target);
  target.cancel();
  CHECK_FALSE(source_asked);
  CHECK(target.failure_if()->check<cancelled>());
  target.add_errback([](failure) { return 0; });
  fire_source(1);  // ignored once by the cancelled target
  CHECK(end.ready());
}

TEST_CASE("whatever a callback throws becomes the failure, also what is no std::exception") {
  const no_leak check;
  auto d = succeed(1).add_callback([](int) -> int { throw 42; });
  REQUIRE(d.failure_if() != nullptr);
  CHECK(d.failure_if()->check<int>());
  CHECK(*d.failure_if()->get_if<int>() == 42);
  CHECK(d.failure_if()->what() == "int");
  d.add_errback([](failure) { return 0; });
}

TEST_CASE("throwing a failure's exception again keeps the failure and its trail") {
  const no_leak check;
  auto d = mobius::fail<int>(std::runtime_error("first"));
  const void* object = d.failure_if()->get_if<std::runtime_error>();
  const std::size_t places = d.failure_if()->trail().size();
  d.add_errback([](failure f) -> int { f.rethrow(); });
  CHECK(d.failure_if()->get_if<std::runtime_error>() == object);
  CHECK(d.failure_if()->trail().size() == places + 1);
  d.add_errback([](failure) { return 0; });
}

TEST_CASE("callbacks that do not fit the result are passed over") {
  const no_leak check;
  int run = 0;
  const auto on_value = [&run](int n) {
    ++run;
    return n;
  };
  const auto on_failure = [&run](failure) {
    ++run;
    return 9;
  };
  CHECK(succeed(1).add_errback(on_failure).get_now() == 1);
  CHECK(run == 0);
  auto [d, fire] = make_deferred<int>();
  d.add_callback(on_value);
  d.add_errback(on_failure);
  d.add_callback(on_value);
  fire.errback(std::runtime_error("e"));
  CHECK(run == 2);
}

TEST_CASE("check finds the first listed type, bases included, without a throw") {
  const failure f = mobius::make_failure<derived_error>("d");
  CHECK(f.check<derived_error>());
  CHECK(f.check<std::logic_error, base_error>());
  CHECK_FALSE(f.check<std::logic_error>());
  CHECK(f.get_if<std::runtime_error>()->what() == std::string("d"));
  CHECK_NOTHROW(f.trap<base_error>());
  CHECK_THROWS_AS(f.trap<std::logic_error>(), derived_error);
}

TEST_CASE("a failure is copied with its exception and trail, and rethrows the same object") {
  failure f = mobius::make_failure<base_error>("b");
  f.passed(std::source_location::current());
  const failure copy = f;
  CHECK(copy.trail().size() == 1);
  CHECK(copy.what() == "b");
  CHECK(contains(copy.type_name(), "base_error"));
  try {
    copy.rethrow();
  } catch (const base_error& e) {
    CHECK(&e == f.get_if<base_error>());
  }
}

TEST_CASE("a chain takes over the result of a ready deferred at once") {
  const no_leak check;
  const reports hook;
  CHECK(succeed(1).add_callback([](int n) { return succeed(n + 1); }).get_now() == 2);
  auto failed = succeed(1).add_callback([](int) { return mobius::fail<int>(std::runtime_error("inner")); });
  CHECK(failed.failure_if()->what() == "inner");
  failed.add_errback([](failure) { return 0; });
  CHECK(hook.errors.empty());
}

TEST_CASE("who waits goes on before the firing returns") {
  const no_leak check;
  std::string order;
  auto [inner, fire] = make_deferred<int>();
  auto outer = succeed(0).add_callback([i = std::move(inner)](int) mutable { return std::move(i); });
  outer.tap([&](int) { order += "outer "; });
  fire(1);
  order += "fired";
  CHECK(order == "outer fired");
}

TEST_CASE("who waits for a paused deferred waits until it is resumed") {
  const no_leak check;
  auto inner = std::make_shared<std::optional<mobius::pause_guard>>();
  auto d = succeed(3);
  inner->emplace(d.pause_scope());
  auto outer = succeed(0).add_callback([d = std::move(d)](int) mutable { return std::move(d); });
  CHECK(outer.waiting());
  inner->reset();
  CHECK(std::move(outer).get_now() == 3);
}

TEST_CASE("a deferred that was handed over is empty and cannot be handed over again") {
  const no_leak check;
  auto [inner, fire] = make_deferred<int>();
  auto shared = std::make_shared<deferred<int>>(std::move(inner));
  auto hand = [shared](int) { return std::move(*shared); };
  auto first = succeed(0).add_callback(hand);
  auto second = succeed(0).add_callback(hand);
  CHECK_FALSE(*shared);
  CHECK(second.failure_if()->check<mobius::no_deferred>());
  second.add_errback([](failure) { return 0; });
  std::vector<deferred<int>> twice;
  twice.push_back(std::move(*shared));
  CHECK_THROWS_AS(mobius::gather_results(std::move(twice)), mobius::no_deferred);
  fire(5);
  CHECK(std::move(first).get_now() == 5);
}

TEST_CASE("unpause without pause is refused, also while the chain waits") {
  const no_leak check;
  auto [inner, fire] = make_deferred<int>();
  auto d = succeed(0).add_callback([i = std::move(inner)](int) mutable { return std::move(i); });
  CHECK_THROWS_AS(d.unpause(), mobius::deferred_misuse);
  CHECK(d.waiting());
  fire(4);
  CHECK(std::move(d).get_now() == 4);
}

TEST_CASE("a paused deferred can be cancelled and delivers it when resumed") {
  const no_leak check;
  bool told = false;
  auto [d, fire] = make_deferred<int>();
  d.pause();
  d.add_errback([&](failure f) {
    told = f.check<cancelled>();
    return 0;
  });
  d.cancel();
  CHECK_FALSE(told);
  d.unpause();
  CHECK(told);
}

TEST_CASE("a time limit on a fired deferred stops its clock at once") {
  const no_leak check;
  test_clock clock;
  auto d = succeed(1);
  mobius::add_timeout(d, clock, 2s);
  CHECK(clock.pending() == 0);
  CHECK(std::move(d).get_now() == 1);
}

TEST_CASE("a time limit cancels what the chain waits for") {
  const no_leak check;
  test_clock clock;
  bool asked = false;
  auto [inner, fire] = make_deferred<int>([&] { asked = true; });
  auto d = succeed(0).add_callback([i = std::move(inner)](int) mutable { return std::move(i); });
  mobius::add_timeout(d, clock, 2s);
  clock.advance(2s);
  CHECK(asked);
  CHECK(d.failure_if()->check<mobius::timed_out>());
  d.add_errback([](failure) { return 0; });
}

TEST_CASE("time limits nest, each covering what was added before it, and zero means the next step") {
  const no_leak check;
  test_clock clock;
  auto [d, fire] = make_deferred<int>();
  auto [late, fire_late] = make_deferred<int>();
  mobius::add_timeout(d, clock, 1s);
  d.add_errback([l = std::move(late)](failure) mutable { return std::move(l); });
  mobius::add_timeout(d, clock, 3s);
  clock.advance(1s);
  CHECK(d.waiting());
  clock.advance(2s);
  CHECK(d.failure_if()->check<mobius::timed_out>());
  d.add_errback([](failure) { return 0; });

  auto [soon, fire_soon] = make_deferred<int>();
  mobius::add_timeout(soon, clock, 0s);
  CHECK_FALSE(soon.ready());
  clock.advance(0s);
  CHECK(soon.failure_if()->check<mobius::timed_out>());
  soon.add_errback([](failure) { return 0; });
}

TEST_CASE("debugging adds the stacks of creation and first firing, and may be switched at any time") {
  const no_leak check;
  const reports hook;
  const auto text_of_second_firing = [](const resolver<int>& fire) {
    std::string text;
    try {
      fire(2);
    } catch (const mobius::already_called& e) {
      text = e.what();
    }
    return text;
  };
  auto [plain, fire_plain] = make_deferred<int>();
  fire_plain(1);
  CHECK_FALSE(contains(text_of_second_firing(fire_plain), "made:\n"));

  mobius::set_debugging(true);
  CHECK(mobius::debugging());
  {
    auto [traced, fire] = make_deferred<int>();
    fire(1);
    mobius::set_debugging(false);
    const std::string text = text_of_second_firing(fire);
    CHECK(contains(text, "\n  made:\n"));
    CHECK(contains(text, "\n  fired:\n"));
    mobius::set_debugging(true);
    auto [failing, fail_it] = make_deferred<int>();
    fail_it.errback(std::runtime_error("unseen"));
  }
  mobius::set_debugging(false);
  REQUIRE(hook.places.size() == 1);
  CHECK(contains(hook.places[0], "failed at"));
  CHECK(contains(hook.places[0], "\n  made:\n"));
}

TEST_CASE("dump says what a chain holds, waits for, and who waits for it") {
  const no_leak check;
  auto ready = succeed(7);
  CHECK(mobius::dump(ready) == "a ready deferred with 7\n");
  auto failed = mobius::fail<int>(std::runtime_error("why"));
  CHECK(contains(mobius::dump(failed), "failed with std::runtime_error: why"));
  failed.add_errback([](failure) { return 0; });
  deferred<int> none;
  CHECK(mobius::dump(none) == "an empty deferred\n");

  auto [inner, fire] = make_deferred<int>();
  inner.add_callback([](int n) { return n; });
  inner.pause();
  CHECK(contains(mobius::dump(inner), ": pending, paused 1 times\n  callback added at "));
  inner.unpause();
  auto outer = succeed(0).add_callback([i = std::move(inner)](int) mutable { return std::move(i); });
  outer.add_errback([](failure) { return 0; });
  auto through = waits_through(std::move(outer));
  const std::string text = mobius::dump(through);
  CHECK(contains(text, "coroutine begun at "));
  CHECK(contains(text, "waits_for("));
  CHECK(contains(text, "\n  awaited at "));
  CHECK(contains(text, "waiting\n  errback added at "));
  CHECK(contains(text, "pending\n  callback added at "));
  fire(1);
  CHECK(contains(mobius::dump(through), "fired with 1"));
  CHECK(std::move(through).get_now() == 1);
}

TEST_CASE("dump of a resolver names those who wait for what it fires") {
  const no_leak check;
  auto [d, fire] = make_deferred<int>();
  const mobius::cancel_handle stop(d);
  auto through =
      waits_through(succeed(0).add_callback([i = std::move(d)](int) mutable { return std::move(i); }));
  const std::string text = mobius::dump(fire);
  CHECK(contains(text, "pending\nfor deferred made"));
  CHECK(contains(text, "waiting\n  awaited at "));
  CHECK(contains(text, "for coroutine begun at "));
  CHECK(contains(text, "waits_through("));
  CHECK(mobius::dump(stop) == text);
  fire(1);
  CHECK(std::move(through).get_now() == 1);
  fire = {};
  CHECK(mobius::dump(stop) == "a deferred that has ended\n");
  CHECK(mobius::dump(fire) == "an empty resolver\n");
}

TEST_CASE("dump names the inputs that a list waits for, and the list that an input is for") {
  const no_leak check;
  auto [a, fire_a] = make_deferred<int>();
  auto [b, fire_b] = make_deferred<int>();
  auto [c, fire_c] = make_deferred<int>();
  c.add_callback([](int n) { return n; });
  std::vector<deferred<int>> inputs;
  inputs.push_back(std::move(a));
  inputs.push_back(std::move(b));
  inputs.push_back(std::move(c));
  auto first = [](const std::vector<int>& all) { return all[0]; };
  auto outer = waits_for(mobius::gather_results(std::move(inputs)).add_callback(first));
  fire_b(2);
  const std::string text = mobius::dump(outer);
  CHECK(contains(text, "waits for input 0, deferred made at "));
  CHECK_FALSE(contains(text, "input 1"));
  CHECK(contains(text, "waits for input 2, deferred made at "));
  const std::string of_input = mobius::dump(fire_c);
  CHECK(contains(of_input, "  input 2 of a list of 3 made at "));
  CHECK(contains(of_input, "contract_test.cpp"));
  CHECK(contains(of_input, "for coroutine begun at "));
  fire_a(1);
  fire_c(3);
  CHECK(std::move(outer).get_now() == 1);
}

TEST_CASE("to_deferred passes deferreds through and starts tasks and awaitables") {
  const no_leak check;
  auto [d, fire] = make_deferred<int>();
  auto same = mobius::to_deferred(std::move(d));
  fire(1);
  CHECK(std::move(same).get_now() == 1);
  CHECK(mobius::to_deferred(give(2)).get_now() == 2);
  CHECK(std::get<0>(mobius::to_deferred(mobius::when_all(give(3))).get_now()) == 3);
}
