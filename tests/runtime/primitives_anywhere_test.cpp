// Every primitive, each by itself: shaken, and cancelled at every moment (see everywhere.hpp).

#include <mobius/runtime.hpp>

#include <cstddef>
#include <mobius/runtime/testing/memory_stream.hpp>
#include <mobius/runtime/testing/spy.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "everywhere.hpp"

using namespace std::chrono_literals;
using mobius::task;
using mobius::testing::world;
using test::at_end;
using test::everywhere;

TEST_CASE("anywhere: event, manual and automatic") {
  everywhere(
      [](world&) -> task<> {
        mobius::event go;
        mobius::event turn(mobius::event_reset::automatic);
        int passed = 0;
        auto waiter = [&]() -> task<> {
          co_await go.wait();
          co_await turn.wait();
          const at_end next([&] { turn.set(); });  // a signal that was taken is handed on
          ++passed;
          co_await mobius::yield();
        };
        auto starter = [&]() -> task<> {
          co_await mobius::yield();
          go.set();
          turn.set();
        };
        co_await mobius::when_all(waiter(), waiter(), waiter(), starter());
        CHECK(passed == 3);
        CHECK(turn.is_set());
      },
      6);
}

TEST_CASE("anywhere: mutex") {
  everywhere(
      [](world&) -> task<> {
        mobius::mutex m;
        int inside = 0;
        const at_end check([&] { CHECK_FALSE(m.locked()); });
        auto enter = [&]() -> task<> {
          const auto guard = co_await m.lock();
          CHECK(++inside == 1);
          const at_end leave([&] { --inside; });
          co_await mobius::yield();
        };
        co_await mobius::when_all(enter(), enter(), enter());
      },
      5);
}

TEST_CASE("anywhere: shared_mutex") {
  everywhere(
      [](world&) -> task<> {
        mobius::shared_mutex m;
        int readers = 0;
        int writers = 0;
        const at_end check([&] { CHECK((m.readers() == 0 && !m.writing())); });
        auto read = [&]() -> task<> {
          const auto guard = co_await m.lock_shared();
          ++readers;
          const at_end leave([&] { --readers; });
          CHECK(writers == 0);
          co_await mobius::yield();
        };
        auto write = [&]() -> task<> {
          const auto guard = co_await m.lock();
          ++writers;
          const at_end leave([&] { --writers; });
          CHECK((writers == 1 && readers == 0));
          co_await mobius::yield();
        };
        co_await mobius::when_all(read(), write(), read(), read(), write());
      },
      6);
}

TEST_CASE("anywhere: semaphore") {
  everywhere(
      [](world&) -> task<> {
        mobius::semaphore s(3);
        const at_end check([&] { CHECK(s.available() == 3); });
        std::size_t taken = 0;
        auto use = [&](std::size_t count) -> task<> {
          const auto mine = co_await s.acquire(count);
          taken += count;
          const at_end leave([&] { taken -= count; });
          CHECK(taken <= 3);
          co_await mobius::yield();
        };
        co_await mobius::when_all(use(1), use(3), use(2), use(1));
      },
      5);
}

TEST_CASE("anywhere: latch") {
  everywhere(
      [](world&) -> task<> {
        mobius::latch l(3);
        auto arrive = [&]() -> task<> {
          co_await mobius::yield();
          co_await l.arrive_and_wait();
          CHECK(l.done());
        };
        auto wait = [&]() -> task<> { co_await l.wait(); };
        co_await mobius::when_all(wait(), arrive(), arrive(), arrive());
      },
      4);
}

TEST_CASE("anywhere: barrier") {
  everywhere(
      [](world&) -> task<> {
        mobius::barrier b(3);
        int last = 0;
        const at_end check([&] { CHECK(b.waiting() == 0); });
        auto party = [&]() -> task<> {
          for (int round = 0; round < 3; ++round) {
            const bool mine = co_await b.arrive_and_wait();
            if (mine) ++last;
          }
        };
        co_await mobius::when_all(party(), party(), party());
        CHECK(last == 3);
      },
      4);
}

