// Requests and what a server must make of them. Each is sent whole, split in two at every position,
// byte by byte, and behind another request, and the outcome must be the same.

#include <cstdlib>
#include <mobius/net/http/request_parser.hpp>
#include <mobius/net/http/text.hpp>
#include <random>
#include <string>
#include <vector>

#include "request_rows.hpp"
#include "support/catch.hpp"
#include "wire.hpp"

using namespace std::string_literals;
using wire::body_rows;
using wire::chunked;
using wire::get;
using wire::head_rows;
using wire::post;
using wire::row;

namespace {

void check_rows(const std::vector<row>& rows, bool behind_another) {
  const std::string first = "GET /first HTTP/1.1\r\nHost: a\r\n\r\n";
  for (const auto& [number, message, answer] : rows) {
    const auto sent = behind_another ? first + message : message;
    const auto expected = behind_another ? "GET /first; " + answer : answer;
    INFO("row " << number << ", sent " << mobius::http::detail::quoted(message));
    CHECK(wire::outcome({sent}) == expected);
    CHECK(wire::outcome(wire::single_bytes(sent)) == expected);
    for (auto at : wire::split_points(sent.size())) {
      const auto whole = std::string_view(sent);
      const auto found = wire::outcome({whole.substr(0, at), whole.substr(at)});
      if (found == expected) continue;
      FAIL_CHECK("split at " << at << ": " << found << " instead of " << expected);
      break;
    }
  }
}

}  // namespace

TEST_CASE("each request head of the list is answered alike however it is split") {
  check_rows(head_rows(), false);
}

TEST_CASE("each request body of the list is answered alike however it is split") {
  check_rows(body_rows(), false);
}

TEST_CASE("each message of the list is answered alike behind a pipelined request") {
  check_rows(head_rows(), true);
  check_rows(body_rows(), true);
}

TEST_CASE("a body of exactly the limit is taken and one byte more is refused") {  // row 87
  mobius::http::server_limits limits;
  limits.body.body = 5;
  CHECK(wire::outcome({post("Content-Length: 5", "hello")}, limits) == "POST / [hello]");
  CHECK(wire::outcome({post("Content-Length: 6", "hello!")}, limits) == "413");
  CHECK(wire::outcome({chunked("3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n")}, limits) == "POST / [hello]");
  CHECK(wire::outcome({chunked("3\r\nhel\r\n3\r\nlo!\r\n0\r\n\r\n")}, limits) == "413");
}

TEST_CASE("a head of exactly the limit is taken and one byte more is refused") {
  const auto message = get("X: 1");
  mobius::http::server_limits limits;
  limits.head.head = message.size();
  CHECK(wire::outcome({message}, limits) == "GET /");
  CHECK(wire::outcome(wire::single_bytes(message), limits) == "GET /");
  limits.head.head = message.size() - 1;
  CHECK(wire::outcome({message}, limits) == "431");
  CHECK(wire::outcome(wire::single_bytes(message), limits) == "431");
}

TEST_CASE("a request head shows its parts in place, also after its buffer has moved") {
  std::string buffer =
      "GET /a%20b?x=1&y HTTP/1.1\r\nhost: example.org:81\r\nX-Empty:\r\nX-A:  one two\t\r\nx-a: "
      "\xff\r\n\r\nrest";
  mobius::http::request_parser parser;
  mobius::http::request_head head;
  REQUIRE(parser.parse(buffer, head) == mobius::http::progress::complete);
  CHECK(parser.size() == buffer.size() - 4);

  const std::string moved = buffer;
  head.rebase(moved.data());
  buffer.assign(buffer.size(), '#');
  CHECK(head.method() == mobius::http::method::get);
  CHECK(head.target() == "/a%20b?x=1&y");
  CHECK(head.path() == "/a%20b");
  CHECK(head.query() == "x=1&y");
  CHECK(head.host() == "example.org:81");
  CHECK(head.version_minor() == 1);
  CHECK(head.keep_alive());
  REQUIRE(head.headers().size() == 4);
  CHECK(head.headers()[0].name == "host");
  CHECK(head.headers().get("HOST") == "example.org:81");
  CHECK(head.headers().contains("x-empty"));
  CHECK(head.headers().get("x-empty").empty());
  CHECK(head.headers().get("X-A") == "one two");
  CHECK(head.headers()[3].value == "\xff");
  CHECK_FALSE(head.headers().contains("x"));
  std::size_t walked = 0;
  for (const auto field : head.headers()) walked += field.name.size();
  CHECK(walked == 4 + 7 + 3 + 3);
}

