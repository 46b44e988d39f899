#include <array>
#include <chrono>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>
#include <optional>
#include <random>

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
using test::seed;
using test::send_and_finish;

namespace {

constexpr mobius::testing::run_options real_time{.virtual_time = false};

}  // namespace

TEST_CASE("receive gives what the peer wrote, and an empty lease at its end") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run([k](world&) -> task<> {
    peers p = co_await connected_peers(k);
    co_await p.client.write_all("hello");
    lease hello = co_await p.server.receive();
    CHECK(hello.text() == "hello");
    p.client.shutdown_write();
    lease end = co_await p.server.receive();
    CHECK(end.empty());
    lease still_the_end = co_await p.server.receive();
    CHECK(still_the_end.empty());
    co_await p.server.write_all("and back");
    lease back = co_await p.client.receive();
    CHECK(back.text() == "and back");
  });
}

TEST_CASE("read_some takes a part and leaves the rest, across receive") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run([k](world&) -> task<> {
    peers p = co_await connected_peers(k);
    co_await p.client.write_all("0123456789");
    std::array<char, 4> four{};
    const std::size_t n = co_await p.server.read_some(std::span(four));
    CHECK(std::string_view(four.data(), n) == "0123");
    lease rest = co_await p.server.receive();
    CHECK(rest.text() == "456789");
  });
}

TEST_CASE("large transfers both ways at once arrive whole", "[fault-8]") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run([k](world&) -> task<> {
    peers p = co_await connected_peers(k);
    const std::string text = test::pattern(3'000'000);
    auto all = mobius::when_all(send_and_finish(p.client, text), send_and_finish(p.server, text),
                                test::read_all(p.client), test::read_all(p.server));
    auto [a, b, from_server, from_client] = co_await std::move(all);
    CHECK(from_server == text);
    CHECK(from_client == text);
  });
}

TEST_CASE("writes that overlap are sent whole, in the order in which they began") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run([k](world&) -> task<> {
    peers p = co_await connected_peers(k);
    const std::string a(400'000, 'a');
    const std::string b(400'000, 'b');
    const std::string c(10, 'c');
    auto read = test::read_exactly(p.server, a.size() + b.size() + c.size());
    auto all = mobius::when_all(p.client.write_all(a), p.client.write_all(b), p.client.write_all(c),
                                std::move(read));
    auto [x, y, z, text] = co_await std::move(all);
    CHECK(text == a + b + c);
  });
}

TEST_CASE("a second reader meanwhile fails with EBUSY and leaves the first alone") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run([k](world&) -> task<> {
    peers p = co_await connected_peers(k);
    auto second = [](socket_stream& s, socket_stream& other) -> task<std::string> {
      auto r = co_await mobius::as_result(s.receive());
      co_await other.write_all("for the first");
      co_return r ? "no error" : r.error().what();
    };
    auto both = mobius::when_all(p.server.receive(), second(p.server, p.client));
    auto [first, error] = co_await std::move(both);
    CHECK(first.text() == "for the first");
    CHECK(error.find("another reader is waiting already: Device or resource busy") != std::string::npos);
  });
}

TEST_CASE("a cancelled read loses no byte") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  const std::uint64_t s = seed();
  mobius::testing::run(
      [k, s](world&) -> task<> {
        peers p = co_await connected_peers(k);
        const std::string text = test::pattern(400'000);
        auto writer = [](socket_stream& out, const std::string& t, std::uint64_t n) -> task<> {
          std::mt19937_64 random(n);
          for (std::size_t at = 0; at < t.size();) {
            const std::size_t part = std::min<std::size_t>(t.size() - at, 1 + random() % 2000);
            co_await out.write_all(std::string_view(t).substr(at, part));
            at += part;
            co_await mobius::yield();
          }
          out.shutdown_write();
        };
        auto reader = [](socket_stream& in, std::uint64_t n) -> task<std::pair<std::string, int>> {
          std::mt19937_64 random(n);
          std::string all;
          int cancels = 0;
          while (true) {
            const auto limit = std::chrono::microseconds(random() % 30);
            auto part = co_await mobius::as_result(mobius::timeout(limit, in.receive()));
            if (!part) {
              ++cancels;
              continue;
            }
            if (part->empty()) break;
            all += part->text();
          }
          std::pair<std::string, int> out(std::move(all), cancels);
          co_return out;
        };
        auto both = mobius::when_all(writer(p.client, text, s), reader(p.server, s + 1));
        auto [w, got] = co_await std::move(both);
        CHECK(got.first == text);
        CHECK(got.second > 0);
      },
      real_time);
}

