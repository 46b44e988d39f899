// event, latch, barrier.

#include <mobius/runtime.hpp>
#include <mobius/runtime/testing/shake.hpp>

#include <vector>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::as_result;
using mobius::cancelled;
using mobius::scope;
using mobius::task;
using mobius::timeout;
using mobius::with_scope;
using mobius::testing::cancel_at_every_await;
using mobius::testing::shake;
using mobius::testing::world;

TEST_CASE("a manual event lets all go on until it is reset") {
  shake([](world&) -> task<> {
    mobius::event e;
    int gone = 0;
    auto wait = [&]() -> task<> {
      co_await e.wait();
      ++gone;
    };
    auto body = [&](scope& s) -> task<> {
      for (int i = 0; i < 3; ++i) s.start(std::ref(wait));
      co_await mobius::sleep(1ms);
      CHECK(gone == 0);
      e.set();
      co_await mobius::sleep(1ms);
      CHECK(gone == 3);
      co_await e.wait();
      e.reset();
      CHECK_FALSE(e.is_set());
      const auto r = co_await as_result(timeout(1ms, e.wait()));
      CHECK_FALSE(r);
    };
    co_await with_scope(body);
  });
}

TEST_CASE("an automatic event lets one go on, the oldest, or the next who comes") {
  shake([](world&) -> task<> {
    mobius::event e(mobius::event_reset::automatic);
    std::vector<int> order;
    auto wait = [&](int n) -> task<> {
      co_await mobius::sleep(1ms * n);
      co_await e.wait();
      order.push_back(n);
    };
    auto body = [&](scope& s) -> task<> {
      for (int i = 1; i <= 3; ++i) s.start(std::ref(wait), i);
      co_await mobius::sleep(10ms);
      for (int i = 0; i < 3; ++i) {
        e.set();
        co_await mobius::sleep(1ms);
      }
      e.set();
      e.set();
      CHECK(e.is_set());
      co_await e.wait();
      CHECK_FALSE(e.is_set());
    };
    co_await with_scope(body);
    CHECK(order == std::vector<int>{1, 2, 3});
  });
}

TEST_CASE("a signal to a waiter that is cancelled in the same instant is not lost") {
  mobius::testing::run([](world&) -> task<> {
    mobius::event e(mobius::event_reset::automatic);
    bool got = false;
    auto wait = [&]() -> task<> {
      co_await e.wait();
      got = true;
    };
    scope s;
    s.start(std::ref(wait));
    co_await mobius::yield();
    e.set();
    s.cancel();
    co_await s.join();
    CHECK(got);
    scope t;
    t.start(std::ref(wait));
    co_await mobius::yield();
    t.cancel();
    e.set();
    co_await t.join();
    CHECK(e.is_set());
  });
}

TEST_CASE("a latch lets all go on when its count is down") {
  shake([](world&) -> task<> {
    mobius::latch l(3);
    int gone = 0;
    auto arrive = [&]() -> task<> {
      co_await mobius::yield();
      co_await l.arrive_and_wait();
      CHECK(l.done());
      ++gone;
    };
    co_await mobius::when_all(arrive(), arrive(), arrive(), l.wait());
    CHECK(gone == 3);
    l.count_down(5);
    CHECK(l.left() == 0);
    co_await l.wait();
  });
}

TEST_CASE("a barrier goes round after round, and one of each round is told that it came last") {
  shake([](world&) -> task<> {
    mobius::barrier b(3);
    int last = 0;
    int round = 0;
    auto party = [&]() -> task<> {
      for (int i = 0; i < 4; ++i) {
        CHECK(round == i);
        const bool mine = co_await b.arrive_and_wait();
        if (mine) ++last;
        co_await mobius::sleep(1ms);
        if (mine) ++round;
        co_await mobius::sleep(1ms);
      }
    };
    co_await mobius::when_all(party(), party(), party());
    CHECK(last == 4);
    CHECK(b.waiting() == 0);
  });
}

TEST_CASE("a cancelled arrival at a barrier is taken back, and one who drops out is not waited for") {
  mobius::testing::run([](world&) -> task<> {
    mobius::barrier b(2);
    const auto r = co_await as_result(timeout(1ms, b.arrive_and_wait()));
    CHECK_FALSE(r);
    CHECK(b.waiting() == 0);
    auto wait = [&]() -> task<> {
      const bool last = co_await b.arrive_and_wait();
      CHECK_FALSE(last);
    };
    auto leave = [&]() -> task<> {
      co_await mobius::sleep(1ms);
      b.drop();
    };
    co_await mobius::when_all(wait(), leave());
    CHECK(b.parties() == 1);
  });
}

TEST_CASE("events, latches and barriers are clean wherever a wait is cancelled") {
  const auto body = [](world&) -> task<> {
    mobius::event e(mobius::event_reset::automatic);
    mobius::event all;
    mobius::latch l(3);
    mobius::barrier b(3);
    auto party = [&]() -> task<> {
      co_await l.arrive_and_wait();
      co_await b.arrive_and_wait();
      e.set();
      co_await e.wait();
      e.set();
      all.set();
      co_await all.wait();
    };
    try {
      co_await mobius::when_all(party(), party(), party());
    } catch (const cancelled&) {
    }
    CHECK(b.waiting() == 0);
  };
  CHECK(cancel_at_every_await(body) > 10);
  for (std::uint64_t seed = 1; seed <= 20; ++seed) CHECK(cancel_at_every_await(body, seed) > 10);
}
