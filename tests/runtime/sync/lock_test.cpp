// mutex, shared_mutex, semaphore, condition: order, fairness, cancelled waits.

#include <mobius/runtime.hpp>
#include <mobius/runtime/testing/shake.hpp>

#include <string>
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

TEST_CASE("a mutex lets one task in at a time, in order of arrival") {
  shake([](world&) -> task<> {
    mobius::mutex m;
    int inside = 0;
    std::vector<int> order;
    auto work = [&](int n) -> task<> {
      co_await mobius::sleep(1ms * n);
      const auto guard = co_await m.lock();
      CHECK(++inside == 1);
      order.push_back(n);
      co_await mobius::sleep(10ms);
      --inside;
    };
    auto body = [&](scope& s) -> task<> {
      for (int i = 1; i <= 5; ++i) s.start(std::ref(work), i);
      co_return;
    };
    co_await with_scope(body);
    CHECK(order == std::vector<int>{1, 2, 3, 4, 5});
    CHECK_FALSE(m.locked());
  });
}

TEST_CASE("an unlocked mutex belongs at once to the oldest waiter: nobody can come between") {
  mobius::testing::run([](world&) -> task<> {
    mobius::mutex m;
    auto guard = m.try_lock();
    bool second = false;
    auto wait = [&]() -> task<> {
      const auto mine = co_await m.lock();
      second = true;
    };
    auto body = [&](scope& s) -> task<> {
      s.start(std::ref(wait));
      co_await mobius::yield();
      guard.unlock();
      CHECK(m.locked());
      CHECK_FALSE(m.try_lock());
      CHECK_FALSE(second);
    };
    co_await with_scope(body);
    CHECK(second);
  });
}

TEST_CASE("a wait for a mutex that is cancelled leaves the line, one that was granted keeps it") {
  mobius::testing::run([](world&) -> task<> {
    mobius::mutex m;
    auto held = m.try_lock();
    const auto gone = co_await as_result(timeout(1ms, m.lock()));
    CHECK(gone.error().check<mobius::timed_out>());
    bool got = false;
    scope s;
    auto wait = [&]() -> task<> {
      const auto mine = co_await m.lock();
      got = true;
    };
    s.start(std::ref(wait));
    co_await mobius::yield();
    held.unlock();  // granted
    s.cancel();     // in the same instant
    co_await s.join();
    CHECK(got);
    CHECK_FALSE(m.locked());
  });
}

TEST_CASE("a semaphore hands its permits out in order, also to who wants many") {
  shake([](world&) -> task<> {
    mobius::semaphore permits(2);
    std::vector<int> order;
    auto work = [&](int n, std::size_t wanted) -> task<> {
      co_await mobius::sleep(1ms * n);
      const auto mine = co_await permits.acquire(wanted);
      order.push_back(n);
      co_await mobius::sleep(10ms);
    };
    auto body = [&](scope& s) -> task<> {
      s.start(std::ref(work), 1, std::size_t{1});
      s.start(std::ref(work), 2, std::size_t{2});
      s.start(std::ref(work), 3, std::size_t{1});
      co_return;
    };
    co_await with_scope(body);
    CHECK(order == std::vector<int>{1, 2, 3});
    CHECK(permits.available() == 2);
  });
}

TEST_CASE("a cancelled wait for many permits lets those behind it go on") {
  mobius::testing::run([](world&) -> task<> {
    mobius::semaphore permits(1);
    bool small = false;
    auto big = [&]() -> task<> {
      const auto r = co_await as_result(timeout(5ms, permits.acquire(3)));
      CHECK(r.error().check<mobius::timed_out>());
    };
    auto little = [&]() -> task<> {
      co_await mobius::sleep(1ms);
      const auto mine = co_await timeout(10ms, permits.acquire());
      small = true;
    };
    co_await mobius::when_all(big(), little());
    CHECK(small);
  });
}

TEST_CASE("permits can be given back early, moved, and kept") {
  mobius::testing::run([](world&) -> task<> {
    mobius::semaphore permits(3);
    auto one = co_await permits.acquire();
    auto two = co_await permits.acquire(2);
    CHECK_FALSE(permits.try_acquire());
    one.release();
    one.release();
    CHECK(permits.available() == 1);
    auto moved = std::move(two);
    CHECK_FALSE(two);  // NOLINT(bugprone-use-after-move)
    moved.detach();
    CHECK(permits.available() == 1);
    permits.release(2);
    CHECK(permits.available() == 3);
  });
}

