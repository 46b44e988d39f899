// Cancellation: what a chain of frames is told, how often, and who wins.

#include <poll.h>
#include <unistd.h>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <functional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using mobius::as_result;
using mobius::task;
using mobius::detail::cancel_mark;
using mobius::detail::context;
using mobius::testing::world;

namespace {

// Gives the context of the coroutine that awaits it, without suspending.
struct own_context {
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h) noexcept {
    ctx = mobius::detail::context_of(h);
    return false;
  }
  context* await_resume() const noexcept { return ctx; }
  context* ctx = nullptr;
};

// A chain of its own, which the test may cancel as it likes.
struct chain {
  context* ctx = nullptr;
  bool ended = false;

  void start(std::function<task<>()> body) { mobius::background(drive(*this, std::move(body))); }

 private:
  static task<> drive(chain& self, std::function<task<>()> body) {
    struct at_end {
      bool& flag;
      ~at_end() { flag = true; }
    };
    const at_end e{self.ended};
    self.ctx = co_await own_context();
    co_await body();
  }
};

task<> wait_for(const bool& flag) {
  for (int i = 0; i < 20'000; ++i) {
    if (flag) co_return;
    co_await mobius::sleep(1ms);
  }
  throw std::runtime_error("the chain does not end");
}

}  // namespace

TEST_CASE("a cancel for good throws at the await it finds and at every later one") {
  mobius::testing::run([](world& w) -> task<> {
    std::vector<int> seen;
    const auto start = w.reactor.now();
    const auto body = [&]() -> task<> {
      for (int i = 0; i < 3; ++i) {
        try {
          co_await mobius::sleep(1h);
        } catch (const mobius::cancelled&) {
          seen.push_back(i);
        }
      }
      try {
        co_await mobius::yield();
      } catch (const mobius::cancelled&) {
        seen.push_back(3);
      }
      try {
        co_await mobius::when_all(mobius::sleep(1h));
      } catch (const mobius::cancelled&) {
        seen.push_back(4);
      }
      co_await mobius::offload([] { FAIL("not begun"); });
    };
    chain c;
    c.start(body);
    co_await mobius::yield();
    co_await mobius::yield();
    c.ctx->cancel();
    c.ctx->cancel();
    co_await mobius::sleep(1s);
    CHECK(seen == std::vector<int>{0, 1, 2, 3, 4});
    CHECK(w.reactor.now() == start + 1s);
  });
}

TEST_CASE("a cancel asked once is delivered once, and the code may go on") {
  mobius::testing::run([](world&) -> task<> {
    int told = 0;
    const auto body = [&]() -> task<> {
      const auto first = co_await as_result(mobius::sleep(1h));
      told += first ? 0 : 1;
      const auto second = co_await as_result(mobius::sleep(1s));
      told += second ? 0 : 10;
      const auto third = co_await as_result(mobius::sleep(1h));
      told += third ? 0 : 100;
    };
    chain c;
    c.start(body);
    co_await mobius::yield();
    co_await mobius::yield();
    c.ctx->cancel_once();
    co_await mobius::sleep(2s);
    CHECK(told == 1);
    CHECK(c.ctx->mark() == cancel_mark::none);
    c.ctx->cancel_once();
    co_await wait_for(c.ended);
    CHECK(told == 101);
  });
}

TEST_CASE("a cancel asked once of a wait that has just ended comes at the next one") {
  mobius::testing::run([](world&) -> task<> {
    std::vector<bool> seen;
    const auto body = [&]() -> task<> {
      for (int i = 0; i < 3; ++i) {
        const auto r = co_await as_result(mobius::sleep(1s));
        seen.push_back(r.has_value());
      }
    };
    chain c;
    c.start(body);
    // Armed before the sleeper's timer, at its deadline: the sleep has ended, its result wins.
    co_await mobius::yield();
    mobius::call_later(1s, [] {});
    co_await mobius::yield();
    mobius::call_later(1s, [&] { c.ctx->cancel_once(); });
    co_await wait_for(c.ended);
    CHECK(seen.size() == 3);
    CHECK(std::count(seen.begin(), seen.end(), false) == 1);
  });
}

