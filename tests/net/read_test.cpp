// Reading in its two ways, into the reactor's buffers and directly into the reader's memory.
#include <algorithm>
#include <chrono>
#include <mobius/deferred/coroutine.hpp>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/runtime/testing/shake.hpp>
#include <mobius/testing.hpp>
#include <random>
#include <vector>

#include "net/peers.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::lease;
using mobius::task;
using mobius::net::socket_stream;
using mobius::testing::world;
using test::connected_peers;
using test::kind;
using test::peers;

namespace {

constexpr mobius::testing::run_options real_time{.virtual_time = false};
constexpr std::size_t large = 256 * 1024;

task<> write_in_pieces(socket_stream& out, const std::string& text, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t most = random() % 3 == 0 ? 300 : 200'000;
    const std::size_t part = std::min<std::size_t>(text.size() - at, 1 + random() % most);
    co_await out.write_all(std::string_view(text).substr(at, part));
    at += part;
    if (random() % 4 == 0) co_await test::settle(static_cast<int>(random() % 30));
  }
  out.shutdown_write();
}

// Reads by all means, with and without a cancel at any moment.
task<std::string> read_at_random(socket_stream& in, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string got;
  std::string room;
  bool ended = false;
  while (!ended) {
    const auto limit = random() % 5 == 0 ? std::chrono::nanoseconds(random() % 40'000) : 1h;
    if (random() % 3 == 0) {
      auto part = co_await mobius::as_result(mobius::timeout(limit, in.receive()));
      if (part) {
        ended = part->empty();
        got += part->text();
      }
    } else {
      room.resize(random() % 3 == 0 ? 1 + random() % 1000 : large);
      auto part = co_await mobius::as_result(mobius::timeout(limit, in.read_some(std::span(room))));
      if (part) {
        ended = *part == 0;
        got.append(room, 0, *part);
      }
    }
    if (random() % 50 == 0) co_await test::settle(static_cast<int>(random() % 60));
  }
  co_return got;
}

}  // namespace

TEST_CASE("reads of any size and way, cancelled at random, lose no byte and keep the order") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  const std::uint64_t s = test::seed();
  mobius::testing::run(
      [k, s](world&) -> task<> {
        peers p = co_await connected_peers(k);
        const std::string text = test::pattern(12'000'000);
        auto both = mobius::when_all(write_in_pieces(p.client, text, s), read_at_random(p.server, s + 1));
        auto [x, got] = co_await std::move(both);
        CHECK(got == text);
      },
      real_time);
}

TEST_CASE("large reads of a full stream go straight into the reader's memory, and back when it runs dry") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run([k](world&) -> task<> {
    peers p = co_await connected_peers(k);
    const std::string text = test::pattern(20'000'000);
    auto reader = [](socket_stream& s, std::string& all) -> task<std::size_t> {
      std::vector<char> room(large);
      std::size_t most = 0;
      while (true) {
        const std::size_t n = co_await s.read_some(std::span(room));
        if (n == 0) break;
        most = std::max(most, n);
        all.append(room.data(), n);
      }
      co_return most;
    };
    std::string all;
    auto both = mobius::when_all(test::send_and_finish(p.client, text), reader(p.server, all));
    auto [x, most] = co_await std::move(both);
    CHECK(all == text);
    // More than all buffers in the queue could give, so it was no copy out of them.
    if (k == kind::tcp4 || k == kind::tcp6)
      CHECK(most > 2 * mobius::detail::buffer_pool::small.buffer_size());
  });
}

namespace {

// Receives `size` bytes in leases, and keeps them all.
task<std::vector<lease>> receive_and_keep(socket_stream& s, std::size_t size) {
  std::vector<lease> kept;
  for (std::size_t done = 0; done < size; done += kept.back().size()) kept.push_back(co_await s.receive());
  co_return kept;
}

std::string text_of(const std::vector<lease>& kept) {
  std::string all;
  for (const lease& l : kept) all += l.text();
  return all;
}

struct received {
  std::string text;
  std::size_t largest = 0;  // of the leases
};

task<received> receive_all(socket_stream& s, std::size_t size) {
  received all;
  while (all.text.size() < size) {
    const lease part = co_await s.receive();
    all.largest = std::max(all.largest, part.size());
    all.text += part.text();
  }
  co_return all;
}

task<> write_text(socket_stream& s, const std::string& text) { co_await s.write_all(text); }

}  // namespace

