// Waiting costs no memory: each primitive with tasks that wait and hand over, a few rounds and many. This
// program counts what operator new and the frame pool take from the heap; with AddressSanitizer, which has
// operators of its own, the pool keeps nothing, and so each frame is counted.

#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>

#include <cstddef>
#include <cstdlib>
#include <functional>
#include <limits>
#include <new>
#include <string>
#include <utility>

#include "support/catch.hpp"

using mobius::task;

namespace {

thread_local std::size_t taken = 0;

}  // namespace

#ifndef MOBIUS_ASAN
// Not inlined: g++ would compare what they call with new and delete.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++taken;
  if (void* block = std::malloc(size == 0 ? 1 : size)) return block;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* block) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete(void* block, std::size_t) noexcept { std::free(block); }
#endif

namespace {

using exercise = std::function<task<>(std::size_t rounds)>;

/// What `e` takes from the heap in so many rounds, its own frames included.
std::size_t taken_by(const exercise& e, std::size_t rounds) {
  constexpr long plenty = std::numeric_limits<long>::max();
  std::size_t count = 0;
  mobius::testing::run([&](mobius::testing::world&) -> task<> {
    long blocks = plenty;
    mobius::detail::this_pool.allowance = &blocks;
    const std::size_t before = taken;
    co_await e(rounds);
    count = taken - before + static_cast<std::size_t>(plenty - blocks);
    mobius::detail::this_pool.allowance = nullptr;
  });
  return count;
}

void expect_none_a_round(const std::string& name, const exercise& e) {
  INFO(name);
  taken_by(e, 4);  // the pool keeps the frames of this one for the next
  CHECK(taken_by(e, 1000) == taken_by(e, 10));
}

/// Runs `two` of them side by side.
template <class F>
task<> twice(F& f) {
  auto one = f();
  auto two = f();
  co_await mobius::when_all(std::move(one), std::move(two));
}

}  // namespace

TEST_CASE("waiters of events, locks and meeting points take no memory") {
  expect_none_a_round("event, automatic reset", [](std::size_t rounds) -> task<> {
    mobius::event ping(mobius::event_reset::automatic);
    mobius::event pong(mobius::event_reset::automatic);
    auto answer = [&]() -> task<> {
      for (std::size_t i = 0; i < rounds; ++i) {
        co_await ping.wait();
        pong.set();
      }
    };
    auto ask = [&]() -> task<> {
      for (std::size_t i = 0; i < rounds; ++i) {
        ping.set();
        co_await pong.wait();
      }
    };
    co_await mobius::when_all(answer(), ask());
  });
  expect_none_a_round("event, manual reset", [](std::size_t rounds) -> task<> {
    mobius::event open;
    auto wait = [&]() -> task<> {
      for (std::size_t i = 0; i < rounds; ++i) co_await open.wait();
    };
    auto set = [&]() -> task<> {
      for (std::size_t i = 0; i < rounds; ++i) {
        co_await mobius::yield();
        open.set();
        open.reset();
      }
      open.set();
    };
    co_await mobius::when_all(wait(), set());
  });
  expect_none_a_round("mutex", [](std::size_t rounds) -> task<> {
    mobius::mutex m;
    auto hold = [&]() -> task<> {
      for (std::size_t i = 0; i < rounds; ++i) {
        const mobius::mutex_guard guard = co_await m.lock();
        co_await mobius::yield();
      }
    };
    co_await twice(hold);
  });
  expect_none_a_round("shared_mutex", [](std::size_t rounds) -> task<> {
    mobius::shared_mutex m;
    auto write = [&]() -> task<> {
      for (std::size_t i = 0; i < rounds; ++i) {
        const mobius::exclusive_guard guard = co_await m.lock();
        co_await mobius::yield();
      }
    };
    auto read = [&]() -> task<> {
      for (std::size_t i = 0; i < rounds; ++i) {
        const mobius::shared_guard guard = co_await m.lock_shared();
        co_await mobius::yield();
      }
    };
    co_await mobius::when_all(write(), read(), read());
  });
  expect_none_a_round("semaphore", [](std::size_t rounds) -> task<> {
    mobius::semaphore s(3);
    auto take_two = [&]() -> task<> {
      for (std::size_t i = 0; i < rounds; ++i) {
        const mobius::permit two = co_await s.acquire(2);
        co_await mobius::yield();
      }
    };
    co_await twice(take_two);
  });
  expect_none_a_round("condition", [](std::size_t rounds) -> task<> {
    mobius::mutex m;
    mobius::condition changed;
    std::size_t turn = 0;
    auto alternate = [&](std::size_t mine) -> task<> {
      for (std::size_t i = 0; i < rounds; ++i) {
        mobius::mutex_guard guard = co_await m.lock();
        while (turn % 2 != mine) co_await changed.wait(guard);
        ++turn;
        changed.notify_all();
      }
    };
    co_await mobius::when_all(alternate(0), alternate(1));
  });
  expect_none_a_round("barrier", [](std::size_t rounds) -> task<> {
    mobius::barrier b(2);
    auto meet = [&]() -> task<> {
      for (std::size_t i = 0; i < rounds; ++i) co_await b.arrive_and_wait();
    };
    co_await twice(meet);
  });
  expect_none_a_round("latch", [](std::size_t rounds) -> task<> {
    mobius::latch* current = nullptr;
    auto count_down = [&]() -> task<> {
      for (std::size_t i = 0; i < rounds; ++i) {
        while (!current) co_await mobius::yield();
        std::exchange(current, nullptr)->count_down();
      }
    };
    auto wait = [&]() -> task<> {
      for (std::size_t i = 0; i < rounds; ++i) {
        mobius::latch done(1);
        current = &done;
        co_await done.wait();
      }
    };
    co_await mobius::when_all(wait(), count_down());
  });
}