TEST_CASE("a cancel asked once of nested timeouts that have just ended comes at the next wait") {
  mobius::testing::run([](world&) -> task<> {
    std::vector<bool> seen;
    const auto body = [&]() -> task<> {
      for (int i = 0; i < 3; ++i) {
        const auto r = co_await as_result(mobius::timeout(
            1h, mobius::with_stop_token(std::stop_token(), mobius::timeout(2h, mobius::sleep(1s)))));
        seen.push_back(r.has_value());
      }
    };
    chain c;
    c.start(body);
    co_await mobius::yield();
    co_await mobius::yield();
    // Armed behind the sleeper's timer, at its deadline: the sleep has ended, its result wins.
    mobius::call_later(1s, [&] { c.ctx->cancel_once(); });
    co_await wait_for(c.ended);
    CHECK(seen == std::vector<bool>{true, false, true});
  });
}

TEST_CASE("a chain that runs at the moment takes no notice of a cancel asked once (R135)") {
  mobius::testing::run([](world&) -> task<> {
    bool slept = false;
    const auto body = [&]() -> task<> {
      context* own = co_await own_context();
      own->cancel_once();
      const auto r = co_await as_result(mobius::sleep(1s));
      slept = r.has_value();
    };
    chain c;
    c.start(body);
    co_await wait_for(c.ended);
    CHECK(slept);
  });
}

TEST_CASE("a running chain that is cancelled for good meets it at its next await") {
  mobius::testing::run([](world& w) -> task<> {
    const auto start = w.reactor.now();
    bool told = false;
    const auto body = [&]() -> task<> {
      context* own = co_await own_context();
      own->cancel();
      try {
        co_await mobius::sleep(1h);
      } catch (const mobius::cancelled&) {
        told = true;
      }
    };
    chain c;
    c.start(body);
    co_await wait_for(c.ended);
    CHECK(told);
    CHECK(w.reactor.now() < start + 1s);
  });
}

TEST_CASE("the first delivery is immediate, each further one takes a turn of the ready queue") {
  mobius::testing::run([](world& w) -> task<> {
    std::vector<std::string> seen;
    const auto body = [&]() -> task<> {
      context* own = co_await own_context();
      own->cancel();
      w.reactor.post([&] { seen.push_back("others"); });
      for (const char* what : {"first", "second", "third"}) {
        if (seen.size() == 1)
          mobius::detail::this_thread.current->call_soon([&] { seen.push_back("between"); });
        try {
          co_await mobius::sleep(1h);
        } catch (const mobius::cancelled&) {
          seen.push_back(what);
        }
      }
    };
    chain c;
    c.start(body);
    co_await wait_for(c.ended);
    CHECK(seen.front() == "first");
  });
}

TEST_CASE("code that is told a hundred times and goes on is reported once, with its place, and others run") {
  mobius::testing::run([](world& w) -> task<> {
    int told = 0;
    bool others = false;
    const auto body = [&]() -> task<> {
      while (told < 5000) {
        try {
          co_await mobius::sleep(1h);
        } catch (const mobius::cancelled&) {
          ++told;
        }
      }
    };
    chain c;
    c.start(body);
    co_await mobius::yield();
    co_await mobius::yield();
    mobius::call_later(0s, [&] { others = told < 5000; });
    c.ctx->cancel();
    co_await wait_for(c.ended);
    CHECK(told == 5000);
    CHECK(others);
    const auto said = w.unhandled.take();
    REQUIRE(said.size() == 1);
    CHECK_THAT(std::string(said[0].what.what()), Contains("a hundred times"));
    CHECK_THAT(said[0].where, Contains("cancel_test.cpp:"));
  });
}

TEST_CASE("the hundredth delivery is counted through timeouts and combinations as well") {
  mobius::testing::run([](world& w) -> task<> {
    int told = 0;
    const auto body = [&]() -> task<> {
      while (told < 300) {
        const auto kind = told % 3;
        try {
          if (kind == 0) co_await mobius::timeout(1h, mobius::sleep(1h));
          if (kind == 1) co_await mobius::when_all(mobius::sleep(1h), mobius::sleep(2h));
          if (kind == 2) co_await mobius::yield();
        } catch (const mobius::cancelled&) {
          ++told;
        }
      }
    };
    chain c;
    c.start(body);
    co_await mobius::yield();
    co_await mobius::yield();
    c.ctx->cancel();
    co_await wait_for(c.ended);
    CHECK(told == 300);
    CHECK(w.unhandled.take().size() == 1);
  });
}

TEST_CASE("as_result does not swallow the cancel of the chain that awaits") {
  mobius::testing::run([](world&) -> task<> {
    int passed = 0;
    const auto body = [&]() -> task<> {
      const auto r = co_await as_result(mobius::sleep(1h));
      ++passed;
    };
    chain c;
    c.start(body);
    co_await mobius::yield();
    co_await mobius::yield();
    c.ctx->cancel();
    co_await wait_for(c.ended);
    CHECK(passed == 0);
  });
}

