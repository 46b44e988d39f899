// What is reported, and with which places.

#include <unistd.h>

#include <array>
#include <cstdio>
#include <string_view>

#include "kit.hpp"

namespace {

/// What goes to stderr while it exists.
class captured_stderr {
 public:
  captured_stderr() { ::dup2(::fileno(file_), 2); }
  captured_stderr(const captured_stderr&) = delete;
  captured_stderr& operator=(const captured_stderr&) = delete;
  ~captured_stderr() {
    ::dup2(before_, 2);
    ::close(before_);
    std::fclose(file_);
  }
  std::string text() const {
    std::array<char, 4096> bytes{};
    std::rewind(file_);
    return std::string(bytes.data(), std::fread(bytes.data(), 1, bytes.size(), file_));
  }

 private:
  std::FILE* file_ = std::tmpfile();
  int before_ = ::dup(2);
};

using place = std::source_location;

bool names_line(std::string_view text, unsigned line) {
  return text.find("errors_test.cpp:" + std::to_string(line)) != std::string_view::npos;
}

deferred<int> awaits(deferred<int> d, unsigned& line) {
  line = place::current().line() + 1;
  const int n = co_await std::move(d);
  co_return n;
}

}  // namespace

TEST_CASE("a failure at the end of a dropped chain is reported at once, with where it was made") {
  const no_leak check;
  reports hook;
  unsigned made = 0;
  unsigned stage = 0;
  {
    made = place::current().line() + 1;
    auto [d, fire] = make_deferred<int>();
    d.add_callback([](int n) { return n; });
    stage = place::current().line() + 1;
    d.add_callback([](int) -> int { throw std::runtime_error("unseen"); });
    fire(1);
    CHECK(hook.errors.empty());
  }
  REQUIRE(hook.errors == std::vector<std::string>{"unseen"});
  CHECK(names_line(hook.places[0], made));
  REQUIRE(hook.trails[0].size() == 1);
  CHECK(hook.trails[0][0].line() == stage);
}

TEST_CASE("a failure of a detached chain is reported when it happens") {
  const no_leak check;
  reports hook;
  auto ends = make_deferred<int>();
  ends.deferred = {};
  ends.resolver.errback(std::runtime_error("late"));
  CHECK(hook.errors == std::vector<std::string>{"late"});
}

TEST_CASE("a dropped ready failure is reported with where fail was called") {
  const no_leak check;
  reports hook;
  const unsigned line = place::current().line() + 1;
  mobius::fail<int>(std::runtime_error("ready"));
  REQUIRE(hook.errors == std::vector<std::string>{"ready"});
  CHECK(names_line(hook.places[0], line));
}

TEST_CASE("a hook that throws stops nothing, and what it was told of is printed") {
  const no_leak check;
  const captured_stderr printed;
  auto before = mobius::set_unhandled_hook(
      [](const failure&, std::string_view) { throw std::runtime_error("of the hook"); });
  words log;
  { const auto dropped = mobius::fail<int>(std::runtime_error("of a handle")); }
  auto [d, fire] = make_deferred<int>();
  d.add_callback([](int) -> int { throw std::runtime_error("of a chain"); });
  auto [inner, fire_inner] = make_deferred<int>();
  auto [unstoppable, fire_last] = make_deferred<int>([] { throw std::runtime_error("of a canceller"); });
  mobius::detail::context ctx;
  driven waits = await_deferred(ctx, std::move(unstoppable));
  d = {};
  fire(1);
  ctx.cancel_once();
  fire_last(1);
  CHECK(waits.done());
  {
    auto outer = succeed(0).add_callback([i = std::move(inner)](int) mutable { return std::move(i); });
    outer.add_callback([&log](int n) {
      log.push_back("goes on");
      return n;
    });
  }
  fire_inner.errback(std::runtime_error("of who waits"));
  mobius::set_unhandled_hook(std::move(before));
  CHECK(log.empty());
  const std::string text = printed.text();
  for (const char* told : {"of a handle", "of a chain", "of a canceller", "of who waits"}) {
    CHECK(text.find(told) != std::string::npos);
  }
  CHECK(text.find("the unhandled hook threw of the hook when it was told of this:") != std::string::npos);
}

TEST_CASE("a handled failure, an awaited one and one handed over are not reported") {
  const no_leak check;
  reports hook;
  {
    auto handled = mobius::fail<int>(std::runtime_error("handled"));
    handled.add_errback([](failure) { return 1; });
    unsigned line = 0;
    auto awaiting = awaits(mobius::fail<int>(std::runtime_error("awaited")), line);
    awaiting.add_errback([](failure) { return 1; });
    auto [inner, fire] = make_deferred<int>();
    auto outer = succeed(0).add_callback([d = std::move(inner)](int) mutable { return std::move(d); });
    fire.errback(std::runtime_error("handed over"));
    outer.add_errback([](failure) { return 1; });
  }
  CHECK(hook.errors.empty());
}

TEST_CASE("a failure parked in a paused deferred is reported when that is dropped") {
  const no_leak check;
  reports hook;
  {
    auto [d, fire] = make_deferred<int>();
    d.pause();
    d.add_errback([](failure) { return 0; });
    fire.errback(std::runtime_error("parked"));
  }
  CHECK(hook.errors == std::vector<std::string>{"parked"});
}

