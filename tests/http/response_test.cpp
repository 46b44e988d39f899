// Responses and what a client must make of them; rows with one number are variants of one case.

#include <mobius/net/http/body_decoder.hpp>
#include <mobius/net/http/error.hpp>
#include <mobius/net/http/response_parser.hpp>
#include <mobius/net/http/text.hpp>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "wire.hpp"

using mobius::http::method;
using mobius::http::progress;
using namespace std::string_literals;

namespace {

struct row {
  int number;
  std::string sent;
  std::string expected;
  method asked = method::get;
};

// One exchange after another on a connection that then ends, as text: "200 [body]" with " keep"
// where the connection may be used again, and how it ended otherwise.
class client {
 public:
  explicit client(method asked) { parser_.begin(asked); }

  void receive(std::string_view bytes) {
    buffer_ += bytes;
    try {
      while (!closed_ && step()) {
      }
    } catch (const mobius::http::protocol_error&) {
      stop("protocol error");
    } catch (const mobius::http::too_large&) {
      stop("too large");
    }
  }

  std::string finish() {
    if (closed_) return notes_;
    if (in_body_ && decoder_.finish() == progress::complete) return end_body(), notes_;
    if (!in_body_ && !parser_.begun() && !notes_.empty()) return notes_;
    try {
      parser_.throw_cut_off(body_);
    } catch (const mobius::http::response_never_received&) {
      stop("never received");
    } catch (const mobius::http::response_truncated& cut) {
      stop("truncated [" + cut.body() + "]");
    }
    return notes_;
  }

 private:
  bool step() {
    if (!in_body_) {
      const auto [complete, consumed] = parser_.parse(buffer_);
      buffer_.erase(0, consumed);
      if (!complete) return false;
      decoder_.begin(parser_.head().body, {});
      in_body_ = true;
    }
    while (decoder_.state() == progress::need_more && !buffer_.empty()) {
      const auto piece = decoder_.next(buffer_);
      body_ += piece.data;
      buffer_.erase(0, piece.consumed);
    }
    if (decoder_.state() == progress::rejected) parser_.throw_refused(decoder_.why());
    if (decoder_.state() == progress::need_more) return false;
    end_body();
    return true;
  }

  void end_body() {
    const auto& head = parser_.head();
    stop(std::to_string(head.status) + (body_.empty() ? "" : " [" + body_ + "]") +
         (head.keep_alive ? " keep" : ""));
    closed_ = !head.keep_alive;
    in_body_ = false;
    body_.clear();
    parser_.begin(method::get);
  }

  void stop(const std::string& note) {
    notes_ += (notes_.empty() ? "" : "; ") + note;
    closed_ = true;
  }

