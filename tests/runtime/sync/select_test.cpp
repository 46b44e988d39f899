// select: one alternative takes effect, the others leave no trace.

#include <mobius/runtime.hpp>
#include <mobius/runtime/testing/shake.hpp>
#include <mobius/runtime/testing/spy.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::as_result;
using mobius::cancelled;
using mobius::channel;
using mobius::scope;
using mobius::select;
using mobius::task;
using mobius::timeout;
using mobius::testing::cancel_at_every_await;
using mobius::testing::shake;
using mobius::testing::world;

namespace {

task<int> fail_after(std::chrono::milliseconds d, const char* text) {
  co_await mobius::sleep(d);
  throw std::runtime_error(text);
}

}  // namespace

TEST_CASE("select takes the first alternative that is possible, and leaves the others alone") {
  mobius::testing::run([](world&) -> task<> {
    channel<int> a(2);
    channel<int> b(2);
    mobius::mutex m;
    b.try_send(5);
    bool started = false;
    auto never = [&]() -> task<> {
      started = true;
      co_return;
    };
    auto [index, value] = co_await select(a.next(), b.next(), m.lock(), never());
    CHECK(index == 1);
    CHECK(std::get<1>(value) == 5);
    CHECK_FALSE(started);
    CHECK_FALSE(m.locked());
    auto [sent, nothing] = co_await select(a.next(), b.send(6));
    CHECK(sent == 1);
    CHECK(b.size() == 1);
  });
}

TEST_CASE("select waits for the first that becomes possible") {
  shake([](world&) -> task<> {
    channel<int> a;
    mobius::event e;
    auto later = [&]() -> task<> {
      co_await mobius::sleep(2ms);
      CHECK(a.try_send(3));
      CHECK_FALSE(a.try_send(4));  // taken back from the line at once
      e.set();
    };
    auto wait = [&]() -> task<> {
      auto [index, value] = co_await select(a.next(), e.wait(), mobius::sleep(1h));
      CHECK(index == 0);
      CHECK(std::get<0>(value) == 3);
    };
    co_await mobius::when_all(later(), wait());
  });
}

TEST_CASE("select cancels and joins other awaitables that lost, and they can win themselves") {
  shake([](world&) -> task<> {
    channel<int> quiet;
    auto slow = []() -> task<int> {
      co_await mobius::sleep(2ms);
      co_return 8;
    };
    bool stopped = false;
    auto loser = [&]() -> task<> {
      try {
        co_await mobius::sleep(1h);
      } catch (const cancelled&) {
        stopped = true;
        throw;
      }
    };
    auto [index, value] = co_await select(quiet.next(), slow(), loser());
    CHECK(index == 1);
    CHECK(std::get<1>(value) == 8);
    CHECK(stopped);
    CHECK_FALSE(quiet.try_send(1));  // nobody is left in its line
  });
}

TEST_CASE("select throws the error of the winner") {
  shake([](world& w) -> task<> {
    channel<int> quiet;
    const auto r =
        co_await as_result(select(quiet.next(), fail_after(1ms, "first"), fail_after(2ms, "second")));
    CHECK(r.error().what() == "first");
    CHECK(w.unhandled.take().empty());
    quiet.close();
    const auto closed = co_await as_result(select(quiet.send(1), mobius::sleep(1h)));
    CHECK(closed.error().check<mobius::channel_closed>());
    auto [index, value] = co_await select(quiet.next(), mobius::sleep(1h));
    CHECK(index == 0);
    CHECK_FALSE(std::get<0>(value));
  });
}

TEST_CASE("select that is cancelled withdraws all alternatives") {
  shake([](world&) -> task<> {
    channel<int> a;
    mobius::semaphore permits(0);
    mobius::barrier b(2);
    const auto r = co_await as_result(
        timeout(1ms, select(a.next(), permits.acquire(), b.arrive_and_wait(), fail_after(1h, "x"))));
    CHECK(r.error().check<mobius::timed_out>());
    CHECK_FALSE(a.try_send(1));
    CHECK(b.waiting() == 0);
    permits.release();
    CHECK(permits.available() == 1);
  });
}

TEST_CASE("what one alternative gives up is not handed to another of the same select") {
  mobius::testing::run([](world&) -> task<> {
    mobius::semaphore permits(0);
    channel<int> c;
    auto wait = [&]() -> task<> {
      auto [index, value] = co_await select(permits.acquire(3), permits.acquire(1), c.next());
      CHECK(index == 2);
    };
    auto send = [&]() -> task<> {
      co_await mobius::yield();
      permits.release();  // the first in line wants three
      CHECK(c.try_send(1));
      CHECK(permits.available() == 1);
    };
    co_await mobius::when_all(wait(), send());
    CHECK(permits.available() == 1);
  });
}

TEST_CASE("select over many channels loses no value and takes no two, under every schedule") {
  const auto body = [](world&) -> task<> {
    mobius::testing::result_spy spy;
    std::vector<int> got;
    {
      using mobius::testing::spied;
      channel<spied> a(1);
      channel<spied> b;
      auto send = [&](channel<spied>& to, int from) -> task<> {
        for (int i = from; i < from + 4; ++i) co_await to.send(spy.make(i));
      };
      auto receive = [&](int count) -> task<> {
        for (int i = 0; i < count; ++i) {
          auto [index, value] = co_await select(a.next(), b.next(), mobius::sleep(1h));
          got.push_back(index == 0 ? std::get<0>(value)->take() : std::get<1>(value)->take());
        }
      };
      try {
        co_await mobius::when_all(send(a, 0), send(b, 100), receive(3), receive(5));
        CHECK(got.size() == 8);
        CHECK(spy.taken() == 8);
      } catch (const cancelled&) {
      }
    }
    CHECK(spy.live() == 0);
    for (std::size_t i = 1; i < got.size(); ++i) {
      for (std::size_t k = 0; k < i; ++k) CHECK(got[i] != got[k]);
    }
  };
  shake(body);
  CHECK(cancel_at_every_await(body) > 10);
  for (std::uint64_t seed = 1; seed <= 30; ++seed) CHECK(cancel_at_every_await(body, seed) > 10);
}
