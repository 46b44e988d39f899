// buffered_reader and buffered_writer.
#include <chrono>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>
#include <random>
#include <vector>

#include "net/peers.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::task;
using mobius::net::buffered_reader;
using mobius::net::buffered_writer;
using mobius::net::limit_exceeded;
using mobius::net::socket_stream;
using mobius::net::unexpected_end;
using mobius::testing::world;
using test::connected_peers;
using test::kind;
using test::peers;

namespace {

constexpr mobius::testing::run_options real_time{.virtual_time = false};

task<> write_pieces(socket_stream& out, const std::string& text, std::size_t most, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t part = std::min<std::size_t>(text.size() - at, 1 + random() % most);
    co_await out.write_all(std::string_view(text).substr(at, part));
    at += part;
    co_await mobius::yield();
  }
  out.shutdown_write();
}

task<std::vector<std::string>> read_lines(socket_stream& in, std::size_t limit) {
  buffered_reader reader(in);
  std::vector<std::string> lines;
  while (auto line = co_await reader.read_until("\r\n", limit)) lines.emplace_back(*line);
  co_return lines;
}

}  // namespace

TEST_CASE("read_until gives messages however the bytes are cut") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  const std::uint64_t s = test::seed();
  mobius::testing::run([k, s](world&) -> task<> {
    std::mt19937_64 random(s);
    std::vector<std::string> lines;
    std::string text;
    for (int i = 0; i < 500; ++i) {
      const std::size_t size = random() % 10 == 0 ? random() % 40'000 : random() % 30;
      std::string line = test::pattern(size);
      if (random() % 3 == 0) line += "\r";  // half a delimiter
      if (random() % 3 == 0) line += "\n.";
      if (line.find("\r\n") != line.npos) line = "x";
      lines.push_back(line);
      text += line + "\r\n";
    }
    for (const std::size_t most : {std::size_t{3}, std::size_t{50'000}}) {
      peers p = co_await connected_peers(k);
      const std::string part = most == 3 ? text.substr(0, text.find("\r\n", 20'000) + 2) : text;
      auto both = mobius::when_all(write_pieces(p.client, part, most, s), read_lines(p.server, 50'000));
      auto [x, got] = co_await std::move(both);
      REQUIRE(got.size() <= lines.size());
      lines.resize(std::max(got.size(), most == 3 ? lines.size() : got.size()));
      CHECK(std::equal(got.begin(), got.end(), lines.begin()));
      if (most != 3) CHECK(got.size() == lines.size());
    }
  });
}

TEST_CASE("read_until takes linear time when the bytes dribble in") {
  mobius::testing::run([](world& w) -> task<> {
    auto cost = [](world& world, std::size_t size) -> task<std::size_t> {
      peers p = co_await connected_peers(kind::pair);
      const std::string text = std::string(size, 'x') + "\r\n";
      auto both = mobius::when_all(write_pieces(p.client, text, 1, 1), read_lines(p.server, size));
      const auto before = std::chrono::steady_clock::now();
      auto [x, got] = co_await std::move(both);
      CHECK(got.size() == 1);
      static_cast<void>(world);
      co_return static_cast<std::size_t>((std::chrono::steady_clock::now() - before).count());
    };
    const std::size_t warm = co_await cost(w, 2'000);
    static_cast<void>(warm);
    const std::size_t small = co_await cost(w, 4'000);
    const std::size_t big = co_await cost(w, 64'000);
    // 16 times the bytes: linear is 16, quadratic 256.
    CHECK(big < small * 100);
  });
}

TEST_CASE("a message over the limit is an error, and its bytes are still there") {
  mobius::testing::run([](world&) -> task<> {
    peers p = co_await connected_peers();
    buffered_reader reader(p.server);
    co_await p.client.write_all("12345\n123456\n");
    auto five = co_await reader.read_until("\n", 5);
    CHECK(*five == "12345");
    auto six = co_await mobius::as_result(reader.read_until("\n", 5));
    REQUIRE(six.error().check<limit_exceeded>());
    CHECK(six.error().what().find("no delimiter after 5 bytes, which is the limit") != std::string::npos);
    auto whole = co_await reader.read_until("\n", 6);
    CHECK(*whole == "123456");
    co_await p.client.write_all("no end in sight");
    auto none = co_await mobius::as_result(reader.read_until("\r\n", 5));
    CHECK(none.error().check<limit_exceeded>());
    auto bad = co_await mobius::as_result(reader.read_until("", 5));
    CHECK(bad.error().check<std::invalid_argument>());
  });
}

TEST_CASE("the end between messages is the end, in the middle of one an error that keeps its bytes") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run([k](world&) -> task<> {
    peers p = co_await connected_peers(k);
    buffered_reader reader(p.server);
    co_await p.client.write_all("whole\nhalf");
    p.client.shutdown_write();
    auto whole = co_await reader.read_until("\n", 100);
    CHECK(*whole == "whole");
    auto half = co_await mobius::as_result(reader.read_until("\n", 100));
    CHECK(half.error().check<unexpected_end>());
    CHECK(reader.buffered() == "half");
    auto more = co_await mobius::as_result(reader.read_exactly(10));
    REQUIRE(more.error().check<unexpected_end>());
    CHECK(more.error().what().find("the stream ended after 4 of 10 bytes") != std::string::npos);
    auto exactly = co_await reader.read_exactly(4);
    CHECK(exactly == "half");
    auto end = co_await reader.read_until("\n", 100);
    CHECK_FALSE(end.has_value());
  });
}

TEST_CASE("exact reads of views and into memory follow each other without losing a byte") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  const std::uint64_t s = test::seed();
  mobius::testing::run(
      [k, s](world&) -> task<> {
        peers p = co_await connected_peers(k);
        const std::string text = test::pattern(2'000'000);
        auto reader = [](socket_stream& in, std::uint64_t n, std::size_t size) -> task<std::string> {
          std::mt19937_64 random(n);
          buffered_reader r(in);
          std::string all;
          while (all.size() < size) {
            const std::size_t want =
                std::min<std::size_t>(size - all.size(), 1 + random() % (random() % 4 ? 500 : 90'000));
            const auto limit = random() % 3 == 0 ? std::chrono::nanoseconds(random() % 30'000) : 1h;
            if (random() % 2 == 0) {
              auto view = co_await mobius::as_result(mobius::timeout(limit, r.read_exactly(want)));
              if (view) all += *view;
            } else {
              std::vector<std::byte> room(want);
              auto read = co_await mobius::as_result(mobius::timeout(limit, r.read_exactly(std::span(room))));
              if (read) all.append(reinterpret_cast<const char*>(room.data()), room.size());
            }
          }
          co_return all;
        };
        auto both =
            mobius::when_all(write_pieces(p.client, text, 60'000, s), reader(p.server, s + 1, text.size()));
        auto [x, got] = co_await std::move(both);
        CHECK(got == text);
      },
      real_time);
}

TEST_CASE("an exact read without a buffer says how far it has come, and can be gone on with") {
  mobius::testing::run(
      [](world&) -> task<> {
        peers p = co_await connected_peers();
        co_await p.client.write_all("012");
        std::array<char, 6> room{};
        std::size_t done = 0;
        auto r = co_await mobius::as_result(
            mobius::timeout(5ms, mobius::net::read_exactly(p.server, std::span<char>(room), done)));
        CHECK(r.error().check<mobius::timed_out>());
        CHECK(done == 3);
        co_await p.client.write_all("345");
        co_await mobius::net::read_exactly(p.server, std::span<char>(room), done);
        CHECK(std::string_view(room.data(), 6) == "012345");
        p.client.shutdown_write();
        done = 2;
        auto end =
            co_await mobius::as_result(mobius::net::read_exactly(p.server, std::span<char>(room), done));
        CHECK(end.error().what().find("the stream ended after 2 of 6 bytes: ") != std::string::npos);
      },
      real_time);
}

TEST_CASE("a buffered writer sends small writes together and large ones without a copy") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run([k](world& w) -> task<> {
    peers p = co_await connected_peers(k);
    buffered_writer writer(p.client, 1000);
    const auto before = w.reactor.stats().submissions;
    std::string text;
    for (int i = 0; i < 100; ++i) {
      co_await writer.write("0123456789");
      text += "0123456789";
    }
    CHECK(w.reactor.stats().submissions == before);
    CHECK(writer.size() == 1000);
    const std::string large(50'000, 'x');
    auto both =
        mobius::when_all(writer.write(large), test::read_exactly(p.server, text.size() + large.size()));
    auto [x, got] = co_await std::move(both);
    CHECK(got == text + large);
    CHECK(writer.size() == 0);
    co_await writer.write("rest");
    co_await writer.flush();
    co_await writer.flush();
    mobius::lease rest = co_await p.server.receive();
    CHECK(rest.text() == "rest");
  });
}
