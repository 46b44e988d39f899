// An ordinary exchange costs no allocation: every operator new of this program is counted.

#include <cstdlib>
#include <mobius/net/http/http.hpp>
#include <new>
#include <string>

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
