#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>

#include "net/peers.hpp"
#include "support/catch.hpp"

using mobius::task;
using mobius::net::socket_stream;
using mobius::testing::world;
using test::connected_peers;
using test::kind;
using test::peers;

namespace {

static_assert(mobius::net::stream<mobius::net::tcp_stream>);
static_assert(mobius::net::stream<mobius::net::unix_stream>);
static_assert(mobius::net::stream<mobius::net::with_deadlines<mobius::net::tcp_stream>>);
static_assert(!mobius::net::stream<mobius::net::tcp_listener>);

task<> copy_and_finish(socket_stream& from, socket_stream& to, std::uint64_t& total) {
  total = co_await mobius::net::copy(from, to);
  to.shutdown_write();
}

}  // namespace

TEST_CASE("copying both ways joins two connections, ends included") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run([k](world&) -> task<> {
    peers near = co_await connected_peers(k);
    peers far = co_await connected_peers(kind::tcp4);
    const std::string there = test::pattern(4'000'000);
    const std::string back = test::pattern(3'000'000);
    std::uint64_t a = 0, b = 0;
    auto all = mobius::when_all(
        test::send_and_finish(near.client, there), test::send_and_finish(far.server, back),
        copy_and_finish(near.server, far.client, a), copy_and_finish(far.client, near.server, b),
        test::read_all(near.client), test::read_all(far.server));
    auto [x1, x2, x3, x4, got_back, got_there] = co_await std::move(all);
    CHECK(got_there == there);
    CHECK(got_back == back);
    CHECK(a == there.size());
    CHECK(b == back.size());
  });
}

TEST_CASE("a receiver that does not read makes the sender behind a copy wait") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run([k](world&) -> task<> {
    peers near = co_await connected_peers(k);
    peers far = co_await connected_peers(k);
    const std::string text = test::pattern(60'000'000);
    bool sent = false;
    std::uint64_t total = 0;
    auto sender = [](socket_stream& s, const std::string& t, bool& done) -> task<> {
      co_await test::send_and_finish(s, t);
      done = true;
    };
    auto reader = [](socket_stream& s, const bool& done) -> task<std::size_t> {
      co_await test::settle(2000);
      CHECK_FALSE(done);
      std::size_t got = 0;
      while (mobius::lease part = co_await s.receive()) got += part.size();
      co_return got;
    };
    auto all = mobius::when_all(sender(near.client, text, sent),
                                copy_and_finish(near.server, far.client, total), reader(far.server, sent));
    auto [x, y, got] = co_await std::move(all);
    CHECK(got == text.size());
  });
}

TEST_CASE("a copy from a stream that fails fails with its error") {
  mobius::testing::run([](world&) -> task<> {
    peers near = co_await connected_peers();
    peers far = co_await connected_peers();
    near.client.abort();
    auto r = co_await mobius::as_result(mobius::net::copy(near.server, far.client));
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().what().find("read from ") == 0);
  });
}
