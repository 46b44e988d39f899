// The client that keeps its connections: when it uses one again, when not, and how it lets go of them.

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <mobius/deferred.hpp>
#include <mobius/runtime/combine.hpp>
#include <mobius/runtime/testing/testing.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "peer.hpp"
#include "site.hpp"
#include "support/catch.hpp"

namespace http = mobius::http;
using mobius::task;
using mobius::testing::world;
using namespace std::chrono_literals;

namespace {

const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

// A server that counts the connections that have been made, and answers with `answer` on each.
class counting_server {
 public:
  explicit counting_server(std::string answer, int answers_each = 1000)
      : seen_(std::make_shared<seen>(std::move(answer), answers_each)), listener_("127.0.0.1", 0) {
    mobius::background(serve());
  }
  ~counting_server() { listener_.close(); }
  counting_server(const counting_server&) = delete;
  counting_server& operator=(const counting_server&) = delete;

  std::string url() const {
    return "http://127.0.0.1:" + std::to_string(listener_.local_address().port()) + "/";
  }
  int made() const { return seen_->made; }
  int open() const { return seen_->open; }

 private:
  struct seen {
    seen(std::string text, int each) : answer(std::move(text)), answers_each(each) {}
    std::string answer;
    int answers_each;
    int made = 0;
    int open = 0;
  };

  task<> serve() {
    for (;;) {
      auto client = co_await mobius::as_result(listener_.accept());
      if (!client) co_return;
      mobius::background(play(std::move(*client), seen_));
    }
  }
  // It may outlive the server that it belongs to.
  static task<> play(mobius::net::tcp_stream client, std::shared_ptr<seen> of) {
    ++of->made;
    ++of->open;
    client.mark_idle();
    for (int i = 0; i < of->answers_each; ++i) {
      const std::string request = co_await peer::read_until(client, "\r\n\r\n");
      if (request.empty()) break;
      CHECK(request.find("Connection:") == std::string::npos);
      co_await client.write_all(of->answer);
    }
    --of->open;
  }

  std::shared_ptr<seen> seen_;
  mobius::net::tcp_listener listener_;
};

// A listening socket that no reactor knows.
int plain_listener(std::uint16_t& port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(fd, 1) == 0);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  port = ntohs(address.sin_port);
  return fd;
}

// Answers one request, and waits until the client has gone. For a thread of its own.
void answer_one_connection(int listener) {
  const int client = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  std::string request;
  char bytes[1024];
  ssize_t got = 0;
  while ((got = ::read(client, bytes, sizeof bytes)) > 0) {
    request.append(bytes, static_cast<std::size_t>(got));
    if (request.ends_with("\r\n\r\n") && ::write(client, ok.data(), ok.size()) < 0) break;
  }
  ::close(client);
  ::close(listener);
}

}  // namespace

TEST_CASE("a client uses a connection again, and closes it when it goes") {
  mobius::testing::run([](world&) -> task<> {
    counting_server server(ok);
    std::optional<http::client> client(std::in_place);
    for (int i = 0; i < 5; ++i) {
      const auto page = co_await client->get_page(server.url());
      CHECK(page == "hello");
    }
    CHECK(server.made() == 1);
    CHECK(client->idle_connections() == 1);
    const auto fetched = co_await client->fetch(server.url());
    CHECK(fetched.response.status == 200);
    client->close_idle();
    CHECK(client->idle_connections() == 0);
    const auto page = co_await client->get_page(server.url());
    CHECK(page == "hello");
    CHECK(server.made() == 2);
    client.reset();
    while (server.open() != 0) co_await mobius::yield();
  });
}

