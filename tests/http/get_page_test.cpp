// The client against peers that misbehave in every phase, and against our own server.

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mobius/deferred.hpp>
#include <mobius/net/name_resolver.hpp>
#include <mobius/runtime/combine.hpp>
#include <mobius/runtime/testing/testing.hpp>
#include <mobius/runtime/thread_pool.hpp>
#include <mobius/runtime/timeout.hpp>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "peer.hpp"
#include "site.hpp"
#include "support/catch.hpp"

namespace http = mobius::http;
using http::get_page;
using mobius::failure;
using mobius::task;
using mobius::testing::world;
using peer::script;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const script good(ok);

// What get_page makes of a server that answers in that way; the connection must be gone with it.
task<mobius::result<std::string>> page_of(script what, http::client_options options = {}) {
  peer::server web(std::move(what));
  const std::string url = web.url("/x");
  auto outcome = co_await mobius::as_result(get_page(url, options));
  if (!outcome) CHECK(outcome.error().what().find(url) != std::string::npos);
  co_await peer::settle();
  CHECK(web.open() == 0);
  co_return outcome;
}

}  // namespace

TEST_CASE("a page comes as a string") {
  mobius::testing::run([](world&) -> task<> {
    peer::server web(good);
    const auto page = co_await get_page(web.url("/a?b#c"));
    CHECK(page == "hello");
    REQUIRE(web.requests().size() == 1);
    const std::string& request = web.requests().front();
    CHECK(request.starts_with("GET /a?b HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(web.port()) + "\r\n"));
    CHECK(request.find("\r\nConnection: close\r\n") != std::string::npos);
    CHECK(request.find("\r\nAccept: */*\r\n") != std::string::npos);
  });
}

TEST_CASE("bodies of every framing are read whole") {
  mobius::testing::run([](world&) -> task<> {
    const std::vector<std::string> answers = {
        ok,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\nX: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nhello",
        "HTTP/1.0 200 OK\r\n\r\nhello",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok,
        "HTTP/1.1 201 Created\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        ok + "HTTP/1.1 200 OK\r\n\r\nnobody asked",
    };
    for (const std::string& answer : answers) {
      INFO(answer);
      auto page = co_await page_of(script(answer));
      CHECK(page.value_or("") == "hello");
    }
    auto empty = co_await page_of(script("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"));
    CHECK(empty.value_or("none").empty());
  });
}

TEST_CASE("a server that keeps the connection open is not waited for") {
  mobius::testing::run([](world&) -> task<> {
    auto page = co_await page_of(good.hanging());
    CHECK(page.value_or("") == "hello");
  });
}

TEST_CASE("a bad URL has failed when get_page returns, and nothing is thrown at the call") {
  mobius::testing::run([](world&) -> task<> {
    for (const auto* url :
         {"a_bad_url", "", "http://", "http:///x", "http://a:99999/", "http://a b/", "http://[::1/",
          "http://a/\r\nX:", "ftp://a/", "http://127.1/", "http://2130706433/"}) {
      std::optional<failure> why;
      auto d = get_page(url);
      std::move(d).add_errback([&why](failure f) {
        why = f;
        return std::string();
      });
      REQUIRE(why);
      CHECK(why->check<http::invalid_url>());
    }
    co_return;
  });
}

TEST_CASE("https fails with the reason that there is no TLS yet, also behind a redirect") {
  mobius::testing::run([](world&) -> task<> {
    const auto direct = co_await mobius::as_result(get_page("https://example.org/"));
    REQUIRE_FALSE(direct.has_value());
    CHECK(direct.error().check<http::tls_unavailable>());
    CHECK(direct.error().what().find("https://example.org/: this build of mobius has no TLS yet") !=
          std::string::npos);
    peer::server web(script("HTTP/1.1 301 Moved\r\nLocation: https://example.org/\r\n\r\n"));
    const auto behind = co_await mobius::as_result(get_page(web.url()));
    REQUIRE_FALSE(behind.has_value());
    CHECK(behind.error().check<http::tls_unavailable>());
  });
}

TEST_CASE("a refused connection is an error that names the call and the peer") {
  mobius::testing::run([](world&) -> task<> {
    const std::string host = "127.0.0.1:" + std::to_string(peer::closed_port());
    const auto page = co_await mobius::as_result(get_page("http://" + host + "/"));
    REQUIRE_FALSE(page.has_value());
    CHECK(page.error().check<std::system_error>());
    CHECK(page.error().what() == "connect " + host + ": Connection refused");
  });
}

TEST_CASE("an unknown host is an error that names it") {
  mobius::testing::run([](world& w) -> task<> {
    w.reactor.service<mobius::net::name_resolver>().set_lookup(
        [](const std::string& host, std::uint16_t) -> std::vector<mobius::net::socket_address> {
          throw mobius::net::resolve_error("resolve " + host + ": Name or service not known");
        });
    const auto page = co_await mobius::as_result(get_page("http://nosuch.example/"));
    REQUIRE_FALSE(page.has_value());
    CHECK(page.error().check<mobius::net::resolve_error>());
    CHECK(page.error().what() == "resolve nosuch.example: Name or service not known");
  });
}

TEST_CASE("the addresses of a host are tried in order") {
  mobius::testing::run([](world& w) -> task<> {
    const std::uint16_t closed = peer::closed_port();
    w.reactor.service<mobius::net::name_resolver>().set_lookup(
        [closed](const std::string&, std::uint16_t port) -> std::vector<mobius::net::socket_address> {
          return {*mobius::net::socket_address::parse("127.0.0.2", closed),
                  *mobius::net::socket_address::parse("127.0.0.1", port)};
        });
    peer::server web(good);
    const auto page = co_await get_page("http://two.example:" + std::to_string(web.port()) + "/");
    CHECK(page == "hello");
    const auto none =
        co_await mobius::as_result(get_page("http://two.example:" + std::to_string(closed) + "/"));
    REQUIRE_FALSE(none.has_value());
    CHECK(none.error().what().find("connect two.example:" + std::to_string(closed) + ": tried 127.0.0.2 (") !=
          std::string::npos);
  });
}

TEST_CASE("other statuses fail with status, reason and body") {
  mobius::testing::run([](world&) -> task<> {
    auto missing = co_await page_of(script("HTTP/1.1 404 Not Here\r\nContent-Length: 4\r\n\r\ngone"));
    REQUIRE_FALSE(missing.has_value());
    const auto* error = missing.error().get_if<http::status_error>();
    REQUIRE(error);
    CHECK(error->status() == 404);
    CHECK(error->reason() == "Not Here");
    CHECK(error->body() == "gone");
    for (int status : {203, 204, 304, 400, 500, 503}) {
      auto other = co_await page_of(script("HTTP/1.1 " + std::to_string(status) + " X\r\n\r\n"));
      REQUIRE_FALSE(other.has_value());
      REQUIRE(other.error().get_if<http::status_error>());
      CHECK(other.error().get_if<http::status_error>()->status() == status);
    }
  });
}

TEST_CASE("a response that is cut off keeps what came") {
  mobius::testing::run([](world&) -> task<> {
    const std::vector<std::pair<std::string, std::string>> answers = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "hello"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "hello"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhell", "hell"},
        {"HTTP/1.1 200 OK\r\nContent-Le", ""},
    };
    for (const auto& [answer, came] : answers) {
      INFO(answer);
      auto page = co_await page_of(script(answer));
      REQUIRE_FALSE(page.has_value());
      const auto* error = page.error().get_if<http::response_truncated>();
      REQUIRE(error);
      CHECK(error->body() == came);
    }
  });
}

TEST_CASE("a reset inside a body that ends with the connection is no end of it") {
  mobius::testing::run([](world&) -> task<> {
    peer::server web(script("HTTP/1.1 200 OK\r\n\r\nhello").resetting());
    const auto page = co_await mobius::as_result(get_page(web.url()));
    REQUIRE_FALSE(page.has_value());
    CHECK((page.error().check<http::response_truncated, http::response_never_received>()));
  });
}

TEST_CASE("a connection that closes without a byte is no response") {
  mobius::testing::run([](world&) -> task<> {
    auto closed = co_await page_of(script(""));
    REQUIRE_FALSE(closed.has_value());
    CHECK(closed.error().check<http::response_never_received>());
    auto reset = co_await page_of(script("").resetting());
    REQUIRE_FALSE(reset.has_value());
    CHECK(reset.error().check<http::response_never_received>());
    auto unread = co_await page_of(script("").hasty());
    REQUIRE_FALSE(unread.has_value());
    CHECK(unread.error().check<http::response_never_received>());
  });
}

TEST_CASE("a response that is not unambiguous is refused") {
  mobius::testing::run([](world&) -> task<> {
    for (const auto* answer : {
             "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 4\r\n\r\nhello",
             "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
             "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
             "HTTP/2.0 200 OK\r\n\r\n",
             "SSH-2.0-OpenSSH_9.2\r\n\r\n",
             "HTTP/1.1 101 Switching Protocols\r\n\r\n",
             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
         }) {
      INFO(answer);
      auto page = co_await page_of(script(answer));
      REQUIRE_FALSE(page.has_value());
      CHECK(page.error().check<http::protocol_error>());
    }
  });
}

TEST_CASE("a page over the limit is refused, by its length or when it has come that far") {
  mobius::testing::run([](world&) -> task<> {
    auto declared = co_await page_of(script("HTTP/1.1 200 OK\r\nContent-Length: 16777217\r\n\r\n"));
    REQUIRE_FALSE(declared.has_value());
    CHECK(declared.error().check<http::too_large>());
    auto endless = co_await page_of(script("HTTP/1.1 200 OK\r\n\r\n" + std::string(17 << 20, 'x')));
    REQUIRE_FALSE(endless.has_value());
    CHECK(endless.error().check<http::too_large>());
    auto head = co_await page_of(script("HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n"));
    REQUIRE_FALSE(head.has_value());
    CHECK(head.error().check<http::too_large>());

    http::client_options options;
    options.limits.body.body = 5;
    auto exact = co_await page_of(good, options);
    CHECK(exact.has_value());
    options.limits.body.body = 4;
    auto over = co_await page_of(good, options);
    REQUIRE_FALSE(over.has_value());
    CHECK(over.error().check<http::too_large>());
  });
}

// --- redirects -------------------------------------------------------------------------------------

TEST_CASE("redirects are followed, relative ones too") {
  mobius::testing::run([](world&) -> task<> {
    for (const auto* status : {"301 A", "302 B", "303 C", "307 D", "308 E"}) {
      peer::server web(std::vector<script>{
          script("HTTP/1.1 "s + status + "\r\nLocation: ../b?c\r\nContent-Length: 99999999999\r\n\r\n"),
          good});
      const auto page = co_await get_page(web.url("/x/y"));
      CHECK(page == "hello");
      REQUIRE(web.requests().size() == 2);
      CHECK(web.requests()[1].starts_with("GET /b?c HTTP/1.1\r\n"));
    }
  });
}

TEST_CASE("a redirect loop ends after twenty hops") {
  mobius::testing::run([](world&) -> task<> {
    peer::server web(script("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"));
    const auto page = co_await mobius::as_result(get_page(web.url("/start")));
    REQUIRE_FALSE(page.has_value());
    CHECK(page.error().check<http::redirect_error>());
    CHECK(page.error().what() ==
          "request " + web.url("/start") + ": more than 20 redirects; the last came from " + web.url());
    CHECK(web.requests().size() == 21);
  });
}

TEST_CASE("a redirect without one good Location is an error") {
  mobius::testing::run([](world&) -> task<> {
    for (const auto* lines : {"", "Location: /a\r\nLocation: /b\r\n", "Location: javascript:alert(1)\r\n",
                              "Location: http://\r\n", "Location: ftp://a/\r\n"}) {
      INFO(lines);
      auto page = co_await page_of(script("HTTP/1.1 302 Found\r\n"s + lines + "\r\n"));
      REQUIRE_FALSE(page.has_value());
      CHECK(page.error().check<http::redirect_error>());
    }
  });
}

TEST_CASE("secrets stay with their origin") {  // rows 189, 191
  mobius::testing::run([](world&) -> task<> {
    http::client_options options;
    options.headers.add("Authorization", "Basic eA==");
    options.headers.add("Cookie", "a=b");
    options.headers.add("X-Mine", "1");
    peer::server other(good);
    peer::server web(
        std::vector<script>{script("HTTP/1.1 302 Found\r\nLocation: /same\r\n\r\n"),
                            script("HTTP/1.1 302 Found\r\nLocation: " + other.url() + "\r\n\r\n")});
    const auto page = co_await get_page(web.url(), options);
    CHECK(page == "hello");
    REQUIRE(web.requests().size() == 2);
    CHECK(web.requests()[1].find("Authorization: Basic eA==\r\n") != std::string::npos);
    CHECK(web.requests()[1].find("Cookie: a=b\r\n") != std::string::npos);
    REQUIRE(other.requests().size() == 1);
    CHECK(other.requests()[0].find("Authorization") == std::string::npos);
    CHECK(other.requests()[0].find("Cookie") == std::string::npos);
    CHECK(other.requests()[0].find("X-Mine: 1\r\n") != std::string::npos);
  });
}

// --- time and cancel -------------------------------------------------------------------------------

namespace {

// A look-up that does not come back until it is told to.
class hanging_lookup {
 public:
  explicit hanging_lookup(mobius::reactor& r) {
    r.service<mobius::net::name_resolver>().set_lookup(
        [shared = shared_](const std::string& host,
                           std::uint16_t) -> std::vector<mobius::net::socket_address> {
          std::unique_lock lock(shared->mutex);
          shared->ended.wait(lock, [&] { return shared->end; });
          throw mobius::net::resolve_error("resolve " + host + ": too late");
        });
  }
  hanging_lookup(const hanging_lookup&) = delete;
  hanging_lookup& operator=(const hanging_lookup&) = delete;
  /// Lets it come back; its thread, the only one, is then free again.
  task<> end() {
    {
      const std::lock_guard lock(shared_->mutex);
      shared_->end = true;
    }
    shared_->ended.notify_all();
    co_await mobius::offload([] {});
  }

 private:
  struct state {
    std::mutex mutex;
    std::condition_variable ended;
    bool end = false;
  };
  std::shared_ptr<state> shared_ = std::make_shared<state>();
};

// Lets a hanging exchange run into its time limit.
task<> check_time_limit(world& w, std::string url, http::phase where, std::chrono::seconds limit) {
  std::optional<mobius::result<std::string>> outcome;
  mobius::background([](std::string target, std::optional<mobius::result<std::string>>& out) -> task<> {
    auto page = co_await mobius::as_result(get_page(target));
    out.emplace(std::move(page));
  }(url, outcome));
  co_await peer::settle();
  w.clock.advance(limit - 1s);
  co_await peer::settle();
  CHECK_FALSE(outcome.has_value());
  w.clock.advance(1s);
  co_await peer::settle();
  REQUIRE(outcome.has_value());
  REQUIRE_FALSE(outcome->has_value());
  const auto* error = outcome->error().get_if<http::exchange_timed_out>();
  REQUIRE(error);
  CHECK(error->where() == where);
  const std::string text = error->what();
  CHECK(text.find(url) != std::string::npos);
  CHECK(text.find("limit of " + std::to_string(limit.count()) + " s") != std::string::npos);
}

// Cancels an exchange that hangs; it must end with its socket closed.
task<> check_cancel(std::string url) {
  auto d = get_page(url);
  co_await peer::settle();
  d.cancel();
  const auto outcome = co_await mobius::as_result(std::move(d));
  REQUIRE_FALSE(outcome.has_value());
  CHECK(outcome.error().check<mobius::cancelled>());
}

const mobius::testing::run_options one_thread{.reactor = {.max_threads = 1}};

const script silent = script("").hanging();
const script half_head = script("HTTP/1.1 200 OK\r\nConte").hanging();
const script half_body = script("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello").hanging();

}  // namespace

TEST_CASE("each phase of an exchange has its time limit") {
  mobius::testing::run(
      [](world& w) -> task<> {
        w.clock.jumps = false;
        {
          const peer::black_hole hole;
          co_await check_time_limit(w, hole.url(), http::phase::connect, 10s);
        }
        {
          const peer::server web(silent);
          co_await check_time_limit(w, web.url(), http::phase::response_head, 30s);
          co_await peer::settle();
          CHECK(web.open() == 0);
        }
        {
          const peer::server web(half_head);
          co_await check_time_limit(w, web.url(), http::phase::response_head, 30s);
        }
        {
          const peer::server web(half_body);
          co_await check_time_limit(w, web.url(), http::phase::response_body, 30s);
        }
        co_await peer::settle();
        hanging_lookup names(w.reactor);
        co_await check_time_limit(w, "http://slow.example/", http::phase::resolve, 5s);
        co_await names.end();
      },
      one_thread);
}

TEST_CASE("the whole exchange has a time limit, however busily its body comes") {
  mobius::testing::run([](world& w) -> task<> {
    w.clock.jumps = false;
    mobius::net::tcp_listener listener("127.0.0.1", 0);
    auto page = get_page("http://127.0.0.1:" + std::to_string(listener.local_address().port()) + "/");
    auto server = co_await listener.accept();
    server.mark_idle();
    co_await server.write_all("HTTP/1.1 200 OK\r\n\r\n");
    for (int seconds = 0; seconds < 120; seconds += 20) {
      co_await server.write_all("more");
      co_await peer::settle();
      w.clock.advance(20s);
    }
    const auto outcome = co_await mobius::as_result(std::move(page));
    REQUIRE_FALSE(outcome.has_value());
    REQUIRE(outcome.error().check<http::exchange_timed_out>());
    CHECK(outcome.error().what().find("time limit of 120 s") != std::string::npos);
  });
}

TEST_CASE("a cancel ends an exchange in any phase and closes its socket") {
  mobius::testing::run(
      [](world& w) -> task<> {
        w.clock.jumps = false;
        {
          const peer::black_hole hole;
          co_await check_cancel(hole.url());
        }
        for (const script& what : {silent, half_head, half_body}) {
          const peer::server web(what);
          co_await check_cancel(web.url());
          co_await peer::settle();
          CHECK(web.open() == 0);
        }
        {
          peer::server web(std::vector<script>{script("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"), silent});
          co_await check_cancel(web.url());
          CHECK(web.requests().size() == 2);
        }
        hanging_lookup names(w.reactor);
        co_await check_cancel("http://slow.example/");
        co_await names.end();
      },
      one_thread);
}

TEST_CASE("a coroutine that is cancelled cancels the exchange that it awaits") {
  mobius::testing::run([](world& w) -> task<> {
    w.clock.jumps = false;
    const peer::server web(half_body);
    auto waiting = mobius::to_deferred(mobius::timeout(5s, get_page(web.url())));
    co_await peer::settle();
    w.clock.advance(5s);
    const auto outcome = co_await mobius::as_result(std::move(waiting));
    REQUIRE_FALSE(outcome.has_value());
    CHECK(outcome.error().check<mobius::timed_out>());
    co_await peer::settle();
    CHECK(web.open() == 0);
  });
}

TEST_CASE("an exchange under way when the reactor ends leaves nothing behind") {
  const auto before = mobius::testing::inventory::take();
  {
    mobius::reactor reactor;
    mobius::net::tcp_listener listener("127.0.0.1", 0);
    const std::string url = "http://127.0.0.1:" + std::to_string(listener.local_address().port()) + "/";
    auto page = get_page(url).add_errback([](failure) { return std::string(); });  // before it runs
    reactor.run(mobius::sleep(10ms));
  }
  before.expect_no_more();
}

// --- our own server --------------------------------------------------------------------------------

TEST_CASE("get_page and our own server understand each other") {
  mobius::testing::run([](world&) -> task<> {
    const std::string large(3'000'000, 'x');
    site::served web([&large](site::request& asked) -> task<site::response> {
      if (asked.path() == "/old") {
        site::response moved = site::response::text(302, "moved\n");
        moved.headers.add("Location", "/new?x=1");
        co_return moved;
      }
      if (asked.path() == "/large") co_return site::response::text(200, large);
      if (asked.path() == "/none") co_return site::response::text(404, "nothing here\n");
      co_return site::response::text(200, std::string(asked.target()));
    });
    const std::string base = "http://127.0.0.1:" + std::to_string(web.port);
    const auto moved = co_await get_page(base + "/old");
    CHECK(moved == "/new?x=1");
    const auto all = co_await get_page(base + "/large");
    CHECK(all == large);
    const auto none = co_await mobius::as_result(get_page(base + "/none"));
    REQUIRE_FALSE(none.has_value());
    CHECK(none.error().what() == "request " + base + "/none: the server answered 404 Not Found");
    std::vector<mobius::deferred<std::string>> pages;
    for (int i = 0; i < 50; ++i) pages.push_back(get_page(base + "/" + std::to_string(i)));
    const auto texts = co_await mobius::when_all(std::move(pages));
    for (std::size_t i = 0; i < texts.size(); ++i) CHECK(texts[i] == "/" + std::to_string(i));
    co_await web.site.stop();
  });
}
