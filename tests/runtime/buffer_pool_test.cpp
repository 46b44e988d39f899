// The receive buffers: leases, what happens when the kernel runs out, and growth.

#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>

#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::lease;
using mobius::task;
using mobius::net::tcp_stream;
using mobius::testing::world;

namespace {

struct connected {
  tcp_stream mine;
  tcp_stream theirs;
};

task<> connect_pair(connected& out) {
  mobius::net::tcp_listener listener("127.0.0.1", 0);
  auto connecting = mobius::net::connect(listener.local_address());
  auto [mine, theirs] = co_await mobius::when_all(std::move(connecting), listener.accept());
  out.mine = std::move(mine);
  out.theirs = std::move(theirs);
}

// Small messages, each waited for, so that each takes a buffer.
task<> hold(connected& c, std::vector<lease>& held, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto text = std::to_string(i % 10);
    co_await c.mine.write_all(text);
    held.push_back(co_await c.theirs.receive());
    if (held.back().text() != text) throw std::runtime_error("another byte than was sent");
  }
}

constexpr std::size_t all_buffers = mobius::detail::buffer_pool::small.most;

}  // namespace

TEST_CASE("leases move, shrink and give their buffer back") {
  mobius::testing::run(
      [](world&) -> task<> {
        connected c;
        co_await connect_pair(c);
        co_await c.mine.write_all("hello");
        lease first = co_await c.theirs.receive();
        CHECK(first.text() == "hello");
        lease second = std::move(first);
        CHECK(first.empty());
        CHECK(second.text() == "hello");
        second.remove_prefix(2);
        CHECK(second.text() == "llo");
        second = lease();
        CHECK(!second);
        lease third;
        third.reset();
        CHECK(third.size() == 0);
      },
      {.virtual_time = false});
}

TEST_CASE("leases on more buffers than a chunk make the pool grow") {
  mobius::testing::run(
      [](world&) -> task<> {
        connected c;
        co_await connect_pair(c);
        std::vector<lease> held;
        co_await hold(c, held, 700);
        for (std::size_t i = 0; i < held.size(); ++i) CHECK(held[i].text() == std::to_string(i % 10));
      },
      {.virtual_time = false});
}

TEST_CASE("with every buffer leased a stream loses no byte, does not spin, and goes on when one comes back",
          "[fault-1]") {
  mobius::testing::run(
      [](world& w) -> task<> {
        connected c;
        co_await connect_pair(c);
        std::vector<lease> held;
        co_await hold(c, held, all_buffers);
        co_await c.mine.write_all("after");
        std::string got;
        const auto reads = [&]() -> task<> {
          while (got.size() < 5) {
            const lease data = co_await c.theirs.receive();
            got += data.text();
          }
        };
        const auto frees = [&]() -> task<> {
          co_await mobius::sleep(20ms);
          const auto enters = w.reactor.stats().enters;
          co_await mobius::sleep(50ms);
          CHECK(w.reactor.stats().enters - enters < 20);
          held.pop_back();
        };
        co_await mobius::timeout(5s, mobius::when_all(reads(), frees()));
        CHECK(got == "after");
      },
      {.virtual_time = false});
}

TEST_CASE("an idle stream that is armed while every buffer is leased receives later", "[fault-2]") {
  mobius::testing::run(
      [](world& w) -> task<> {
        connected c;
        connected idle;
        co_await connect_pair(c);
        co_await connect_pair(idle);
        std::vector<lease> held;
        co_await hold(c, held, all_buffers);
        const auto reads = [&]() -> task<> {
          const lease data = co_await idle.theirs.receive();
          CHECK(data.text() == "late");
        };
        const auto writes = [&]() -> task<> {
          co_await mobius::sleep(20ms);
          const auto enters = w.reactor.stats().enters;
          co_await mobius::sleep(30ms);
          CHECK(w.reactor.stats().enters - enters < 20);
          held.resize(all_buffers - 1);
          co_await mobius::sleep(5ms);
          co_await idle.mine.write_all("late");
        };
        co_await mobius::timeout(5s, mobius::when_all(reads(), writes()));
      },
      {.virtual_time = false});
}

TEST_CASE("many streams share few buffers: each gets all its bytes in order") {
  mobius::testing::run(
      [](world&) -> task<> {
        connected c;
        co_await connect_pair(c);
        std::vector<lease> held;
        co_await hold(c, held, all_buffers - 3);
        constexpr std::size_t streams = 8;
        std::vector<connected> pairs(streams);
        for (auto& p : pairs) co_await connect_pair(p);
        const auto sends = [](connected& p) -> task<> {
          for (int i = 0; i < 20; ++i) {
            const std::string part(3000, static_cast<char>('a' + i));
            co_await p.mine.write_all(part);
          }
          p.mine.shutdown_write();
        };
        const auto reads = [](connected& p) -> task<> {
          std::string got;
          while (lease data = co_await p.theirs.receive()) got += data.text();
          std::string expected;
          for (int i = 0; i < 20; ++i) expected += std::string(3000, static_cast<char>('a' + i));
          CHECK(got == expected);
        };
        std::vector<task<>> all;
        for (auto& p : pairs) {
          all.push_back(sends(p));
          all.push_back(reads(p));
        }
        co_await mobius::timeout(10s, mobius::when_all(std::move(all)));
      },
      {.virtual_time = false});
}

TEST_CASE("a lease may outlive its stream and its reactor") {
  lease kept;
  {
    mobius::reactor r({.signals = false});
    const auto body = [&]() -> task<> {
      connected c;
      co_await connect_pair(c);
      co_await c.mine.write_all("kept");
      kept = co_await c.theirs.receive();
    };
    r.run(body());
    CHECK(kept.text() == "kept");
  }
  CHECK(kept.text() == "kept");
  kept.reset();
  CHECK(kept.empty());
}