TEST_CASE("exchanges that overlap have a connection each, and no more are kept than allowed") {
  mobius::testing::run([](world&) -> task<> {
    counting_server one(ok);
    counting_server other(ok);
    http::client_options options;
    options.limits.pool_per_origin = 3;
    options.limits.pool_total = 4;
    const http::client client(options);
    const auto get_five = [&client](const std::string& url) {
      std::vector<mobius::deferred<std::string>> pages;
      for (int i = 0; i < 5; ++i) pages.push_back(client.get_page(url));
      return mobius::when_all(std::move(pages));
    };
    auto first = get_five(one.url());
    co_await std::move(first);
    CHECK(one.made() == 5);
    CHECK(client.idle_connections() == 3);
    auto second = get_five(other.url());
    co_await std::move(second);
    CHECK(client.idle_connections() == 4);
    auto third = get_five(one.url());
    co_await std::move(third);
    CHECK(one.made() > 5);
    CHECK(one.made() < 10);
  });
}

TEST_CASE("a connection that the server has closed meanwhile costs one more, not the page") {
  mobius::testing::run([](world&) -> task<> {
    counting_server server(ok, 2);
    const http::client client;
    for (int i = 0; i < 6; ++i) {
      const auto page = co_await client.get_page(server.url());
      CHECK(page == "hello");
      co_await peer::settle();
    }
    CHECK(server.made() == 3);
  });
}

TEST_CASE("a request is not sent again when a byte of its response has come") {
  mobius::testing::run([](world&) -> task<> {
    peer::server cut({peer::script(ok + "HTTP/1.1 200 OK\r\nContent-Le")});
    const http::client client;
    const auto page = co_await mobius::as_result(client.get_page(cut.url()));
    CHECK(page.value_or("") == "hello");
    CHECK(client.idle_connections() == 0);  // more had come than was asked for
    CHECK(cut.requests().size() == 1);
    while (cut.open() != 0) co_await mobius::yield();
  });
}

TEST_CASE("a connection is kept only if nothing of its response is left on it") {
  mobius::testing::run([](world&) -> task<> {
    for (const char* answer : {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
                               "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 200 OK\r\n\r\nhi",
                               "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi!"}) {
      INFO(answer);
      peer::server server{peer::script(answer)};
      const http::client client;
      const auto page = co_await client.get_page(server.url());
      CHECK(page == "hi");
      CHECK(client.idle_connections() == 0);
      while (server.open() != 0) co_await mobius::yield();
    }
    counting_server refusing(
        "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n");
    const http::client client;
    const auto none = co_await mobius::as_result(client.get_page(refusing.url()));
    CHECK(none.error().check<http::status_error>());
    CHECK(client.idle_connections() == 1);
  });
}

TEST_CASE("a cancelled exchange leaves no connection behind") {
  mobius::testing::run([](world&) -> task<> {
    peer::server silent(peer::script("").hanging());
    const http::client client;
    auto page = client.get_page(silent.url());
    co_await peer::settle();
    page.cancel();
    const auto outcome = co_await mobius::as_result(std::move(page));
    CHECK(outcome.error().check<mobius::cancelled>());
    CHECK(client.idle_connections() == 0);
    while (silent.open() != 0) co_await mobius::yield();
  });
}

TEST_CASE("an idle connection is closed after its time") {
  mobius::testing::run([](world& w) -> task<> {
    counting_server server(ok);
    const http::client client;
    const auto page = co_await client.get_page(server.url());
    CHECK(page == "hello");
    w.clock.advance(14s);
    co_await peer::settle();
    CHECK(client.idle_connections() == 1);
    w.clock.advance(2s);
    co_await peer::settle();
    CHECK(client.idle_connections() == 0);
    while (server.open() != 0) co_await mobius::yield();
  });
}

TEST_CASE("a reactor does not run on for idle connections") {
  std::uint16_t port = 0;
  const int listener = plain_listener(port);
  std::thread server([listener] { answer_one_connection(listener); });
  {
    mobius::reactor reactor;
    http::client client;
    std::string text;
    auto page = client.get_page("http://127.0.0.1:" + std::to_string(port) + "/");
    std::move(page).add_callback([&text](std::string got) { text = std::move(got); });
    reactor.run();
    CHECK(text == "hello");
    CHECK(client.idle_connections() ==
          1);  // and not closed after its time, which `run` would have waited for
  }
  server.join();
}