TEST_CASE("a failure that was there before it is awaited keeps its places, outside a drain too") {
  const no_leak check;
  for (const bool in_core : {false, true}) {
    unsigned await_line = 0;
    const unsigned line = place::current().line();
    auto d = mobius::fail<int>(std::runtime_error("early"));
    d.add_errback([](failure f) -> int { f.rethrow(); });
    if (in_core) d.pause();
    if (in_core) d.unpause();
    auto end = awaits(std::move(d), await_line);
    REQUIRE(end.failure_if() != nullptr);
    const auto trail = end.failure_if()->trail();
    REQUIRE(trail.size() == 3);
    CHECK(trail[0].line() == line + 1);
    CHECK(trail[1].line() == line + 2);
    CHECK(trail[2].line() == await_line);
    end.add_errback([](failure) { return 0; });
  }
}

TEST_CASE("a coroutine that has caught a failure ends with its value, or with another exception") {
  const no_leak check;
  auto recovers = [](deferred<int> d, bool again) -> deferred<int> {
    bool caught = false;
    try {
      co_await d;
    } catch (const std::runtime_error&) {
      caught = true;
    }
    if (again) throw std::logic_error("another");
    co_return caught ? 7 : 0;
  };
  auto value = recovers(mobius::fail<int>(std::runtime_error("early")), false);
  CHECK(std::move(value).get_now() == 7);
  auto error = recovers(mobius::fail<int>(std::runtime_error("early")), true);
  REQUIRE(error.failure_if() != nullptr);
  CHECK(error.failure_if()->check<std::logic_error>());
  CHECK(error.failure_if()->trail().size() == 1);
  error.add_errback([](failure) { return 0; });
  auto nothing = [](deferred<int> d) -> deferred<void> {
    try {
      co_await d;
    } catch (const std::runtime_error&) {
      co_return;
    }
  };
  auto done = nothing(mobius::fail<int>(std::runtime_error("early")));
  CHECK(done.value_if() != nullptr);
}

TEST_CASE("a failure collects the places that it passes") {
  const no_leak check;
  unsigned first = 0;
  unsigned second = 0;
  unsigned await_line = 0;
  auto [d, fire] = make_deferred<int>();
  first = place::current().line() + 1;
  d.add_errback([](failure f) -> int {
    f.trap<std::logic_error>();
    return 0;
  });
  second = place::current().line() + 1;
  d.add_errback([](failure f) -> int { f.rethrow(); });
  auto end = awaits(std::move(d), await_line);
  fire.errback(std::runtime_error("travels"));
  REQUIRE(end.failure_if() != nullptr);
  const auto trail = end.failure_if()->trail();
  REQUIRE(trail.size() == 3);
  CHECK(trail[0].line() == first);
  CHECK(trail[1].line() == second);
  CHECK(trail[2].line() == await_line);
  end.add_errback([](failure) { return 0; });
}

TEST_CASE("a second firing says where the deferred was made, fired first, and fired again") {
  const no_leak check;
  const unsigned made = place::current().line() + 1;
  auto [d, fire] = make_deferred<int>();
  const unsigned first = place::current().line() + 1;
  fire(1);
  std::string text;
  unsigned second = 0;
  try {
    second = place::current().line() + 1;
    fire.errback(std::runtime_error("again"));
  } catch (const mobius::already_called& e) {
    text = e.what();
    CHECK(e.made().line() == made);
    CHECK(e.fired().line() == first);
  }
  CHECK(names_line(text, made));
  CHECK(names_line(text, first));
  CHECK(names_line(text, second));
  CHECK(std::move(d).get_now() == 1);
}

TEST_CASE("a chain that waits for itself through another fails in a debug build") {
  const no_leak check;
#ifndef NDEBUG
  reports hook;
  auto [gate_a, fire_a] = make_deferred<int>();
  auto [gate_b, fire_b] = make_deferred<int>();
  deferred<int> a = std::move(gate_a);
  deferred<int> b = std::move(gate_b);
  deferred<int>* left = &a;
  a.add_callback([&](int) { return std::move(b); });
  b.add_callback([left](int) { return std::move(*left); });
  fire_a(1);
  fire_b(1);
  REQUIRE(hook.errors.size() == 1);
  CHECK(hook.errors[0].find("itself") != std::string::npos);
#endif
}

TEST_CASE("the failure of a list says where its input failed") {
  const no_leak check;
  reports hook;
  const unsigned line = place::current().line() + 2;
  {
    auto bad = succeed(1).add_callback([](int) -> int { throw std::runtime_error("unseen"); });
    auto both = mobius::gather_results(succeed(2), std::move(bad));
  }
  REQUIRE(hook.errors == words{"input 1 failed: unseen"});
  CHECK(names_line(hook.places[0], line));
  REQUIRE(hook.trails[0].size() == 1);
  CHECK(hook.trails[0][0].line() == line);
}

TEST_CASE("firing from inside a callback is refused inside that callback") {
  const no_leak check;
  auto [d, fire] = make_deferred<int>();
  d.add_callback([&r = fire](int n) {
    CHECK_THROWS_AS(r(2), mobius::already_called);
    return n;
  });
  fire(1);
  CHECK(std::move(d).get_now() == 1);
}

TEST_CASE("get_now of a deferred that is not ready is refused") {
  const no_leak check;
  auto [d, fire] = make_deferred<int>();
  CHECK_THROWS_AS(std::move(d).get_now(), mobius::deferred_misuse);
  fire(1);
  CHECK(std::move(d).get_now() == 1);
}