TEST_CASE("a stream that keeps filling its buffers receives in larger ones, until its messages are small") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run([k](world&) -> task<> {
    peers p = co_await connected_peers(k);
    constexpr std::size_t small = mobius::detail::buffer_pool::small.buffer_size();
    // Long enough for the kernel's window to have grown.
    const std::string text = test::pattern(30'000'000);
    for (int times = 0; times < 3; ++times) {
      auto both = mobius::when_all(write_text(p.client, text), receive_all(p.server, text.size()));
      auto [x, all] = co_await std::move(both);
      const bool whole = all.text == text;
      CHECK(whole);
      if (k == kind::tcp4 || k == kind::tcp6) CHECK(all.largest > small);
      for (int i = 0; i < 20; ++i) {
        co_await p.client.write_all("small");
        const std::string got = co_await test::read_exactly(p.server, 5);
        CHECK(got == "small");
      }
    }
  });
}

TEST_CASE("with every larger buffer leased a stream goes on in small ones, and loses no byte") {
  mobius::testing::run([](world&) -> task<> {
    peers p = co_await connected_peers(kind::tcp4);
    constexpr auto& large_pool = mobius::detail::buffer_pool::large;
    const std::string text =
        test::pattern(std::size_t{large_pool.most} * large_pool.buffer_size() + 4'000'000);
    auto both = mobius::when_all(write_text(p.client, text), receive_and_keep(p.server, text.size()));
    auto [x, kept] = co_await std::move(both);
    CHECK(text_of(kept) == text);
    kept.clear();
    auto again = mobius::when_all(write_text(p.client, text), receive_and_keep(p.server, text.size()));
    auto [y, second] = co_await std::move(again);
    CHECK(text_of(second) == text);
  });
}

TEST_CASE("a direct read that is dropped with its stream ends, and its memory is not written to after") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run([k](world&) -> task<> {
    peers p = co_await connected_peers(k);
    auto writer = [](socket_stream& s) -> task<> {
      const std::string text(1'000'000, 'x');
      co_await s.write_all(text);
    };
    auto reader = [](socket_stream& s) -> task<std::string> {
      std::vector<char> room(large);
      std::size_t done = 0;
      while (done < 1'000'000) {
        const std::size_t n = co_await s.read_some(std::span(room));
        done += n;
      }
      auto last = co_await mobius::as_result(s.read_some(std::span(room)));
      co_return last ? "no error" : last.error().what();
    };
    auto dropper = [](socket_stream& s) -> task<> {
      co_await test::settle(400);
      s = socket_stream();
    };
    auto all = mobius::when_all(writer(p.client), reader(p.server), dropper(p.server));
    auto [x, error, y] = co_await std::move(all);
    CHECK(error.find("the stream has been closed here: Bad file descriptor") != std::string::npos);
  });
}

TEST_CASE(
    "a second reader between the wake-up of the first and its turn fails with EBUSY, and takes nothing") {
  mobius::testing::run([](world&) -> task<> {
    peers p = co_await connected_peers();
    auto first = [](socket_stream& s) -> task<std::string> {
      lease data = co_await s.receive();
      co_return std::string(data.text());
    };
    // Ready in the same turn as the first, and resumed before it.
    auto thief = [](socket_stream& s, socket_stream& other) -> task<int> {
      co_await mobius::yield();
      co_await other.write_all("bytes");
      int refused = 0;
      for (int i = 0; i < 20; ++i) {
        auto r = co_await mobius::as_result(mobius::timeout(0ns, s.receive()));
        refused += r ? 100 : 1;
      }
      co_return refused;
    };
    auto both = mobius::when_all(thief(p.server, p.client), first(p.server));
    auto [refused, text] = co_await std::move(both);
    CHECK(text == "bytes");
    CHECK(refused == 20);
  });
}

