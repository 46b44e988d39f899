#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/runtime/testing/shake.hpp>
#include <mobius/testing.hpp>

#include "net/peers.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::task;
using mobius::net::tcp_listener;
using mobius::net::tcp_stream;
using mobius::testing::world;

namespace {
constexpr mobius::testing::run_options real_time{.virtual_time = false};
}

TEST_CASE("a port in use is an error that names the address and the remedy") {
  mobius::testing::run([](world&) -> task<> {
    tcp_listener first("127.0.0.1", 0);
    const auto port = first.local_address().port();
    CHECK_THROWS_WITH(tcp_listener("127.0.0.1", port),
                      "listen on 127.0.0.1:" + std::to_string(port) +
                          " (another program has this port; choose another, or 0): Address already in use");
    co_return;
  });
}

TEST_CASE("a name is no address to listen on") {
  mobius::testing::run([](world&) -> task<> {
    CHECK_THROWS_AS(tcp_listener("localhost", 0), std::invalid_argument);
    co_return;
  });
}

TEST_CASE("a refused connection is an error that names the address") {
  mobius::testing::run([](world&) -> task<> {
    auto r = co_await mobius::as_result(mobius::net::connect("127.0.0.1", 1));
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().what() == "connect 127.0.0.1:1: Connection refused");
  });
}

TEST_CASE("connecting can be cancelled, and leaves no descriptor") {
  mobius::testing::run(
      [](world&) -> task<> {
        // A listener whose backlog is full does not answer.
        tcp_listener full("127.0.0.1", 0, {.backlog = 1});
        std::vector<tcp_stream> clients;
        const auto port = full.local_address().port();
        bool timed_out = false;
        for (int i = 0; i < 10 && !timed_out; ++i) {
          auto r = co_await mobius::as_result(mobius::timeout(30ms, mobius::net::connect("127.0.0.1", port)));
          if (r) {
            clients.push_back(std::move(*r));
          } else {
            timed_out = r.error().check<mobius::timed_out>();
          }
        }
        CHECK(timed_out);
      },
      real_time);
}

TEST_CASE("a cancelled accept loses no connection", "[fault-4]") {
  mobius::testing::run(
      [](world&) -> task<> {
        tcp_listener listener("127.0.0.1", 0);
        auto none = co_await mobius::as_result(mobius::timeout(1ms, listener.accept()));
        CHECK(none.error().check<mobius::timed_out>());
        auto client = co_await mobius::net::connect("127.0.0.1", listener.local_address().port());
        tcp_stream server = co_await listener.accept();
        CHECK(server.peer_address() == client.local_address());
      },
      real_time);
}

TEST_CASE("a second accept meanwhile fails with EBUSY") {
  mobius::testing::run([](world&) -> task<> {
    tcp_listener listener("127.0.0.1", 0);
    auto second = [](tcp_listener& l) -> task<std::string> {
      auto r = co_await mobius::as_result(l.accept());
      auto client = co_await mobius::net::connect("127.0.0.1", l.local_address().port());
      co_return r ? "no error" : r.error().what();
    };
    auto both = mobius::when_all(listener.accept(), second(listener));
    auto [stream, error] = co_await std::move(both);
    CHECK(error.find("somebody is waiting for a connection already: Device or resource busy") !=
          std::string::npos);
  });
}

TEST_CASE("closing a listener ends a waiting accept with EBADF and frees the port") {
  mobius::testing::run([](world&) -> task<> {
    tcp_listener listener("127.0.0.1", 0);
    const auto port = listener.local_address().port();
    auto waiting = [](tcp_listener& l) -> task<std::string> {
      auto r = co_await mobius::as_result(l.accept());
      co_return r ? "no error" : r.error().what();
    };
    auto closing = [](tcp_listener& l) -> task<> {
      co_await test::settle();
      l.close();
    };
    auto both = mobius::when_all(waiting(listener), closing(listener));
    auto [error, x] = co_await std::move(both);
    CHECK(error.find("the listener has been closed here: Bad file descriptor") != std::string::npos);
    co_await test::settle();
    const tcp_listener again("127.0.0.1", port);
    CHECK(again.local_address().port() == port);
  });
}

