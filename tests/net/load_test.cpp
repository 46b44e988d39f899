// Many connections: ten thousand at a time, with peers that stall, reset and half-close at random, in
// a process of their own; short ones one after the other; a flood beside a polite peer.
#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>
#include <random>
#include <vector>

#include "net/peers.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::lease;
using mobius::task;
using mobius::net::socket_stream;
using mobius::net::tcp_listener;
using mobius::net::tcp_stream;
using mobius::testing::world;

namespace {

constexpr mobius::testing::run_options real_time{.virtual_time = false};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

std::size_t count_from(const char* variable, std::size_t usual) {
  const char* given = std::getenv(variable);
  if (given) return std::strtoull(given, nullptr, 10);
  return sanitized ? usual / 10 : usual;
}

std::size_t resident() {
  std::ifstream statm("/proc/self/statm");
  std::size_t all = 0, pages = 0;
  statm >> all >> pages;
  return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

void allow_descriptors() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 20'000);
  setrlimit(RLIMIT_NOFILE, &limit);
}

// --- the server's process ---

struct report {
  std::size_t most_open = 0;
  std::size_t open_at_end = 0;
  std::size_t bytes_each = 0;     // of malloc, frames and blocks of streams included, when all are idle
  std::size_t resident_each = 0;  // at the same time
};

struct counting {
  std::size_t expected;
  std::size_t heap_before = mallinfo2().uordblks;
  std::size_t resident_before = resident();
  std::size_t open = 0;
  std::size_t answered = 0;
  report out = {};
};

task<> echo(counting& c, tcp_stream stream) {
  c.out.most_open = std::max(c.out.most_open, ++c.open);
  try {
    bool first = true;
    while (lease data = co_await stream.receive()) {
      co_await stream.write_all(data);
      data.reset();
      if (std::exchange(first, false) && ++c.answered == c.expected) {
        c.out.bytes_each = (mallinfo2().uordblks - c.heap_before) / c.expected;
        c.out.resident_each = (resident() - c.resident_before) / c.expected;
      }
    }
  } catch (const std::system_error&) {  // a peer that reset
  }
  --c.open;
}

task<> serve(counting& c, tcp_listener& listener) {
  auto body = [&c, &listener](mobius::scope& s) -> task<> {
    for (std::size_t i = 0; i < c.expected; ++i) {
      tcp_stream client = co_await listener.accept();
      s.start(echo, std::ref(c), std::move(client));
    }
  };
  co_await mobius::with_scope(body);
  c.out.open_at_end = c.open;
}

// Ends the process: 0 if nothing was left behind.
[[noreturn]] void be_server(int to_client, std::size_t expected) {
  int status = 0;
  try {
    mobius::testing::run(
        [&](world&) -> task<> {
          tcp_listener listener("127.0.0.1", 0);
          const std::uint16_t port = listener.local_address().port();
          if (write(to_client, &port, sizeof port) != sizeof port) std::abort();
          counting c{expected};
          co_await serve(c, listener);
          if (write(to_client, &c.out, sizeof c.out) != sizeof c.out) std::abort();
        },
        real_time);
  } catch (const std::exception& e) {
    std::cerr << "server: " << e.what() << std::endl;
    status = 1;
  }
  std::_Exit(status);
}

// --- the clients' process ---

struct clients {
  std::uint16_t port;
  std::size_t expected;
  mobius::latch all_open;
  std::vector<std::chrono::nanoseconds> round_trips = {};  // of polite ones
  std::size_t polite_bytes = 0;
};

task<> check_echo(tcp_stream& s, const std::string& text) {
  auto both = mobius::when_all(s.write_all(text), test::read_exactly(s, text.size()));
  auto [x, got] = co_await std::move(both);
  if (got != text) throw std::runtime_error("an echo differs from what was sent");
}

task<> polite(clients& c, tcp_stream& s, std::mt19937_64& random) {
  for (int round = 0; round < 3; ++round) {
    co_await mobius::sleep(std::chrono::milliseconds(random() % 1000));
    const std::string text = test::pattern(1 + random() % 3000);
    const auto begin = std::chrono::steady_clock::now();
    co_await check_echo(s, text);
    c.round_trips.push_back(std::chrono::steady_clock::now() - begin);
    c.polite_bytes += text.size();
  }
}

task<> half_closing(tcp_stream& s, std::mt19937_64& random) {
  const std::string text = test::pattern(random() % 50'000);
  auto both = mobius::when_all(test::send_and_finish(s, text), test::read_all(s));
  auto [x, got] = co_await std::move(both);
  if (got != text) throw std::runtime_error("an echo differs from what was sent");
}

// Sends and does not read: the server's answer stays in its hands, with what it has received after.
task<> stalling(tcp_stream& s, std::mt19937_64& random) {
  const std::string text(random() % 200'000, 'x');
  static_cast<void>(co_await mobius::as_result(mobius::timeout(1500ms, s.write_all(text))));
  co_await mobius::sleep(1500ms);
  s.abort();
}

task<> resetting(tcp_stream& s, std::mt19937_64& random) {
  const std::string text(random() % 100'000, 'x');
  auto limit = std::chrono::milliseconds(random() % 50);
  static_cast<void>(co_await mobius::as_result(mobius::timeout(limit, s.write_all(text))));
  s.abort();
}

task<> one_client(clients& c, std::size_t number, std::uint64_t seed) {
  std::mt19937_64 random(seed + number);
  const std::string from = "127.0.0." + std::to_string(1 + number % 8);
  const mobius::net::connect_options options{.bind = *mobius::net::socket_address::parse(from, 0)};
  tcp_stream s = co_await mobius::net::connect("127.0.0.1", c.port, options);
  co_await check_echo(s, "hello");
  c.all_open.count_down();
  co_await c.all_open.wait();
  switch (random() % 10) {
    case 0:
      co_await stalling(s, random);
      break;
    case 1:
      co_await resetting(s, random);
      break;
    case 2:
      co_await half_closing(s, random);
      break;
    default:
      co_await polite(c, s, random);
  }
}

}  // namespace

TEST_CASE("thousands of connections echo at once among peers that stall, reset and half-close") {
  const std::uint64_t seed = test::seed();
  const std::size_t expected = count_from("MOBIUS_CONNECTIONS", 10'000);
  allow_descriptors();
  int pipe_ends[2];
  REQUIRE(pipe2(pipe_ends, O_CLOEXEC) == 0);
  const pid_t server = fork();
  if (server == 0) be_server(pipe_ends[1], expected);
  close(pipe_ends[1]);
  std::uint16_t port = 0;
  REQUIRE(read(pipe_ends[0], &port, sizeof port) == sizeof port);
  mobius::testing::run(
      [&](world&) -> task<> {
        clients c{port, expected, mobius::latch(expected), {}};
        auto body = [&](mobius::scope& s) -> task<> {
          for (std::size_t i = 0; i < expected; ++i) {
            s.start(one_client, std::ref(c), i, seed);
            if (i % 50 == 49) co_await mobius::sleep(1ms);
          }
        };
        co_await mobius::timeout(120s, mobius::with_scope(body));
        std::sort(c.round_trips.begin(), c.round_trips.end());
        REQUIRE(c.round_trips.size() > expected);
        const auto slowest = c.round_trips[c.round_trips.size() * 999 / 1000];
        std::cout << "99.9 % of polite round trips within "
                  << std::chrono::duration_cast<std::chrono::milliseconds>(slowest).count() << " ms"
                  << std::endl;
        CHECK(slowest < (sanitized ? 20s : 5s));
      },
      real_time);
  report r;
  REQUIRE(read(pipe_ends[0], &r, sizeof r) == sizeof r);
  close(pipe_ends[0]);
  int status = -1;
  waitpid(server, &status, 0);
  CHECK(status == 0);
  CHECK(r.most_open == expected);
  CHECK(r.open_at_end == 0);
  std::cout << "per idle connection: " << r.bytes_each << " B of malloc, " << r.resident_each << " B resident"
            << std::endl;
  if (!sanitized) CHECK(r.bytes_each <= 1024);
}

TEST_CASE("connections that are made and closed at once, many thousand times, leave nothing") {
  const std::size_t count = count_from("MOBIUS_SOAK", 5'000);
  mobius::testing::run(
      [count](world&) -> task<> {
        tcp_listener listener("127.0.0.1", 0);
        auto acceptor = [](tcp_listener& l, std::size_t n) -> task<> {
          for (std::size_t i = 0; i < n; ++i) {
            tcp_stream s = co_await l.accept();
            if (i % 3 == 0) co_await s.close();
          }
        };
        auto connector = [](std::uint16_t port, std::size_t n) -> task<> {
          for (std::size_t i = 0; i < n; ++i) {
            const std::string from = "127.0.0." + std::to_string(1 + i % 8);
            const mobius::net::connect_options options{.bind = *mobius::net::socket_address::parse(from, 0)};
            tcp_stream s = co_await mobius::net::connect("127.0.0.1", port, options);
            if (i % 2 == 0) s.abort();
          }
        };
        const auto frames = mobius::testing::inventory::take().frames;
        auto both =
            mobius::when_all(acceptor(listener, count), connector(listener.local_address().port(), count));
        co_await std::move(both);
        co_await test::settle(100);
        CHECK(mobius::testing::inventory::take().frames <= frames + 5);
      },
      real_time);
}

TEST_CASE("a flood on one connection leaves another's latency bounded", "[fault-47]") {
  const test::kind k = GENERATE(test::kind::tcp4, test::kind::pair);
  INFO(k);
  mobius::testing::run(
      [k](world&) -> task<> {
        test::peers flood = co_await test::connected_peers(k);
        test::peers quiet = co_await test::connected_peers(k);
        auto pour = [](socket_stream& s) -> task<> {
          const std::string text(1'000'000, 'x');
          // Ends interrupted, which is no failure here.
          for (bool more = true; more;) {
            auto r = co_await mobius::as_result(s.write_all(text));
            more = r.has_value();
          }
        };
        auto echo_all = [](socket_stream& s) -> task<> {
          while (lease data = co_await s.receive()) co_await s.write_all(data);
        };
        auto drain = [](socket_stream& s) -> task<> {
          while (lease data = co_await s.receive()) data.reset();
        };
        auto ping = [](socket_stream& s) -> task<std::chrono::nanoseconds> {
          std::vector<std::chrono::nanoseconds> times;
          for (int i = 0; i < 300; ++i) {
            const auto begin = std::chrono::steady_clock::now();
            co_await s.write_all("ping");
            lease pong = co_await s.receive();
            CHECK(pong.text() == "ping");
            times.push_back(std::chrono::steady_clock::now() - begin);
          }
          std::sort(times.begin(), times.end());
          co_return times[times.size() * 95 / 100];
        };
        auto all = mobius::when_any(ping(quiet.client), echo_all(quiet.server), pour(flood.client),
                                    echo_all(flood.server), drain(flood.client));
        auto [index, value] = co_await std::move(all);
        REQUIRE(index == 0);
        CHECK(std::get<0>(value) < (sanitized ? 500ms : 100ms));
      },
      real_time);
}

TEST_CASE("a reader that stops holds the server's memory at the stream's bound, not at what is sent",
          "[fault-48]") {
  const test::kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run([k](world&) -> task<> {
    test::peers p = co_await test::connected_peers(k);
    const std::string text(64'000'000, 'x');
    const auto before = mallinfo2().uordblks;
    auto writer = [](socket_stream& s, const std::string& t) -> task<> {
      auto r = co_await mobius::as_result(s.write_all(t));
      CHECK_FALSE(r.has_value());
    };
    // Reads a little, then waits: 16 buffers are queued at most beside those under way.
    auto reader = [](socket_stream& s, std::size_t heap) -> task<> {
      lease first = co_await s.receive();
      CHECK(first.size() != 0);
      co_await test::settle(3000);
      CHECK(mallinfo2().uordblks < heap + 2'000'000);
      s = socket_stream();
    };
    auto both = mobius::when_all(writer(p.client, text), reader(p.server, before));
    co_await std::move(both);
  });
}