TEST_CASE(
    "a close between the wake-up of a reader and its turn is told as such, not as the end of the stream") {
  mobius::testing::shake(
      [](world&) -> task<> {
        peers p = co_await connected_peers(kind::pair);
        auto reader = [](socket_stream& s) -> task<std::string> {
          auto r = co_await mobius::as_result(s.receive());
          co_return r ? std::string(r->text()) : r.error().what();
        };
        auto closer = [](socket_stream& s, socket_stream& other) -> task<> {
          co_await other.write_all("bytes");
          s = socket_stream();
        };
        auto both = mobius::when_all(reader(p.server), closer(p.server, p.client));
        auto [text, x] = co_await std::move(both);
        const bool right = text == "bytes" || text.find("closed here") != std::string::npos;
        CHECK(right);
      },
      50);
}

TEST_CASE("reading may be shut down: what has come is dropped, readers see the end, writing goes on") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run([k](world&) -> task<> {
    peers p = co_await connected_peers(k);
    co_await p.client.write_all("first");
    lease first = co_await p.server.receive();
    CHECK(first.text() == "first");
    co_await p.client.write_all("unread");
    co_await test::settle();
    p.server.shutdown_read();
    lease end = co_await p.server.receive();
    CHECK(end.empty());
    std::array<char, 10> room{};
    const std::size_t n = co_await p.server.read_some(std::span(room));
    CHECK(n == 0);
    co_await p.server.write_all("answer");
    lease answer = co_await p.client.receive();
    CHECK(answer.text() == "answer");
  });
}

TEST_CASE("shutting down the reading ends a reader that waits", "[fault-28]") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run([k](world&) -> task<> {
    peers p = co_await connected_peers(k);
    auto shut = [](socket_stream& s) -> task<> {
      co_await test::settle();
      s.shutdown_read();
    };
    auto both = mobius::when_all(p.server.receive(), shut(p.server));
    auto [end, x] = co_await std::move(both);
    CHECK(end.empty());
  });
}

TEST_CASE("a read may own its buffer, gives it back, and so may become a deferred") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run([k](world&) -> task<> {
    peers p = co_await connected_peers(k);
    co_await p.client.write_all("hello");
    auto first = co_await p.server.read_some(std::string(4, '\0'));
    CHECK(first.buffer == "hell");
    CHECK(first.size == 4);
    auto second = co_await mobius::to_deferred(p.server.read_some(std::vector<char>(100)));
    CHECK(second.size == 1);
    CHECK(second.buffer.at(0) == 'o');
    std::string got;
    mobius::deferred<void> later =
        mobius::to_deferred(p.server.read_some(std::string(100, '\0'))).add_callback([&](auto read) {
          got = read.buffer.substr(0, read.size);
        });
    co_await p.client.write_all("later");
    co_await std::move(later);
    CHECK(got == "later");
  });
}

TEST_CASE("a stream can be given away: its descriptor with what was received, and taken over again") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run([k](world&) -> task<> {
    peers p = co_await connected_peers(k);
    co_await p.client.write_all("first second");
    std::array<char, 5> first{};
    co_await p.server.read_some(std::span(first));
    mobius::net::released_socket given = co_await p.server.release();
    CHECK_FALSE(static_cast<bool>(p.server));
    CHECK(given.unread == " second");
    co_await p.client.write_all("third");
    auto again = mobius::net::tcp_stream::adopt(given.fd);
    lease third = co_await again.receive();
    CHECK(third.text() == "third");
    co_await again.write_all("answer");
    lease answer = co_await p.client.receive();
    CHECK(answer.text() == "answer");
  });
}

TEST_CASE("a read has its deadline, which loses no byte, and the stream with deadlines is a stream") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run(
      [k](world&) -> task<> {
        peers p = co_await connected_peers(k);
        mobius::net::with_deadlines stream(std::move(p.server), {.read = 5ms, .write = 20ms});
        const std::string peer = stream.peer_address().to_string();
        auto none = co_await mobius::as_result(stream.receive());
        CHECK(none.error().check<mobius::timed_out>());
        CHECK(none.error().what() == "read from " + peer + ": timed out after 5 ms");
        co_await p.client.write_all("late");
        std::array<char, 2> room{};
        const std::size_t n = co_await stream.read_some(std::span(room));
        CHECK(n == 2);
        lease rest = co_await stream.receive();
        CHECK(rest.text() == "te");
        const std::string much(30'000'000, 'x');
        auto sent = co_await mobius::as_result(stream.write_all(much));
        REQUIRE(sent.error().check<mobius::net::write_interrupted>());
        CHECK(sent.error().get_if<mobius::net::write_interrupted>()->transferred() > 0);
      },
      real_time);
}
