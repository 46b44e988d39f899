#include <netinet/tcp.h>
#include <sys/socket.h>

#include <chrono>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>

#include "net/peers.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::task;
using mobius::net::tcp_listener;
using mobius::net::tcp_stream;
using mobius::testing::world;
namespace option = mobius::net::option;

namespace {

int value_of(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  getsockopt(fd, level, name, &value, &size);
  return value;
}

void refuse(int) { throw std::runtime_error("refused by prepare"); }
void low_delay(int fd) {
  const int value = 0x10;
  setsockopt(fd, IPPROTO_IP, IP_TOS, &value, sizeof value);
}

}  // namespace

TEST_CASE("small writes leave at once by default, at both ends, and that can be turned off") {
  mobius::testing::run([](world&) -> task<> {
    tcp_listener listener("127.0.0.1", 0);
    const auto port = listener.local_address().port();
    auto both = mobius::when_all(mobius::net::connect("127.0.0.1", port), listener.accept());
    auto [client, server] = co_await std::move(both);
    CHECK(value_of(client.native_handle(), IPPROTO_TCP, TCP_NODELAY) == 1);
    CHECK(value_of(server.native_handle(), IPPROTO_TCP, TCP_NODELAY) == 1);
    server.set_no_delay(false);
    CHECK(value_of(server.native_handle(), IPPROTO_TCP, TCP_NODELAY) == 0);
    const mobius::net::connect_options gather{.no_delay = false};
    auto slow = co_await mobius::net::connect("127.0.0.1", port, gather);
    CHECK(value_of(slow.native_handle(), IPPROTO_TCP, TCP_NODELAY) == 0);
  });
}

TEST_CASE("a connection and the streams of a listener have the options they were asked to") {
  mobius::testing::run([](world&) -> task<> {
    tcp_listener listener(
        "127.0.0.1", 0,
        {.keepalive = option::keepalive{7s, 3s, 2}, .user_timeout = option::user_timeout{4s}});
    const mobius::net::connect_options options{.keepalive = option::keepalive{50s, 5s, 4},
                                               .send_buffer = option::send_buffer{20'000},
                                               .receive_buffer = option::receive_buffer{30'000},
                                               .prepare = low_delay};
    auto both = mobius::when_all(mobius::net::connect("127.0.0.1", listener.local_address().port(), options),
                                 listener.accept());
    auto [client, server] = co_await std::move(both);
    const int c = client.native_handle();
    CHECK(value_of(c, SOL_SOCKET, SO_KEEPALIVE) == 1);
    CHECK(value_of(c, IPPROTO_TCP, TCP_KEEPIDLE) == 50);
    CHECK(value_of(c, IPPROTO_TCP, TCP_KEEPINTVL) == 5);
    CHECK(value_of(c, IPPROTO_TCP, TCP_KEEPCNT) == 4);
    CHECK(value_of(c, SOL_SOCKET, SO_SNDBUF) == 40'000);
    CHECK(value_of(c, SOL_SOCKET, SO_RCVBUF) == 60'000);
    CHECK(value_of(c, IPPROTO_IP, IP_TOS) == 0x10);
    const int s = server.native_handle();
    CHECK(value_of(s, IPPROTO_TCP, TCP_KEEPIDLE) == 7);
    CHECK(value_of(s, IPPROTO_TCP, TCP_USER_TIMEOUT) == 4000);
    server.set(option::raw{SOL_SOCKET, SO_PRIORITY, 3});
    CHECK(value_of(s, SOL_SOCKET, SO_PRIORITY) == 3);
  });
}

TEST_CASE("an option that a socket does not have is an error that names it and the peer") {
  mobius::testing::run([](world&) -> task<> {
    auto [a, b] = mobius::net::stream_pair();
    CHECK_THROWS_WITH(a.set(option::keepalive{}),
                      "stream to the other end of a socket pair: set keepalive: Operation not supported");
    CHECK_THROWS_WITH(tcp_listener("127.0.0.1", 0, {.prepare = refuse}), "refused by prepare");
    co_return;
  });
}

TEST_CASE("a connection comes from the address it is bound to") {
  mobius::testing::run([](world&) -> task<> {
    tcp_listener listener("127.0.0.1", 0);
    const mobius::net::connect_options from{.bind = *mobius::net::socket_address::parse("127.0.0.9", 0)};
    auto both = mobius::when_all(mobius::net::connect("127.0.0.1", listener.local_address().port(), from),
                                 listener.accept());
    auto [client, server] = co_await std::move(both);
    CHECK(server.peer_address().host() == "127.0.0.9");
    CHECK(client.local_address().host() == "127.0.0.9");
    const mobius::net::connect_options nowhere{.bind = *mobius::net::socket_address::parse("192.0.2.1", 0)};
    auto none = co_await mobius::as_result(mobius::net::connect("127.0.0.1", 1, nowhere));
    CHECK(none.error().what() == "connect 127.0.0.1:1: bind to 192.0.2.1:0: Cannot assign requested address");
  });
}

TEST_CASE("an IPv6 listener takes IPv4 too unless told not to") {
  mobius::testing::run([](world&) -> task<> {
    tcp_listener dual("::", 0, {.v6only = false});
    auto both =
        mobius::when_all(mobius::net::connect("127.0.0.1", dual.local_address().port()), dual.accept());
    auto [client, server] = co_await std::move(both);
    CHECK(server.peer_address().host() == "::ffff:127.0.0.1");
    tcp_listener only("::", 0, {.v6only = true});
    auto refused = co_await mobius::as_result(mobius::net::connect("127.0.0.1", only.local_address().port()));
    CHECK_FALSE(refused.has_value());
    auto six = mobius::when_all(mobius::net::connect("::1", only.local_address().port()), only.accept());
    auto [client6, server6] = co_await std::move(six);
    CHECK(server6.peer_address().family() == AF_INET6);
  });
}

TEST_CASE("a scoped address can be listened on and connected to") {
  mobius::testing::run([](world&) -> task<> {
    tcp_listener listener("::1%lo", 0);
    auto both =
        mobius::when_all(mobius::net::connect("::1%lo", listener.local_address().port()), listener.accept());
    auto [client, server] = co_await std::move(both);
    CHECK(static_cast<bool>(server));
  });
}

TEST_CASE("two listeners may share a port if both say so") {
  mobius::testing::run([](world&) -> task<> {
    tcp_listener first("127.0.0.1", 0, {.reuse_port = true});
    const auto port = first.local_address().port();
    const tcp_listener second("127.0.0.1", port, {.reuse_port = true});
    CHECK(second.local_address().port() == port);
    CHECK_THROWS_AS(tcp_listener("127.0.0.1", port), std::system_error);
    co_return;
  });
}

TEST_CASE("with defer_accept a connection is accepted when its first bytes are there") {
  mobius::testing::run(
      [](world&) -> task<> {
        tcp_listener listener("127.0.0.1", 0, {.defer_accept = option::defer_accept{5s}});
        auto client = co_await mobius::net::connect("127.0.0.1", listener.local_address().port());
        auto none = co_await mobius::as_result(mobius::timeout(30ms, listener.accept()));
        CHECK(none.error().check<mobius::timed_out>());
        co_await client.write_all("here");
        tcp_stream server = co_await listener.accept();
        mobius::lease here = co_await server.receive();
        CHECK(here.text() == "here");
      },
      {.virtual_time = false});
}
