#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "kit.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using namespace mobius::net;
using mobius::task;
using mobius::testing::world;
using test::in_order;
using test::recorder;

namespace {

struct counting_factory : factory {
  std::shared_ptr<protocol> build_protocol(const socket_address&) override {
    auto p = std::make_shared<recorder>();
    built.push_back(p);
    return p;
  }
  void start_factory() override { ++starts; }
  void stop_factory() override { ++stops; }
  std::vector<std::shared_ptr<recorder>> built;
  int starts = 0;
  int stops = 0;
};

std::string tcp(const listening_port& port) {
  return "tcp:127.0.0.1:" + std::to_string(port.get_host().port());
}

std::string error_of(auto f) {
  try {
    f();
  } catch (const endpoint_error& e) {
    return e.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("endpoints from strings listen and connect, over tcp, tcp6 and unix") {
  static const std::string path = test::socket_path();
  const std::string server = GENERATE_COPY(
      std::string("tcp:0:interface=127.0.0.1"), std::string("tcp6:0:interface=\\:\\:1:backlog=5"),
      std::string("tcp:port=0"), "unix:" + path + ":mode=600", "unix:address=" + path + ":lockfile=1");
  INFO(server);
  mobius::testing::run([&](world&) -> task<> {
    auto f = std::make_shared<counting_factory>();
    auto server_end = server_from_string(server);
    listening_port port = co_await server_end->listen(f);
    CHECK(f->starts == 1);
    const std::string number = std::to_string(port.get_host().port());
    std::string client = "unix:" + path + ":timeout=5";
    if (server.starts_with("tcp6")) client = "tcp:host=\\:\\:1:port=" + number;
    if (server.starts_with("tcp:")) client = "tcp:127.0.0.1:" + number + ":timeout=3:bindAddress=127.0.0.1";
    auto client_end = client_from_string(client);
    auto p = co_await connect_protocol(*client_end, std::make_shared<recorder>());
    CHECK(p->log->back() == "made");
    p->transport().write("hello");
    co_await test::until([&] { return !f->built.empty() && f->built[0]->received == "hello"; });
    p->transport().lose_connection();
    co_await test::until([&] { return f->built[0]->lost && p->lost; });
    co_await port.stop_listening();
    CHECK(f->stops == 1);
  });
}

TEST_CASE("strings that mean no endpoint say what is wrong with them") {
  CHECK(error_of([] { client_from_string("carrier pigeon:x"); }) ==
        "endpoint 'carrier pigeon:x': unknown type 'carrier pigeon'; there are tcp and unix");
  CHECK(error_of([] { client_from_string("tls:example.com:443"); }) ==
        "endpoint 'tls:example.com:443': the type 'tls' is not in this build; there are tcp and unix");
  CHECK(error_of([] { server_from_string("systemd:domain=INET:index=0"); }).find("is not in this build") !=
        std::string::npos);
  CHECK(error_of([] { client_from_string("tcp:localhost"); }) == "endpoint 'tcp:localhost': port is missing");
  CHECK(error_of([] { client_from_string("tcp:localhost:65536"); }).find("not a number from 0 to 65535") !=
        std::string::npos);
  CHECK(error_of([] { client_from_string("tcp:a:1:2"); }).find("too many arguments") != std::string::npos);
  CHECK(error_of([] { client_from_string("tcp:a:1:host=b"); }).find("host is given twice") !=
        std::string::npos);
  CHECK(error_of([] { client_from_string("tcp:a:1:colour=red"); }).find("unknown argument 'colour'") !=
        std::string::npos);
  CHECK(error_of([] { client_from_string("unix:a\\"); }).find("nothing follows the last backslash") !=
        std::string::npos);
  CHECK(error_of([] { server_from_string("tcp:80:interface=localhost"); }).find("not an IP address") !=
        std::string::npos);
  CHECK(error_of([] { server_from_string("tcp6:80:interface=127.0.0.1"); }).find("not an IPv6 address") !=
        std::string::npos);
  CHECK(error_of([] { server_from_string("unix:x:mode=9"); }).find("mode is '9'") != std::string::npos);
  CHECK(error_of([] { server_from_string(""); }).find("it has no type") != std::string::npos);
}

TEST_CASE("a quoted argument means itself") {
  const std::string odd = "/tmp/a:b=c\\d";
  CHECK(quote_argument(odd) == "/tmp/a\\:b\\=c\\\\d");
  CHECK(client_from_string("unix:" + quote_argument(odd))->describe() == "unix:" + odd);
}

TEST_CASE("connecting fails with the reason: refused, no protocol, what building or connection_made throws") {
  struct odd : factory {
    explicit odd(std::string w) : what(std::move(w)) {}
    std::shared_ptr<protocol> build_protocol(const socket_address&) override {
      struct refusing : protocol {
        void connection_made() override { throw std::runtime_error("not made"); }
      };
      if (what == "none") return nullptr;
      if (what == "throws") throw std::runtime_error("not built");
      return std::make_shared<refusing>();
    }
    std::string what;
  };
  mobius::testing::run([&](world&) -> task<> {
    std::string client;
    {
      listening_port port = listen(tcp_listener("127.0.0.1", 0), std::make_shared<counting_factory>());
      client = tcp(port);
      for (const std::string what : {"none", "throws", "refuses"}) {
        auto f = std::make_shared<odd>(what);
        auto r = co_await mobius::as_result(client_from_string(client)->connect(f));
        REQUIRE_FALSE(r.has_value());
        CHECK(r.error().check<no_protocol>() == (what == "none"));
        if (what == "throws") CHECK(r.error().what() == "not built");
        if (what == "refuses") CHECK(r.error().what() == "not made");
        co_await test::settle();
        CHECK(f->ports() == 0);
      }
      co_await port.stop_listening();
    }
    auto r =
        co_await mobius::as_result(client_from_string(client)->connect(std::make_shared<counting_factory>()));
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().what().find("Connection refused") != std::string::npos);
    co_await test::settle();
  });
}

TEST_CASE("a server closes connections without a protocol, and reports what building one throws") {
  struct odd : factory {
    std::shared_ptr<protocol> build_protocol(const socket_address&) override {
      if (asked++ == 0) return nullptr;
      throw std::runtime_error("not built");
    }
    int asked = 0;
  };
  mobius::testing::run([](world& w) -> task<> {
    listening_port port = listen(tcp_listener("127.0.0.1", 0), std::make_shared<odd>());
    for (int i = 0; i < 2; ++i) {
      socket_stream s = co_await connect(port.get_host());
      std::string all = co_await test::read_all(s);
      CHECK(all.empty());
    }
    auto unhandled = w.unhandled.take();
    REQUIRE(unhandled.size() == 1);
    CHECK(unhandled[0].what.what() == "not built");
    co_await port.stop_listening();
  });
}

TEST_CASE("listening where somebody listens fails the deferred") {
  mobius::testing::run([](world&) -> task<> {
    listening_port port = listen(tcp_listener("127.0.0.1", 0), std::make_shared<counting_factory>());
    auto end = server_from_string("tcp:" + std::to_string(port.get_host().port()) + ":interface=127.0.0.1");
    auto r = co_await mobius::as_result(end->listen(std::make_shared<counting_factory>()));
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().check<std::system_error>());
    co_await port.stop_listening();
  });
}

TEST_CASE("when stop_listening has ended, the next one listens on the same port at once") {
  mobius::testing::run([](world&) -> task<> {
    auto f = std::make_shared<counting_factory>();
    const std::string path = test::socket_path();
    listening_port port = listen(tcp_listener("127.0.0.1", 0), f);
    listening_port local = listen(unix_listener(path), f);
    const socket_address where = port.get_host();
    for (int i = 0; i < 10; ++i) {
      INFO(i);
      // With a connection that it has accepted, one that it may not have, or none.
      socket_stream a, b;
      if (i % 3 != 0) a = co_await connect(where);
      if (i % 3 == 1) co_await test::until([&] { return !f->built.empty() && f->built.back()->connected(); });
      if (i % 3 != 0) b = co_await connect_unix(path);
      co_await port.stop_listening();
      co_await local.stop_listening();
      CHECK(f->stops == i + 1);
      port = listen(tcp_listener(where), f);
      local = listen(unix_listener(path, {.replace_stale = false}), f);
      socket_stream next = co_await connect(where);
      CHECK(next);
    }
    CHECK_THROWS_AS(listening_port().stop_listening(), std::logic_error);
    auto first = port.stop_listening();
    co_await local.stop_listening();
    co_await std::move(first);
    co_await test::settle();
  });
}

TEST_CASE("a cancel of stop_listening's deferred, or dropping it, does not keep the port open") {
  const bool drop = GENERATE(false, true);
  mobius::testing::run([drop](world&) -> task<> {
    listening_port port = listen(tcp_listener("127.0.0.1", 0), std::make_shared<counting_factory>());
    const socket_address where = port.get_host();
    auto d = port.stop_listening();
    if (!drop) {
      d.cancel();
      auto r = co_await mobius::as_result(std::move(d));
      CHECK(r.error().check<mobius::cancelled>());
    }
    d = mobius::deferred<void>();
    co_await test::settle();
    auto r = co_await mobius::as_result(connect(where));
    CHECK_FALSE(r.has_value());
  });
}

TEST_CASE("connecting that takes longer than the endpoint's timeout fails, and says where to") {
  mobius::testing::run([](world& w) -> task<> {
    w.reactor.service<mobius::detail::thread_pool>().limit(1);
    std::promise<void> answer;
    w.reactor.service<name_resolver>().set_lookup(
        [wait = answer.get_future().share()](const std::string&, std::uint16_t) {
          wait.wait();
          return std::vector<socket_address>();
        });
    auto f = std::make_shared<counting_factory>();
    auto d = client_from_string("tcp:slow.example:9:timeout=7")->connect(f);
    co_await test::settle();
    CHECK(f->ports() == 1);
    w.clock.advance(6999ms);
    co_await test::settle();
    CHECK_FALSE(d.ready());
    w.clock.advance(1ms);
    auto r = co_await mobius::as_result(std::move(d));
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().check<mobius::timed_out>());
    CHECK(r.error().what() == "connect slow.example:9: timed out after 7 s");
    CHECK(f->ports() == 0);
    CHECK(f->built.empty());
    answer.set_value();
    co_await mobius::offload([] {});  // in the only thread, which has come back by then
  });
}