TEST_CASE("anywhere: condition") {
  everywhere(
      [](world&) -> task<> {
        mobius::mutex m;
        mobius::condition changed;
        int tokens = 0;
        int taken = 0;
        const at_end check([&] { CHECK_FALSE(m.locked()); });
        auto take = [&]() -> task<> {
          auto guard = co_await m.lock();
          while (tokens == 0) co_await changed.wait(guard);
          CHECK(static_cast<bool>(guard));
          --tokens;
          ++taken;
        };
        auto give = [&]() -> task<> {
          for (int i = 0; i < 3; ++i) {
            const auto guard = co_await m.lock();
            ++tokens;
            changed.notify_one();
          }
        };
        co_await mobius::when_all(take(), take(), take(), give());
        CHECK((tokens == 0 && taken == 3));
      },
      5);
}

namespace {

// Three senders, two receivers: what was made is taken or dropped, once, and in each sender's order.
task<> through_channel(std::size_t capacity) {
  mobius::testing::result_spy spy;
  const at_end check([&] { CHECK(spy.live() == 0); });
  mobius::channel<mobius::testing::spied> c(capacity);
  std::vector<int> got;
  auto send = [&](int from) -> task<> {
    co_await mobius::yield();  // the receivers stand in line
    for (int i = from; i < from + 3; ++i) co_await c.send(spy.make(i));
  };
  auto send_all = [&]() -> task<> {
    co_await mobius::when_all(send(0), send(10), send(20));
    c.close();
  };
  auto receive = [&]() -> task<> {
    while (auto value = co_await c.next()) got.push_back(value->take());
  };
  co_await mobius::when_all(send_all(), receive(), receive());
  CHECK((got.size() == 9 && spy.dropped() == 0));
}

}  // namespace

TEST_CASE("anywhere: channel, rendezvous") {
  everywhere([](world&) { return through_channel(0); }, 8);
}

TEST_CASE("anywhere: channel, bounded") {
  everywhere([](world&) { return through_channel(2); }, 6);
}

TEST_CASE("anywhere: channel, unbounded") {
  everywhere([](world&) { return through_channel(mobius::channel<int>::unbounded); }, 3);
}

TEST_CASE("anywhere: select") {
  everywhere(
      [](world&) -> task<> {
        mobius::channel<int> numbers;
        mobius::event quit;
        mobius::mutex m;
        int sum = 0;
        const at_end check([&] { CHECK_FALSE(m.locked()); });
        auto read = [&]() -> task<> {
          while (true) {
            auto [index, value] = co_await mobius::select(numbers.next(), quit.wait(), mobius::sleep(1h));
            if (index != 0) co_return;
            sum += *std::get<0>(value);
          }
        };
        auto write = [&]() -> task<> {
          for (int i = 1; i <= 3; ++i) {
            auto [index, value] = co_await mobius::select(numbers.send(i), mobius::sleep(1h), quit.wait());
            CHECK(index == 0);
            static_cast<void>(value);
          }
          auto [index, guard] = co_await mobius::select(m.lock(), mobius::sleep(1h));
          CHECK(index == 0);
          co_await mobius::yield();
          quit.set();
        };
        co_await mobius::when_all(read(), write());
        CHECK(sum == 6);
      },
      6);
}

TEST_CASE("anywhere: broadcast") {
  everywhere(
      [](world&) -> task<> {
        mobius::broadcast<std::string> b(2);
        const at_end check([&] { CHECK(b.subscribers() == 0); });
        int heard = 0;
        auto listen = [&]() -> task<> {
          mobius::subscription<std::string> mine(b);
          while (auto text = co_await mine.next()) {
            CHECK(*text == "a text that is longer than a string holds by itself");
            ++heard;
          }
        };
        auto speak = [&]() -> task<> {
          while (b.subscribers() != 2) co_await mobius::yield();
          for (int i = 0; i < 4; ++i) co_await b.send("a text that is longer than a string holds by itself");
          b.close();
        };
        co_await mobius::when_all(listen(), listen(), speak());
        CHECK(heard == 8);
      },
      6);
}

TEST_CASE("anywhere: memory_stream") {
  everywhere(
      [](world&) -> task<> {
        mobius::testing::stream_options options;
        options.capacity = 4;
        options.seed = 5;
        mobius::testing::stream_pair pair(options);
        auto write = [&]() -> task<> {
          co_await pair.near.write_all(std::string_view("0123456789"));
          pair.near.shutdown_write();
        };
        auto read = [&]() -> task<> {
          std::string all;
          char piece[3];
          while (true) {
            const std::size_t n = co_await pair.far.read_some(std::span<char>(piece));
            if (n == 0) break;
            all.append(piece, n);
          }
          CHECK(all == "0123456789");
        };
        co_await mobius::when_all(write(), read());
      },
      4);
}
