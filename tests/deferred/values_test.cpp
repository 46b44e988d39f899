// What may travel down a chain.

#include <array>
#include <map>

#include "kit.hpp"

namespace {

std::vector<std::string> printed;

std::string print_and_passthrough(std::string text) {
  printed.push_back(text);
  return text;
}

struct throws_when_moved {
  explicit throws_when_moved(int n) : number(n) {}
  throws_when_moved(const throws_when_moved& other) : number(other.number) {}
  throws_when_moved(throws_when_moved&& other) noexcept(false) : number(other.number) {
    if (number == 13) throw std::runtime_error("unlucky move");
  }
  int number;
};

struct big {
  std::array<unsigned char, 1024> bytes{};
};

struct error_a : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct error_b : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace

TEST_CASE("a free function added twice in place reads as in Twisted") {
  const no_leak check;
  printed.clear();
  {
    auto [d, fire] = make_deferred<std::string>();
    d.add_callback(print_and_passthrough);
    d.add_callback(print_and_passthrough);
    fire("The future is now!");
    CHECK(*d.value_if() == "The future is now!");
  }
  CHECK(printed == std::vector<std::string>{"The future is now!", "The future is now!"});
}

TEST_CASE("a chain changes its type from stage to stage, pending and ready alike") {
  const no_leak check;
  const auto chain = [](deferred<int> d) {
    return std::move(d)
        .add_callback([](int n) { return std::to_string(n); })
        .add_callback([](std::string s) { return s.size(); })
        .add_callback([](std::size_t n) { return std::make_unique<std::size_t>(n); })
        .add_callback([](std::unique_ptr<std::size_t> p) { return static_cast<double>(*p) + 0.5; });
  };
  auto [d, fire] = make_deferred<int>();
  auto tail = chain(std::move(d));
  CHECK_FALSE(tail.ready());
  fire(1234);
  CHECK(std::move(tail).get_now() == 4.5);
  CHECK(chain(succeed(77)).get_now() == 2.5);
}

TEST_CASE("move-only values pass through callbacks, errbacks and awaits") {
  const no_leak check;
  using pointer = std::unique_ptr<int>;
  auto [d, fire] = make_deferred<pointer>();
  d.add_errback([](failure) -> pointer { return nullptr; });
  d.add_callback([](pointer p) {
    ++*p;
    return p;
  });
  const auto add_one = [](deferred<pointer> from) -> deferred<pointer> {
    pointer p = co_await std::move(from);
    ++*p;
    co_return p;
  };
  auto end = add_one(std::move(d));
  fire(std::make_unique<int>(5));
  CHECK(**end.value_if() == 7);
}

TEST_CASE("a deferred of void carries success and failure") {
  const no_leak check;
  std::string order;
  auto [d, fire] = make_deferred();
  d.add_callback([&] { order += "a"; });
  d.add_callback([&] { throw error_a("lost"); });
  d.add_errback([&](failure f) { order += f.what(); });
  auto number = std::move(d).add_callback([&] { return 3; });
  fire();
  CHECK(order == "alost");
  CHECK(std::move(number).get_now() == 3);
}

TEST_CASE("a deferred of a reference hands over the object itself") {
  const no_leak check;
  int here = 1;
  auto [d, fire] = make_deferred<int&>();
  d.add_callback([](int& n) -> int& {
    n += 10;
    return n;
  });
  auto waiting = [](deferred<int&> from) -> deferred<int&> { co_return co_await std::move(from); };
  auto same = waiting(std::move(d));
  fire(here);
  CHECK(&std::move(same).get_now() == &here);
  CHECK(here == 11);
}

TEST_CASE("a value whose move throws is not moved by the chain itself") {
  const no_leak check;
  auto [d, fire] = make_deferred<throws_when_moved>();
  d.tap([](const throws_when_moved&) {});
  deferred<throws_when_moved> moved = std::move(d);
  const throws_when_moved thirteen(13);
  fire(thirteen);
  REQUIRE(moved.value_if() != nullptr);
  CHECK(moved.value_if()->number == 13);
  auto end = std::move(moved).add_callback([](throws_when_moved v) { return v.number; });
  REQUIRE(end.failure_if() != nullptr);
  CHECK(end.failure_if()->what() == "unlucky move");
  end.add_errback([](failure) { return 0; });
}

TEST_CASE("a value of 1 KiB is boxed once and handed over by pointer") {
  const no_leak check;
  auto [d, fire] = make_deferred<big>();
  const unsigned char* seen = nullptr;
  d.tap([&](const big& b) { seen = b.bytes.data(); });
  auto outer = succeed(1).add_callback([inner = std::move(d)](int) mutable { return std::move(inner); });
  big value;
  value.bytes[1000] = 42;
  fire(value);
  REQUIRE(outer.value_if() != nullptr);
  CHECK(outer.value_if()->bytes[1000] == 42);
  CHECK(outer.value_if()->bytes.data() == seen);
}

TEST_CASE("an errback recovers, passes on, or replaces the failure") {
  const no_leak check;
  const auto failing = [] { return mobius::fail<int>(error_a("first")); };
  CHECK(failing().add_errback([](failure) { return 7; }).get_now() == 7);
  CHECK_THROWS_AS(failing().add_errback([](failure f) { return f; }).get_now(), error_a);
  CHECK_THROWS_AS(failing().add_errback([](failure) -> mobius::never { throw error_b("second"); }).get_now(),
                  error_b);
  CHECK_THROWS_AS(failing()
                      .add_errback([](failure f) -> int {
                        f.trap<error_b>();
                        return 1;
                      })
                      .get_now(),
                  error_a);
}

TEST_CASE("a typed errback runs for its types only and gets the exception itself") {
  const no_leak check;
  std::string seen;
  auto d = mobius::fail<int>(error_b("b"));
  d.add_errback<error_a>([&](error_a&) { return 1; });
  d.add_errback<error_a, error_b>([&](std::exception& e) {
    seen = e.what();
    return 2;
  });
  CHECK(std::move(d).get_now() == 2);
  CHECK(seen == "b");
}

TEST_CASE("an errback that returns nothing makes a chain of void on a temporary") {
  const no_leak check;
  std::string seen;
  deferred<> d = mobius::fail<int>(error_a("gone")).add_errback([&](failure f) { seen = f.what(); });
  CHECK(seen == "gone");
  std::move(d).get_now();
  auto [pending, fire] = make_deferred<int>();
  deferred<> end = std::move(pending).add_errback([](failure) {});
  fire(1);
  CHECK(end.ready());
}

TEST_CASE("add_callbacks takes a tail named by the caller when its sides differ") {
  const no_leak check;
  using page = std::optional<std::string>;
  std::map<std::string, page> pages;
  const auto request = [&](deferred<std::string> d, std::string url) {
    auto report_success = [](std::string text) { return text; };
    auto report_failure = [](failure) { return std::nullopt; };
    auto save_result = [&pages, url](page p) { pages[url] = std::move(p); };
    std::move(d).add_callbacks<page>(report_success, report_failure).add_callback(save_result);
  };
  auto [good, fire] = make_deferred<std::string>();
  request(std::move(good), "good");
  request(mobius::fail<std::string>(error_a("refused")), "bad");
  fire("text");
  CHECK(pages["good"] == "text");
  CHECK(pages["bad"] == std::nullopt);
}

TEST_CASE("the errback of a pair does not see what its callback throws") {
  const no_leak check;
  std::string order;
  auto d = succeed(1);
  d.add_callbacks([](int) -> int { throw error_a("from the callback"); },
                  [&](failure) {
                    order += "same ";
                    return 0;
                  });
  d.add_errback([&](failure f) {
    order += f.what();
    return 0;
  });
  CHECK(order == "from the callback");
}

TEST_CASE("add_both takes a result, or one overload for each kind") {
  const no_leak check;
  auto generic = succeed(4).add_both([](auto r) { return r ? *r + 1 : 0; });
  CHECK(std::move(generic).get_now() == 5);
  const auto describe = [](mobius::result<int> r) { return r ? std::to_string(*r) : r.error().what(); };
  CHECK(succeed(3).add_both(describe).get_now() == "3");
  CHECK(mobius::fail<int>(error_a("no")).add_both(describe).get_now() == "no");
  struct both {
    std::string operator()(int n) const { return "value " + std::to_string(n); }
    std::string operator()(const failure& f) const { return "failure " + f.what(); }
  };
  CHECK(succeed(3).add_both(both()).get_now() == "value 3");
  auto [d, fire] = make_deferred<int>();
  auto end = std::move(d).add_both(both());
  fire.errback(error_a("late"));
  CHECK(std::move(end).get_now() == "failure late");
}

TEST_CASE("tap and log_failure look at the outcome and pass it on") {
  const no_leak check;
  reports hook;
  std::string seen;
  auto d = succeed(4);
  d.tap([&](int n) { seen += std::to_string(n); }).log_failure();
  CHECK(std::move(d).get_now() == 4);
  auto [e, fire] = make_deferred<int>();
  e.tap([&](int) { seen += "never"; })
      .log_failure([&](const failure& f) { seen += f.what(); })
      .log_failure()
      .add_errback([](failure) { return 0; });
  fire.errback(error_a("!"));
  CHECK(seen == "4!");
  CHECK(hook.errors == std::vector<std::string>{"!"});
}

TEST_CASE("a callback may return a deferred, a task, a result or a failure") {
  const no_leak check;
  const auto through = [](auto callback) { return succeed(1).add_callback(callback).get_now(); };
  CHECK(through([](int n) { return succeed(n + 1); }) == 2);
  CHECK(through([](int n) -> mobius::task<int> { co_return n + 2; }) == 3);
  CHECK(through([](int n) { return mobius::result<int>(n + 3); }) == 4);
  CHECK_THROWS_AS(through([](int) { return mobius::result<int>(mobius::make_failure<error_a>("r")); }),
                  error_a);
  CHECK_THROWS_AS(through([](int) { return mobius::make_failure<error_b>("f"); }), error_b);
}

TEST_CASE("maybe_deferred takes whatever a function does") {
  const no_leak check;
  CHECK(mobius::maybe_deferred([](int a, int b) { return a + b; }, 1, 2).get_now() == 3);
  CHECK(mobius::maybe_deferred([] { return succeed(4); }).get_now() == 4);
  CHECK_THROWS_AS(mobius::maybe_deferred([]() -> int { throw error_a("x"); }).get_now(), error_a);
  auto [d, fire] = make_deferred<int>();
  auto end = mobius::maybe_deferred(
      [inner = std::move(d)](std::string text) mutable -> mobius::task<std::string> {
        const int n = co_await std::move(inner);
        co_return text + std::to_string(n);
      },
      std::string("n = "));
  fire(8);
  CHECK(std::move(end).get_now() == "n = 8");
}

TEST_CASE("chain_deferred fires another deferred with the outcome") {
  const no_leak check;
  auto [a, fire_a] = make_deferred<int>();
  auto [b, fire_b] = make_deferred<int>();
  deferred<> rest = mobius::chain_deferred(std::move(a), std::move(fire_b));
  fire_a.errback(error_a("passed"));
  CHECK(rest.ready());
  CHECK_THROWS_AS(std::move(b).get_now(), error_a);
}