TEST_CASE("a server that never accepts, and a network that is not there, are errors that name the peer") {
  mobius::testing::run(
      [](world&) -> task<> {
        // A full backlog: the kernel does not answer the next.
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const socket_address loopback = *socket_address::parse("127.0.0.1", 0);
        REQUIRE(::bind(fd, loopback.data(), loopback.size()) == 0);
        REQUIRE(::listen(fd, 0) == 0);
        const socket_address full = socket_address::local_of(fd);
        socket_stream first = co_await connect(full);
        auto f = std::make_shared<counting_factory>();
        tcp_client_endpoint endpoint("127.0.0.1", full.port(), 30ms);
        auto r = co_await mobius::as_result(endpoint.connect(f));
        REQUIRE_FALSE(r.has_value());
        CHECK(r.error().what() == "connect " + full.to_string() + ": timed out after 30 ms");
        ::close(fd);

        tcp_client_endpoint nowhere("255.255.255.255", 9, 5s);
        auto n = co_await mobius::as_result(nowhere.connect(f));
        REQUIRE_FALSE(n.has_value());
        CHECK(n.error().check<std::system_error>());
        CHECK(n.error().what().starts_with("connect 255.255.255.255:9: "));
        CHECK(f->ports() == 0);
        CHECK(f->built.empty());
      },
      {.virtual_time = false});
}

