#include <mobius/net/http/body_decoder.hpp>
#include <string>

#include "support/catch.hpp"

using mobius::http::body_decoder;
using mobius::http::body_kind;
using mobius::http::body_limits;
using mobius::http::progress;

namespace {

// Reads all that is body and gives back what was left over.
std::string_view drain(body_decoder& decoder, std::string_view input, std::string& body) {
  while (!input.empty() && decoder.state() == progress::need_more) {
    const auto piece = decoder.next(input);
    body += piece.data;
    input.remove_prefix(piece.consumed);
  }
  return input;
}

}  // namespace

TEST_CASE("a body of known length ends by its count and leaves the rest") {
  body_decoder decoder({body_kind::length, 5}, {});
  std::string body;
  CHECK(drain(decoder, "hel", body).empty());
  CHECK(decoder.finish() == progress::need_more);
  CHECK(drain(decoder, "lo rest", body) == " rest");
  CHECK(body == "hello");
  CHECK(decoder.state() == progress::complete);
  CHECK(decoder.finish() == progress::complete);
  CHECK(decoder.received() == 5);
}

TEST_CASE("the data of a piece lies in the input, not in a copy") {
  const std::string input = "3\r\nabc\r\n0\r\n\r\n";
  body_decoder decoder({body_kind::chunked, 0}, {});
  const auto piece = decoder.next(input);
  CHECK(piece.data == "abc");
  CHECK(piece.data.data() == input.data() + 3);
}

TEST_CASE("a body until the end of the stream is complete only there") {
  body_decoder decoder({body_kind::until_eof, 0}, {});
  std::string body;
  drain(decoder, "all of it", body);
  CHECK(decoder.state() == progress::need_more);
  CHECK(decoder.finish() == progress::complete);
  CHECK(body == "all of it");
}

TEST_CASE("a body over its limit is refused, whatever ends it") {
  body_limits limits;
  limits.body = 4;
  std::string body;
  body_decoder counted({body_kind::length, 5}, limits);
  CHECK(counted.why().status == 413);
  body_decoder open({body_kind::until_eof, 0}, limits);
  drain(open, "four", body);
  CHECK(open.state() == progress::need_more);
  CHECK(drain(open, "x", body) == "x");
  CHECK(open.why().status == 413);
  body_decoder chunked({body_kind::chunked, 0}, limits);
  drain(chunked, "5\r\nhello", body);
  CHECK(chunked.why().status == 413);
  CHECK(body == "four");
}

TEST_CASE("a chunked body that is cut off is not complete") {  // rows 114, 165
  const auto cut =
      GENERATE(as<std::string>{}, "", "3", "3\r\nab", "3\r\nabc", "3\r\nabc\r\n", "3\r\nabc\r\n0",
               "3\r\nabc\r\n0\r\n", "3\r\nabc\r\n0\r\nX: 1\r\n", "3\r\nabc\r\n0\r\n\r");
  body_decoder decoder({body_kind::chunked, 0}, {});
  std::string body;
  drain(decoder, cut, body);
  CHECK(decoder.finish() == progress::need_more);
}

TEST_CASE("trailer fields are kept apart and those that frame or route are dropped") {  // rows 116, 117
  body_decoder decoder({body_kind::chunked, 0}, {});
  std::string body;
  const auto rest =
      drain(decoder, "1\r\na\r\n0\r\nX-Sum: 7\r\ncontent-length: 9\r\nHost: b\r\nX-B:\r\n\r\nnext", body);
  CHECK(rest == "next");
  CHECK(decoder.state() == progress::complete);
  CHECK(decoder.trailers().size() == 2);
  CHECK(decoder.trailers().get("x-sum") == "7");
  CHECK(decoder.trailers().contains("x-b"));
}

TEST_CASE("a decoder can be used for one body after another") {
  body_decoder decoder;
  CHECK(decoder.state() == progress::complete);
  std::string body;
  for (int round = 0; round < 3; ++round) {
    decoder.begin({body_kind::chunked, 0}, {});
    drain(decoder, "2\r\nab\r\n0\r\nX: 1\r\n\r\n", body);
    CHECK(decoder.state() == progress::complete);
    CHECK(decoder.trailers().size() == 1);
    decoder.begin({body_kind::length, 1}, {});
    drain(decoder, "c", body);
    CHECK(decoder.trailers().empty());
  }
  CHECK(body == "abcabcabc");
}

TEST_CASE("a refused body consumes nothing more") {
  body_decoder decoder({body_kind::chunked, 0}, {});
  std::string body;
  drain(decoder, "zz\r\n", body);
  CHECK(decoder.state() == progress::rejected);
  CHECK(decoder.next("3\r\nabc\r\n").consumed == 0);
  CHECK(decoder.finish() == progress::rejected);
}
