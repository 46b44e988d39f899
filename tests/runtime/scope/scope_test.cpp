// Scopes: starting, joining, errors, cancelling, the readiness hand-shake, depth.

#include <mobius/runtime.hpp>
#include <mobius/runtime/testing/shake.hpp>
#include <mobius/runtime/testing/spy.hpp>

#include <chrono>
#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "runtime/child.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using mobius::cancelled;
using mobius::scope;
using mobius::task;
using mobius::with_scope;
using mobius::testing::cancel_at_every_await;
using mobius::testing::shake;
using mobius::testing::world;

namespace {

task<> note_after(std::chrono::milliseconds d, std::vector<int>& out, int n) {
  co_await mobius::sleep(d);
  out.push_back(n);
}

task<> fail_after(std::chrono::milliseconds d, const char* text) {
  co_await mobius::sleep(d);
  throw std::runtime_error(text);
}

task<> wait_for_ever(bool& was_cancelled) {
  try {
    co_await mobius::sleep(std::chrono::hours(1000));
  } catch (const cancelled&) {
    was_cancelled = true;
    throw;
  }
}

task<> nest(int depth, int& leaves) {
  if (depth == 0) {
    ++leaves;
    co_await mobius::yield();
    co_return;
  }
  auto body = [&](scope& s) -> task<> {
    s.start(nest, depth - 1, std::ref(leaves));
    co_return;
  };
  co_await with_scope(body);
}

}  // namespace

TEST_CASE("a scope waits for all that it started, and gives the value of its body") {
  shake([](world&) -> task<> {
    std::vector<int> out;
    auto body = [&](scope& s) -> task<int> {
      s.start(note_after, 3ms, std::ref(out), 3);
      s.start(note_after, 1ms, std::ref(out), 1);
      s.start(note_after(2ms, out, 2));
      co_return 42;
    };
    const int value = co_await with_scope(body);
    CHECK(value == 42);
    CHECK(out == std::vector<int>{1, 2, 3});
  });
}

TEST_CASE("a scope owns the function and the arguments of a child") {
  mobius::testing::run([](world&) -> task<> {
    std::string seen;
    auto body = [&](scope& s) -> task<> {
      auto text = std::make_unique<std::string>("captured");
      s.start(
          [text = std::move(text), &seen](std::unique_ptr<int> n) -> task<> {
            co_await mobius::sleep(1ms);
            seen = *text + std::to_string(*n);
          },
          std::make_unique<int>(7));
      co_return;
    };
    co_await with_scope(body);
    CHECK(seen == "captured7");
  });
}

TEST_CASE("a failing child cancels its siblings, and its error is thrown") {
  shake([](world& w) -> task<> {
    bool first = false;
    bool second = false;
    auto body = [&](scope& s) -> task<> {
      s.start(wait_for_ever, std::ref(first));
      s.start(fail_after, 5ms, "broken");
      co_await wait_for_ever(second);
    };
    const auto result = co_await mobius::as_result(with_scope(body));
    CHECK(result.error().what() == "broken");
    CHECK(first);
    CHECK(second);
    CHECK(w.unhandled.take().empty());
  });
}

TEST_CASE("errors after the first go to the unhandled hook") {
  shake([](world& w) -> task<> {
    auto late = [](const char* text) -> task<> {
      try {
        co_await mobius::sleep(1h);
      } catch (const cancelled&) {
        throw std::runtime_error(text);
      }
    };
    auto body = [&](scope& s) -> task<> {
      s.start(late, "second");
      co_await mobius::yield();
      co_await mobius::yield();
      s.start(fail_after, 0ms, "first");
    };
    const auto result = co_await mobius::as_result(with_scope(body));
    CHECK(result.error().what() == "first");
    const auto others = w.unhandled.take();
    REQUIRE(others.size() == 1);
    CHECK(others[0].what.what() == "second");
    CHECK(others[0].where == "a scope, after its first error");
  });
}

