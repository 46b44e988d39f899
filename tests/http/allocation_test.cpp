// An ordinary exchange costs no allocation: every operator new of this program is counted.

#include <array>
#include <cstdlib>
#include <mobius/net/http/http.hpp>
#include <mobius/runtime/testing/testing.hpp>
#include <new>
#include <string>

#include "peer.hpp"
#include "site.hpp"
#include "support/catch.hpp"

namespace {

std::size_t allocations = 0;

}  // namespace

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size);
}

void* operator new(std::size_t size) {
  if (void* memory = operator new(size, std::nothrow)) return memory;
  throw std::bad_alloc();
}

void operator delete(void* memory) noexcept { std::free(memory); }

void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

TEST_CASE("reading a request and writing its response allocates nothing") {
  using namespace mobius::http;
  const std::string_view sent =
      "POST /hello/world?x=1 HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: test\r\nAccept: */*\r\n"
      "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  const server_limits limits;
  request_parser parser(limits);
  body_decoder decoder;
  date_line date;
  request asked;
  std::string out;
  auto exchange = [&] {
    if (parser.parse(sent, asked.head()) != progress::complete) return false;
    auto input = sent.substr(parser.size());
    parser.reset();
    asked.body_buffer().clear();
    decoder.begin(asked.head().body(), limits.body);
    while (!input.empty() && decoder.state() == progress::need_more) {
      const auto piece = decoder.next(input);
      asked.body_buffer() += piece.data;
      input.remove_prefix(piece.consumed);
    }
    out.clear();
    response_context context;
    context.method = asked.method();
    context.date = date.at(std::chrono::system_clock::now());
    const auto answer = response::text(200, "hello\n");
    if (write_head(out, answer, context).send_body) out += answer.body;
    return decoder.state() == progress::complete && asked.body() == "hello" &&
           asked.header("host") == "localhost:8080";
  };

  REQUIRE(exchange());
  const auto before = allocations;
  bool right = true;
  for (int round = 0; round < 1000; ++round) right = exchange() && right;
  const auto counted = allocations - before;
  CHECK(right);
  CHECK(counted == 0);
}

namespace {

// One round: everything is sent, and as much as `expected` is read.
mobius::task<> exchange(mobius::net::tcp_stream& client, std::string_view sent, std::size_t expected) {
  std::array<char, 16384> buffer;
  co_await client.write_all(sent);
  while (expected != 0) {
    const std::size_t got = co_await client.read_some(std::span<char>(buffer));
    expected -= std::min(got, expected);
  }
}

// Allocations of a thousand rounds, after as many to warm up.
std::size_t allocations_of_rounds(const std::string& sent, std::size_t messages) {
  std::size_t counted = 0;
  mobius::testing::run([&](mobius::testing::world&) -> mobius::task<> {
    site::served web([](site::request& asked) -> mobius::task<site::response> {
      if (asked.path() == "/slow") co_await mobius::yield();
      co_return site::response::text(200, "hello, world\n");
    });
    auto client = co_await peer::connect(web.port);
    co_await client.write_all(sent);
    std::size_t size = 0;
    for (std::string got; peer::count(got, "hello, world\n") < messages; size = got.size()) {
      const auto data = co_await client.receive();
      got += data.text();
    }
    for (int round = 0; round < 1000; ++round) co_await exchange(client, sent, size);
    const std::size_t before = allocations;
    for (int round = 0; round < 1000; ++round) co_await exchange(client, sent, size);
    counted = allocations - before;
    co_await web.site.stop();
  });
  return counted;
}

std::string times(int count, const std::string& text) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

}  // namespace

TEST_CASE("a connection that is kept open costs no allocation per request") {
  CHECK(allocations_of_rounds(site::get("/"), 1) == 0);
  CHECK(allocations_of_rounds(site::get("/slow"), 1) == 0);
  CHECK(allocations_of_rounds(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300\r\n\r\n" + std::string(300, 'x'), 1) == 0);
}

TEST_CASE("pipelined requests cost no allocation either") {
  CHECK(allocations_of_rounds(times(50, site::get("/")), 50) == 0);
  CHECK(allocations_of_rounds(times(20, site::get("/") + site::get("/slow")), 40) == 0);
}