TEST_CASE("a result that comes though a cancel was asked for wins, and the cancel acts at the next await",
          "[fault-3]") {
  mobius::testing::run(
      [](world& w) -> task<> {
        int ends[2];
        CHECK(::pipe(ends) == 0);
        mobius::testing::faults faults(w.reactor);
        faults.on_completion([](mobius::detail::completion& c) {
          if ((c.user_data & mobius::detail::tag_mask) == 0 && c.result == -ECANCELED) c.result = POLLIN;
        });
        std::vector<std::string> seen;
        const auto body = [&]() -> task<> {
          const auto events = co_await mobius::poll(ends[0], POLLIN);
          seen.push_back(events == POLLIN ? "events" : "nothing");
          try {
            co_await mobius::sleep(1h);
          } catch (const mobius::cancelled&) {
            seen.push_back("then cancelled");
          }
        };
        chain c;
        c.start(body);
        co_await mobius::sleep(1ms);
        c.ctx->cancel();
        co_await wait_for(c.ended);
        CHECK(seen == std::vector<std::string>{"events", "then cancelled"});
        ::close(ends[0]);
        ::close(ends[1]);
      },
      {.virtual_time = false});
}

TEST_CASE("a cancel of an operation whose result is there already does nothing to it", "[fault-6]") {
  mobius::testing::run(
      [](world&) -> task<> {
        int ends[2];
        CHECK(::pipe(ends) == 0);
        CHECK(::write(ends[1], "x", 1) == 1);
        bool first = false;
        bool second = false;
        chain a;
        chain b;
        // Both become ready in one batch; whichever runs first cancels the other.
        const auto body = [&](chain& other, bool& got) -> task<> {
          co_await mobius::poll(ends[0], POLLIN);
          got = true;
          if (!other.ended) other.ctx->cancel();
        };
        const auto body_a = [&]() -> task<> { co_await body(b, first); };
        const auto body_b = [&]() -> task<> { co_await body(a, second); };
        a.start(body_a);
        b.start(body_b);
        co_await wait_for(a.ended);
        co_await wait_for(b.ended);
        CHECK(first);
        CHECK(second);
        ::close(ends[0]);
        ::close(ends[1]);
      },
      {.virtual_time = false});
}

TEST_CASE("cancel reaches a leaf through any depth of tasks, and unwinds all of them in order") {
  mobius::testing::run([](world&) -> task<> {
    std::vector<int> unwound;
    struct deep {
      static task<> go(int depth, std::vector<int>& out) {
        struct note {
          int depth;
          std::vector<int>& out;
          ~note() { out.push_back(depth); }
        };
        const note n{depth, out};
        if (depth == 0) co_await mobius::sleep(1h);
        if (depth != 0) co_await go(depth - 1, out);
      }
    };
    const auto body = [&]() -> task<> { co_await deep::go(20, unwound); };
    chain c;
    c.start(body);
    co_await mobius::yield();
    co_await mobius::yield();
    c.ctx->cancel();
    co_await wait_for(c.ended);
    CHECK(unwound.size() == 21);
    CHECK(std::is_sorted(unwound.begin(), unwound.end()));
  });
}

TEST_CASE("a yield that is cancelled throws in its turn") {
  mobius::testing::run([](world&) -> task<> {
    bool told = false;
    const auto body = [&]() -> task<> {
      try {
        while (true) co_await mobius::yield();
      } catch (const mobius::cancelled&) {
        told = true;
      }
    };
    chain c;
    c.start(body);
    co_await mobius::sleep(0s);
    co_await mobius::yield();
    c.ctx->cancel();
    co_await wait_for(c.ended);
    CHECK(told);
  });
}

TEST_CASE("10 000 waiting tasks are cancelled together") {
  mobius::testing::run([](world& w) -> task<> {
    int told = 0;
    const auto body = [&](int n) -> task<> {
      try {
        co_await mobius::sleep(std::chrono::hours(n + 1));
      } catch (const mobius::cancelled&) {
        ++told;
        throw;
      }
    };
    std::vector<task<>> all;
    for (int i = 0; i < 10'000; ++i) all.push_back(body(i));
    const auto r = co_await as_result(mobius::timeout(1s, mobius::when_all(std::move(all))));
    CHECK(r.error().check<mobius::timed_out>());
    CHECK(told == 10'000);
    CHECK(w.reactor.timers().size() == 0);
  });
}
