#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>
#include <stdexcept>
#include <string>

#include "kit.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using namespace mobius::net;
using mobius::deferred;
using mobius::task;
using mobius::testing::world;
using test::events;
using test::recorder;

namespace {

// Fails as often as it is told, then gives connections to nobody.
struct fake_endpoint : client_endpoint {
  deferred<std::shared_ptr<protocol>> connect(std::shared_ptr<factory> f) override {
    ++attempts;
    if (hang) co_await mobius::sleep(1000h);
    if (failures-- > 0) throw std::runtime_error("attempt " + std::to_string(attempts));
    auto p = f->build_protocol({});
    last = test::fake_transport::over(p);
    co_return p;
  }
  std::string describe() const override { return "nowhere"; }
  int failures = 0;
  int attempts = 0;
  bool hang = false;
  transport_ref last;
};

struct logging_factory : client_factory {
  std::shared_ptr<protocol> build_protocol(const socket_address&) override {
    return std::make_shared<recorder>();
  }
  void start_factory() override { log.push_back("start"); }
  void stop_factory() override { log.push_back("stop"); }
  void started_connecting(connector&) override { log.push_back("connecting"); }
  void client_connection_failed(connector& c, const mobius::failure& f) override {
    log.push_back("failed: " + f.what());
    if (again-- > 0) c.connect();
  }
  void client_connection_lost(connector& c, const mobius::failure& f) override {
    log.push_back("lost: " + f.what());
    if (again-- > 0) c.connect();
  }
  events log;
  int again = 0;
};

const std::string closed = "lost: the connection was closed in order";

}  // namespace

TEST_CASE("a connector tells its factory of each step, and connects again when asked from there") {
  mobius::testing::run([](world&) -> task<> {
    auto endpoint = std::make_shared<fake_endpoint>();
    endpoint->failures = 1;
    auto f = std::make_shared<logging_factory>();
    f->again = 1;
    auto c = connect_client(endpoint, f);
    co_await test::settle();
    CHECK(c->state() == connector::status::connected);
    CHECK(c->get_destination() == "nowhere");
    CHECK_THROWS_AS(c->connect(), std::logic_error);
    c->disconnect();
    co_await test::settle();
    CHECK(f->log == events{"start", "connecting", "failed: attempt 1", "connecting", closed, "stop"});
    CHECK_THROWS_AS(c->stop_connecting(), std::logic_error);
  });
}

TEST_CASE("what a factory throws when a connector begins leaves the connector free to begin again") {
  struct moody : logging_factory {
    void start_factory() override {
      if (bad_start) throw std::runtime_error("not started");
      logging_factory::start_factory();
    }
    void started_connecting(connector& c) override {
      if (bad_step) throw std::runtime_error("not begun");
      logging_factory::started_connecting(c);
    }
    bool bad_start = true;
    bool bad_step = true;
  };
  mobius::testing::run([](world&) -> task<> {
    auto endpoint = std::make_shared<fake_endpoint>();
    auto f = std::make_shared<moody>();
    auto c = std::make_shared<connector>(endpoint, f);
    CHECK_THROWS_WITH(c->connect(), "not started");
    CHECK(f->ports() == 0);
    f->bad_start = false;
    CHECK_THROWS_WITH(c->connect(), "not begun");
    CHECK(c->state() == connector::status::disconnected);
    CHECK(f->ports() == 0);
    f->bad_step = false;
    c->connect();
    co_await test::settle();
    CHECK(c->state() == connector::status::connected);
    c->disconnect();
    co_await test::settle();
    CHECK(f->log == events{"start", "stop", "start", "connecting", closed, "stop"});
  });
}

TEST_CASE("stop_connecting ends the attempt with cancelled; a dropped connector goes on by itself") {
  mobius::testing::run([](world&) -> task<> {
    auto endpoint = std::make_shared<fake_endpoint>();
    endpoint->hang = true;
    auto f = std::make_shared<logging_factory>();
    auto c = connect_client(endpoint, f);
    c->stop_connecting();
    co_await test::settle();
    CHECK(f->log == events{"start", "connecting", "failed: cancelled", "stop"});
    endpoint->hang = false;
    f->log.clear();
    connect_client(endpoint, f).reset();
    co_await test::settle();
    CHECK(f->log == events{"start", "connecting"});
    endpoint->last->abort_connection();
    co_await test::settle();
    CHECK(f->log.back() == "stop");
  });
}

