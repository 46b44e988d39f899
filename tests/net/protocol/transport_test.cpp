#include <sys/socket.h>

#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>
#include <stdexcept>
#include <string>
#include <thread>

#include "kit.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::task;
using mobius::net::producer_kind;
using mobius::net::socket_stream;
using mobius::net::start_protocol;
using mobius::net::transport;
using mobius::net::transport_ref;
using mobius::testing::world;
using test::aborted;
using test::events;
using test::in_order;
using test::kind;
using test::peers;
using test::recorder;

namespace {

// Runs a test over each kind of stream: `body(protocol, transport, far end)`.
template <class Protocol = recorder, class Body, class... Args>
void over_each(Body body, Args... args) {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  auto run = [&](world&) -> task<> {
    peers e = co_await test::connected_peers(k);
    auto p = std::make_shared<Protocol>(args...);
    const transport_ref t = start_protocol(p, std::move(e.client));
    co_await body(*p, *t, e.server);
  };
  mobius::testing::run(run);
}

constexpr mobius::testing::run_options real_time{.virtual_time = false};

}  // namespace

TEST_CASE("a protocol is made, gets data, and is told last and once that the peer has closed") {
  over_each([](recorder& p, transport& t, socket_stream& far) -> task<> {
    CHECK(*p.log == events{"made"});
    CHECK(p.connected());
    co_await far.write_all("hello");
    const bool came = co_await test::until([&] { return p.received == "hello"; });
    CHECK(came);
    far = socket_stream();
    co_await test::until([&] { return p.lost; });
    co_await test::settle();
    CHECK(*p.log == events{"made", "data", in_order});
    CHECK_FALSE(t.connected());
  });
}

