// Tasks: their results, errors, lives and frames, and what awaits them.

#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using mobius::as_result;
using mobius::task;
using mobius::testing::world;

namespace {

task<int> answer() { co_return 42; }
task<int> late_answer() {
  co_await mobius::sleep(1s);
  co_return 43;
}
task<> nothing() { co_return; }
task<int> fails() {
  co_await mobius::sleep(1s);
  throw std::runtime_error("as expected");
}
task<std::unique_ptr<int>> boxed(int n) { co_return std::make_unique<int>(n); }
task<int&> refers(int& n) { co_return n; }
task<const std::string&> refers_const(const std::string& s) { co_return s; }
task<int&&> moves(int& n) { co_return std::move(n); }

struct counted {
  explicit counted(int& n) : live(&n) { ++*live; }
  counted(counted&& other) noexcept : live(std::exchange(other.live, nullptr)) {}
  counted& operator=(counted&&) = delete;
  ~counted() {
    if (live) --*live;
  }
  int* live;
};

task<counted> makes(int& live) {
  counted c(live);
  co_return c;
}
task<int> takes(counted c) { co_return *c.live; }

struct no_default {
  explicit no_default(int n) : value(n) {}
  int value;
};
task<no_default> without_default() { co_return no_default(5); }

struct throws_on_move {
  throws_on_move() = default;
  throws_on_move(throws_on_move&&) { throw std::runtime_error("moved"); }
};
task<throws_on_move> throws_at_return() { co_return throws_on_move(); }

}  // namespace

TEST_CASE("a task gives its value to who awaits it, at once or later") {
  mobius::testing::run([](world&) -> task<> {
    const int now = co_await answer();
    const int later = co_await late_answer();
    co_await nothing();
    CHECK(now == 42);
    CHECK(later == 43);
  });
}

TEST_CASE("results may be move-only, references, or without a default constructor") {
  mobius::testing::run([](world&) -> task<> {
    const auto box = co_await boxed(7);
    CHECK(*box == 7);
    int n = 1;
    int& same = co_await refers(n);
    CHECK(&same == &n);
    const std::string s = "text";
    const std::string& same_text = co_await refers_const(s);
    CHECK(&same_text == &s);
    int&& moved = co_await moves(n);
    CHECK(&moved == &n);
    const auto plain = co_await without_default();
    CHECK(plain.value == 5);
  });
}

TEST_CASE("values pass through a task once: none is copied, leaked or destroyed twice") {
  int live = 0;
  mobius::testing::run([&live](world&) -> task<> {
    {
      const counted c = co_await makes(live);
      CHECK(live == 1);
    }
    CHECK(live == 0);
    counted given(live);
    const int seen = co_await takes(std::move(given));
    CHECK(seen == 1);
    CHECK(live == 0);
    auto unread = makes(live);
    CHECK(live == 0);
    auto unawaited = takes(counted(live));
    CHECK(live == 1);
  });
  CHECK(live == 0);
}

TEST_CASE("an exception out of a task is thrown at the await, the same object") {
  mobius::testing::run([](world&) -> task<> {
    std::string text;
    try {
      co_await fails();
    } catch (const std::runtime_error& e) {
      text = e.what();
    }
    CHECK(text == "as expected");
    const auto r = co_await as_result(fails());
    CHECK(!r);
    CHECK(r.error().check<std::runtime_error>());
  });
}

TEST_CASE("an exception out of the move of a result is thrown at the await") {
  mobius::testing::run([](world&) -> task<> {
    const auto r = co_await as_result(throws_at_return());
    REQUIRE(!r);
    CHECK(std::string(r.error().what()) == "moved");
  });
}

TEST_CASE("a task that is never awaited is just freed, its arguments with it") {
  const auto before = mobius::testing::inventory::take();
  int live = 0;
  {
    const auto t = takes(counted(live));
    CHECK(live == 1);
    auto other = takes(counted(live));
    other = takes(counted(live));
    CHECK(live == 2);
  }
  CHECK(live == 0);
  before.expect_no_more();
}

TEST_CASE("a moved task is empty, and awaiting an empty task is an error with a text") {
  mobius::testing::run([](world&) -> task<> {
    task<int> first = answer();
    CHECK(first);
    task<int> second = std::move(first);
    CHECK(!first);
    CHECK(second);
    const int got = co_await std::move(second);
    CHECK(got == 42);
    CHECK(!second);
    std::string text;
    try {
      co_await std::move(second);
    } catch (const std::logic_error& e) {
      text = e.what();
    }
    CHECK_THAT(text, Contains("empty task"));
    task<> none;
    text.clear();
    try {
      const auto never = co_await as_result(std::move(none));
      static_cast<void>(never);
    } catch (const std::logic_error& e) {
      text = e.what();
    }
    CHECK_THAT(text, Contains("empty task"));
    task<int> a = answer();
    task<int> b;
    a.swap(b);
    CHECK((!a && b));
  });
}

