// Task-local values and task names.

#include <mobius/runtime.hpp>
#include <mobius/runtime/testing/shake.hpp>

#include <string>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using mobius::scope;
using mobius::task;
using mobius::testing::shake;
using mobius::testing::world;

namespace {

const mobius::task_local<int> request{0};
const mobius::task_local<std::string> user{"nobody"};

task<int> read_request() {
  co_await mobius::yield();
  co_return co_await request.get();
}

task<> expect_request(int n) {
  const int found = co_await read_request();
  CHECK(found == n);
}

}  // namespace

TEST_CASE("a task-local value holds for an await and all below it") {
  mobius::testing::run([](world&) -> task<> {
    const int before = co_await request.get();
    CHECK(before == 0);
    const int inside = co_await request.with(7, read_request());
    CHECK(inside == 7);
    auto both = []() -> task<> {
      const int n = co_await read_request();
      const std::string name = co_await user.get();
      CHECK(n == 8);
      CHECK(name == "ada");
      const int inner = co_await request.with(9, read_request());
      CHECK(inner == 9);
      const int again = co_await read_request();
      CHECK(again == 8);
    };
    co_await user.with("ada", request.with(8, both()));
    const int after = co_await request.get();
    CHECK(after == 0);
  });
}

TEST_CASE("a value that is bound directly inside another binding ends with it") {
  mobius::testing::run([](world&) -> task<> {
    for (int i = 1; i <= 2; ++i) {
      const int inside = co_await request.with(i, user.with("ada", read_request()));
      CHECK(inside == i);
      const int after = co_await request.get();
      CHECK(after == 0);
      const std::string nobody = co_await user.get();
      CHECK(nobody == "nobody");
      const auto r = co_await mobius::as_result(request.with(i, mobius::named("n", read_request())));
      CHECK(*r == i);
      const int again = co_await request.get();
      CHECK(again == 0);
      const std::string nameless = co_await mobius::task_name();
      CHECK(nameless.empty());
    }
  });
}

TEST_CASE("task-local values follow the children of scopes, when_all, select, timeout, shield and finally") {
  shake([](world&) -> task<> {
    auto work = []() -> task<> {
      auto body = [](scope& s) -> task<> {
        s.start(expect_request, 5);
        co_await expect_request(5);
      };
      co_await mobius::with_scope(body);
      co_await mobius::when_all(expect_request(5), expect_request(5));
      co_await mobius::select(expect_request(5), mobius::sleep(1h));
      co_await mobius::timeout(1h, expect_request(5));
      co_await mobius::shield(expect_request(5));
      co_await mobius::finally(expect_request(5), expect_request(5));
    };
    co_await request.with(5, work());
    auto detached = []() -> task<> { co_await expect_request(0); };
    auto start = [&]() -> task<> {
      mobius::background(detached());
      co_return;
    };
    co_await request.with(6, start());
    co_await mobius::sleep(1ms);
  });
}

TEST_CASE("two tasks at once have values of their own") {
  shake([](world&) -> task<> {
    co_await mobius::when_all(request.with(1, expect_request(1)), request.with(2, expect_request(2)),
                              expect_request(0));
  });
}

TEST_CASE("a generator sees the values of who asks it") {
  mobius::testing::run([](world&) -> task<> {
    auto numbers = []() -> mobius::generator<int> {
      while (true) {
        const int n = co_await request.get();
        co_yield n;
      }
    }();
    const auto first = co_await request.with(1, numbers.next());
    const auto second = co_await request.with(2, numbers.next());
    CHECK(first.value() == 1);
    CHECK(second.value() == 2);
  });
}

TEST_CASE("a task has a name, and a nested one its own") {
  mobius::testing::run([](world&) -> task<> {
    const std::string none = co_await mobius::task_name();
    CHECK(none.empty());
    auto inner = []() -> task<std::string> { co_return co_await mobius::task_name(); };
    const std::string reader = co_await mobius::named("reader", inner());
    CHECK(reader == "reader");
    const std::string nested = co_await mobius::named("outer", mobius::named("inner", inner()));
    CHECK(nested == "inner");
  });
}
