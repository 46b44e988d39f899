// The server over real sockets: what it answers, in which order, and what it lets a peer cost.

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

TEST_CASE("requests on one connection are answered in order, and it stays open") {
  mobius::testing::run([](world&) -> task<> {
    served web(echo);
    auto client = co_await peer::connect(web.port);
    for (int i = 0; i < 3; ++i) {
      const std::string sent = get("/" + std::to_string(i));
      co_await client.write_all(sent);
      const auto answer = co_await peer::read_until(client, "]\n");
      CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
      CHECK(answer.ends_with("\r\n\r\nGET /" + std::to_string(i) + " []\n"));
      CHECK(answer.find("\r\nDate: ") != std::string::npos);
      CHECK(answer.find("Connection:") == std::string::npos);
    }
    CHECK(web.site.connections() == 1);
    co_await web.site.stop();
  });
}

TEST_CASE("what is ready together leaves in one send") {
  mobius::testing::run([](world&) -> task<> {
    served web(echo);
    auto client = co_await peer::connect(web.port);
    std::string sent;
    for (int i = 0; i < 100; ++i) sent += get("/" + std::to_string(i));
    co_await client.write_all(sent);
    const auto first = co_await client.receive();
    CHECK(peer::count(first.text(), "HTTP/1.1 200 OK") == 100);
    CHECK(first.text().ends_with("GET /99 []\n"));
    co_await web.site.stop();
  });
}

