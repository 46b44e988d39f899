#include <atomic>
#include <chrono>
#include <future>
#include <latch>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>
#include <thread>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::task;
using mobius::net::name_resolver;
using mobius::net::resolve_error;
using mobius::net::socket_address;
using mobius::testing::world;

namespace {

constexpr mobius::testing::run_options real_time{.virtual_time = false};

std::vector<socket_address> addresses(std::initializer_list<const char*> literals, std::uint16_t port) {
  std::vector<socket_address> out;
  for (const char* literal : literals) out.push_back(*socket_address::parse(literal, port));
  return out;
}

}  // namespace

TEST_CASE("a literal is not looked up") {
  mobius::testing::run([](world& w) -> task<> {
    auto never = [](const std::string&, std::uint16_t) -> std::vector<socket_address> {
      throw resolve_error("looked up");
    };
    w.reactor.service<name_resolver>().set_lookup(never);
    const auto found = co_await mobius::net::resolve("127.0.0.1", 80);
    REQUIRE(found.size() == 1);
    CHECK(found[0].to_string() == "127.0.0.1:80");
  });
}

TEST_CASE("localhost and the names below it have an address on loopback, with or without a hosts file") {
  const auto* name = GENERATE("localhost", "LocalHost", "localhost.", "no-hosts-file-has.localhost");
  INFO(name);
  mobius::testing::run([name](world&) -> task<> {
    const auto found = co_await mobius::net::resolve(name, 80);
    REQUIRE_FALSE(found.empty());
    const bool loopback = found[0].host() == "127.0.0.1" || found[0].host() == "::1";
    CHECK(loopback);
  });
}

TEST_CASE("an unknown host is an error that names the call and the host") {
  mobius::testing::run([](world&) -> task<> {
    const auto found = co_await mobius::as_result(mobius::net::resolve("nosuch.invalid", 80));
    REQUIRE_FALSE(found.has_value());
    CHECK(found.error().check<resolve_error>());
    CHECK(found.error().what().find("resolve nosuch.invalid: ") == 0);
  });
}

// Without the kit's count of descriptors: the abandoned thread keeps the reactor's wake-up.
TEST_CASE("a cancelled look-up ends at once, and the reactor's end does not wait for it") {
  std::promise<void> hang;
  const auto begin = std::chrono::steady_clock::now();
  {
    mobius::reactor reactor({.signals = false});
    auto stuck = [wait = hang.get_future().share()](auto&, auto) {
      wait.wait();
      return addresses({"127.0.0.1"}, 1);
    };
    reactor.service<name_resolver>().set_lookup(stuck);
    auto body = []() -> task<bool> {
      const auto found =
          co_await mobius::as_result(mobius::timeout(20ms, mobius::net::resolve("slow.example", 80)));
      co_return found.error().check<mobius::timed_out>();
    };
    CHECK(reactor.run(body()));
  }
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
  hang.set_value();
}

TEST_CASE("a look-up whose result comes after its cancel is forgotten") {
  mobius::testing::run(
      [&](world& w) -> task<> {
        w.reactor.service<name_resolver>().set_lookup([](auto&, auto) {
          std::this_thread::sleep_for(30ms);
          return addresses({"127.0.0.1"}, 1);
        });
        const auto found =
            co_await mobius::as_result(mobius::timeout(5ms, mobius::net::resolve("slow.example", 80)));
        CHECK_FALSE(found.has_value());
        co_await mobius::sleep(60ms);
      },
      real_time);
}