TEST_CASE("a reconnecting client waits longer each time, up to its limits, and less after reset_delay") {
  struct reconnecting : reconnecting_client_factory {
    using reconnecting_client_factory::reconnecting_client_factory;
    std::shared_ptr<protocol> build_protocol(const socket_address&) override {
      reset_delay();
      return std::make_shared<recorder>();
    }
  };
  mobius::testing::run([](world&) -> task<> {
    auto endpoint = std::make_shared<fake_endpoint>();
    endpoint->failures = 4;
    auto f = std::make_shared<reconnecting>(
        reconnect_delays{.initial = 1s, .longest = 10s, .factor = 3, .jitter = 0, .max_retries = 5});
    auto c = connect_client(endpoint, f);
    std::chrono::milliseconds past = 0ms;  // since the wait began
    for (const auto wait : {3s, 9s, 10s, 10s}) {
      const int before = endpoint->attempts;
      co_await mobius::sleep(wait - 1ms - std::exchange(past, 1ms));
      CHECK(endpoint->attempts == before);
      co_await mobius::sleep(2ms);
      CHECK(endpoint->attempts == before + 1);
    }
    CHECK(c->state() == connector::status::connected);
    CHECK(f->retries() == 0);
    endpoint->failures = 1000;
    c->disconnect();
    co_await mobius::sleep(24h);
    CHECK(endpoint->attempts == 5 + 5);
    f->continue_trying();
    f->reset_delay();
    c->connect();
    co_await test::settle();
    f->stop_trying();
    co_await mobius::sleep(24h);
    CHECK(endpoint->attempts == 11);
  });
}

TEST_CASE("backoff grows to its limit, with jitter on top") {
  auto policy = backoff_policy(1s, 60s, 1.5, 0s);
  CHECK(policy(1) == 1500ms);
  CHECK(policy(2) == 2250ms);
  CHECK(policy(100) == 60s);
  CHECK(policy(1000000) == 60s);
  auto jittered = backoff_policy();
  for (int i = 0; i < 100; ++i) {
    CHECK(jittered(1) >= 1500ms);
    CHECK(jittered(1) <= 2500ms);
  }
}

TEST_CASE("a client service keeps one connection, through failures and losses") {
  mobius::testing::run([](world&) -> task<> {
    auto endpoint = std::make_shared<fake_endpoint>();
    endpoint->failures = 3;
    client_service service(endpoint, factory::for_protocol<recorder>());
    auto before = co_await mobius::as_result(service.when_connected());
    CHECK(before.error().check<mobius::cancelled>());
    service.start_service();
    service.start_service();
    auto gives_up = service.when_connected(2);
    auto p = co_await service.when_connected();
    CHECK(endpoint->attempts == 4);
    auto gave_up = co_await mobius::as_result(std::move(gives_up));
    CHECK(gave_up.error().what() == "attempt 3");  // the first was over before the call
    auto same = co_await service.when_connected();
    CHECK(same == p);
    endpoint->last->abort_connection();
    co_await test::settle();
    auto other = co_await service.when_connected();
    CHECK(other != p);
    CHECK(endpoint->attempts == 5);
    auto stopped = service.stop_service();
    CHECK_FALSE(service.running());
    co_await std::move(stopped);
    CHECK(static_cast<recorder&>(*other).lost);
    co_await service.stop_service();
    co_await mobius::sleep(24h);
    CHECK(endpoint->attempts == 5);
  });
}

TEST_CASE("stopping a client service ends its attempt or its wait, and who waits for it is cancelled") {
  const bool hang = GENERATE(true, false);
  mobius::testing::run([hang](world&) -> task<> {
    auto endpoint = std::make_shared<fake_endpoint>();
    endpoint->hang = hang;
    endpoint->failures = 1000;
    client_service service(endpoint, factory::for_protocol<recorder>());
    service.start_service();
    auto waiting = service.when_connected();
    co_await test::settle();
    co_await service.stop_service();
    auto r = co_await mobius::as_result(std::move(waiting));
    CHECK(r.error().check<mobius::cancelled>());
    CHECK(endpoint->attempts == 1);
    // Dropped while it runs: nothing is left.
    service.start_service();
  });
}