TEST_CASE("ten thousand pipelined requests are answered in order") {
  mobius::testing::run([](world& w) -> task<> {
    served web(echo);
    auto client = co_await peer::connect(web.port);
    std::string sent;
    for (int i = 0; i < 10'000; ++i) sent += get("/" + std::to_string(i));
    const auto got = collect(client);
    co_await client.write_all(sent);
    while (!got->text.ends_with("GET /9999 []\n")) co_await mobius::yield();
    CHECK(peer::count(got->text, "HTTP/1.1 200 OK") == 10'000);
    std::size_t at = 0;
    bool ordered = true;
    for (int i = 0; i < 10'000 && ordered; ++i) {
      at = got->text.find("GET /" + std::to_string(i) + " []", at);
      ordered = at != std::string::npos;
    }
    CHECK(ordered);
    CHECK(w.reactor.stats().submissions < 1000);
    co_await web.site.stop();
  });
}

TEST_CASE("a client that never reads holds up its own requests only") {  // row 126
  mobius::testing::run([](world&) -> task<> {
    int calls = 0;
    served web([&calls](request&) -> task<response> {
      ++calls;
      co_return response::text(200, std::string(4096, 'x'));
    });
    auto client = co_await peer::connect(web.port);
    std::string sent;
    for (int i = 0; i < 10'000; ++i) sent += get("/");
    mobius::background([](mobius::net::tcp_stream& s, const std::string& text) -> task<> {
      co_await s.write_all(text);
    }(client, sent));
    co_await peer::settle();
    CHECK(calls > 0);
    CHECK(calls < 5000);
    const auto other = co_await peer::talk(web.port, get("/", "Connection: close\r\n"));
    CHECK(other.starts_with("HTTP/1.1 200 OK"));

    std::size_t size = 0;
    const int before = calls;
    while (calls < 10'000) {
      const auto data = co_await client.receive();
      size += data.size();
    }
    CHECK(before < calls);
    CHECK(size > 5000 * 4096);
    co_await web.site.stop(0s);
  });
}

TEST_CASE("what is ready leaves while a later handler takes its time") {
  mobius::testing::run([](world&) -> task<> {
    auto [gate, open] = mobius::make_deferred<void>();
    std::vector<std::string> calls;
    served web([&](request& asked) -> task<response> {
      calls.emplace_back(asked.path());
      if (asked.path() == "/slow") co_await std::move(gate);
      co_return response::text(200, std::string(asked.path()) + "\n");
    });
    auto client = co_await peer::connect(web.port);
    const std::string sent = get("/fast") + get("/slow") + get("/last");
    co_await client.write_all(sent);
    const auto first = co_await peer::read_until(client, "/fast\n");
    CHECK(first.ends_with("/fast\n"));
    co_await peer::settle();
    CHECK(calls == std::vector<std::string>{"/fast", "/slow"});  // row 127
    open();
    const auto rest = co_await peer::read_until(client, "/last\n");
    CHECK(rest.find("/slow\n") < rest.find("/last\n"));
    co_await web.site.stop();
  });
}

TEST_CASE("an exception in a handler becomes a 500 without details, and goes to the hook") {
  mobius::testing::run([](world& w) -> task<> {
    served web([](request& asked) -> task<response> {
      if (asked.path() == "/now") throw std::runtime_error("secret one");
      co_await mobius::yield();
      if (asked.path() == "/later") throw std::runtime_error("secret two");
      response bad;
      bad.headers.add("Transfer-Encoding", "chunked");
      co_return bad;
    });
    const auto answers = co_await peer::talk(web.port, get("/now") + get("/later") + get("/bad"));
    CHECK(peer::count(answers, "HTTP/1.1 500 Internal Server Error\r\n") == 3);
    CHECK(answers.find("secret") == std::string::npos);
    CHECK(answers.find("Connection: close") == std::string::npos);
    const auto failures = w.unhandled.take();
    REQUIRE(failures.size() == 3);
    CHECK(failures[0].what.what() == "secret one");
    CHECK(failures[0].where == "http::server, the handler of GET /now");
    CHECK(failures[1].what.what() == "secret two");
    CHECK(failures[2].what.check<http::invalid_header>());
    co_await web.site.stop();
  });
}

TEST_CASE("a handler that throws before it is a coroutine is answered with a 500 too") {
  mobius::testing::run([](world& w) -> task<> {
    served web([](request&) -> task<response> { throw std::runtime_error("at once"); });
    const auto answer = co_await peer::talk(web.port, get("/"));
    CHECK(answer.starts_with("HTTP/1.1 500 "));
    CHECK(w.unhandled.take().size() == 1);
    co_await web.site.stop();
  });
}

TEST_CASE("HEAD is answered with the head of GET alone") {
  mobius::testing::run([](world&) -> task<> {
    served web(echo);
    const auto answer = co_await peer::talk(web.port, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(answer.find("\r\nContent-Length: 10\r\n") != std::string::npos);
    CHECK(answer.ends_with("\r\n\r\n"));
    co_await web.site.stop();
  });
}

TEST_CASE("HTTP/1.0 connections close unless the client asks otherwise") {
  mobius::testing::run([](world&) -> task<> {
    served web(echo);
    auto client = co_await peer::connect(web.port);
    co_await client.write_all("GET / HTTP/1.0\r\n\r\n");
    const auto closed = co_await peer::read_to_end(client);
    CHECK(closed.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(closed.find("\r\nConnection: close\r\n") != std::string::npos);

    auto kept = co_await peer::connect(web.port);
    co_await kept.write_all("GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    const auto one = co_await peer::read_until(kept, "]\n");
    CHECK(one.find("\r\nConnection: keep-alive\r\n") != std::string::npos);
    co_await kept.write_all("GET /2 HTTP/1.0\r\n\r\n");
    const auto two = co_await peer::read_to_end(kept);
    CHECK(two.ends_with("GET /2 []\n"));
    client = {};
    kept = {};
    co_await web.site.stop();
  });
}

TEST_CASE("100 Continue is sent once, when a body is waited for") {  // row 119
  mobius::testing::run([](world&) -> task<> {
    served web(echo);
    auto client = co_await peer::connect(web.port);
    const std::string head =
        get("/first") + "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n";
    co_await client.write_all(head);
    const auto interim = co_await peer::read_until(client, "100 Continue\r\n\r\n");
    CHECK(interim.find("GET /first []\nHTTP/1.1 100 Continue\r\n\r\n") != std::string::npos);
    co_await client.write_all("abc");
    co_await peer::settle();
    co_await client.write_all("def");
    const auto answer = co_await peer::read_until(client, "]\n");
    CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(answer.ends_with("POST / [abcdef]\n"));

    const std::string whole =
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc";
    co_await client.write_all(whole);
    const auto direct = co_await peer::read_until(client, "]\n");
    CHECK(direct.starts_with("HTTP/1.1 200 OK\r\n"));
    co_await web.site.stop();
  });
}

TEST_CASE("a body over the limit is refused before it is asked for") {  // row 86
  mobius::testing::run([](world&) -> task<> {
    served web(echo);
    auto client = co_await peer::connect(web.port);
    co_await client.write_all(
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1048577\r\n\r\n");
    const auto answer = co_await peer::read_to_end(client);
    CHECK(is_refusal(answer, 413));
    client = {};
    co_await web.site.stop();
  });
}

TEST_CASE("a large body comes in many pieces and a large response leaves whole") {
  mobius::testing::run([](world&) -> task<> {
    served web([](request& asked) -> task<response> {
      std::string body(asked.body());
      co_await mobius::yield();
      co_return response::text(200, std::string(asked.path()) + body + body);
    });
    std::string body;
    for (int i = 0; body.size() < 1'000'000; ++i) body += std::to_string(i) + " ";
    auto client = co_await peer::connect(web.port);
    const auto got = collect(client);
    const std::string sent =
        "POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
        body + get("/small", "Connection: close\r\n");
    co_await client.write_all(sent);
    while (!got->ended) co_await mobius::yield();
    CHECK(got->text.find("\r\n\r\n/big" + body + body + "HTTP/1.1 200 OK\r\n") != std::string::npos);
    CHECK(got->text.ends_with("\r\n\r\n/small"));
    client = {};
    co_await web.site.stop();
  });
}

TEST_CASE("a request sees its head whole however its body comes") {
  mobius::testing::run([](world&) -> task<> {
    served web([](request& asked) -> task<response> {
      const auto path = asked.path();
      co_await mobius::yield();
      co_return response::text(200, std::string(path) + " " + std::string(asked.header("X-Mark")) + " " +
                                        std::string(asked.host()) + " " + std::string(asked.body()) + "\n");
    });
    const std::string message =
        "POST /path HTTP/1.1\r\nHost: example:1\r\nX-Mark: yes\r\nContent-Length: 5\r\n\r\nhello";
    const std::string both = message + message;
    for (std::size_t at = 1; at < both.size(); at += 3) {
      auto client = co_await peer::connect(web.port);
      const std::string one = both.substr(0, at), two = both.substr(at);
      co_await client.write_all(one);
      for (int i = 0; i < 40; ++i) co_await mobius::yield();
      co_await client.write_all(two);
      ::shutdown(client.native_handle(), SHUT_WR);
      const auto answers = co_await peer::read_to_end(client);
      INFO("split at " << at);
      CHECK(peer::count(answers, "/path yes example:1 hello\n") == 2);
    }
    co_await web.site.stop();
  });
}

TEST_CASE("requests are copied out of their buffers when many handlers are at work") {
  mobius::testing::run([](world&) -> task<> {
    std::vector<mobius::resolver<void>> waiting;
    served web([&waiting](request& asked) -> task<response> {
      const auto path = asked.path();
      auto [d, fire] = mobius::make_deferred<void>();
      waiting.push_back(fire);
      co_await std::move(d);
      co_return response::text(200, std::string(path) + "\n");
    });
    std::vector<mobius::net::tcp_stream> clients;
    for (int i = 0; i < 100; ++i) {
      clients.push_back(co_await peer::connect(web.port));
      const std::string sent = get("/" + std::to_string(i)) + get("/next" + std::to_string(i));
      co_await clients.back().write_all(sent);
    }
    while (waiting.size() < 100) co_await mobius::yield();
    for (auto& fire : std::exchange(waiting, {})) fire();
    while (waiting.size() < 100) co_await mobius::yield();
    for (auto& fire : std::exchange(waiting, {})) fire();
    for (std::size_t i = 0; i < clients.size(); ++i) {
      const auto answers = co_await peer::read_until(clients[i], "/next" + std::to_string(i) + "\n");
      CHECK(answers.find("\r\n\r\n/" + std::to_string(i) + "\n") != std::string::npos);
      CHECK(answers.ends_with("\r\n\r\n/next" + std::to_string(i) + "\n"));
    }
    co_await web.site.stop();
  });
}

TEST_CASE("an end of stream inside a message closes the connection without an answer") {  // rows 88, 135
  mobius::testing::run([](world&) -> task<> {
    served web(echo);
    const auto head = co_await peer::talk(web.port, "GET / HTTP/1.1\r\nHos");
    CHECK(head.empty());
    const auto body =
        co_await peer::talk(web.port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
    CHECK(body.empty());
    co_await web.site.stop();
  });
}

TEST_CASE("TRACE is answered by the server and echoes nothing") {  // row 144
  mobius::testing::run([](world&) -> task<> {
    served web(echo);
    const auto answer =
        co_await peer::talk(web.port, "TRACE / HTTP/1.1\r\nHost: a\r\nCookie: secret\r\n\r\n");
    CHECK(answer.starts_with("HTTP/1.1 405 "));
    CHECK(answer.find("\r\nAllow: GET, ") != std::string::npos);
    CHECK(answer.find("secret") == std::string::npos);
    co_await web.site.stop();
  });
}