TEST_CASE("what was found is remembered for a while, for any port, and looked up again after") {
  mobius::testing::run([](world& w) -> task<> {
    auto& resolver = w.reactor.service<name_resolver>();
    auto calls = std::make_shared<std::atomic<int>>(0);
    resolver.set_lookup([calls](const std::string&, std::uint16_t port) {
      ++*calls;
      return addresses({"127.0.0.2", "::1"}, port);
    });
    const auto first = co_await mobius::net::resolve("some.example", 80);
    const auto second = co_await mobius::net::resolve("some.example", 81);
    CHECK(*calls == 1);
    CHECK(first.at(1).to_string() == "[::1]:80");
    CHECK(second.at(0).to_string() == "127.0.0.2:81");
    co_await mobius::sleep(31s);
    co_await mobius::net::resolve("some.example", 80);
    CHECK(*calls == 2);
    resolver.forget();
    co_await mobius::net::resolve("some.example", 80);
    CHECK(*calls == 3);
    resolver.set_cache(0, 1h);
    co_await mobius::net::resolve("some.example", 80);
    co_await mobius::net::resolve("some.example", 80);
    CHECK(*calls == 5);
  });
}

TEST_CASE("the memory of names is bounded, and failures are not remembered") {
  mobius::testing::run([](world& w) -> task<> {
    auto& resolver = w.reactor.service<name_resolver>();
    auto calls = std::make_shared<std::atomic<int>>(0);
    resolver.set_lookup([calls](const std::string& host, std::uint16_t port) {
      ++*calls;
      if (host == "none.example") throw resolve_error("no such host");
      return addresses({"127.0.0.1"}, port);
    });
    resolver.set_cache(3, 1h);
    for (const char* host : {"a", "b", "c", "a", "d"}) co_await mobius::net::resolve(host, 1);
    CHECK(*calls == 4);
    CHECK(resolver.remembered() == 3);
    co_await mobius::net::resolve("a", 1);  // used after b, which had to go
    CHECK(*calls == 4);
    co_await mobius::net::resolve("b", 1);
    CHECK(*calls == 5);
    for (int i = 0; i < 2; ++i) {
      auto r = co_await mobius::as_result(mobius::net::resolve("none.example", 1));
      CHECK_FALSE(r.has_value());
    }
    CHECK(*calls == 7);
    CHECK(resolver.remembered() == 3);
  });
}

namespace {

// A look-up that counts its calls, and answers when it is told to.
struct held_lookup {
  std::shared_ptr<std::atomic<int>> calls = std::make_shared<std::atomic<int>>(0);
  std::promise<void> go;

  name_resolver::lookup function() {
    return [calls = calls, wait = go.get_future().share()](const std::string& host, std::uint16_t port) {
      const bool good = host != "none.example";
      ++*calls;
      wait.wait();
      if (!good) throw resolve_error("resolve " + host + ": no such host");
      return addresses({"127.0.0.7"}, port);
    };
  }
};

task<std::string> first_of(std::string host, std::uint16_t port) {
  const auto found = co_await mobius::net::resolve(std::move(host), port);
  co_return found.at(0).to_string();
}

}  // namespace

TEST_CASE("those who ask for a host while it is looked up share the look-up, each with his port") {
  mobius::testing::run([](world& w) -> task<> {
    held_lookup held;
    w.reactor.service<name_resolver>().set_lookup(held.function());
    auto let_go = [&held]() -> task<> {
      for (int i = 0; i < 20; ++i) co_await mobius::yield();
      held.go.set_value();
    };
    auto all = mobius::when_all(first_of("some.example", 80), first_of("some.example", 81),
                                first_of("other.example", 80), let_go());
    auto [a, b, c, x] = co_await std::move(all);
    static_cast<void>(x);
    CHECK(a == "127.0.0.7:80");
    CHECK(b == "127.0.0.7:81");
    CHECK(c == "127.0.0.7:80");
    CHECK(*held.calls == 2);
    const std::string again = co_await first_of("some.example", 82);
    CHECK(again == "127.0.0.7:82");
    CHECK(*held.calls == 2);
  });
}