// Without the kit's count of descriptors: the abandoned thread keeps the reactor's wake-up.
TEST_CASE("cancelling a connect ends the attempt with cancelled") {
  std::promise<void> hang;
  mobius::reactor reactor({.signals = false});
  auto stuck = [wait = hang.get_future().share()](const std::string&, std::uint16_t) {
    wait.wait();
    return std::vector<socket_address>();
  };
  reactor.service<name_resolver>().set_lookup(stuck);
  auto f = std::make_shared<counting_factory>();
  auto body = [](std::shared_ptr<counting_factory> made_by) -> task<bool> {
    auto d = client_from_string("tcp:slow.example:9")->connect(made_by);
    d.cancel();
    auto r = co_await mobius::as_result(std::move(d));
    co_return !r && r.error().check<mobius::cancelled>();
  };
  CHECK(reactor.run(body(f)));
  hang.set_value();
  CHECK(f->built.empty());
  CHECK(f->ports() == 0);
}

TEST_CASE("a factory for a protocol is known to what it builds") {
  auto f = factory::for_protocol<recorder>(true);
  auto p = f->build_protocol({});
  CHECK(p->factory() == f.get());
  CHECK(p->half_closeable());
}

TEST_CASE("a port without a descriptor to spare lets its clients wait, and serves them when there is one") {
  mobius::testing::run(
      [](world&) -> task<> {
        auto f = std::make_shared<counting_factory>();
        tcp_listener listener("127.0.0.1", 0);
        socket_stream client = co_await connect(listener.local_address());
        co_await client.write_all("patience");
        // The undefined-behaviour sanitizer learns a type with the help of a descriptor.
        listening_port first = listen(tcp_listener("127.0.0.1", 0), std::make_shared<counting_factory>());
        co_await first.stop_listening();
        auto learnt = co_await mobius::as_result(mobius::timeout(1ms, mobius::sleep(1h)));
        CHECK(learnt.error().check<mobius::timed_out>());
        rlimit before{};
        getrlimit(RLIMIT_NOFILE, &before);
        const int next_free = dup(0);
        close(next_free);
        rlimit tight = before;
        tight.rlim_cur = static_cast<rlim_t>(next_free);
        setrlimit(RLIMIT_NOFILE, &tight);  // the limit counts when the accept is armed
        listening_port port = listen(std::move(listener), f);
        co_await mobius::sleep(120ms);
        const std::size_t built = f->built.size();
        setrlimit(RLIMIT_NOFILE, &before);
        CHECK(built == 0);
        const bool served = co_await test::until([&] { return f->built.size() == 1; });
        REQUIRE(served);
        co_await test::until([&] { return f->built[0]->received == "patience"; });
        CHECK(f->built[0]->received == "patience");
        co_await port.stop_listening();
      },
      {.virtual_time = false});
}