  mobius::http::response_parser parser_{"GET http://a/"};
  mobius::http::body_decoder decoder_;
  std::string buffer_;
  std::string body_;
  std::string notes_;
  bool in_body_ = false;
  bool closed_ = false;
};

std::string outcome(const std::vector<std::string_view>& pieces, method asked) {
  client peer(asked);
  for (auto piece : pieces) peer.receive(piece);
  return peer.finish();
}

std::string ok(std::string_view lines, std::string_view body = {}) {
  return "HTTP/1.1 200 OK\r\n" + std::string(lines) + (lines.empty() ? "" : "\r\n") + "\r\n" +
         std::string(body);
}

std::string repeat(std::size_t times, std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

const std::string next = ok("Content-Length: 4", "next");

const std::vector<row>& rows() {
  static const std::vector<row> all = {
      {164, ok("Content-Length: 3", "abc"), "200 [abc] keep"},
      {164, ok("Content-Length: 0"), "200 keep"},
      {164, ok("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n"), "200 [abc] keep"},
      {164, ok("Transfer-Encoding: chunked", "0\r\nContent-Length: 9\r\n\r\n" + next),
       "200 keep; 200 [next] keep"},
      {164, ok("", "abc"), "200 [abc]"},
      {164, ok("Connection: close\r\nContent-Length: 3", "abc"), "200 [abc]"},
      {164, "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", "200 [abc]"},
      {164, "HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc", "200 [abc] keep"},
      {164, ok("Content-Length: 3", "abc") + next, "200 [abc] keep; 200 [next] keep"},
      {165, ok("Content-Length: 10", "abc"), "truncated [abc]"},
      {165, ok("Transfer-Encoding: chunked", "5\r\nabc"), "truncated [abc]"},
      {165, ok("Transfer-Encoding: chunked", "3\r\nabc\r\n"), "truncated [abc]"},
      {165, ok("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n"), "truncated [abc]"},
      {165, "HTTP/1.1 200 OK\r\nConte", "truncated []"},
      {165, "HTTP/1.1 100 Continue\r\n\r\n", "truncated []"},
      {167, "", "never received"},
      {168, "HTTP/1.1 20 OK\r\n\r\n", "protocol error"},
      {168, "HTTP/1.1  OK\r\n\r\n", "protocol error"},
      {168, "HTTP/1.1  200 OK\r\n\r\n", "protocol error"},
      {168, "HTTP/1.1\r\n\r\n", "protocol error"},
      {168, "HTTP/1.1 000 OK\r\n\r\n", "protocol error"},
      {168, "HTTP/1.1 099 OK\r\n\r\n", "protocol error"},
      {168, "HTTP/1.1 1000 OK\r\n\r\n", "protocol error"},
      {168, "HTTP/1.1 -20 OK\r\n\r\n", "protocol error"},
      {168, "HTTP/1.1 200OK\r\n\r\n", "protocol error"},
      {169, "HTTP/0.9 200 OK\r\n\r\n", "protocol error"},
      {169, "HTTP/2.0 200 OK\r\n\r\n", "protocol error"},
      {169, "HTTP/1.2 200 OK\r\n\r\n", "protocol error"},
      {169, "ICY 200 OK\r\n\r\n", "protocol error"},
      {169, "http/1.1 200 OK\r\n\r\n", "protocol error"},
      {169, "<html>\r\n\r\n", "protocol error"},
      {170, "HTTP/1.1 200 a\0b\r\n\r\n"s, "protocol error"},
      {170, "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "200 keep"},
      {170, "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "200 keep"},
      {171, "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", "protocol error"},
      {171, "HTTP/1.1 200 OK\r\nContent-Length: 0\n\r\n", "protocol error"},
      {171, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\n", "protocol error"},
      {172, ok("X: a\r\n b\r\nContent-Length: 0"), "protocol error"},
      {172, ok("Content-Length:\r\n 3", "abc"), "protocol error"},
      {172, ok("X : a\r\nContent-Length: 0"), "protocol error"},
      {172, ok("X: a\x01\r\nContent-Length: 0"), "protocol error"},
      {173, ok("Content-Length: 3\r\nContent-Length: 3", "abc" + next), "200 [abc] keep; 200 [next] keep"},
      {173, ok("Content-Length: 3, 3", "abc"), "200 [abc] keep"},
      {173, ok("Content-Length: 3\r\nContent-Length: 4", "abcd"), "protocol error"},
      {173, ok("Content-Length: 3, 4", "abcd"), "protocol error"},
      {173, ok("Content-Length: ", "abc"), "protocol error"},
      {173, ok("Content-Length: 3,", "abc"), "protocol error"},
      {173, ok("Content-Length: +3", "abc"), "protocol error"},
      {173, ok("Content-Length: -3", "abc"), "protocol error"},
      {173, ok("Content-Length: 0x3", "abc"), "protocol error"},
      {173, ok("Content-Length: 18446744073709551616", "abc"), "protocol error"},
      {173, ok("Content-Length: 3\t", "abc"), "200 [abc] keep"},
      {174, ok("Content-Length: 3\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), "protocol error"},
      {174, ok("Transfer-Encoding: chunked\r\nContent-Length: 3", "0\r\n\r\n"), "protocol error"},
      {175, ok("Transfer-Encoding: gzip", "abc"), "protocol error"},
      {175, ok("Transfer-Encoding: chunked, gzip", "0\r\n\r\n"), "protocol error"},
      {175, ok("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"), "protocol error"},
      {175, ok("Transfer-Encoding: chunked, chunked", "0\r\n\r\n"), "protocol error"},
      {175, ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), "protocol error"},
      {175, ok("Transfer-Encoding:", "abc"), "protocol error"},
      {175, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "protocol error"},
      {176, "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n" + next, "204 keep; 200 [next] keep"},
      {176, "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n" + next,
       "204 keep; 200 [next] keep"},
      {176, "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n" + next, "304 keep; 200 [next] keep"},
      {176, "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n" + next,
       "304 keep; 200 [next] keep"},
      {176, "HTTP/1.1 304 Not Modified\r\n\r\n" + next, "304 keep; 200 [next] keep"},
      {177, ok("Content-Length: 3") + next, "200 keep; 200 [next] keep", method::head},
      {177, ok("Transfer-Encoding: chunked") + next, "200 keep; 200 [next] keep", method::head},
      {177, ok("") + next, "200 keep; 200 [next] keep", method::head},
      {177, ok("Connection: close"), "200", method::head},
      {178, "HTTP/1.1 100 Continue\r\n\r\n" + next, "200 [next] keep"},
      {178, "HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\n" + next, "200 [next] keep"},
      {178, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + next, "200 [next] keep"},
      {178, repeat(20, "HTTP/1.1 102 Processing\r\n\r\n") + next, "200 [next] keep"},
      {178, repeat(21, "HTTP/1.1 102 Processing\r\n\r\n") + next, "protocol error"},
      {179, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
       "protocol error"},
      {179, "HTTP/1.1 101 Switching Protocols\r\n\r\n", "protocol error"},
      {183, next + "garbage\r\n\r\n", "200 [next] keep; protocol error"},
      {186, "HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x'), "too large"},
      {186, "HTTP/1.1 200 OK\r\n" + repeat(300, "X: 1\r\n") + "\r\n", "too large"},
      {186, "HTTP/1.1 200 " + std::string(100'000, 'x'), "too large"},
      {186, ok("Content-Length: 1048577"), "too large"},
      {186, ok("Transfer-Encoding: chunked", "FFFFFFFFFFFFFFFF\r\n"), "too large"},
      {186, ok("Transfer-Encoding: chunked", "3\nabc"), "protocol error"},
  };
  return all;
}

std::string refusal(std::string_view text) {
  mobius::http::response_parser parser("GET http://example.org/x");
  parser.begin(method::get);
  try {
    parser.parse(text);
    return {};
  } catch (const mobius::http::error& wrong) {
    return wrong.what();
  }
}

}  // namespace

TEST_CASE("each response of the list is read alike however it is split") {
  for (const auto& [number, sent, expected, asked] : rows()) {
    INFO("row " << number << ", sent " << mobius::http::detail::quoted(sent));
    CHECK(outcome({sent}, asked) == expected);
    CHECK(outcome(wire::single_bytes(sent), asked) == expected);
    for (auto at : wire::split_points(sent.size())) {
      const auto whole = std::string_view(sent);
      const auto found = outcome({whole.substr(0, at), whole.substr(at)}, asked);
      if (found == expected) continue;
      FAIL_CHECK("split at " << at << ": " << found << " instead of " << expected);
      break;
    }
  }
}

TEST_CASE("a response head owns its status, reason and fields") {
  mobius::http::response_parser parser("GET http://a/");
  parser.begin(method::get);
  std::string buffer =
      "HTTP/1.1 404 Not Found here\r\nServer: x\r\nX-Empty:\r\nSet-Cookie: a\r\nset-cookie:  b \r\n\r\n";
  REQUIRE(parser.parse(buffer).complete);
  buffer.assign(buffer.size(), '#');
  const auto& head = parser.head();
  CHECK(head.status == 404);
  CHECK(head.reason == "Not Found here");
  CHECK(head.version_minor == 1);
  CHECK(head.headers.size() == 4);
  CHECK(head.headers.contains("x-empty"));
  CHECK(head.headers.get_all("Set-Cookie") == std::vector<std::string_view>{"a", "b"});
}

TEST_CASE("the text of a refused response begins with the exchange and names the fault") {
  using Catch::Matchers::Contains;
  CHECK_THAT(refusal("HTTP/2.0 200 OK\r\n\r\n"), Catch::Matchers::StartsWith("GET http://example.org/x: "));
  CHECK_THAT(refusal("HTTP/2.0 200 OK\r\n\r\n"), Contains("\"HTTP/2.0\""));
  CHECK_THAT(refusal(ok("Content-Length: 3\r\nContent-Length: 4")), Contains("Content-Length"));
  CHECK_THAT(refusal(ok("X: " + std::string(40'000, 'x'))), Contains("over its limit"));
}

TEST_CASE("a status error carries status, reason and body and names them") {
  const mobius::http::status_error failed("http://a/", 404, "Not Found", "gone");
  CHECK(failed.status() == 404);
  CHECK(failed.reason() == "Not Found");
  CHECK(failed.body() == "gone");
  CHECK(failed.what() == "request http://a/: the server answered 404 Not Found"s);
}

TEST_CASE("a passed time limit names the exchange, the phase and the limit") {
  const mobius::http::exchange_timed_out late("http://a/", mobius::http::phase::connect, "10 s");
  CHECK(late.where() == mobius::http::phase::connect);
  CHECK(late.what() == "request http://a/: time limit of 10 s passed while trying to connect"s);
}
