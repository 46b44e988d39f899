// A cancel, and a drop of the handle, at every moment of connecting, accepting, reading, writing and
// closing, over every kind of stream and in many orders of events.
#include <chrono>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/runtime/testing/shake.hpp>
#include <mobius/testing.hpp>
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

using body = std::function<task<>(world&)>;

task<> answer(socket_stream s) {
  while (lease data = co_await s.receive()) co_await s.write_all(data);
  co_await s.close();
}

// A little of everything: every await that a connection has in its life.
task<> whole_life(kind k) {
  peers p = co_await connected_peers(k);
  auto client = [](socket_stream s) -> task<> {
    const std::string text = test::pattern(100'000);
    auto both = mobius::when_all(s.write_all(text), test::read_exactly(s, text.size()));
    auto [x, got] = co_await std::move(both);
    CHECK(got == text);
    std::vector<char> room(70'000);
    auto more = mobius::when_all(s.write_all(text), s.read_some(std::span(room)));
    auto [y, n] = co_await std::move(more);
    CHECK(n > 0);
    s.shutdown_write();
    co_await test::read_all(s);
    co_await s.close();
  };
  auto both = mobius::when_all(client(std::move(p.client)), answer(std::move(p.server)));
  co_await std::move(both);
}

// The same for a cancel: one end may see that the other has gone before its own cancel comes.
task<> interrupted_life(kind k) {
  try {
    co_await whole_life(k);
  } catch (const std::system_error&) {
  }
}

}  // namespace

TEST_CASE("a connection cancelled at every moment of its life ends each time and leaves nothing") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  auto life = [k](world&) -> task<> { co_await interrupted_life(k); };
  CHECK(mobius::testing::cancel_at_every_await(life) > 20);
}

TEST_CASE("the same in shaken orders of events") {
  const kind k = GENERATE(kind::tcp4, kind::pair);
  INFO(k);
  const std::uint64_t s = test::seed();
  auto life = [k](world&) -> task<> { co_await interrupted_life(k); };
  CHECK(mobius::testing::cancel_at_every_await(life, s) > 20);
  auto undisturbed = [k](world&) -> task<> { co_await whole_life(k); };
  mobius::testing::shake(undisturbed, 30);
}

TEST_CASE("a direct read cancelled at every moment leaves its bytes to the next read") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  for (int moment = 0; moment < 60; ++moment) {
    mobius::testing::run([k, moment](world&) -> task<> {
      peers p = co_await connected_peers(k);
      const std::string text = test::pattern(600'000);
      auto reader = [](socket_stream& s, int at, std::size_t size) -> task<std::string> {
        std::vector<char> room(100'000);
        std::string all;
        while (all.size() < size) {
          auto stop = [](int turns) -> task<> { co_await test::settle(turns); };
          auto first = mobius::when_any(s.read_some(std::span(room)), stop(all.size() > 200'000 ? at : 1000));
          auto [index, value] = co_await std::move(first);
          if (index != 0) continue;
          const std::size_t count = std::get<0>(value);
          if (count == 0) break;  // bytes are missing
          all.append(room.data(), count);
        }
        co_return all;
      };
      auto both =
          mobius::when_all(test::send_and_finish(p.client, text), reader(p.server, moment % 6, text.size()));
      auto [x, got] = co_await std::move(both);
      CHECK(got == text);
    });
  }
}

TEST_CASE("a stream whose handle is dropped at any moment ends every wait on it, and closes", "[fault-24]") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  for (int moment = 0; moment < 40; ++moment) {
    mobius::testing::run([k, moment](world&) -> task<> {
      peers p = co_await connected_peers(k);
      auto reader = [](socket_stream& s) -> task<> {
        std::vector<char> room(100'000);
        for (bool more = true; more && s;) {
          auto r = co_await mobius::as_result(s.read_some(std::span(room)));
          more = r && *r != 0;
        }
      };
      auto writer = [](socket_stream& s) -> task<> {
        const std::string text(300'000, 'x');
        for (bool more = true; more && s;) {
          auto r = co_await mobius::as_result(s.write_all(text));
          more = r.has_value();
        }
      };
      auto dropper = [](socket_stream& s, int turns, int how) -> task<> {
        co_await test::settle(turns);
        if (how == 0) s = socket_stream();
        if (how == 1) s.abort();
        if (how == 2) co_await s.close();
      };
      auto all = mobius::when_all(reader(p.server), writer(p.server), reader(p.client), writer(p.client),
                                  dropper(p.server, moment, moment % 3));
      co_await std::move(all);
    });
  }
}

TEST_CASE("a listener dropped or stopped at any moment ends the accept, and loses no descriptor",
          "[fault-4]") {
  for (int moment = 0; moment < 30; ++moment) {
    mobius::testing::run([moment](world&) -> task<> {
      mobius::net::tcp_listener listener("127.0.0.1", 0);
      auto acceptor = [](mobius::net::tcp_listener& l) -> task<> {
        for (bool more = true; more && l;) {
          auto r = co_await mobius::as_result(l.accept());
          more = r.has_value();
        }
      };
      auto clients = [](std::uint16_t port) -> task<> {
        for (int i = 0; i < 10; ++i) {
          auto r = co_await mobius::as_result(mobius::net::connect("127.0.0.1", port));
          if (!r) break;
        }
      };
      auto dropper = [](mobius::net::tcp_listener& l, int turns) -> task<> {
        co_await test::settle(turns);
        if (turns % 2 == 0) {
          l.close();
        } else {
          l.stop();
        }
      };
      auto all = mobius::when_all(acceptor(listener), clients(listener.local_address().port()),
                                  dropper(listener, moment));
      co_await std::move(all);
    });
  }
}