TEST_CASE("waiters of channels, broadcasts and select take no memory") {
  const auto through = [](std::size_t capacity) {
    return [capacity](std::size_t rounds) -> task<> {
      mobius::channel<int> c(capacity);
      auto send = [&]() -> task<> {
        for (std::size_t i = 0; i < rounds; ++i) co_await c.send(1);
        c.close();
      };
      auto receive = [&]() -> task<> {
        while (auto n = co_await c.next()) static_cast<void>(n);
      };
      co_await mobius::when_all(send(), receive());
    };
  };
  expect_none_a_round("channel, rendezvous", through(0));
  expect_none_a_round("channel, four places", through(4));
  expect_none_a_round("channel, unbounded, that never holds more than one", [](std::size_t rounds) -> task<> {
    mobius::channel<int> c(mobius::channel<int>::unbounded);
    auto send = [&]() -> task<> {
      for (std::size_t i = 0; i < rounds; ++i) {
        co_await c.send(1);
        co_await mobius::yield();
      }
      c.close();
    };
    auto receive = [&]() -> task<> {
      while (auto n = co_await c.next()) static_cast<void>(n);
    };
    co_await mobius::when_all(send(), receive());
  });
  expect_none_a_round("broadcast", [](std::size_t rounds) -> task<> {
    mobius::broadcast<int> b(2);
    mobius::subscription<int> first(b);
    mobius::subscription<int> second(b);
    auto receive = [](mobius::subscription<int>& from) -> task<> {
      while (auto n = co_await from.next()) static_cast<void>(n);
    };
    auto send = [&]() -> task<> {
      for (std::size_t i = 0; i < rounds; ++i) co_await b.send(1);
      b.close();
    };
    co_await mobius::when_all(receive(first), receive(second), send());
  });
  expect_none_a_round("select over channels", [](std::size_t rounds) -> task<> {
    mobius::channel<int> left;
    mobius::channel<int> right;
    auto send = [&]() -> task<> {
      for (std::size_t i = 0; i < rounds; ++i) {
        co_await left.send(1);
        co_await right.send(2);
      }
    };
    auto receive = [&]() -> task<> {
      for (std::size_t i = 0; i < 2 * rounds; ++i) {
        auto got = co_await mobius::select(left.next(), right.next());
        static_cast<void>(got);
      }
    };
    co_await mobius::when_all(send(), receive());
  });
}

TEST_CASE("the count of allocations is not blind") {
  const exercise allocates = [](std::size_t rounds) -> task<> {
    for (std::size_t i = 0; i < rounds; ++i) {
      auto wait = []() -> task<> { co_await mobius::yield(); };
#ifdef MOBIUS_ASAN
      co_await wait();
#else
      auto* text = new std::string(100, 'x');
      delete text;
      co_await wait();
#endif
    }
  };
  CHECK(taken_by(allocates, 1000) > taken_by(allocates, 10) + 500);
}