TEST_CASE("a client service that is started while it stops begins again after the stop") {
  mobius::testing::run([](world&) -> task<> {
    auto endpoint = std::make_shared<fake_endpoint>();
    client_service service(endpoint, factory::for_protocol<recorder>());
    service.start_service();
    auto first = co_await service.when_connected();
    auto stopped = service.stop_service();
    service.start_service();
    co_await std::move(stopped);
    CHECK(static_cast<recorder&>(*first).lost);
    auto second = co_await service.when_connected();
    CHECK(second != first);
    co_await service.stop_service();
  });
}

TEST_CASE("a connection whose preparation fails counts as failed, and nobody is given it") {
  mobius::testing::run([](world&) -> task<> {
    auto endpoint = std::make_shared<fake_endpoint>();
    int prepared = 0;
    client_service_options options;
    options.prepare = [&](protocol&) -> deferred<void> {
      co_await mobius::sleep(1s);
      if (++prepared == 1) throw std::runtime_error("log-in refused");
    };
    client_service service(endpoint, factory::for_protocol<recorder>(), options);
    service.start_service();
    auto r = co_await mobius::as_result(service.when_connected(1));
    CHECK(r.error().what() == "log-in refused");
    auto p = co_await service.when_connected();
    CHECK(prepared == 2);
    CHECK(p->connected());
    co_await service.stop_service();
  });
}

TEST_CASE("a protocol runs on any stream, and when it ends is awaited") {
  const test::kind k = GENERATE(from_range(test::every_kind));
  mobius::testing::run([k](world&) -> task<> {
    test::peers e = co_await test::connected_peers(k);
    auto p = std::make_shared<recorder>();
    with_deadlines<socket_stream> limited(std::move(e.client), {.read = 1h, .write = 1h});
    auto d = run_protocol(p, std::move(limited));
    p->transport().write(test::pattern(200'000));
    co_await e.server.write_all("there");
    std::string got = co_await test::read_exactly(e.server, 200'000);
    CHECK(got == test::pattern(200'000));
    co_await test::until([&] { return p->received == "there"; });
    e.server = socket_stream();
    co_await std::move(d);
    CHECK(p->lost);
  });
}

TEST_CASE("cancelling the wait for a connection's end aborts it") {
  mobius::testing::run([](world&) -> task<> {
    test::peers e = co_await test::connected_peers(test::kind::tcp4);
    auto p = std::make_shared<recorder>();
    auto d = run_protocol(p, std::move(e.client));
    d.cancel();
    co_await std::move(d);
    CHECK(p->log->back() == test::aborted);
  });
}

TEST_CASE("a coroutine takes the stream out of a protocol, after what was written and with every byte") {
  const test::kind k = GENERATE(from_range(test::every_kind));
  const bool paused = GENERATE(false, true);
  mobius::testing::run([k, paused](world&) -> task<> {
    test::peers e = co_await test::connected_peers(k);
    auto p = std::make_shared<recorder>();
    const transport_ref t = start_protocol(p, std::move(e.client));
    if (paused) {
      t->pause_producing();
      co_await e.server.write_all("early ");
      co_await test::settle();
    }
    t->write(test::pattern(300'000));
    auto taking = take_stream<socket_stream>(*t);
    CHECK_THROWS_AS(take_stream<socket_stream>(*t), std::logic_error);
    CHECK_THROWS_AS(take_stream<tcp_stream>(*t), std::logic_error);
    std::string got = co_await test::read_exactly(e.server, 300'000);
    CHECK(got == test::pattern(300'000));
    taken_stream<socket_stream> taken = co_await std::move(taking);
    co_await e.server.write_all("late");
    e.server.shutdown_write();
    std::string rest = co_await test::read_all(taken.stream);
    CHECK(taken.unread + rest == (paused ? "early late" : "late"));
    co_await taken.stream.write_all("from the coroutine");
    taken.stream.shutdown_write();
    got = co_await test::read_all(e.server);
    CHECK(got == "from the coroutine");
    CHECK(p->log->back() == "lost: the stream was taken out of its protocol");
    CHECK_FALSE(t->connected());
  });
}

TEST_CASE("taking the stream of a connection that ends meanwhile fails with the reason") {
  mobius::testing::run([](world&) -> task<> {
    test::peers e = co_await test::connected_peers(test::kind::tcp4);
    auto p = std::make_shared<recorder>();
    const transport_ref t = start_protocol(p, std::move(e.client));
    t->write(std::string(10'000'000, 'x'));
    auto taking = take_stream<socket_stream>(*t);
    t->abort_connection();
    auto r = co_await mobius::as_result(std::move(taking));
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().check<connection_aborted>());
  });
}