TEST_CASE("a shared mutex lets readers in together and writers alone, strictly in order") {
  shake([](world&) -> task<> {
    mobius::shared_mutex m;
    std::string log;
    auto reader = [&](int at) -> task<> {
      co_await mobius::sleep(1ms * at);
      const auto mine = co_await m.lock_shared();
      CHECK_FALSE(m.writing());
      log += 'r';
      co_await mobius::sleep(20ms);
    };
    auto writer = [&](int at) -> task<> {
      co_await mobius::sleep(1ms * at);
      const auto mine = co_await m.lock();
      CHECK(m.readers() == 0);
      log += 'w';
      co_await mobius::sleep(20ms);
    };
    auto body = [&](scope& s) -> task<> {
      s.start(std::ref(reader), 1);
      s.start(std::ref(reader), 2);
      s.start(std::ref(writer), 3);
      s.start(std::ref(reader), 4);
      s.start(std::ref(reader), 5);
      s.start(std::ref(writer), 6);
      co_return;
    };
    co_await with_scope(body);
    CHECK(log == "rrwrrw");
    CHECK(m.try_lock());
  });
}

TEST_CASE("a cancelled writer lets the readers behind it go on") {
  mobius::testing::run([](world& w) -> task<> {
    mobius::shared_mutex m;
    const auto held = m.try_lock_shared();
    auto writer = [&]() -> task<> {
      const auto r = co_await as_result(timeout(5ms, m.lock()));
      CHECK_FALSE(r);
    };
    auto reader = [&]() -> task<> {
      co_await mobius::sleep(1ms);
      CHECK_FALSE(m.try_lock_shared());
      const auto mine = co_await m.lock_shared();
      CHECK(w.clock.now().time_since_epoch() == 1s + 5ms);
    };
    co_await mobius::when_all(writer(), reader());
  });
}

TEST_CASE("a condition lets waiters go on under the mutex, oldest first") {
  shake([](world&) -> task<> {
    mobius::mutex m;
    mobius::condition changed;
    int stock = 0;
    std::vector<int> order;
    auto take = [&](int n) -> task<> {
      co_await mobius::sleep(1ms * n);
      auto guard = co_await m.lock();
      while (stock == 0) co_await changed.wait(guard);
      CHECK(m.locked());
      --stock;
      order.push_back(n);
    };
    auto give = [&]() -> task<> {
      co_await mobius::sleep(10ms);
      for (int i = 0; i < 2; ++i) {
        const auto guard = co_await m.lock();
        ++stock;
        changed.notify_one();
      }
      co_await mobius::sleep(10ms);
      const auto guard = co_await m.lock();
      stock += 5;
      changed.notify_all();
    };
    co_await mobius::when_all(take(1), take(2), take(3), take(4), give());
    CHECK(order.size() == 4);
    CHECK(stock == 3);
    CHECK_FALSE(m.locked());
  });
}

TEST_CASE("a cancelled wait for a condition ends with the mutex held, and loses no notification") {
  mobius::testing::run([](world&) -> task<> {
    mobius::mutex m;
    mobius::condition changed;
    auto guard = co_await m.lock();
    const auto r = co_await as_result(timeout(1ms, changed.wait(guard)));
    CHECK(r.error().check<mobius::timed_out>());
    CHECK(m.locked());
    CHECK(guard);
    guard.unlock();
    bool notified = false;
    scope s;
    auto wait = [&]() -> task<> {
      auto mine = co_await m.lock();
      co_await changed.wait(mine);
      notified = true;
    };
    s.start(std::ref(wait));
    co_await mobius::yield();
    co_await mobius::yield();
    changed.notify_one();
    s.cancel();
    co_await s.join();
    CHECK(notified);
    CHECK_FALSE(m.locked());
  });
}

TEST_CASE("a wait for a condition with a guard that holds nothing is an error") {
  mobius::testing::run([](world&) -> task<> {
    mobius::condition changed;
    mobius::mutex_guard none;
    CHECK_THROWS_AS(changed.wait(none), std::logic_error);
    co_return;
  });
}

TEST_CASE("locks are clean wherever a wait is cancelled") {
  const auto body = [](world&) -> task<> {
    mobius::mutex m;
    mobius::shared_mutex rw;
    mobius::semaphore permits(1);
    mobius::condition changed;
    bool ready = false;
    int done = 0;
    auto all = [&]() -> task<> {
      {
        auto guard = co_await m.lock();
        while (!ready) co_await changed.wait(guard);
        co_await mobius::yield();
      }
      {
        const auto reading = co_await rw.lock_shared();
        co_await mobius::yield();
      }
      {
        const auto writing = co_await rw.lock();
        co_await mobius::yield();
      }
      const auto mine = co_await permits.acquire();
      co_await mobius::yield();
      ++done;
    };
    auto announce = [&]() -> task<> {
      const auto guard = co_await m.lock();
      ready = true;
      changed.notify_all();
    };
    try {
      co_await mobius::when_all(all(), all(), all(), announce());
      CHECK(done == 3);
    } catch (const cancelled&) {
    }
    CHECK_FALSE(m.locked());
    CHECK(rw.try_lock());
    CHECK(permits.available() == 1);
  };
  CHECK(cancel_at_every_await(body) > 20);
  for (std::uint64_t seed = 1; seed <= 30; ++seed) CHECK(cancel_at_every_await(body, seed) > 20);
}