TEST_CASE("a thousand listeners can follow each other on one port", "[fault-42]") {
  mobius::testing::run([](world&) -> task<> {
    tcp_listener first("127.0.0.1", 0);
    const auto port = first.local_address().port();
    first.close();
    for (int i = 0; i < 1000; ++i) {
      tcp_listener next("127.0.0.1", port);
      auto both = mobius::when_all(mobius::net::connect("127.0.0.1", port), next.accept());
      auto [client, server] = co_await std::move(both);
      co_await client.close();
      co_await server.close();
      next.close();
      co_await mobius::yield();
      co_await mobius::yield();
    }
  });
}

TEST_CASE("when descriptors run out, accepting pauses without spinning and goes on when one is free",
          "[fault-9]") {
  mobius::testing::run(
      [](world& w) -> task<> {
        tcp_listener listener("127.0.0.1", 0);
        auto client = co_await mobius::net::connect("127.0.0.1", listener.local_address().port());
        // The undefined-behaviour sanitizer learns a type with the help of a descriptor.
        auto learnt = co_await mobius::as_result(mobius::timeout(1ms, mobius::sleep(1h)));
        CHECK(learnt.error().check<mobius::timed_out>());
        rlimit before{};
        getrlimit(RLIMIT_NOFILE, &before);
        const int next_free = dup(0);
        close(next_free);
        rlimit tight = before;
        tight.rlim_cur = static_cast<rlim_t>(next_free);
        setrlimit(RLIMIT_NOFILE, &tight);  // the limit counts when the accept is armed
        const auto enters = w.reactor.stats().enters;
        auto none = co_await mobius::as_result(mobius::timeout(150ms, listener.accept()));
        const auto spent = w.reactor.stats().enters - enters;
        setrlimit(RLIMIT_NOFILE, &before);
        CHECK(none.error().check<mobius::timed_out>());
        CHECK(spent < 20);
        tcp_stream server = co_await listener.accept();
        co_await client.write_all("hello");
        auto hello = co_await server.receive();
        CHECK(hello.text() == "hello");
      },
      real_time);
}

TEST_CASE("run ends when nothing can call back, although idle connections are open") {
  mobius::reactor reactor({.signals = false});
  test::peers p;
  auto body = [](test::peers& out) -> task<> {
    out = co_await test::connected_peers();
    auto r = co_await mobius::as_result(mobius::timeout(1ms, out.server.receive()));
    CHECK_FALSE(r.has_value());
  };
  reactor.background(body(p));
  reactor.run();
  CHECK(static_cast<bool>(p.client));
}

TEST_CASE("a listener hands out no more connections than its limit, and goes on when one has ended") {
  mobius::testing::run(
      [](world&) -> task<> {
        tcp_listener listener("127.0.0.1", 0, {.max_connections = 2});
        const auto port = listener.local_address().port();
        std::vector<tcp_stream> clients;
        for (int i = 0; i < 5; ++i) clients.push_back(co_await mobius::net::connect("127.0.0.1", port));
        tcp_stream first = co_await listener.accept();
        tcp_stream second = co_await listener.accept();
        auto none = co_await mobius::as_result(mobius::timeout(20ms, listener.accept()));
        CHECK(none.error().check<mobius::timed_out>());
        CHECK(listener.open_connections() == 2);
        auto closer = [](tcp_stream& s) -> task<> {
          co_await mobius::sleep(5ms);
          co_await s.close();
        };
        auto both = mobius::when_all(listener.accept(), closer(first));
        auto [third, x] = co_await std::move(both);
        CHECK(static_cast<bool>(third));
        CHECK(listener.open_connections() == 2);
        second = tcp_stream();
        third = tcp_stream();
        tcp_stream fourth = co_await listener.accept();
        tcp_stream fifth = co_await listener.accept();
        co_await clients[4].write_all("the last");
        mobius::lease last = co_await fifth.receive();
        CHECK(last.text() == "the last");
      },
      real_time);
}