TEST_CASE("what is written leaves in order, whole, however it is given") {
  over_each([](recorder&, transport& t, socket_stream& far) -> task<> {
    const std::string large = test::pattern(300'000);
    std::string expected = "small " + large + "moved " + large + "onetwothree";
    t.write("small ");
    t.write(large);
    t.write(std::string("moved "));
    t.write(std::string(large));
    const std::array<mobius::net::const_buffer, 3> list{"one", "two", "three"};
    t.write_sequence(list);
    CHECK(t.unsent() == expected.size());
    t.lose_connection();
    std::string got = co_await test::read_all(far);
    CHECK(got == expected);
  });
}

TEST_CASE("writes of one turn leave as one send, however many and however large they are") {
  struct shape {
    int count;
    std::size_t size;
  };
  const shape given = GENERATE(shape{100, 1}, shape{1000, 60}, shape{120, 3000}, shape{3, 100'000});
  INFO(given.count << " writes of " << given.size);
  mobius::testing::run([given](world& w) -> task<> {
    peers e = co_await test::connected_peers(kind::tcp4);
    auto p = std::make_shared<recorder>();
    const transport_ref t = start_protocol(p, std::move(e.client));
    co_await test::settle();
    const auto before = w.reactor.stats().submissions;
    std::string all;
    for (int i = 0; i < given.count; ++i) {
      std::string text(given.size, static_cast<char>('a' + i % 26));
      all += text;
      t->write(std::move(text));
    }
    co_await mobius::yield();
    const auto sends = w.reactor.stats().submissions - before;
    CHECK(sends == 1);
    std::string got = co_await test::read_exactly(e.server, all.size());
    CHECK(got == all);
    t->lose_connection();
  });
}

TEST_CASE("what is written while a send is under way leaves as one behind it") {
  mobius::testing::run([](world& w) -> task<> {
    peers e = co_await test::connected_peers(kind::tcp4);
    const transport_ref t = start_protocol(std::make_shared<recorder>(), std::move(e.client));
    co_await test::settle();
    const auto before = w.reactor.stats().submissions;
    std::string all(20'000'000, 'x');  // more than the kernel takes
    t->write(all);
    for (int i = 0; i < 300; ++i) {
      co_await mobius::yield();
      t->write("piece " + std::to_string(i));
      all += "piece " + std::to_string(i);
    }
    // The receives of the far end are no sends: it reads by one that stays armed.
    std::string got = co_await test::read_exactly(e.server, all.size());
    const bool whole = got == all;
    CHECK(whole);
    co_await test::until([&] { return t->unsent() == 0; });
    // Those of the receives included, of which there are more when the far end pauses more often.
    const auto submitted = w.reactor.stats().submissions - before;
    CHECK(submitted < 300);
    t->lose_connection();
  });
}

TEST_CASE(
    "lose_connection sends what was written, also what is written after it, and stops reading at once") {
  over_each([](recorder& p, transport& t, socket_stream& far) -> task<> {
    const std::string large = test::pattern(5'000'000);
    t.write(large);
    t.lose_connection();
    t.lose_connection();
    CHECK(t.disconnecting());
    CHECK(t.connected());
    t.write("and this");
    co_await far.write_all("not delivered");
    std::string got = co_await test::read_all(far);
    CHECK(got == large + "and this");
    co_await test::until([&] { return p.lost; });
    CHECK(*p.log == events{"made", in_order});
    t.write("ignored");
    t.lose_connection();
    t.abort_connection();
    t.pause_producing();
    t.resume_producing();
    co_await test::settle();
    CHECK(p.log->size() == 2);
  });
}

TEST_CASE("connection_lost never comes inside the call that ends the connection") {
  over_each([](recorder& p, transport& t, socket_stream&) -> task<> {
    t.abort_connection();
    CHECK_FALSE(p.lost);
    CHECK_FALSE(t.connected());
    co_await test::until([&] { return p.lost; });
    CHECK(*p.log == events{"made", aborted});
  });
}

TEST_CASE("abort_connection resets a TCP peer and drops what is unsent") {
  mobius::testing::run([](world&) -> task<> {
    peers e = co_await test::connected_peers(kind::tcp4);
    auto p = std::make_shared<recorder>();
    const transport_ref t = start_protocol(p, std::move(e.client));
    t->write(std::string(10'000'000, 'x'));
    co_await test::settle();
    t->abort_connection();
    auto r = co_await mobius::as_result(test::read_all(e.server));
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().what().find("Connection reset by peer") != std::string::npos);
    CHECK(*p->log == events{"made", aborted});
  });
}

TEST_CASE("a reset by the peer is the reason of the loss") {
  mobius::testing::run([](world&) -> task<> {
    peers e = co_await test::connected_peers(kind::tcp4);
    auto p = std::make_shared<recorder>();
    const transport_ref t = start_protocol(p, std::move(e.client));
    const auto peer = t->get_peer();
    const auto host = t->get_host();
    CHECK(peer.port() != 0);
    e.server.abort();
    co_await test::until([&] { return p->lost; });
    CHECK(*p->log == events{"made", "lost: read from " + peer.to_string() + ": Connection reset by peer"});
    CHECK(t->get_peer() == peer);
    CHECK(t->get_host() == host);
  });
}

TEST_CASE("lose_connection with a deadline aborts when the peer takes nothing") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run(
      [k](world&) -> task<> {
        peers e = co_await test::connected_peers(k);
        auto p = std::make_shared<recorder>();
        const transport_ref t = start_protocol(p, std::move(e.client));
        t->write(std::string(30'000'000, 'x'));
        t->lose_connection(20ms);
        co_await test::until([&] { return p->lost; });
        CHECK(*p->log == events{"made", aborted});
      },
      real_time);
}

TEST_CASE("what a callback throws ends the connection with it as the reason and goes no further") {
  struct thrower : recorder {
    explicit thrower(std::string w) : where(std::move(w)) { half_close = true; }
    void maybe(const char* here) const {
      if (where == here) throw std::runtime_error("thrown in " + where);
    }
    void connection_made() override {
      recorder::connection_made();
      maybe("connection_made");
    }
    void data_received(std::string_view d) override {
      recorder::data_received(d);
      transport().lose_write_connection();
      maybe("data_received");
    }
    void write_connection_lost() override { maybe("write_connection_lost"); }
    void read_connection_lost() override { maybe("read_connection_lost"); }
    std::string where;
  };
  const std::string where =
      GENERATE("connection_made", "data_received", "write_connection_lost", "read_connection_lost");
  INFO(where);
  over_each<thrower>(
      [where](thrower& p, transport&, socket_stream& far) -> task<> {
        if (where != "connection_made") co_await far.write_all("data");
        if (where == "read_connection_lost") far.shutdown_write();
        co_await test::until([&] { return p.lost; });
        CHECK(p.log->back() == "lost: thrown in " + where);
        std::string end = co_await test::read_all(far);
        CHECK(end.empty());
      },
      where);
}

TEST_CASE("what connection_lost throws goes to the unhandled hook") {
  struct thrower : recorder {
    void connection_lost(const mobius::failure& f) override {
      recorder::connection_lost(f);
      throw std::runtime_error("too late");
    }
  };
  mobius::testing::run([](world& w) -> task<> {
    peers e = co_await test::connected_peers(kind::tcp4);
    auto p = std::make_shared<thrower>();
    start_protocol(p, std::move(e.client));
    e.server = socket_stream();
    co_await test::until([&] { return p->lost; });
    co_await test::settle();
    auto unhandled = w.unhandled.take();
    REQUIRE(unhandled.size() == 1);
    CHECK(unhandled[0].what.what() == "too late");
  });
}

TEST_CASE("a half-closeable protocol goes on after the peer's end, and closes by itself") {
  over_each<recorder>(
      [](recorder& p, transport& t, socket_stream& far) -> task<> {
        co_await far.write_all("question");
        far.shutdown_write();
        co_await test::until([&] { return p.log->back() == "read lost"; });
        CHECK(t.connected());
        t.write(test::pattern(400'000));
        t.lose_connection();
        std::string answer = co_await test::read_all(far);
        CHECK(answer == test::pattern(400'000));
        co_await test::until([&] { return p.lost; });
        CHECK(*p.log == events{"made", "data", "read lost", in_order});
      },
      true);
}

TEST_CASE("lose_write_connection sends everything, tells the peer and the protocol, and reading goes on") {
  over_each<recorder>(
      [](recorder& p, transport& t, socket_stream& far) -> task<> {
        t.write(test::pattern(400'000));
        t.lose_write_connection();
        t.write("ignored");
        CHECK(p.log->back() == "made");
        std::string got = co_await test::read_all(far);
        CHECK(got == test::pattern(400'000));
        co_await far.write_all("still read");
        co_await test::until([&] { return p.received == "still read"; });
        CHECK(*p.log == events{"made", "write lost", "data"});
        far.shutdown_write();
        co_await test::until([&] { return p.lost; });
        CHECK(*p.log == events{"made", "write lost", "data", "read lost", in_order});
      },
      true);
}

TEST_CASE("at the peer's end what was written still leaves, and then the connection closes") {
  over_each([](recorder& p, transport& t, socket_stream& far) -> task<> {
    t.write(test::pattern(4'000'000));
    far.shutdown_write();
    std::string got = co_await test::read_all(far);
    CHECK(got == test::pattern(4'000'000));
    co_await test::until([&] { return p.lost; });
    CHECK(*p.log == events{"made", in_order});
  });
}

TEST_CASE("a paused transport delivers nothing, not even the end, until it is resumed, and loses nothing") {
  over_each([](recorder& p, transport& t, socket_stream& far) -> task<> {
    t.pause_producing();
    CHECK(t.paused());
    const std::string text = test::pattern(50'000);
    co_await far.write_all(text);
    far.shutdown_write();
    co_await test::settle();
    CHECK(*p.log == events{"made"});
    t.resume_producing();
    CHECK(*p.log == events{"made"});
    co_await test::until([&] { return p.lost; });
    CHECK(p.received == text);
    CHECK(*p.log == events{"made", "data", in_order});
  });
}

TEST_CASE("a protocol may pause in the middle of its input, again and again") {
  struct sipping : recorder {
    void lease_received(mobius::lease data) override {
      CHECK_FALSE(transport().paused());
      received += data.text();
      transport().pause_producing();
      mobius::reactor::current().call_soon([t = transport_ref(transport())] { t->resume_producing(); });
    }
  };
  over_each<sipping>([](sipping& p, transport&, socket_stream& far) -> task<> {
    const std::string text = test::pattern(400'000);
    co_await far.write_all(text);
    far.shutdown_write();
    co_await test::until([&] { return p.lost; });
    CHECK(p.received == text);
  });
}

TEST_CASE("a protocol that echoes leases gives every byte back") {
  struct echo : recorder {
    void lease_received(mobius::lease data) override { transport().write(std::move(data)); }
  };
  over_each<echo>([](echo&, transport&, socket_stream& far) -> task<> {
    const std::string text = test::pattern(3'000'000);
    auto send = [](socket_stream& s, const std::string& t) -> task<> {
      co_await s.write_all(t);
      s.shutdown_write();
    };
    auto both = mobius::when_all(send(far, text), test::read_all(far));
    auto [x, back] = co_await std::move(both);
    static_cast<void>(x);
    CHECK(back == text);
  });
}

namespace {

struct push_source final : mobius::net::producer {
  explicit push_source(transport& t) : out(t) {}
  void pause_producing() override { ++pauses; }
  void resume_producing() override { ++resumes; }
  void stop_producing() override { ++stops; }
  transport& out;
  int pauses = 0;
  int resumes = 0;
  int stops = 0;
};

struct pull_source final : mobius::net::producer {
  explicit pull_source(transport& t, int n) : out(t), left(n) {}
  void pause_producing() override {}
  void resume_producing() override {
    if (left-- > 0) {
      out.write(test::pattern(10'000));
    } else {
      out.unregister_producer();
    }
  }
  void stop_producing() override { ++stops; }
  transport& out;
  int left;
  int stops = 0;
};

}  // namespace

TEST_CASE("a push producer is paused above 64 KiB and resumed when all is sent, in balance") {
  over_each([](recorder&, transport& t, socket_stream& far) -> task<> {
    push_source source(t);
    t.register_producer(source, producer_kind::push);
    CHECK_THROWS_AS(t.register_producer(source, producer_kind::pull), std::logic_error);
    t.write(std::string(transport::high_water, 'x'));
    CHECK(source.pauses == 0);
    t.write("y");
    t.write(std::string(30'000'000, 'x'));
    CHECK(source.pauses == 1);
    co_await test::settle();
    CHECK(source.resumes == 0);
    std::string got = co_await test::read_exactly(far, transport::high_water + 30'000'001);
    co_await test::until([&] { return source.resumes == 1; });
    CHECK(t.unsent() == 0);
    t.write("small");
    co_await test::settle();
    CHECK(source.pauses == 1);
    CHECK(source.resumes == 1);
    far = socket_stream();
    co_await test::until([&] { return source.stops == 1; });
  });
}

TEST_CASE("a pull producer is asked for a piece at a time, and lose_connection waits for its end") {
  over_each([](recorder& p, transport& t, socket_stream& far) -> task<> {
    pull_source source(t, 20);
    t.register_producer(source, producer_kind::pull);
    CHECK(source.left == 19);
    t.lose_connection();
    std::string got = co_await test::read_all(far);
    CHECK(got.size() == 200'000);
    co_await test::until([&] { return p.lost; });
    CHECK(source.stops == 0);
  });
}

TEST_CASE("lose_connection waits for a push producer that is paused, and not for one that runs") {
  mobius::testing::run([](world&) -> task<> {
    peers e = co_await test::connected_peers(kind::tcp4);
    auto p = std::make_shared<recorder>();
    const transport_ref t = start_protocol(p, std::move(e.client));
    push_source source(*t);
    t->register_producer(source, producer_kind::push);
    t->write(std::string(8'000'000, 'x'));
    t->lose_connection();
    CHECK(source.pauses == 1);
    std::string got = co_await test::read_all(e.server);
    CHECK(got.size() == 8'000'000);
    CHECK(source.resumes == 1);
    co_await test::until([&] { return p->lost; });
    CHECK(source.stops == 1);
  });
}

TEST_CASE(
    "a producer registered after the end is stopped at once, and one registered before is stopped by it") {
  mobius::testing::run([](world&) -> task<> {
    peers e = co_await test::connected_peers(kind::tcp4);
    auto p = std::make_shared<recorder>();
    const transport_ref t = start_protocol(p, std::move(e.client));
    pull_source source(*t, 1'000'000);
    t->register_producer(source, producer_kind::pull);
    t->abort_connection();
    co_await test::until([&] { return p->lost; });
    CHECK(source.stops == 1);
    push_source late(*t);
    t->register_producer(late, producer_kind::push);
    CHECK(late.stops == 1);
  });
}

TEST_CASE("two transports that produce for each other forward with bounded memory") {
  struct forwarding : recorder {
    void lease_received(mobius::lease data) override {
      other->write(std::move(data));
      most = std::max(most, other->unsent());
    }
    void connection_lost(const mobius::failure& f) override {
      recorder::connection_lost(f);
      other->lose_connection();
    }
    mobius::net::transport* other = nullptr;
    std::size_t most = 0;
  };
  mobius::testing::run([](world&) -> task<> {
    peers left = co_await test::connected_peers(kind::tcp4);
    peers right = co_await test::connected_peers(kind::unix_path);
    auto a = std::make_shared<forwarding>();
    auto b = std::make_shared<forwarding>();
    const transport_ref ta = start_protocol(a, std::move(left.client));
    const transport_ref tb = start_protocol(b, std::move(right.client));
    a->other = tb.get();
    b->other = ta.get();
    ta->register_producer(*tb, producer_kind::push);
    tb->register_producer(*ta, producer_kind::push);
    const std::string text = test::pattern(20'000'000);
    auto send = [](socket_stream& s, const std::string& t) -> task<> {
      co_await s.write_all(t);
      s.shutdown_write();
    };
    auto receive = [](socket_stream& s) -> task<std::string> {
      co_await test::settle(300);
      co_return co_await test::read_all(s);
    };
    auto both = mobius::when_all(send(left.server, text), receive(right.server));
    auto [x, got] = co_await std::move(both);
    static_cast<void>(x);
    CHECK(got == text);
    CHECK(a->most < 6 * transport::high_water);  // the mark, and what was received in that turn
    co_await test::until([&] { return a->lost && b->lost; });
  });
}

TEST_CASE("TCP options are set and read, and are errors on other sockets") {
  mobius::testing::run([](world&) -> task<> {
    peers e = co_await test::connected_peers(kind::tcp4);
    const transport_ref t = start_protocol(std::make_shared<recorder>(), std::move(e.client));
    CHECK(t->get_tcp_no_delay());
    t->set_tcp_no_delay(false);
    CHECK_FALSE(t->get_tcp_no_delay());
    CHECK_FALSE(t->get_tcp_keep_alive());
    t->set_tcp_keep_alive(true);
    CHECK(t->get_tcp_keep_alive());
    CHECK(t->application_protocol().empty());
    t->abort_connection();
    t->set_tcp_no_delay(true);
    peers u = co_await test::connected_peers(kind::pair);
    const transport_ref v = start_protocol(std::make_shared<recorder>(), std::move(u.client));
    CHECK_THROWS_AS(v->set_tcp_no_delay(true), std::system_error);
    v->abort_connection();
  });
}

TEST_CASE("a transport used in another thread says so") {
  mobius::testing::run([](world&) -> task<> {
    peers e = co_await test::connected_peers(kind::pair);
    const transport_ref t = start_protocol(std::make_shared<recorder>(), std::move(e.client));
    std::string error;
    std::thread([&] {
      try {
        t->write("x");
      } catch (const std::logic_error& x) {
        error = x.what();
      }
    }).join();
    CHECK(error.find("belongs to the reactor of another thread") != std::string::npos);
    t->abort_connection();
  });
}

TEST_CASE("a protocol without a connection says so, and log_prefix names its type") {
  recorder p;
  CHECK_THROWS_AS(p.transport(), std::logic_error);
  CHECK_FALSE(p.connected());
  CHECK(p.log_prefix() == "test::recorder");
}

TEST_CASE("when the reactor ends, its protocols are told once, and transports may outlive it") {
  auto p = std::make_shared<recorder>();
  transport_ref t;
  {
    mobius::reactor reactor({.signals = false});
    auto body = [&]() -> task<socket_stream> {
      peers e = co_await test::connected_peers(kind::tcp4);
      t = start_protocol(p, std::move(e.client));
      t->write(std::string(8'000'000, 'x'));
      co_await test::settle();
      co_return std::move(e.server);
    };
    auto far = reactor.run(body());
  }
  REQUIRE(p->log->size() == 2);
  CHECK(p->log->back().starts_with("lost: "));
  t->write("ignored");
  t->lose_connection();
}
