// What a peer may cost a server: deadlines, limits, the lingering close; and how a server ends.

#include <chrono>
#include <mobius/deferred.hpp>
#include <mobius/runtime/testing/testing.hpp>
#include <mobius/runtime/thread_pool.hpp>
#include <mobius/runtime/timeout.hpp>
#include <string>
#include <vector>

#include "peer.hpp"
#include "site.hpp"
#include "support/catch.hpp"

namespace http = mobius::http;
using http::request;
using http::response;
using mobius::task;
using mobius::testing::world;
using site::collect;
using site::echo;
using site::get;
using site::is_refusal;
using site::served;
using namespace std::chrono_literals;

TEST_CASE("a head that comes too slowly is answered with 408") {  // row 131
  mobius::testing::run([](world& w) -> task<> {
    served web(echo);
    auto client = co_await peer::connect(web.port);
    const auto got = collect(client);
    for (char c : std::string_view("GET / HTTP")) {
      const std::string one(1, c);
      co_await client.write_all(one);
      co_await peer::settle();
      CHECK(got->text.empty());
      w.clock.advance(1s);
    }
    while (got->text.empty()) co_await mobius::yield();
    ::shutdown(client.native_handle(), SHUT_WR);
    while (!got->ended) co_await mobius::yield();
    CHECK(is_refusal(got->text, 408));
    co_await web.site.stop();
  });
}

TEST_CASE("silence is not answered: the connection closes") {  // row 132
  mobius::testing::run([](world& w) -> task<> {
    served web(echo);
    auto fresh = co_await peer::connect(web.port);
    auto used = co_await peer::connect(web.port);
    const std::string sent = get("/");
    co_await used.write_all(sent);
    const auto answer = co_await peer::read_until(used, "]\n");
    CHECK(answer.starts_with("HTTP/1.1 200 OK"));
    co_await peer::settle();
    w.clock.advance(59s);
    co_await peer::settle();
    CHECK(web.site.connections() == 2);
    w.clock.advance(2s);
    const auto nothing = co_await peer::read_to_end(fresh);
    CHECK(nothing.empty());
    const auto no_more = co_await peer::read_to_end(used);
    CHECK(no_more.empty());
    co_await web.site.stop();
  });
}

TEST_CASE("a body that comes too slowly is answered with 408") {  // rows 89, 133
  mobius::testing::run([](world& w) -> task<> {
    served web(echo);
    auto client = co_await peer::connect(web.port);
    const auto got = collect(client);
    co_await client.write_all("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n");
    // 2 KiB a second are enough.
    const std::string fast(2048, 'x');
    for (int i = 0; i < 4; ++i) {
      co_await client.write_all(fast);
      co_await peer::settle();
      w.clock.advance(1s);
      co_await peer::settle();
    }
    CHECK(got->text.empty());
    // 4 s have gone for 8 KiB, which are good for 8 s and the grace of 5.
    int seconds = 4;
    while (got->text.empty() && seconds < 30) {
      co_await client.write_all("0123456789");
      co_await peer::settle();
      w.clock.advance(1s);
      ++seconds;
      co_await peer::settle();
    }
    CHECK(seconds >= 13);
    CHECK(seconds <= 15);
    ::shutdown(client.native_handle(), SHUT_WR);
    while (!got->ended) co_await mobius::yield();
    CHECK(is_refusal(got->text, 408));
    co_await web.site.stop();
  });
}

TEST_CASE("a response that the client does not take is given up") {  // row 134
  mobius::testing::run([](world& w) -> task<> {
    served web([](request&) -> task<response> { co_return response::text(200, std::string(32 << 20, 'x')); });
    auto client = co_await peer::connect(web.port);
    const std::string sent = get("/");
    co_await client.write_all(sent);
    co_await peer::settle();
    w.clock.advance(59s);
    co_await peer::settle();
    CHECK(web.site.connections() == 1);
    w.clock.advance(2s);
    while (web.site.connections() != 0) co_await mobius::yield();
    const auto part = co_await peer::read_to_end(client);
    CHECK(part.size() < (32 << 20));
    co_await web.site.stop();
  });
}

