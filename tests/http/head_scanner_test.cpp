#include <cstdlib>
#include <mobius/net/http/head_scanner.hpp>
#include <random>
#include <string>

#include "support/catch.hpp"

using mobius::http::head_limits;
using mobius::http::head_scanner;
using mobius::http::progress;

namespace {

std::uint32_t seed() {
  const char* given = std::getenv("MOBIUS_SEED");
  return given != nullptr ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10))
                          : std::random_device{}();
}

std::string long_head(std::size_t fields) {
  std::string text = "HTTP/1.1 200 OK\r\n";
  for (std::size_t i = 0; i < fields; ++i)
    text += "Name-" + std::to_string(i) + ":\ta value with some length\r\n";
  return text + "\r\n";
}

struct verdict {
  progress state;
  std::size_t size;
  int status;
  bool operator==(const verdict&) const = default;
};

std::ostream& operator<<(std::ostream& out, const verdict& found) {
  return out << static_cast<int>(found.state) << "/" << found.size << "/" << found.status;
}

verdict whole(head_scanner::kind kind, std::string_view text) {
  head_scanner scanner(kind, {});
  const auto state = scanner.scan(text);
  return {state, state == progress::complete ? scanner.size() : 0, scanner.why().status};
}

verdict split(head_scanner::kind kind, std::string_view text, std::mt19937& random) {
  head_scanner scanner(kind, {});
  auto state = progress::need_more;
  for (std::size_t have = 0; state == progress::need_more && have < text.size();) {
    have = std::min(text.size(), have + 1 + random() % 40);
    const std::string moved(text.substr(0, have));
    state = scanner.scan(moved);
  }
  return {state, state == progress::complete ? scanner.size() : 0, scanner.why().status};
}

}  // namespace

TEST_CASE("a head is found at its empty line and what follows is left alone") {
  head_scanner scanner(head_scanner::kind::request, {});
  const std::string_view text = "GET / HTTP/1.1\r\nHost: a\r\n\r\nbody\nwithout\rrules";
  REQUIRE(scanner.scan(text) == progress::complete);
  CHECK(scanner.size() == text.find("body"));
  CHECK(scanner.start_line_size() == 14);
  CHECK(scanner.start() == 0);
}

TEST_CASE("a scanner can be used again after a reset") {
  head_scanner scanner(head_scanner::kind::request, {});
  CHECK(scanner.scan("\r\nGET / HTTP/1.1\r\n") == progress::need_more);
  CHECK(scanner.begun());
  scanner.reset();
  CHECK_FALSE(scanner.begun());
  CHECK(scanner.scan("\r\nGET / HTTP/1.1\r\n\r\n") == progress::complete);
  CHECK(scanner.start() == 2);
}

TEST_CASE("a trailer section may be empty") {
  CHECK(whole(head_scanner::kind::trailers, "\r\nrest") == verdict{progress::complete, 2, 0});
  CHECK(whole(head_scanner::kind::trailers, "A: b\r\n\r\n") == verdict{progress::complete, 8, 0});
}

TEST_CASE("no empty line goes before a status line") {
  CHECK(whole(head_scanner::kind::response, "\r\nHTTP/1.1 200 OK\r\n\r\n").status == 400);
}

// Bytes that were looked at are spoilt, so a scanner that went back to one would refuse the head:
// each byte is looked at once, and the whole costs linear time.
TEST_CASE("a dribbled head is looked at once") {
  const auto text = long_head(100);
  head_scanner scanner(head_scanner::kind::response, {});
  std::string seen;
  auto state = progress::need_more;
  for (char c : text) {
    REQUIRE(state == progress::need_more);
    seen += c;
    state = scanner.scan(seen);
    seen.back() = '\0';
  }
  CHECK(state == progress::complete);
  CHECK(scanner.size() == text.size());
}

TEST_CASE("a head is judged alike however it is cut") {
  const auto used = seed();
  INFO("MOBIUS_SEED=" << used);
  std::mt19937 random(used);
  const std::string alphabet("ab:\r\n\t \0\x01", 9);
  for (int round = 0; round < 3000; ++round) {
    auto text = long_head(random() % 12);
    const auto kind = static_cast<head_scanner::kind>(random() % 3);
    for (auto faults = random() % 3; faults > 0; --faults) {
      const auto at = random() % text.size();
      if (random() % 2 == 0)
        text[at] = alphabet[random() % alphabet.size()];
      else
        text.erase(at, 1);
    }
    const auto expected = whole(kind, text);
    for (int cut = 0; cut < 5; ++cut) REQUIRE(split(kind, text, random) == expected);
  }
}

TEST_CASE("a scanner agrees with a plain reading of the rules") {
  const auto used = seed();
  INFO("MOBIUS_SEED=" << used);
  std::mt19937 random(used);
  const std::string alphabet("aaaaaaab: \t", 11);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    bool right = true;
    const auto lines = 1 + random() % 5;
    for (std::size_t line = 0; line < lines; ++line) {
      std::string content;
      for (auto left = 1 + random() % 40; left > 0; --left) content += alphabet[random() % alphabet.size()];
      right = right && content[0] != ' ' && content[0] != '\t' && content[0] != ':';
      text += content;
      const auto ending = random() % 40;
      right = right && ending > 1;
      text += ending == 0 ? "\n" : ending == 1 ? "\r" : "\r\n";
    }
    text += "\r\n";
    CAPTURE(text);
    CHECK((whole(head_scanner::kind::response, text).state == progress::complete) == right);
  }
}