TEST_CASE("a Host that was right says nothing of the next one") {
  mobius::http::request_parser parser;
  mobius::http::request_head head;
  const auto outcome = [&](std::string_view host) {
    const auto text = "GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n";
    parser.reset();
    const auto state = parser.parse(text, head);
    return state == mobius::http::progress::complete && head.host() == host;
  };
  CHECK(outcome("example.org:81"));
  CHECK(outcome("example.org:81"));
  for (const char* wrong :
       {"example.org:x", "example.org:81x", "example.org/81", "xample.org:", "", "1.2.3"}) {
    INFO(wrong);
    CHECK(outcome(wrong) == (std::string_view(wrong) == "xample.org:"));
    CHECK(outcome("example.org:81"));
  }
  const std::string label(60, 'a');
  CHECK(outcome(label + "." + label));
  CHECK_FALSE(outcome(label + "." + label.substr(1) + "/"));
  CHECK_FALSE(outcome(label + "." + label + "_?"));
}

TEST_CASE("the host of an absolute target is the one a handler sees") {
  const std::string_view text = "GET http://b:80/x HTTP/1.1\r\nHost: b:80\r\n\r\n";
  mobius::http::request_parser parser;
  mobius::http::request_head head;
  REQUIRE(parser.parse(text, head) == mobius::http::progress::complete);
  CHECK(head.host() == "b:80");
  CHECK(head.path() == "/x");
  CHECK(head.target() == "http://b:80/x");
}

TEST_CASE("a body that is too large by its length is refused with the head alone") {  // row 86
  mobius::http::request_parser parser;
  mobius::http::request_head head;
  CHECK(parser.parse(post("Content-Length: 1048576", ""), head) == mobius::http::progress::complete);
  parser.reset();
  CHECK(parser.parse(post("Content-Length: 1048577", ""), head) == mobius::http::progress::rejected);
  CHECK(parser.why().status == 413);
}

TEST_CASE("a Transfer-Encoding is chunked, a list that is not implemented, or malformed") {  // rows 94-98
  using mobius::http::detail::read_transfer_encoding;
  using mobius::http::detail::transfer_coding;
  CHECK(read_transfer_encoding("chunked") == transfer_coding::chunked);
  CHECK(read_transfer_encoding("Chunked") == transfer_coding::chunked);
  CHECK(read_transfer_encoding("gzip") == transfer_coding::unknown);
  CHECK(read_transfer_encoding("gzip, chunked") == transfer_coding::unknown);
  for (auto wrong :
       {"", ",chunked", "chunked,", "chunked, gzip", "chunked, chunked", "\"a,chunked", "chunked;q=1"})
    CHECK(read_transfer_encoding(wrong) == transfer_coding::malformed);
}

TEST_CASE("damaged messages are judged alike however they are cut") {
  const char* given = std::getenv("MOBIUS_SEED");
  const auto seed = given != nullptr ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10))
                                     : std::random_device{}();
  INFO("MOBIUS_SEED=" << seed);
  std::mt19937 random(seed);
  const auto bytes = "\r\n\t :;,0aZ\0\x80%/"s;
  const auto& heads = head_rows();
  const auto& bodies = body_rows();
  for (int round = 0; round < 4000; ++round) {
    const auto& rows = random() % 2 == 0 ? heads : bodies;
    auto sent = rows[random() % rows.size()].sent;
    if (sent.size() > 2000) continue;
    sent += bodies[random() % 10].sent;
    for (auto faults = 1 + random() % 3; faults > 0; --faults) {
      const auto at = random() % sent.size();
      switch (random() % 3) {
        case 0:
          sent[at] = bytes[random() % bytes.size()];
          break;
        case 1:
          sent.erase(at, 1);
          break;
        default:
          sent.insert(at, 1, bytes[random() % bytes.size()]);
          break;
      }
    }
    const auto expected = wire::outcome({sent});
    std::vector<std::string_view> pieces;
    for (auto rest = std::string_view(sent); !rest.empty(); rest.remove_prefix(pieces.back().size()))
      pieces.push_back(rest.substr(0, 1 + random() % 30));
    CAPTURE(mobius::http::detail::quoted(sent));
    REQUIRE(wire::outcome(pieces) == expected);
    REQUIRE(wire::outcome(wire::single_bytes(sent)) == expected);
  }
}
