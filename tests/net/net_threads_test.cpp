#include <chrono>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>
#include <thread>

#include "net/peers.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::task;
using mobius::net::tcp_listener;
using mobius::net::tcp_stream;
using mobius::testing::world;

namespace {

task<> echo_until_end(tcp_stream stream) {
  while (mobius::lease data = co_await stream.receive()) co_await stream.write_all(data);
}

task<> accept_some(tcp_listener& listener, int count) {
  for (int i = 0; i < count; ++i) {
    tcp_stream stream = co_await listener.accept();
    co_await echo_until_end(std::move(stream));
  }
}

task<> ask_some(std::uint16_t port, int count) {
  for (int i = 0; i < count; ++i) {
    auto stream = co_await mobius::net::connect("127.0.0.1", port);
    co_await stream.write_all("ping");
    stream.shutdown_write();
    const std::string answer = co_await test::read_all(stream);
    CHECK(answer == "ping");
  }
}

}  // namespace

TEST_CASE("a server's and a client's reactor run in two threads") {
  std::uint16_t port = 0;
  mobius::reactor server({.signals = false});
  tcp_listener listener("127.0.0.1", 0);
  port = listener.local_address().port();
  std::thread client([port] {
    mobius::reactor reactor({.signals = false});
    reactor.run(ask_some(port, 20));
  });
  server.run(accept_some(listener, 20));
  client.join();
}

TEST_CASE("a stream used in the thread of another reactor is a clear error", "[fault-39]") {
  mobius::testing::run([](world&) -> task<> {
    test::peers p = co_await test::connected_peers();
    std::string error;
    std::thread other([&] {
      mobius::reactor reactor({.signals = false});
      try {
        reactor.run(p.client.write_all("from elsewhere"));
      } catch (const std::logic_error& e) {
        error = e.what();
      }
    });
    other.join();
    CHECK(error.find("this stream belongs to the reactor of another thread; use post()") !=
          std::string::npos);
  });
}

TEST_CASE("names are looked up in the pool's threads, many at once") {
  mobius::testing::run([](world& w) -> task<> {
    w.reactor.service<mobius::net::name_resolver>().set_lookup(
        [](const std::string& host, std::uint16_t port) {
          std::this_thread::sleep_for(1ms);
          std::vector out{*mobius::net::socket_address::parse(host.substr(1), port)};
          return out;
        });
    std::vector<mobius::net::resolve_operation> many;
    for (int i = 0; i < 50; ++i) many.push_back(mobius::net::resolve("n127.0.0." + std::to_string(i + 1), 1));
    const auto found = co_await mobius::when_all(std::move(many));
    REQUIRE(found.size() == 50);
    for (std::size_t i = 0; i < 50; ++i) CHECK(found[i].at(0).host() == "127.0.0." + std::to_string(i + 1));
  });
}
