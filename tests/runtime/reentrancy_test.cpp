// Cancels that run other people's code: a deferred's canceller, and the coroutine that its end resumes, may
// start, cancel and end things in the middle of the cancel that reached it.

#include <mobius/deferred.hpp>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <utility>
#include <variant>
#include <vector>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::cancelled;
using mobius::task;
using mobius::testing::world;

namespace {

/// Makes deferreds that never fire, but call a function when they are cancelled, and then end.
class cancellables {
 public:
  template <class F>
  mobius::deferred<> make(F f) {
    auto [never, resolve] = mobius::make_deferred<void>(std::move(f));
    resolvers_.push_back(resolve);
    return std::move(never);
  }

 private:
  std::vector<mobius::resolver<void>> resolvers_;
};

}  // namespace

TEST_CASE("a child that is started in the middle of a scope's cancel does not keep it from the others") {
  mobius::testing::run([](world&) -> task<> {
    int stopped = 0;
    cancellables waits;
    mobius::scope s;
    auto wait = [&]() -> task<> {
      try {
        co_await mobius::sleep(1h);
      } catch (const cancelled&) {
        ++stopped;
        throw;
      }
    };
    auto restarts = [&]() -> task<> {
      mobius::deferred<> d = waits.make([&] { s.start(wait); });
      co_await d;
    };
    for (int i = 0; i < 3; ++i) {
      s.start(wait);
      s.start(restarts);
    }
    co_await mobius::yield();
    s.cancel();
    co_await mobius::timeout(1s, s.join());
    CHECK(stopped == 6);
  });
}

TEST_CASE("a hundred thousand deferreds that when_all cancels do not use the stack") {
  mobius::testing::run([](world&) -> task<> {
    std::size_t asked = 0;
    cancellables waits;
    std::vector<mobius::deferred<>> all;
    for (int i = 0; i < 100'000; ++i) all.push_back(waits.make([&] { ++asked; }));
    const auto late = co_await mobius::as_result(mobius::timeout(1s, mobius::when_all(std::move(all))));
    CHECK(late.error().check<mobius::timed_out>());
    CHECK(asked == 100'000);
  });
}

TEST_CASE("a callback of stoppable's token may end what is awaited") {
  mobius::testing::run([](world&) -> task<> {
    auto ends = mobius::make_deferred<int>();
    using callback = std::stop_callback<std::function<void()>>;
    std::optional<callback> on_stop;
    auto work = [&](std::stop_token token) -> task<int> {
      on_stop.emplace(token, [&] { ends.resolver(7); });
      const int value = co_await ends.deferred;
      co_return value;
    };
    auto whole = [&]() -> task<int> {
      const int value = co_await mobius::stoppable(work);
      co_return value;
    };
    const int value = co_await mobius::timeout(1s, whole());
    CHECK(value == 7);
  });
}

TEST_CASE("a join waits for a child that another task starts just as the last one ends") {
  mobius::testing::run([](world&) -> task<> {
    bool ended = false;
    mobius::scope s;
    auto late = [&]() -> task<> {
      co_await mobius::sleep(1s);
      ended = true;
    };
    auto starter = [&]() -> task<> {
      co_await mobius::yield();
      s.start(late);
    };
    s.start([]() -> task<> { co_await mobius::yield(); });
    mobius::reactor::current().background(starter());
    co_await s.join();
    CHECK(ended);
    CHECK(s.size() == 0);
  });
}

TEST_CASE("a select that arrives twice at a barrier leaves it as it found it, or ends its round") {
  mobius::testing::run([](world&) -> task<> {
    mobius::barrier b(3);
    auto both = [&]() -> task<> { co_await mobius::select(b.arrive_and_wait(), b.arrive_and_wait()); };
    auto one = [&]() -> task<> { co_await b.arrive_and_wait(); };
    co_await mobius::when_all(both(), one());
    CHECK(b.waiting() == 0);
    mobius::barrier two(2);
    co_await mobius::select(two.arrive_and_wait(), two.arrive_and_wait());
    CHECK(two.waiting() == 0);
  });
}

TEST_CASE("who waits for a primitive that is gone can still be cancelled") {
  mobius::testing::run([](world&) -> task<> {
    auto s = std::make_unique<mobius::semaphore>(0);
    auto b = std::make_unique<mobius::barrier>(2);
    auto waits = [&]() -> task<> { const auto held = co_await s->acquire(); };
    auto arrives = [&]() -> task<> { co_await b->arrive_and_wait(); };
    mobius::scope children;
    children.start(waits);
    children.start(arrives);
    co_await mobius::yield();
    s.reset();
    b.reset();
    children.cancel();
    co_await children.join();
  });
}

TEST_CASE("a deadline at the beginning of time has passed") {
  mobius::testing::run([](world&) -> task<> {
    const auto late = co_await mobius::as_result(
        mobius::deadline(std::chrono::steady_clock::time_point::min(), mobius::sleep(1s)));
    CHECK(late.error().check<mobius::timed_out>());
  });
}

TEST_CASE("what a guard or a permit held is given back when another is moved into it") {
  mobius::testing::run([](world&) -> task<> {
    mobius::shared_mutex m;
    mobius::shared_mutex n;
    auto a = m.try_lock();
    auto b = n.try_lock();
    a = std::move(b);
    CHECK_FALSE(m.writing());
    CHECK(n.writing());
    mobius::semaphore s(1);
    mobius::semaphore t(1);
    auto p = s.try_acquire();
    auto q = t.try_acquire();
    p = std::move(q);
    CHECK(s.available() == 1);
    CHECK(t.available() == 0);
    co_return;
  });
}

TEST_CASE("a function that gives itself to call_soon does not keep a reactor from its end") {
  struct again {
    mobius::reactor* r;
    int* n;
    void operator()() const {
      if (++*n < 2'000'000) r->call_soon(*this);
    }
  };
  int n = 0;
  {
    mobius::reactor r;
    r.call_soon(again{&r, &n});
    r.call_later(1ms, [&] { r.stop(); });
    r.run();
  }
  CHECK(n < 2'000'000);
}

TEST_CASE("a broadcast that is closed by who hears of a value keeps that value, and its sender has sent it") {
  mobius::testing::run([](world&) -> task<> {
    mobius::broadcast<int> b(1);
    mobius::subscription<int> first(b);
    mobius::subscription<int> second(b);
    cancellables waits;
    bool sent = false;
    auto send = [&]() -> task<> {
      co_await b.send(1);
      co_await b.send(2);
      sent = true;
    };
    auto listen = [&]() -> task<> {
      const auto one = co_await first.next();
      CHECK(one == 1);
      mobius::deferred<> d = waits.make([&] { b.close(); });
      auto [index, two] = co_await mobius::select(first.next(), std::move(d));
      REQUIRE(index == 0);
      CHECK(std::get<0>(two) == 2);
    };
    auto late = [&]() -> task<> {
      for (int i = 0; i < 5; ++i) co_await mobius::yield();
      const auto one = co_await second.next();
      CHECK(one == 1);
    };
    co_await mobius::when_all(send(), listen(), late());
    CHECK(sent);
    CHECK(b.closed());
  });
}

TEST_CASE("a channel or a broadcast with more places than there is memory is refused") {
  const std::size_t half = ~std::size_t{0} / 2 + 2;
  CHECK_THROWS_AS(mobius::channel<int>(half), std::length_error);
  CHECK_THROWS_AS(mobius::broadcast<int>(half), std::length_error);
}
