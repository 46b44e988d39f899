#include <mobius/net/http/error.hpp>
#include <mobius/net/http/writer.hpp>
#include <string>

#include "support/catch.hpp"

using namespace mobius::http;
using namespace std::string_literals;

namespace {

std::string written(const response& answer, const response_context& context = {}) {
  std::string out;
  write_head(out, answer, context);
  return out;
}

// The head must be refused by `Error` and leave what was written before alone.
template <class Error>
void check_refused(const response& answer) {
  std::string out = "before";
  CHECK_THROWS_AS(write_head(out, answer, {}), Error);
  CHECK(out == "before");
}

response_context answering(method which, int version_minor = 1, bool keep_alive = true) {
  response_context context;
  context.method = which;
  context.version_minor = version_minor;
  context.keep_alive = keep_alive;
  return context;
}

}  // namespace

TEST_CASE("a response head is a status line, its fields and a length") {
  CHECK(written(response::text(200, "hello\n")) ==
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 6\r\n\r\n");
  response answer{404, "Nothing Here", {{"X", "1"}}, ""};
  CHECK(written(answer) == "HTTP/1.1 404 Nothing Here\r\nX: 1\r\nContent-Length: 0\r\n\r\n");
  answer = response{299, "", {}, ""};
  CHECK(written(answer) == "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n");
}

TEST_CASE("a response says whether the connection stays, in the words of the client's version") {
  const response empty;
  CHECK(written(empty, answering(method::get, 1, false)) ==
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  CHECK(written(empty, answering(method::get, 0)) ==
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(written(empty, answering(method::get, 0, false)) ==
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

TEST_CASE("a handler may ask to close and may not say more about the connection") {
  response answer{200, "", {{"Connection", "Close"}}, "x"};
  std::string out;
  const auto done = write_head(out, answer, {});
  CHECK_FALSE(done.keep_alive);
  CHECK(done.send_body);
  CHECK(out == "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n");
  answer.headers.set("Connection", "keep-alive");
  CHECK(written(answer) == "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n");
  answer.headers.set("Connection", "X-Secret");
  check_refused<invalid_header>(answer);
}

TEST_CASE("a reason phrase or a status that breaks the head is refused") {  // row 148
  check_refused<invalid_message>({200, "OK\r\nX: y", {}, ""});
  check_refused<invalid_message>({200, "a\nb", {}, ""});
  check_refused<invalid_message>({200, "a\0b"s, {}, ""});
  check_refused<invalid_message>({99, "", {}, ""});
  check_refused<invalid_message>({100, "", {}, ""});
  check_refused<invalid_message>({1000, "", {}, ""});
  check_refused<invalid_message>({-1, "", {}, ""});
}

TEST_CASE("a length that is not the body's is refused and the right one is written once") {  // row 153
  check_refused<invalid_header>({200, "", {{"Content-Length", "5"}}, "four"});
  check_refused<invalid_header>({200, "", {{"Content-Length", "3"}}, "four"});
  check_refused<invalid_header>({200, "", {{"Content-Length", "four"}}, "four"});
  check_refused<invalid_header>({200, "", {{"Content-Length", "4"}, {"Content-Length", "4"}}, "four"});
  CHECK(written({200, "", {{"content-length", "4"}, {"X", "1"}}, "four"}) ==
        "HTTP/1.1 200 OK\r\nX: 1\r\nContent-Length: 4\r\n\r\n");
}

TEST_CASE("a handler does not frame its response") {  // row 154
  check_refused<invalid_header>({200, "", {{"Transfer-Encoding", "chunked"}}, ""});
  check_refused<invalid_header>({200, "", {{"transfer-encoding", "chunked"}, {"Content-Length", "0"}}, ""});
  check_refused<invalid_header>({200, "", {{"Upgrade", "h2c"}}, ""});
}

TEST_CASE("the answer to HEAD is the head of GET without a body") {  // row 155
  const auto answer = response::text(200, "hello");
  std::string head, get;
  const auto done = write_head(head, answer, answering(method::head));
  write_head(get, answer, answering(method::get));
  CHECK(head == get);
  CHECK_FALSE(done.send_body);
  CHECK(written({200, "", {{"Content-Length", "999"}}, ""}, answering(method::head)) ==
        "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n");
}

TEST_CASE("204 and 304 send no body, and 204 no length") {  // row 156
  std::string out;
  CHECK_FALSE(write_head(out, {204, "", {}, "ignored"}, {}).send_body);
  CHECK(out == "HTTP/1.1 204 No Content\r\n\r\n");
  out.clear();
  CHECK_FALSE(write_head(out, {304, "", {{"Content-Length", "7"}}, ""}, {}).send_body);
  CHECK(out == "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n");
  CHECK(written({304, "", {}, ""}) == "HTTP/1.1 304 Not Modified\r\n\r\n");
}

TEST_CASE("an error answer closes, names the status and nothing of the request") {  // row 159
  std::string out;
  write_error(out, 431, "");
  CHECK(out ==
        "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Length: 36\r\nConnection: close\r\n\r\n431 Request Header Fields Too Large\n");
}

TEST_CASE("the date is an IMF-fixdate that follows the clock by seconds") {  // row 160
  using namespace std::chrono;
  date_line date;
  const system_clock::time_point moment = sys_seconds(seconds(784111777));
  CHECK(date.at(moment) == "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
  CHECK(date.at(moment + milliseconds(999)) == "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
  CHECK(date.at(moment + seconds(1)) == "Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n");
  CHECK(date.at(sys_seconds(seconds(951827696))) == "Date: Tue, 29 Feb 2000 12:34:56 GMT\r\n");
  CHECK(date.at(sys_seconds(seconds(0))) == "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n");

  response_context context;
  context.date = date.at(moment);
  CHECK(written({200, "", {}, ""}, context) ==
        "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n");
  CHECK(written({200, "", {{"Date", "mine"}}, ""}, context) ==
        "HTTP/1.1 200 OK\r\nDate: mine\r\nContent-Length: 0\r\n\r\n");
}

TEST_CASE("reason phrases are the registered ones") {
  CHECK(reason_phrase(200) == "OK");
  CHECK(reason_phrase(404) == "Not Found");
  CHECK(reason_phrase(505) == "HTTP Version Not Supported");
  CHECK(reason_phrase(299).empty());
  CHECK(reason_phrase(0).empty());
}

TEST_CASE("a request head names its host and the length of its body") {
  std::string out;
  write_request_head(out, method::get, parse_url("http://Example.org:81/a?b#c"), {{"Accept", "*/*"}});
  CHECK(out == "GET /a?b HTTP/1.1\r\nHost: example.org:81\r\nAccept: */*\r\n\r\n");
  out.clear();
  write_request_head(out, method::post, parse_url("http://a/"), {}, 3);
  CHECK(out == "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n");
  out.clear();
  write_request_head(out, method::put, parse_url("http://[::1]/"), {});
  CHECK(out == "PUT / HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 0\r\n\r\n");
  out.clear();
  write_request_head(out, method::options, "*", "a", {});
  CHECK(out == "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
}

TEST_CASE("a request that would break its head is refused and nothing is written") {  // row 149
  std::string out = "before";
  const auto target =
      GENERATE(as<std::string>{}, "", "/a b", "/a\r\nX: y", "/a\nb", "/\xc3\xa9", "/a\0"s, "/a\t");
  CHECK_THROWS_AS(write_request_head(out, method::get, target, "a", {}), invalid_message);
  CHECK_THROWS_AS(write_request_head(out, method::get, "/", "a\r\nX: y", {}), invalid_message);
  CHECK_THROWS_AS(write_request_head(out, method::get, "/", "", {}), invalid_message);
  CHECK_THROWS_AS(write_request_head(out, method::get, "/", "a", {{"host", "b"}}), invalid_header);
  CHECK_THROWS_AS(write_request_head(out, method::get, "/", "a", {{"Content-Length", "1"}}), invalid_header);
  CHECK_THROWS_AS(write_request_head(out, method::get, "/", "a", {{"Transfer-Encoding", "chunked"}}),
                  invalid_header);
  CHECK(out == "before");
}