TEST_CASE(
    "a unix port takes the place of a stale socket file, never of one that is listened on or no socket") {
  mobius::testing::run([](world&) -> task<> {
    auto f = std::make_shared<counting_factory>();
    const std::string path = test::socket_path();
    {
      // As a process that was killed leaves it.
      const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const socket_address where = socket_address::unix_socket(path);
      REQUIRE(::bind(fd, where.data(), where.size()) == 0);
      ::close(fd);
    }
    listening_port port = co_await server_from_string("unix:" + path)->listen(f);
    auto taken = co_await mobius::as_result(server_from_string("unix:" + path)->listen(f));
    CHECK_FALSE(taken.has_value());
    auto p = co_await connect_protocol(*client_from_string("unix:" + path), std::make_shared<recorder>());
    CHECK(p->connected());
    p->transport().abort_connection();
    co_await port.stop_listening();
    CHECK(::access(path.c_str(), F_OK) != 0);
    auto gone = co_await mobius::as_result(client_from_string("unix:" + path)->connect(f));
    CHECK(gone.error().what().find(path) != std::string::npos);
    CHECK(f->ports() == 0);
  });
}

TEST_CASE("a factory is started at its first port and stopped at its last; dropping a port closes it") {
  mobius::testing::run([](world&) -> task<> {
    auto f = std::make_shared<counting_factory>();
    {
      listening_port one = listen(tcp_listener("127.0.0.1", 0), f);
      listening_port two = listen(tcp_listener("127.0.0.1", 0), f);
      CHECK(f->ports() == 2);
    }
    co_await test::settle();
    CHECK(f->starts == 1);
    CHECK(f->stops == 1);
    f->do_stop();
    CHECK(f->ports() == 0);
    CHECK(f->stops == 1);
  });
}