TEST_CASE("a reset by the peer is an error that names the call and the peer", "[fault-29]") {
  mobius::testing::run([](world&) -> task<> {
    peers p = co_await connected_peers();
    const std::string peer = p.server.peer_address().to_string();
    p.client.abort();
    auto r = co_await mobius::as_result(p.server.receive());
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().what() == "read from " + peer + ": Connection reset by peer");
    auto w = co_await mobius::as_result(p.server.write_all("too late"));
    REQUIRE_FALSE(w.has_value());
    CHECK(w.error().what().find("write to " + peer) == 0);
  });
}

TEST_CASE("close ends a waiting reader with EBADF, and later uses say that the stream is gone",
          "[fault-25]") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run([k](world&) -> task<> {
    peers p = co_await connected_peers(k);
    auto closer = [](socket_stream& s) -> task<> {
      co_await mobius::yield();
      co_await s.close();
    };
    auto reader = [](socket_stream& s) -> task<std::string> {
      auto r = co_await mobius::as_result(s.receive());
      co_return r ? "no error" : r.error().what();
    };
    auto both = mobius::when_all(reader(p.server), closer(p.server));
    auto [error, x] = co_await std::move(both);
    CHECK(error.find("the stream has been closed here: Bad file descriptor") != std::string::npos);
    CHECK_FALSE(static_cast<bool>(p.server));
    CHECK_THROWS_WITH(p.server.receive(), "receive: this stream is empty; it was closed or moved from");
    lease end = co_await p.client.receive();
    CHECK(end.empty());
  });
}

TEST_CASE("dropping the handle under a waiting reader ends the wait and closes the descriptor",
          "[fault-24]") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run([k](world&) -> task<> {
    peers p = co_await connected_peers(k);
    auto reader = [](socket_stream& s) -> task<bool> {
      auto r = co_await mobius::as_result(s.receive());
      co_return r.has_value();
    };
    auto dropper = [](socket_stream& s) -> task<> {
      co_await mobius::yield();
      s = socket_stream();
    };
    auto both = mobius::when_all(reader(p.server), dropper(p.server));
    auto [got, x] = co_await std::move(both);
    CHECK_FALSE(got);
    lease end = co_await p.client.receive();
    CHECK(end.empty());
  });
}

TEST_CASE("dropping the handle under a write that is in flight fails it and closes the descriptor") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run([k](world&) -> task<> {
    peers p = co_await connected_peers(k);
    const std::string text(8'000'000, 'x');
    auto writer = [](socket_stream& s, const std::string& t) -> task<std::string> {
      auto r = co_await mobius::as_result(s.write_all(t));
      co_return r ? "no error" : r.error().what();
    };
    auto dropper = [](socket_stream& s) -> task<> {
      co_await test::settle();
      s = socket_stream();
    };
    auto both = mobius::when_all(writer(p.client, text), dropper(p.client));
    auto [error, x] = co_await std::move(both);
    CHECK(error.find("write to ") == 0);
  });
}

TEST_CASE("a cancelled write that has sent a part says how much, and nothing more can be sent", "[fault-5]") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run(
      [k](world&) -> task<> {
        peers p = co_await connected_peers(k);
        const std::string text(16'000'000, 'x');
        auto r = co_await mobius::as_result(mobius::timeout(20ms, p.client.write_all(text)));
        REQUIRE_FALSE(r.has_value());
        CHECK(r.error().what().find(" of 16000000 bytes; nothing more can be sent") != std::string::npos);
        auto again = co_await mobius::as_result(p.client.write_all("more"));
        CHECK_FALSE(again.has_value());
      },
      real_time);
}