namespace {

// A server whose answers to a client that reads nothing get stuck, and that client.
struct stuck {
  explicit stuck(http::server::handler handler)
      : site(std::move(handler)),
        listener("127.0.0.1", 0, with_small_buffers<mobius::net::listen_options>()) {
    mobius::background(site.serve(listener));
  }
  // Sends two requests: the answer to the first gets stuck while the handler of the second runs.
  task<> ask() {
    const auto address = mobius::net::socket_address::parse("127.0.0.1", listener.local_address().port());
    const auto options = with_small_buffers<mobius::net::connect_options>();
    client = co_await mobius::net::connect(*address, options);
    client.mark_idle();
    const std::string sent = get("/big") + get("/slow");
    co_await client.write_all(sent);
    co_await peer::settle();
  }
  template <class Options>
  static Options with_small_buffers() {
    Options options;
    options.send_buffer = mobius::net::option::send_buffer(4096);
    options.receive_buffer = mobius::net::option::receive_buffer(4096);
    return options;
  }

  http::server site;
  mobius::net::tcp_listener listener;
  mobius::net::tcp_stream client;
};

}  // namespace

TEST_CASE("an answer that the client does not take is given up while the next handler runs") {
  mobius::testing::run([](world& w) -> task<> {
    auto [gate, open] = mobius::make_deferred<void>();
    stuck web([&](request& asked) -> task<response> {
      if (asked.path() == "/slow") co_await std::move(gate);
      co_return response::text(200, std::string(60'000, 'x'));
    });
    co_await web.ask();
    w.clock.advance(61s);
    co_await peer::settle();
    CHECK(web.site.connections() == 1);
    open();
    co_await peer::settle();
    CHECK(web.site.connections() == 0);
    const auto part = co_await peer::read_to_end(web.client);
    CHECK(part.size() < 60'000);
    co_await web.site.stop();
  });
}

TEST_CASE("an abort waits neither for a handler nor for an answer that the client does not take") {
  mobius::testing::run([](world&) -> task<> {
    stuck web([](request& asked) -> task<response> {
      if (asked.path() == "/slow") co_await mobius::sleep(1h);
      co_return response::text(200, std::string(60'000, 'x'));
    });
    co_await web.ask();
    CHECK(web.site.connections() == 1);
    co_await web.site.stop(0s);
    CHECK(web.site.connections() == 0);
  });
}

TEST_CASE("a client that uploads what is refused still receives the answer") {  // row 138
  mobius::testing::run([](world&) -> task<> {
    served web(echo);
    auto client = co_await peer::connect(web.port);
    const auto got = collect(client);
    co_await client.write_all("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    const std::string chunk = "10000\r\n" + std::string(65536, 'x') + "\r\n";
    int sent = 0;
    for (bool open = true; open && sent < 1600; ++sent) {
      const auto one = co_await mobius::as_result(client.write_all(chunk));
      open = one.has_value();
    }
    while (!got->ended) co_await mobius::yield();
    CHECK(is_refusal(got->text, 413));
    CHECK(sent >= 16);
    CHECK(sent < 1600);  // after a MiB more it has been cut off
    co_await web.site.stop();
  });
}

TEST_CASE("a refused client that goes on for ever is cut off after the linger time") {
  mobius::testing::run([](world& w) -> task<> {
    served web(echo);
    auto client = co_await peer::connect(web.port);
    co_await client.write_all("BAD\r\n\r\n");
    const auto answer = co_await peer::read_until(client, "400 Bad Request\n");
    CHECK(is_refusal(answer, 400));
    for (int i = 0; i < 4; ++i) {
      co_await client.write_all("more");
      co_await peer::settle();
      CHECK(web.site.connections() == 1);
      w.clock.advance(1s);
    }
    w.clock.advance(1s);
    while (web.site.connections() != 0) co_await mobius::yield();
    co_await web.site.stop();
  });
}

TEST_CASE("stop closes idle connections and lets running requests end") {  // row 145
  mobius::testing::run([](world&) -> task<> {
    auto [gate, open] = mobius::make_deferred<void>();
    int calls = 0;
    served web([&](request&) -> task<response> {
      ++calls;
      co_await std::move(gate);
      co_return response::text(200, "done\n");
    });
    auto idle = co_await peer::connect(web.port);
    auto busy = co_await peer::connect(web.port);
    const std::string sent = get("/1") + get("/2");
    co_await busy.write_all(sent);
    while (calls == 0 || web.site.connections() < 2) co_await mobius::yield();
    co_await peer::settle();
    auto stopping = mobius::to_deferred(web.site.stop());
    const auto nothing = co_await peer::read_to_end(idle);
    CHECK(nothing.empty());
    const auto late = co_await mobius::as_result(peer::connect(web.port));
    CHECK_FALSE(late.has_value());
    open();
    const auto answer = co_await peer::read_to_end(busy);
    CHECK(is_refusal(answer, 200));
    CHECK(answer.ends_with("done\n"));
    CHECK(calls == 1);
    busy = {};
    co_await std::move(stopping);
    CHECK(web.site.connections() == 0);
  });
}

TEST_CASE("stop aborts what still runs after the grace") {
  mobius::testing::run([](world& w) -> task<> {
    bool cancelled = false;
    served web([&cancelled](request&) -> task<response> {
      const auto slept = co_await mobius::as_result(mobius::timeout(2h, mobius::sleep(1h)));
      cancelled = !slept;
      co_return response::text(200, "");
    });
    auto client = co_await peer::connect(web.port);
    const std::string sent = get("/");
    co_await client.write_all(sent);
    co_await peer::settle();
    auto stopping = mobius::to_deferred(web.site.stop(10s));
    co_await peer::settle();
    CHECK(web.site.connections() == 1);
    w.clock.advance(10s);
    co_await std::move(stopping);
    const auto nothing = co_await peer::read_to_end(client);
    CHECK(nothing.empty());
  });
}

TEST_CASE("a server that is dropped aborts its connections, and a cancel of serve does so") {
  mobius::testing::run([](world&) -> task<> {
    std::optional<served> web(std::in_place, echo);
    auto client = co_await peer::connect(web->port);
    co_await peer::settle();
    web.reset();
    const auto nothing = co_await peer::read_to_end(client);
    CHECK(nothing.empty());

    http::server site(echo);
    mobius::net::tcp_listener listener("127.0.0.1", 0);
    const auto port = listener.local_address().port();
    const auto ended = co_await mobius::as_result(mobius::timeout(0s, site.serve(listener)));
    CHECK(ended.error().check<mobius::timed_out>());
    auto serving = mobius::to_deferred(site.serve(listener));
    auto other = co_await peer::connect(port);
    co_await peer::settle();
    CHECK(site.connections() == 1);
    serving.cancel();
    const auto stopped = co_await mobius::as_result(std::move(serving));
    CHECK(stopped.error().check<mobius::cancelled>());
    const auto gone = co_await peer::read_to_end(other);
    CHECK(gone.empty());
  });
}

TEST_CASE("listen makes the listener, and says what is wrong with the port") {
  mobius::testing::run([](world&) -> task<> {
    const mobius::net::tcp_listener taken("127.0.0.1", 0);
    http::server site(echo);
    const auto port = taken.local_address().port();
    const auto outcome = co_await mobius::as_result(site.listen("127.0.0.1", port));
    REQUIRE_FALSE(outcome.has_value());
    CHECK(outcome.error().what().find("listen on 127.0.0.1:" + std::to_string(port)) != std::string::npos);

    const auto free = peer::closed_port();
    mobius::background(site.listen("127.0.0.1", free));
    co_await peer::settle();
    const auto answer = co_await peer::talk(free, get("/x"));
    CHECK(answer.ends_with("GET /x []\n"));
    co_await site.stop();
  });
}

TEST_CASE("a reactor ends with connections open") {
  const auto before = mobius::testing::inventory::take();
  {
    mobius::reactor reactor;
    served web(echo);
    mobius::net::tcp_stream idle;
    mobius::net::tcp_stream busy;
    reactor.run([](std::uint16_t port, mobius::net::tcp_stream& one, mobius::net::tcp_stream& two) -> task<> {
      one = co_await peer::connect(port);
      two = co_await peer::connect(port);
      co_await two.write_all("GET / HT");
      co_await peer::settle();
    }(web.port, idle, busy));
    CHECK(web.site.connections() == 2);
  }
  before.expect_no_more();
}