TEST_CASE("a function that throws instead of returning a task is a failing child") {
  mobius::testing::run([](world&) -> task<> {
    auto body = [](scope& s) -> task<> {
      s.start([](int) -> task<> { throw std::runtime_error("no task"); }, 1);
      co_await mobius::sleep(1h);
    };
    const auto result = co_await mobius::as_result(with_scope(body));
    CHECK(result.error().what() == "no task");
  });
}

TEST_CASE("after its own cancel a scope ends normally") {
  shake([](world&) -> task<> {
    bool stopped = false;
    auto body = [&](scope& s) -> task<> {
      s.start(wait_for_ever, std::ref(stopped));
      co_await mobius::sleep(1ms);
      s.cancel();
    };
    co_await with_scope(body);
    CHECK(stopped);
  });
}

TEST_CASE("a scope that is cancelled before its body has a value throws cancelled") {
  mobius::testing::run([](world&) -> task<> {
    auto body = [](scope& s) -> task<int> {
      s.cancel();
      co_await mobius::sleep(1h);
      co_return 1;
    };
    const auto result = co_await mobius::as_result(with_scope(body));
    CHECK(result.error().check<cancelled>());
  });
}

TEST_CASE("a child of a cancelled scope runs up to its first cancellation point") {
  mobius::testing::run([](world&) -> task<> {
    int steps = 0;
    auto body = [&](scope& s) -> task<> {
      s.cancel();
      s.start([&steps]() -> task<> {
        ++steps;
        co_await mobius::yield();
        ++steps;
      });
      co_return;
    };
    co_await with_scope(body);
    CHECK(steps == 1);
  });
}

TEST_CASE("an error beats cancelled") {
  mobius::testing::run([](world&) -> task<> {
    auto body = [](scope& s) -> task<> {
      s.start([]() -> task<> {
        try {
          co_await mobius::sleep(1h);
        } catch (const cancelled&) {
        }
        throw std::runtime_error("while ending");
      });
      co_await mobius::sleep(1h);
    };
    const auto result = co_await mobius::as_result(mobius::timeout(1ms, with_scope(body)));
    CHECK(result.error().what() == "while ending");
  });
}

TEST_CASE("a timeout around a scope cancels all of it") {
  shake([](world&) -> task<> {
    bool stopped = false;
    auto body = [&](scope& s) -> task<> {
      s.start(wait_for_ever, std::ref(stopped));
      co_return;
    };
    const auto result = co_await mobius::as_result(mobius::timeout(1ms, with_scope(body)));
    CHECK(result.error().check<mobius::timed_out>());
    CHECK(stopped);
  });
}

TEST_CASE("a scope can be joined by hand, and used again") {
  shake([](world&) -> task<> {
    std::vector<int> out;
    scope s;
    co_await s.join();
    s.start(note_after, 2ms, std::ref(out), 1);
    co_await s.join();
    s.start(note_after, 1ms, std::ref(out), 2);
    co_await s.join();
    CHECK(out == std::vector<int>{1, 2});
  });
}

TEST_CASE("a second join at the same time is an error, and does no harm to the first") {
  mobius::testing::run([](world&) -> task<> {
    scope s;
    s.start(mobius::sleep(1s));
    auto join = [&]() -> task<> { co_await s.join(); };
    auto intrude = [&]() -> task<> {
      co_await mobius::yield();
      const auto second = co_await mobius::as_result(s.join());
      CHECK(second.error().check<std::logic_error>());
    };
    co_await mobius::when_all(join(), intrude());
    CHECK(s.size() == 0);
  });
}

