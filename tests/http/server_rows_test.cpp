// The list of requests over a socket: what a handler sees, the exact status of what is refused,
// and that nothing behind a refusal or a close is read as a request.

#include <mobius/net/http/text.hpp>
#include <mobius/runtime/testing/testing.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "peer.hpp"
#include "request_rows.hpp"
#include "site.hpp"
#include "support/catch.hpp"

namespace http = mobius::http;
using mobius::task;
using mobius::testing::world;

namespace {

// Notes each request, as `wire::outcome` does.
class notes {
 public:
  task<site::response> operator()(site::request& asked) {
    std::string note(http::method_name(asked.method()));
    note.append(" ").append(asked.path());
    if (!asked.query().empty()) note.append("?").append(asked.query());
    if (!asked.body().empty()) note.append(" [").append(asked.body()).append("]");
    seen.push_back(std::move(note));
    co_return site::response::text(200, "ok\n");
  }
  std::vector<std::string> seen;
};

struct expectation {
  std::vector<std::string> requests;  // that the handler sees
  std::vector<int> statuses;          // that the client gets
  bool refused = false;               // the last of them by the server
  bool over = false;                  // nothing behind the message is read
};

bool take_suffix(std::string& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.resize(text.size() - suffix.size());
  return true;
}

// Reads what `wire::outcome` notes of a message.
expectation expect(std::string_view notes_of) {
  expectation out;
  while (!notes_of.empty()) {
    const auto end = notes_of.find("; ");
    std::string note(notes_of.substr(0, end));
    notes_of = end == std::string_view::npos ? std::string_view() : notes_of.substr(end + 2);
    if (note == "cut") {
      out.over = true;
    } else if (note.size() == 3) {
      out.statuses.push_back(std::stoi(note));
      out.refused = out.over = true;
    } else {
      out.over = take_suffix(note, " close");
      take_suffix(note, " expects");
      if (const auto at = note.rfind(" trailers:"); at != std::string::npos) note.resize(at);
      const bool traced = note.starts_with("TRACE ");
      out.statuses.push_back(traced ? 405 : 200);
      if (!traced) out.requests.push_back(std::move(note));
    }
  }
  return out;
}

std::vector<int> statuses_of(std::string_view answers) {
  std::vector<int> out;
  for (auto at = answers.find("HTTP/1.1 "); at != std::string_view::npos;
       at = answers.find("HTTP/1.1 ", at + 9))
    out.push_back(std::stoi(std::string(answers.substr(at + 9, 3))));
  return out;
}

task<> check_row(const wire::row& row, bool byte_by_byte) {
  auto handler = std::make_shared<notes>();
  site::served web([handler](site::request& asked) { return (*handler)(asked); });
  const expectation expected = expect(row.expected);
  const bool cut = row.expected.ends_with("cut");
  std::string sent = row.sent;
  if (expected.over && !cut) sent += wire::next + wire::next;

  std::string answers;
  if (byte_by_byte) {
    auto client = co_await peer::connect(web.port);
    for (char c : sent) {
      const std::string one(1, c);
      const auto outcome = co_await mobius::as_result(client.write_all(one));
      if (!outcome) break;
      for (int turn = 0; turn < 20; ++turn) co_await mobius::yield();
    }
    ::shutdown(client.native_handle(), SHUT_WR);
    answers = co_await peer::read_to_end(client);
  } else {
    answers = co_await peer::talk(web.port, sent);
  }
  co_await web.site.stop();

  INFO("row " << row.number << ", sent " << http::detail::quoted(sent));
  auto statuses = statuses_of(answers);
  if (byte_by_byte) std::erase(statuses, 100);  // asked for, and right as long as no body has come
  CHECK(statuses == expected.statuses);
  CHECK(handler->seen == expected.requests);
  if (expected.refused) {
    const auto last = answers.substr(answers.rfind("HTTP/1.1 "));
    CHECK(last.find("\r\nConnection: close\r\n") != std::string::npos);
    const auto body = last.substr(last.find("\r\n\r\n") + 4);
    CHECK(body == std::to_string(expected.statuses.back()) + " " +
                      std::string(http::reason_phrase(expected.statuses.back())) + "\n");
  }
}

task<> check_rows(const std::vector<wire::row>& rows, bool byte_by_byte) {
  for (const wire::row& row : rows) {
    if (byte_by_byte && (row.sent.size() > 150 || row.number % 3 != 0)) continue;
    co_await check_row(row, byte_by_byte);
  }
}

}  // namespace

TEST_CASE("each request head of the list is answered right over a socket") {
  mobius::testing::run([](world&) -> task<> { co_await check_rows(wire::head_rows(), false); });
}

TEST_CASE("each request body of the list is answered right over a socket") {
  mobius::testing::run([](world&) -> task<> { co_await check_rows(wire::body_rows(), false); });
}

TEST_CASE("requests of the list are answered right when they come byte by byte") {
  mobius::testing::run([](world&) -> task<> {
    co_await check_rows(wire::head_rows(), true);
    co_await check_rows(wire::body_rows(), true);
  });
}