TEST_CASE("a cancelled write that has sent nothing ends at once, and the stream goes on") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run(
      [k](world&) -> task<> {
        peers p = co_await connected_peers(k);
        const std::string text(6'000'000, 'x');
        auto queued = [](socket_stream& s) -> task<std::string> {
          auto r = co_await mobius::as_result(mobius::timeout(5ms, s.write_all("never sent")));
          co_return r ? "no error" : r.error().what();
        };
        auto reader = [](socket_stream& s, std::size_t size) -> task<std::string> {
          co_await mobius::sleep(20ms);
          std::string all = co_await test::read_exactly(s, size);
          co_return all;
        };
        auto all =
            mobius::when_all(p.client.write_all(text), queued(p.client), reader(p.server, text.size()));
        auto [a, error, got] = co_await std::move(all);
        CHECK(error == "timed out after 5 ms");
        CHECK(got == text);
        co_await p.client.write_all("after");
        lease after = co_await p.server.receive();
        CHECK(after.text() == "after");
      },
      real_time);
}

TEST_CASE("a slow reader holds a bounded number of buffers, and gets every byte", "[fault-48]") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run([k](world&) -> task<> {
    peers p = co_await connected_peers(k);
    const std::string text = test::pattern(20'000'000);
    bool sent = false;
    auto writer = [](socket_stream& s, const std::string& t, bool& done) -> task<> {
      co_await send_and_finish(s, t);
      done = true;
    };
    auto reader = [](socket_stream& s, const bool& done) -> task<std::string> {
      std::string all;
      lease first = co_await s.receive();
      all += first.text();
      first.reset();
      co_await test::settle(500);
      CHECK_FALSE(done);  // the pool alone could hold nearly all of it
      while (lease part = co_await s.receive()) all += part.text();
      co_return all;
    };
    auto both = mobius::when_all(writer(p.client, text, sent), reader(p.server, sent));
    auto [x, got] = co_await std::move(both);
    CHECK(got == text);
  });
}

TEST_CASE("when the shared buffers run out, a stream goes on with memory of its own and loses nothing") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run([k](world&) -> task<> {
    peers hoarders = co_await connected_peers(k);
    peers p = co_await connected_peers(k);
    // A small message in each buffer of the pool, and then some that hold more, none of which is given back.
    std::vector<lease> held;
    std::string got;
    while (held.size() < 1100) {
      co_await hoarders.client.write_all("a small message");
      held.push_back(co_await hoarders.server.receive());
      got += held.back().text();
    }
    CHECK(mobius::reactor::current().service<mobius::detail::buffers>().small().dry());
    auto hoard = [&held, &got](socket_stream& s) -> task<> {
      while (lease part = co_await s.receive()) {
        got += part.text();
        held.push_back(std::move(part));
      }
    };
    const std::string text = test::pattern(4'000'000);
    auto both = mobius::when_all(send_and_finish(hoarders.client, text), hoard(hoarders.server));
    co_await std::move(both);
    std::string sent;
    for (int i = 0; i < 1100; ++i) sent += "a small message";
    CHECK((got == sent + text));
    co_await p.client.write_all("polite");
    lease polite = co_await p.server.receive();
    CHECK(polite.text() == "polite");
    std::array<char, 6> small{};
    co_await p.client.write_all("please");
    const std::size_t n = co_await p.server.read_some(std::span(small));
    CHECK(std::string_view(small.data(), n) == "please");
  });
}

TEST_CASE("a lease and a stream may outlive their reactor") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  std::optional<peers> kept;
  lease data;
  {
    mobius::reactor reactor({.signals = false});
    auto body = [](kind which, std::optional<peers>& out, lease& first) -> task<> {
      out.emplace(co_await connected_peers(which));
      co_await out->client.write_all("still here");
      first = co_await out->server.receive();
      co_await out->client.write_all("unread");
      co_await test::settle();
    };
    reactor.run(body(k, kept, data));
  }
  CHECK(data.text() == "still here");
}

TEST_CASE("reading under a cancel that is already asked for throws before it takes a byte") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run(
      [k](world&) -> task<> {
        peers p = co_await connected_peers(k);
        co_await p.client.write_all("kept");
        co_await test::settle();
        auto inner = [](socket_stream& s) -> task<> {
          try {
            co_await mobius::sleep(1h);
          } catch (const mobius::cancelled&) {
          }
          lease not_taken = co_await s.receive();
          CHECK(false);
        };
        auto r = co_await mobius::as_result(mobius::timeout(1ms, inner(p.server)));
        CHECK(r.error().check<mobius::timed_out>());
        lease kept = co_await p.server.receive();
        CHECK(kept.text() == "kept");
      },
      real_time);
}