TEST_CASE("a join that is cancelled waits for the children all the same") {
  shake([](world&) -> task<> {
    bool stopped = false;
    auto joining = [&]() -> task<> {
      scope s;
      s.start(wait_for_ever, std::ref(stopped));
      co_await s.join();
    };
    const auto result = co_await mobius::as_result(mobius::timeout(1ms, joining()));
    CHECK(result.error().check<mobius::timed_out>());
    CHECK(stopped);
    stopped = false;
    auto joining_late = [&]() -> task<> {
      scope s;
      s.start(wait_for_ever, std::ref(stopped));
      try {
        co_await mobius::sleep(1h);
      } catch (const cancelled&) {
      }
      co_await s.join();
    };
    const auto late = co_await mobius::as_result(mobius::timeout(1ms, joining_late()));
    CHECK(late.error().check<mobius::timed_out>());
    CHECK(stopped);
  });
}

namespace {

/// A coroutine of another library, which may be destroyed while it waits.
class foreign {
 public:
  struct promise_type {
    foreign get_return_object() { return foreign(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
  foreign(foreign&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  foreign& operator=(foreign&&) = delete;
  ~foreign() {
    if (handle_) handle_.destroy();
  }

 private:
  explicit foreign(std::coroutine_handle<promise_type> h) noexcept : handle_(h) {}
  std::coroutine_handle<promise_type> handle_;
};

}  // namespace

TEST_CASE("a join whose coroutine is destroyed leaves the scope to another") {
  mobius::testing::run([](world&) -> task<> {
    mobius::scope s;
    auto nap = []() -> task<> { co_await mobius::sleep(1ms); };
    s.start(nap);
    {
      auto join = [&]() -> foreign { co_await s.join(); };
      const foreign given_up = join();
    }
    co_await s.join();
    CHECK(s.size() == 0);
    // The same, and the children end while nobody joins.
    s.start(nap);
    {
      auto join = [&]() -> foreign { co_await s.join(); };
      const foreign given_up = join();
    }
    co_await mobius::sleep(2ms);
    CHECK(s.size() == 0);
  });
}

TEST_CASE("a child says that it is ready, with a value, and goes on") {
  shake([](world&) -> task<> {
    bool stopped = false;
    auto body = [&](scope& s) -> task<> {
      auto serve = [&](mobius::started<int> ready, int port) -> task<> {
        co_await mobius::sleep(1ms);
        ready(port + 1);
        co_await wait_for_ever(stopped);
      };
      const int port = co_await s.start_ready<int>(serve, 80);
      CHECK(port == 81);
      CHECK(s.size() == 2);
      s.cancel();
    };
    co_await with_scope(body);
    CHECK(stopped);
  });
}

TEST_CASE("a child that ends before it is ready fails the start and not the scope") {
  mobius::testing::run([](world&) -> task<> {
    auto body = [](scope& s) -> task<> {
      auto silent = [](mobius::started<>) -> task<> { co_return; };
      const auto first = co_await mobius::as_result(s.start_ready(silent));
      CHECK_THAT(first.error().what(), Contains("without calling `started`"));
      auto broken = [](mobius::started<>) -> task<> {
        co_await mobius::yield();
        throw std::runtime_error("no port");
      };
      const auto second = co_await mobius::as_result(s.start_ready(broken));
      CHECK(second.error().what() == "no port");
    };
    co_await with_scope(body);
  });
}

TEST_CASE("a child cannot be ready twice") {
  mobius::testing::run([](world&) -> task<> {
    auto body = [](scope& s) -> task<> {
      co_await s.start_ready([](mobius::started<> ready) -> task<> {
        ready();
        CHECK_THROWS_WITH(ready(), Contains("said already"));
        co_return;
      });
    };
    co_await with_scope(body);
  });
}

TEST_CASE("a `started` that outlives its child says so, and tells nobody of its end") {
  mobius::testing::run([](world&) -> task<> {
    std::optional<mobius::started<int>> kept;
    auto body = [&](scope& s) -> task<> {
      auto hand_out = [&](mobius::started<int> ready) -> task<> {
        kept.emplace(std::move(ready));
        CHECK_THROWS_WITH(ready(1), Contains("ready, or has ended"));
        co_return;
      };
      const auto first = co_await mobius::as_result(s.start_ready<int>(hand_out));
      CHECK_THAT(first.error().what(), Contains("without calling `started`"));
      CHECK_THROWS_WITH((*kept)(1), Contains("ready, or has ended"));
      // Another one may take its place, be moved, and be called from outside its child.
      auto hand_out_and_wait = [&](mobius::started<int> ready) -> task<> {
        *kept = std::move(ready);
        co_await mobius::sleep(1ms);
        mobius::started<int> moved(std::move(*kept));
        moved(2);
      };
      const int second = co_await s.start_ready<int>(hand_out_and_wait);
      CHECK(second == 2);
    };
    co_await with_scope(body);
    CHECK_THROWS_WITH((*kept)(3), Contains("ready, or has ended"));
  });
}

TEST_CASE("cancelling a wait for readiness cancels the child") {
  mobius::testing::run([](world&) -> task<> {
    bool stopped = false;
    auto body = [&](scope& s) -> task<> {
      auto slow = [&](mobius::started<>) -> task<> { co_await wait_for_ever(stopped); };
      const auto result = co_await mobius::as_result(mobius::timeout(1ms, s.start_ready(slow)));
      CHECK(result.error().check<mobius::timed_out>());
      CHECK(stopped);
      CHECK(s.size() == 1);
    };
    co_await with_scope(body);
  });
}

TEST_CASE("scopes nest deeply without using the stack, also when they are cancelled", "[fault-54]") {
  mobius::testing::run([](world&) -> task<> {
    int leaves = 0;
    co_await nest(20000, leaves);
    CHECK(leaves == 1);
    const auto result = co_await mobius::as_result(mobius::timeout(0ms, nest(20000, leaves)));
    CHECK(leaves >= 1);
    CHECK((result || result.error().check<mobius::timed_out>()));
  });
}

TEST_CASE("a deep nest of scopes that waits is cancelled without using the stack") {
  mobius::testing::run([](world&) -> task<> {
    bool stopped = false;
    std::function<task<>(int)> down = [&](int depth) -> task<> {
      auto body = [&](scope& s) -> task<> {
        if (depth == 0) {
          s.start(wait_for_ever, std::ref(stopped));
        } else {
          s.start(down, depth - 1);
        }
        co_return;
      };
      co_await with_scope(body);
    };
    const auto result = co_await mobius::as_result(mobius::timeout(1h, down(20000)));
    CHECK(result.error().check<mobius::timed_out>());
    CHECK(stopped);
  });
}

TEST_CASE("a scope is clean wherever it is cancelled") {
  const auto body = [](world&) -> task<> {
    std::vector<int> out;
    auto inner = [&](scope& s) -> task<int> {
      s.start(note_after, 2ms, std::ref(out), 1);
      auto serve = [&](mobius::started<std::string> ready) -> task<> {
        co_await mobius::yield();
        ready("up");
        co_await mobius::sleep(3ms);
      };
      const std::string up = co_await s.start_ready<std::string>(serve);
      CHECK(up == "up");
      auto deeper = [&](scope& t) -> task<> {
        t.start(note_after, 1ms, std::ref(out), 2);
        co_await mobius::sleep(2ms);
      };
      co_await with_scope(deeper);
      co_return 5;
    };
    const int five = co_await with_scope(inner);
    CHECK(five == 5);
  };
  CHECK(cancel_at_every_await(body) > 10);
  for (std::uint64_t seed = 1; seed <= 20; ++seed) CHECK(cancel_at_every_await(body, seed) > 10);
}

TEST_CASE("a bare scope that is destroyed with live children ends the program with a text") {
  const ended_child ended = in_child([] {
    const auto leave = []() -> task<> {
      bool stopped = false;
      scope s;
      s.start(wait_for_ever, std::ref(stopped));
      co_await mobius::yield();
      co_await mobius::yield();
    };
    mobius::run(leave());
    return 0;
  });
  CHECK(ended.killed_by(SIGABRT));
  CHECK_THAT(ended.text, Contains("a scope was destroyed with 1 live tasks") &&
                             Contains("waits in sleep at") && Contains("with_scope"));
}
