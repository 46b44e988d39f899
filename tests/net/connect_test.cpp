// Connecting to a name with several addresses (RFC 8305).
#include <chrono>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/runtime/testing/shake.hpp>
#include <mobius/testing.hpp>
#include <vector>

#include "net/peers.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::task;
using mobius::net::socket_address;
using mobius::net::tcp_listener;
using mobius::net::tcp_stream;
using mobius::testing::world;

namespace {

constexpr mobius::testing::run_options real_time{.virtual_time = false};

std::vector<socket_address> addresses(std::initializer_list<const char*> literals, std::uint16_t port) {
  std::vector<socket_address> out;
  for (const char* literal : literals) out.push_back(*socket_address::parse(literal, port));
  return out;
}

// A port that nobody uses on the first addresses of the loopback.
std::uint16_t free_port() {
  for (int i = 0; i < 100; ++i) {
    try {
      const tcp_listener first("127.0.0.1", 0);
      const std::uint16_t port = first.local_address().port();
      const tcp_listener second("127.0.0.2", port);
      const tcp_listener third("127.0.0.3", port);
      return port;
    } catch (const std::system_error&) {
    }
  }
  throw std::runtime_error("no port is free on 127.0.0.1 to 127.0.0.3");
}

// An address that does not answer: the backlog of its listener is full.
struct silent_address {
  tcp_listener listener;
  std::vector<tcp_stream> clients;

  std::uint16_t port() const { return listener.local_address().port(); }
};

task<silent_address> make_silent(const char* host, std::uint16_t port) {
  silent_address out{tcp_listener(host, port, {.backlog = 1}), {}};
  for (int i = 0; i < 10; ++i) {
    auto r =
        co_await mobius::as_result(mobius::timeout(20ms, mobius::net::connect(out.listener.local_address())));
    if (!r) break;
    out.clients.push_back(std::move(*r));
  }
  co_return out;
}

}  // namespace

TEST_CASE("an address that does not answer is overtaken by the next after 250 ms") {
  mobius::testing::run(
      [](world& w) -> task<> {
        silent_address silent = co_await make_silent("127.0.0.2", free_port());
        tcp_listener good("127.0.0.1", silent.port());
        const auto begin = w.reactor.now();
        auto attempt = mobius::net::connect(addresses({"127.0.0.2", "127.0.0.1"}, silent.port()), "two");
        auto stream = co_await std::move(attempt);
        const auto spent = w.reactor.now() - begin;
        CHECK(stream.peer_address().host() == "127.0.0.1");
        CHECK(spent >= 250ms);
        CHECK(spent < 2s);
      },
      real_time);
}

TEST_CASE("an address that refuses is followed by the next at once, and the families take turns") {
  mobius::testing::run([](world& w) -> task<> {
    tcp_listener good("127.0.0.1", free_port());
    const auto begin = w.clock.now();
    auto attempt = mobius::net::connect(
        addresses({"127.0.0.2", "127.0.0.3", "127.0.0.1"}, good.local_address().port()), "three");
    auto stream = co_await std::move(attempt);
    CHECK(stream.peer_address().host() == "127.0.0.1");
    CHECK(w.clock.now() == begin);

    auto mixed = addresses({"::1", "::1", "127.0.0.2", "127.0.0.3"}, 1);
    auto none = co_await mobius::as_result(mobius::net::connect(std::move(mixed), "mixed"));
    CHECK(none.error().what().find("connect mixed: tried ::1 (Connection refused), 127.0.0.2 (Connection "
                                   "refused), ::1 (Connection refused), 127.0.0.3 (Connection refused)") ==
          0);
  });
}

TEST_CASE("a first address that answers late still wins if the later ones fail") {
  mobius::testing::run(
      [](world&) -> task<> {
        silent_address silent = co_await make_silent("127.0.0.2", free_port());
        auto late = [](silent_address& s) -> task<> {
          co_await mobius::sleep(300ms);
          for (int i = 0; i < 3; ++i) {
            auto r = co_await mobius::as_result(mobius::timeout(100ms, s.listener.accept()));
            if (r) s.clients.push_back(std::move(*r));
          }
        };
        auto attempt = mobius::net::connect(addresses({"127.0.0.2", "127.0.0.1"}, silent.port()), "two");
        auto both = mobius::when_all(std::move(attempt), late(silent));
        auto [stream, x] = co_await std::move(both);
        CHECK(stream.peer_address().host() == "127.0.0.2");
      },
      real_time);
}

TEST_CASE("connecting to no address, or to none of the family it is bound to, is an error") {
  mobius::testing::run([](world&) -> task<> {
    auto none = co_await mobius::as_result(mobius::net::connect(std::vector<socket_address>(), "nobody"));
    CHECK(none.error().what().find("connect nobody: tried no address") == 0);
    const mobius::net::connect_options six{.bind = *socket_address::parse("::1", 0)};
    auto four = co_await mobius::as_result(mobius::net::connect("127.0.0.1", 1, six));
    CHECK(four.error().what().find("connect 127.0.0.1:1: tried no address") == 0);
  });
}

TEST_CASE("connecting to several addresses, cancelled at every moment, leaves nothing behind") {
  auto body = [](world&) -> task<> {
    tcp_listener good("127.0.0.1", free_port());
    auto attempt = mobius::net::connect(
        addresses({"127.0.0.2", "127.0.0.1", "127.0.0.3"}, good.local_address().port()), "three");
    auto stream = co_await std::move(attempt);
    CHECK(static_cast<bool>(stream));
  };
  CHECK(mobius::testing::cancel_at_every_await(body) > 3);
  CHECK(mobius::testing::cancel_at_every_await(body, test::seed()) > 3);
}

TEST_CASE("all attempts end with a cancel while none of the addresses answers") {
  mobius::testing::run(
      [](world&) -> task<> {
        silent_address first = co_await make_silent("127.0.0.2", free_port());
        silent_address second = co_await make_silent("127.0.0.3", first.port());
        auto attempt = mobius::net::connect(addresses({"127.0.0.2", "127.0.0.3"}, first.port()), "two",
                                            {.attempt_delay = 5ms});
        auto r = co_await mobius::as_result(mobius::timeout(40ms, std::move(attempt)));
        CHECK(r.error().check<mobius::timed_out>());
      },
      real_time);
}
