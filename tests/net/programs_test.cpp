// Real programs at the other end: socat, nc, and the port forwarder of the examples.
#include <chrono>
#include <fstream>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>

#include "http/process.hpp"
#include "net/peers.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::task;
using mobius::net::socket_stream;
using mobius::net::tcp_listener;
using mobius::testing::world;

namespace {

constexpr mobius::testing::run_options real_time{.virtual_time = false};

bool have(const std::string& program) {
  const bool found = !process::output_of("command -v " + program).empty();
  if (!found) WARN("SKIPPED: " + program + " is not installed");
  return found;
}

enum class face { coroutines, callbacks };

std::ostream& operator<<(std::ostream& out, face f) {
  return out << (f == face::coroutines ? "coroutines" : "callbacks");
}

task<> echo(socket_stream s) {
  while (mobius::lease data = co_await s.receive()) co_await s.write_all(data);
  s.shutdown_write();
}

struct echo_protocol final : mobius::net::protocol {
  void lease_received(mobius::lease data) override { transport().write(std::move(data)); }
};

template <class Listener>
task<> echo_one(face f, Listener& listener) {
  auto stream = co_await listener.accept();
  if (f == face::callbacks) {
    co_await mobius::net::run_protocol(std::make_shared<echo_protocol>(), std::move(stream));
  } else {
    co_await echo(std::move(stream));
  }
}

// Asks with a program whose text ends with its input, and gives its answer.
template <class Listener>
task<std::string> answer_to(face f, Listener& listener, std::string command) {
  auto both = mobius::when_all(echo_one(f, listener), mobius::offload(process::output_of, command));
  auto [x, answer] = co_await std::move(both);
  co_return answer;
}

// Connects as soon as a program listens.
template <class Connect>
task<socket_stream> patiently(Connect connect) {
  for (int i = 0; i < 200; ++i) {
    auto r = co_await mobius::as_result(connect());
    if (r) co_return std::move(*r);
    co_await mobius::sleep(20ms);
  }
  throw std::runtime_error("nobody listens after 4 s");
}

std::uint16_t free_port() {
  mobius::reactor* here = mobius::reactor::current_or_null();
  REQUIRE(here);
  return tcp_listener("127.0.0.1", 0).local_address().port();
}

task<std::string> echo_of(socket_stream& s, const std::string& text) {
  auto both = mobius::when_all(test::send_and_finish(s, text), test::read_all(s));
  auto [x, got] = co_await std::move(both);
  co_return got;
}

// Sends a text, ends its sending, and notes what comes.
struct asking final : mobius::net::protocol {
  explicit asking(const std::string& t) : text(t) {}
  bool half_closeable() const noexcept override { return true; }
  void connection_made() override {
    transport().write(text);
    transport().lose_write_connection();
  }
  void data_received(std::string_view data) override { got += data; }

  std::string text;
  std::string got;
};

task<std::string> echo_of(face f, socket_stream s, const std::string& text) {
  if (f == face::coroutines) co_return co_await echo_of(s, text);
  auto p = std::make_shared<asking>(text);
  co_await mobius::net::run_protocol(p, std::move(s));
  co_return p->got;
}

}  // namespace

TEST_CASE("nc and socat talk to our servers, over TCP, IPv6 and unix, large inputs and half-close included") {
  if (!have("nc") || !have("socat")) return;
  const face f = GENERATE(face::coroutines, face::callbacks);
  INFO(f);
  mobius::testing::run(
      [f](world&) -> task<> {
        const std::string file = test::socket_path();
        const std::string text = test::pattern(2'000'000);
        std::ofstream(file) << text;
        tcp_listener four("127.0.0.1", 0);
        tcp_listener six("::1", 0);
        const std::string path = test::socket_path();
        mobius::net::unix_listener local(path);
        mobius::net::unix_listener hidden("@" + path);
        const std::string port4 = std::to_string(four.local_address().port());
        const std::string port6 = std::to_string(six.local_address().port());
        const std::string nc4 = co_await answer_to(f, four, "nc -N 127.0.0.1 " + port4 + " < " + file);
        CHECK(nc4 == text);
        const std::string nc6 = co_await answer_to(f, six, "nc -N ::1 " + port6 + " < " + file);
        CHECK(nc6 == text);
        const std::string ncu = co_await answer_to(f, local, "nc -N -U " + path + " < " + file);
        CHECK(ncu == text);
        const std::string so4 =
            co_await answer_to(f, four, "socat -t 10 - TCP:127.0.0.1:" + port4 + " < " + file);
        CHECK(so4 == text);
        const std::string sou =
            co_await answer_to(f, local, "socat -t 10 - UNIX-CONNECT:" + path + " < " + file);
        CHECK(sou == text);
        const std::string soa =
            co_await answer_to(f, hidden, "socat -t 10 - ABSTRACT-CONNECT:" + path + " < " + file);
        CHECK(soa == text);
        unlink(file.c_str());
      },
      real_time);
}

TEST_CASE("our clients talk to socat's servers, over TCP and unix") {
  if (!have("socat")) return;
  const face f = GENERATE(face::coroutines, face::callbacks);
  INFO(f);
  mobius::testing::run(
      [f](world&) -> task<> {
        const std::string text = test::pattern(1'000'000);
        const std::uint16_t port = free_port();
        {
          const process::child server({"/usr/bin/socat",
                                       "TCP-LISTEN:" + std::to_string(port) + ",bind=127.0.0.1,reuseaddr",
                                       "EXEC:cat"});
          auto connect = [port]() { return mobius::net::connect("127.0.0.1", port); };
          socket_stream stream = co_await patiently(connect);
          const std::string got = co_await echo_of(f, std::move(stream), text);
          CHECK(got == text);
        }
        const std::string path = test::socket_path();
        const process::child server({"/usr/bin/socat", "UNIX-LISTEN:" + path, "EXEC:cat"});
        auto connect = [&path]() { return mobius::net::connect_unix(path); };
        socket_stream stream = co_await patiently(connect);
        const std::string got = co_await echo_of(f, std::move(stream), text);
        CHECK(got == text);
      },
      real_time);
}

#ifdef FORWARD_PROGRAM
TEST_CASE("the port forwarder passes both ways on, ends included, for many at a time") {
  mobius::testing::run(
      [](world&) -> task<> {
        tcp_listener target("127.0.0.1", 0);
        const std::uint16_t port = free_port();
        const process::child forward({FORWARD_PROGRAM, std::to_string(port), "localhost",
                                      std::to_string(target.local_address().port())});
        auto ask = [](std::uint16_t p, std::string text) -> task<> {
          auto connect = [p]() { return mobius::net::connect("127.0.0.1", p); };
          socket_stream stream = co_await patiently(connect);
          const std::string got = co_await echo_of(stream, text);
          CHECK(got == text);
        };
        auto serve = [](tcp_listener& l, int count) -> task<> {
          std::vector<task<>> all;
          for (int i = 0; i < count; ++i) {
            auto stream = co_await l.accept();
            mobius::background(echo(std::move(stream)));
          }
        };
        std::vector<task<>> clients;
        for (int i = 0; i < 20; ++i)
          clients.push_back(ask(port, test::pattern(100'000 * static_cast<std::size_t>(i + 1))));
        auto both = mobius::when_all(serve(target, 20), mobius::when_all(std::move(clients)));
        co_await std::move(both);

        target.close();
        auto connect = [port]() { return mobius::net::connect("127.0.0.1", port); };
        socket_stream stream = co_await patiently(connect);
        const std::string nothing = co_await test::read_all(stream);
        CHECK(nothing.empty());
      },
      real_time);
}
#endif