TEST_CASE("a listener that is stopped hands out who has connected before, then says that it is closed") {
  mobius::testing::run([](world&) -> task<> {
    tcp_listener listener("127.0.0.1", 0);
    const auto port = listener.local_address().port();
    std::vector<tcp_stream> clients;
    for (int i = 0; i < 100; ++i) clients.push_back(co_await mobius::net::connect("127.0.0.1", port));
    tcp_stream first = co_await listener.accept();
    listener.stop();
    listener.stop();
    for (int i = 1; i < 100; ++i) {
      tcp_stream next = co_await listener.accept();
      CHECK(static_cast<bool>(next));
    }
    auto over = co_await mobius::as_result(listener.accept());
    REQUIRE_FALSE(over.has_value());
    CHECK(over.error().what().find("the listener has been closed here: Bad file descriptor") !=
          std::string::npos);
    auto refused = co_await mobius::as_result(mobius::net::connect("127.0.0.1", port));
    CHECK_FALSE(refused.has_value());
    co_await first.write_all("goes on");
    const tcp_listener again("127.0.0.1", port);
    CHECK(again.local_address().port() == port);
  });
}

TEST_CASE("a second accept between the wake-up of the first and its turn does not steal its connection") {
  mobius::testing::shake(
      [](world&) -> task<> {
        tcp_listener listener("127.0.0.1", 0);
        auto thief = [](tcp_listener& l) -> task<int> {
          int busy = 0;
          for (int i = 0; i < 20; ++i) {
            auto r = co_await mobius::as_result(mobius::timeout(0ns, l.accept()));
            if (!r && r.error().what().find("waiting for a connection already") != std::string::npos) ++busy;
            co_await mobius::yield();
            if (r) co_return 1000;
          }
          co_return busy;
        };
        auto all = mobius::when_all(listener.accept(), thief(listener),
                                    mobius::net::connect("127.0.0.1", listener.local_address().port()));
        auto [server, busy, client] = co_await std::move(all);
        CHECK(static_cast<bool>(server));
        CHECK(server.peer_address() == client.local_address());
      },
      20);
}

TEST_CASE("a listening socket made elsewhere can be taken over") {
  mobius::testing::run([](world&) -> task<> {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto any = *mobius::net::socket_address::parse("127.0.0.1", 0);
    REQUIRE(bind(fd, any.data(), any.size()) == 0);
    REQUIRE(listen(fd, 10) == 0);
    tcp_listener listener = tcp_listener::adopt(fd);
    auto both = mobius::when_all(mobius::net::connect("127.0.0.1", listener.local_address().port()),
                                 listener.accept());
    auto [client, server] = co_await std::move(both);
    CHECK(server.peer_address() == client.local_address());
  });
}

TEST_CASE("a stream may outlive its listener, which then counts it no more") {
  mobius::testing::run([](world&) -> task<> {
    test::peers p = co_await test::connected_peers();  // whose listener is gone
    co_await p.client.write_all("still here");
    mobius::lease data = co_await p.server.receive();
    CHECK(data.text() == "still here");
  });
}

TEST_CASE("when the close of a listener has ended, the next one listens there at once") {
  mobius::testing::run([](world&) -> task<> {
    tcp_listener listener("127.0.0.1", 0);
    const auto where = listener.local_address();
    for (int i = 0; i < 10; ++i) {
      // While its accept stands in the kernel.
      auto gone = co_await mobius::as_result(mobius::timeout(1s, listener.accept()));
      CHECK(gone.error().check<mobius::timed_out>());
      co_await listener.close();
      CHECK_FALSE(listener);
      co_await listener.close();  // of none: at once
      listener = tcp_listener(where);
    }
  });
}