TEST_CASE("the limit of all connections closes those above it, or gives them a protocol of their own") {
  struct full : protocol {
    void connection_made() override {
      transport().write("full");
      transport().lose_connection();
    }
  };
  const bool overflow = GENERATE(false, true);
  mobius::testing::run([overflow](world&) -> task<> {
    auto inner = std::make_shared<counting_factory>();
    auto limited = std::make_shared<limit_total_connections>(
        inner, 2, overflow ? factory::for_protocol<full>() : nullptr);
    listening_port port = listen(tcp_listener("127.0.0.1", 0), limited);
    CHECK(inner->starts == 1);
    socket_stream a = co_await connect(port.get_host());
    socket_stream b = co_await connect(port.get_host());
    co_await test::until([&] { return limited->open() == 2; });
    socket_stream c = co_await connect(port.get_host());
    std::string told = co_await test::read_all(c);
    CHECK(told == (overflow ? "full" : ""));
    a = socket_stream();
    co_await test::until([&] { return limited->open() == 1; });
    CHECK(inner->built[0]->log->back() == in_order);
    a = co_await connect(port.get_host());
    co_await test::until([&] { return limited->open() == 2; });
    co_await a.write_all("passed on");
    co_await test::until([&] { return inner->built.back()->received == "passed on"; });
    a.abort();
    b.abort();
    co_await test::until([&] { return limited->open() == 0; });
    co_await port.stop_listening();
    CHECK(inner->stops == 1);
  });
}

TEST_CASE("the limit by peer counts each host by itself") {
  mobius::testing::run([](world&) -> task<> {
    auto inner = std::make_shared<counting_factory>();
    auto limited = std::make_shared<limit_connections_by_peer>(inner, 1);
    listening_port port = listen(tcp_listener("127.0.0.1", 0), limited);
    connect_options other;
    other.bind = *socket_address::parse("127.0.0.2", 0);
    socket_stream a = co_await connect(port.get_host());
    socket_stream b = co_await connect(port.get_host(), other);
    co_await test::until([&] { return limited->open("127.0.0.1") + limited->open("127.0.0.2") == 2; });
    socket_stream c = co_await connect(port.get_host());
    std::string nothing = co_await test::read_all(c);
    CHECK(nothing.empty());
    a.abort();
    b.abort();
    co_await test::until([&] { return limited->open("127.0.0.1") + limited->open("127.0.0.2") == 0; });
    co_await port.stop_listening();
  });
}

TEST_CASE("timeout_mixin ends an idle connection, later after each reset, and not after its end") {
  struct idle : timeout_mixin<protocol> {
    void connection_made() override { set_timeout(10s); }
    void connection_lost(const mobius::failure& r) override { lost = r.what(); }
    std::string lost;
  };
  mobius::testing::run([](world& w) -> task<> {
    auto p = std::make_shared<idle>();
    const transport_ref t = test::fake_transport::over(p);
    co_await mobius::sleep(6s);
    p->reset_timeout();
    co_await mobius::sleep(6s);
    CHECK(p->lost.empty());
    CHECK(p->set_timeout(1s) == std::optional<std::chrono::nanoseconds>(10s));
    CHECK(p->set_timeout(std::nullopt) == std::optional<std::chrono::nanoseconds>(1s));
    co_await mobius::sleep(1h);
    CHECK(p->lost.empty());
    p->set_timeout(1s);
    co_await mobius::sleep(2s);
    CHECK(p->lost == "the connection was closed in order");
    CHECK(w.reactor.timers().size() == 0);
  });
}