TEST_CASE("a task's frame is freed with its outcome, not at the end of the expression") {
  mobius::testing::run([](world&) -> task<> {
    int live = 0;
    const auto holds = [](counted c) -> task<int> {
      co_await mobius::sleep(1s);
      co_return *c.live;
    };
    const auto frames = mobius::detail::live_frames();
    const std::size_t after = (co_await holds(counted(live)), mobius::detail::live_frames());
    CHECK(after == frames);
    CHECK(live == 0);
    CHECK(mobius::detail::live_frames() == frames);
  });
}

TEST_CASE("frames are taken from the pool again") {
#ifdef MOBIUS_ASAN
  SUCCEED("under ASan every frame is malloc's own");
#else
  void* const first = mobius::detail::allocate_frame(300);
  mobius::detail::free_frame(first, 300);
  void* const again = mobius::detail::allocate_frame(310);
  CHECK(first == again);
  mobius::detail::free_frame(again, 310);
#endif
}

TEST_CASE("frames larger than any class of the pool work") {
  const auto before = mobius::testing::inventory::take();
  const auto big = []() -> task<int> {
    std::array<char, 10'000> text{};
    text[5000] = 3;
    co_await mobius::sleep(1s);
    co_return text[5000];
  };
  mobius::testing::run([&](world&) -> task<> {
    const int got = co_await big();
    CHECK(got == 3);
  });
  before.expect_no_more();
}

TEST_CASE("as_result gives values, references and errors of any awaitable without a throw") {
  mobius::testing::run([](world&) -> task<> {
    const auto value = co_await as_result(answer());
    CHECK(*value == 42);
    int n = 0;
    const auto reference = co_await as_result(refers(n));
    CHECK(&*reference == &n);
    auto box = co_await as_result(boxed(3));
    const auto owned = *std::move(box);
    CHECK(*owned == 3);
    const auto slept = co_await as_result(mobius::sleep(1s));
    CHECK(slept);
    const auto nested = co_await as_result(as_result(fails()));
    REQUIRE(nested);
    CHECK(!*nested);
    auto named = late_answer();
    const auto from_name = co_await as_result(std::move(named));
    CHECK(*from_name == 43);
    const auto yielded = co_await as_result(mobius::yield());
    CHECK(yielded);
    const auto foreign = co_await as_result(std::suspend_never());
    CHECK(foreign);
  });
}

TEST_CASE("a coroutine that throws cancelled by itself gives that outcome") {
  const auto quits = []() -> task<int> {
    co_await mobius::sleep(1s);
    throw mobius::cancelled();
  };
  mobius::testing::run([&](world&) -> task<> {
    const auto r = co_await as_result(quits());
    REQUIRE(!r);
    CHECK(r.error().check<mobius::cancelled>());
    bool caught = false;
    try {
      co_await quits();
    } catch (const mobius::cancelled&) {
      caught = true;
    }
    CHECK(caught);
  });
}

TEST_CASE("each await of a cancelled task throws an object of its own") {
  // Shared exception objects would be written to by several catch clauses at once.
  const auto quits = []() -> task<> {
    co_await mobius::sleep(1s);
    throw mobius::cancelled();
  };
  const auto between = [&]() -> task<> { co_await quits(); };
  mobius::testing::run([&](world&) -> task<> {
    std::exception_ptr inner;
    std::exception_ptr outer;
    try {
      try {
        co_await between();
      } catch (...) {
        inner = std::current_exception();
        throw mobius::cancelled();
      }
    } catch (...) {
      outer = std::current_exception();
    }
    CHECK(inner != outer);
  });
}

TEST_CASE("a deep chain of tasks suspends at its leaf and returns through all of them") {
  struct deep {
    static task<int> go(int depth) {
      if (depth == 0) {
        co_await mobius::sleep(1s);
        co_return 0;
      }
      const int below = co_await go(depth - 1);
      co_return below + 1;
    }
    static task<> fail(int depth) {
      if (depth == 0) {
        co_await mobius::sleep(1s);
        throw std::runtime_error("from below");
      }
      co_await fail(depth - 1);
    }
  };
  mobius::testing::run([](world&) -> task<> {
    const int n = co_await deep::go(1000);
    CHECK(n == 1000);
    const auto r = co_await as_result(deep::fail(200));
    CHECK(!r);
  });
}

TEST_CASE("await of awaiters that are not ours: void, bool and handle as answers of await_suspend") {
  struct void_awaiter {
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) const {
      mobius::call_later(1s, [h] { mobius::detail::resume(h); });
    }
    int await_resume() const noexcept { return 1; }
  };
  struct bool_awaiter {
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<>) const noexcept { return false; }
    int await_resume() const noexcept { return 2; }
  };
  struct handle_awaiter {
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> h) const noexcept { return h; }
    int await_resume() const { throw std::runtime_error("three"); }
  };
  mobius::testing::run([](world&) -> task<> {
    const int one = co_await void_awaiter();
    const int two = co_await bool_awaiter();
    CHECK(one + two == 3);
    const auto three = co_await as_result(handle_awaiter());
    CHECK(!three);
    const auto again = co_await as_result(void_awaiter());
    CHECK(*again == 1);
    const auto ready = co_await mobius::timeout(1s, bool_awaiter());
    CHECK(ready == 2);
  });
}
