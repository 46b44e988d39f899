// channel: bounded, unbounded, rendezvous; order, back-pressure, close, cancelled waits.

#include <mobius/runtime.hpp>
#include <mobius/runtime/testing/shake.hpp>
#include <mobius/runtime/testing/spy.hpp>

#include <memory>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::as_result;
using mobius::cancelled;
using mobius::channel;
using mobius::channel_closed;
using mobius::scope;
using mobius::task;
using mobius::timeout;
using mobius::with_scope;
using mobius::testing::cancel_at_every_await;
using mobius::testing::shake;
using mobius::testing::spied;
using mobius::testing::world;

namespace {

task<> send_numbers(channel<int>& to, int first, int count) {
  for (int i = 0; i < count; ++i) co_await to.send(first + i);
}

}  // namespace

TEST_CASE("a channel keeps the order of its values, at every capacity") {
  for (const std::size_t capacity :
       {std::size_t{0}, std::size_t{1}, std::size_t{3}, channel<int>::unbounded}) {
    shake([capacity](world&) -> task<> {
      channel<int> c(capacity);
      std::vector<int> got;
      auto send = [&]() -> task<> {
        co_await send_numbers(c, 0, 20);
        c.close();
      };
      auto receive = [&]() -> task<> {
        while (auto n = co_await c.next()) got.push_back(*n);
      };
      co_await mobius::when_all(send(), receive());
      CHECK(got.size() == 20);
      for (int i = 0; i < 20; ++i) CHECK(got[static_cast<std::size_t>(i)] == i);
    });
  }
}

TEST_CASE("several senders and receivers: each value arrives once") {
  shake([](world&) -> task<> {
    channel<int> c(2);
    long sum = 0;
    int count = 0;
    auto receive = [&]() -> task<> {
      while (auto n = co_await c.next()) {
        sum += *n;
        ++count;
        if (*n % 3 == 0) co_await mobius::yield();
      }
    };
    auto send = [&]() -> task<> {
      co_await mobius::when_all(send_numbers(c, 0, 10), send_numbers(c, 100, 10), send_numbers(c, 200, 10));
      c.close();
    };
    co_await mobius::when_all(send(), receive(), receive());
    CHECK(count == 30);
    CHECK(sum == 3 * 45 + 1000 + 2000);
  });
}

TEST_CASE("a full channel holds its senders back, a rendezvous each one until it was received",
          "[fault-48]") {
  mobius::testing::run([](world&) -> task<> {
    channel<int> c(2);
    CHECK(c.try_send(1));
    CHECK(c.try_send(2));
    CHECK_FALSE(c.try_send(3));
    const auto full = co_await as_result(timeout(1ms, c.send(3)));
    CHECK(full.error().check<mobius::timed_out>());
    CHECK(c.size() == 2);
    CHECK(c.try_next() == 1);
    co_await c.send(3);
    CHECK(c.try_next() == 2);
    CHECK(c.try_next() == 3);
    CHECK_FALSE(c.try_next());

    channel<int> meeting;
    CHECK_FALSE(meeting.try_send(1));
    bool sent = false;
    auto send = [&]() -> task<> {
      co_await meeting.send(5);
      sent = true;
    };
    auto receive = [&]() -> task<> {
      co_await mobius::sleep(1ms);
      CHECK_FALSE(sent);
      const auto n = co_await meeting.next();
      CHECK(n == 5);
    };
    co_await mobius::when_all(send(), receive());
    CHECK(sent);
  });
}

TEST_CASE("a closed channel gives what it holds, then the end; senders are told") {
  shake([](world&) -> task<> {
    channel<std::unique_ptr<int>> c(1);
    co_await c.send(std::make_unique<int>(1));
    bool told = false;
    auto send = [&]() -> task<> {
      try {
        co_await c.send(std::make_unique<int>(2));
      } catch (const channel_closed&) {
        told = true;
      }
    };
    auto close = [&]() -> task<> {
      co_await mobius::sleep(1ms);
      c.close();
      c.close();
    };
    co_await mobius::when_all(send(), close());
    CHECK(told);
    const auto one = co_await c.next();
    CHECK(**one == 1);
    const auto end = co_await c.next();
    CHECK_FALSE(end);
    const auto late = co_await as_result(c.send(nullptr));
    CHECK(late.error().check<channel_closed>());
    CHECK_THROWS_AS(c.try_send(nullptr), channel_closed);
  });
}

TEST_CASE("receivers that wait when a channel is closed get the end") {
  shake([](world&) -> task<> {
    channel<int> c;
    auto receive = [&]() -> task<> {
      const auto n = co_await c.next();
      CHECK_FALSE(n);
    };
    auto close = [&]() -> task<> {
      co_await mobius::sleep(1ms);
      c.close();
    };
    co_await mobius::when_all(receive(), receive(), close());
  });
}

TEST_CASE("a value handed to a receiver that is cancelled in the same instant is not lost") {
  mobius::testing::run([](world&) -> task<> {
    channel<int> c;
    int got = 0;
    auto receive = [&]() -> task<> {
      const auto n = co_await c.next();
      got = n.value();
    };
    scope s;
    s.start(std::ref(receive));
    co_await mobius::yield();
    CHECK(c.try_send(7));
    s.cancel();
    co_await s.join();
    CHECK(got == 7);
  });
}

TEST_CASE("an unbounded channel grows, and values in it are destroyed with it") {
  mobius::testing::result_spy spy;
  mobius::testing::run([&](world&) -> task<> {
    channel<spied> c(channel<spied>::unbounded);
    for (int i = 0; i < 1000; ++i) c.try_send(spy.make(i));
    for (int i = 0; i < 500; ++i) {
      auto s = co_await c.next();
      CHECK(s->take() == i);
    }
    for (int i = 1000; i < 1500; ++i) co_await c.send(spy.make(i));
    CHECK(c.size() == 1000);
  });
  CHECK(spy.taken() == 500);
  CHECK(spy.dropped() == 1000);
  CHECK(spy.live() == 0);
}

TEST_CASE("a channel loses no value and duplicates none wherever a wait is cancelled") {
  for (const std::size_t capacity : {std::size_t{0}, std::size_t{2}}) {
    const auto body = [capacity](world&) -> task<> {
      mobius::testing::result_spy spy;
      {
        channel<spied> c(capacity);
        std::vector<int> got;
        auto send = [&](int from) -> task<> {
          for (int i = from; i < from + 3; ++i) co_await c.send(spy.make(i));
        };
        auto receive = [&]() -> task<> {
          for (int i = 0; i < 3; ++i) {
            auto v = co_await c.next();
            got.push_back(v->take());
            co_await mobius::yield();
          }
        };
        try {
          co_await mobius::when_all(send(0), send(10), receive(), receive());
          CHECK(got.size() == 6);
        } catch (const cancelled&) {
        }
        for (std::size_t i = 1; i < got.size(); ++i) {
          for (std::size_t k = 0; k < i; ++k) CHECK(got[i] != got[k]);
        }
      }
      CHECK(spy.live() == 0);
    };
    CHECK(cancel_at_every_await(body) > 5);
    for (std::uint64_t seed = 1; seed <= 30; ++seed) CHECK(cancel_at_every_await(body, seed) > 5);
  }
}