TEST_CASE("a shared look-up that fails fails for all, and the next one is made anew") {
  mobius::testing::run([](world& w) -> task<> {
    held_lookup held;
    w.reactor.service<name_resolver>().set_lookup(held.function());
    held.go.set_value();
    auto both = mobius::when_all(mobius::as_result(first_of("none.example", 80)),
                                 mobius::as_result(first_of("none.example", 81)));
    auto [a, b] = co_await std::move(both);
    CHECK(a.error().what() == "resolve none.example: no such host");
    CHECK(b.error().check<resolve_error>());
    CHECK(*held.calls == 1);
    auto third = co_await mobius::as_result(first_of("none.example", 80));
    CHECK_FALSE(third.has_value());
    CHECK(*held.calls == 2);
  });
}

TEST_CASE("who shares a look-up may be cancelled by himself; abandoned by all, it is not joined any more") {
  mobius::testing::run(
      [](world& w) -> task<> {
        w.reactor.service<mobius::detail::thread_pool>().limit(3);
        held_lookup stuck;
        held_lookup good;
        auto& names = w.reactor.service<name_resolver>();
        names.set_lookup(stuck.function());
        auto impatient = mobius::timeout(5ms, first_of("some.example", 80));
        auto patient = mobius::timeout(30ms, first_of("some.example", 81));
        auto both =
            mobius::when_all(mobius::as_result(std::move(impatient)), mobius::as_result(std::move(patient)));
        auto [a, b] = co_await std::move(both);
        CHECK(a.error().check<mobius::timed_out>());
        CHECK(b.error().check<mobius::timed_out>());
        CHECK(*stuck.calls == 1);
        auto third = co_await mobius::as_result(mobius::timeout(5ms, first_of("some.example", 80)));
        CHECK_FALSE(third.has_value());
        CHECK(*stuck.calls == 2);
        names.set_lookup(good.function());
        good.go.set_value();
        const std::string found = co_await first_of("some.example", 80);
        CHECK(found == "127.0.0.7:80");
        stuck.go.set_value();
        // All three threads meet, so that those of the abandoned look-ups have come back.
        std::latch meeting(3);
        auto meet = [&meeting] { meeting.arrive_and_wait(); };
        auto all = mobius::when_all(mobius::offload(meet), mobius::offload(meet), mobius::offload(meet));
        co_await std::move(all);
      },
      real_time);
}

TEST_CASE("what is found by a look-up that was forgotten meanwhile is given, and not remembered") {
  mobius::testing::run([](world& w) -> task<> {
    held_lookup held;
    auto& names = w.reactor.service<name_resolver>();
    names.set_lookup(held.function());
    auto forget = [&]() -> task<> {
      for (int i = 0; i < 20; ++i) co_await mobius::yield();
      names.forget();
      held.go.set_value();
    };
    auto both = mobius::when_all(first_of("some.example", 80), forget());
    auto [found, x] = co_await std::move(both);
    static_cast<void>(x);
    CHECK(found == "127.0.0.7:80");
    CHECK(names.remembered() == 0);
  });
}

TEST_CASE("connect tries the addresses in order until one answers") {
  mobius::testing::run([](world& w) -> task<> {
    mobius::net::tcp_listener listener("127.0.0.1", 0);
    const auto port = listener.local_address().port();
    auto two = [](const std::string&, std::uint16_t p) { return addresses({"127.0.0.2", "127.0.0.1"}, p); };
    w.reactor.service<name_resolver>().set_lookup(two);
    auto stream = co_await mobius::net::connect("two.example", port);
    CHECK(stream.peer_address().host() == "127.0.0.1");
  });
}

TEST_CASE("when no address answers, the error names each and why") {
  mobius::testing::run([](world& w) -> task<> {
    auto two = [](const std::string&, std::uint16_t p) { return addresses({"127.0.0.2", "127.0.0.3"}, p); };
    w.reactor.service<name_resolver>().set_lookup(two);
    const auto stream = co_await mobius::as_result(mobius::net::connect("two.example", 1));
    REQUIRE_FALSE(stream.has_value());
    CHECK(stream.error().what() ==
          "connect two.example:1: tried 127.0.0.2 (Connection refused), 127.0.0.3 (Connection refused): "
          "Connection refused");
    CHECK(stream.error().get_if<std::system_error>()->code() == std::errc::connection_refused);
  });
}
