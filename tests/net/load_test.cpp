// Many connections to a server of either face: ten thousand at a time, with peers that stall, reset and
// half-close at random, in a process of their own; short ones one after the other; a flood beside a polite
// peer; readers that stop.
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
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
using mobius::net::listening_port;
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

// --- the two faces of an echo server ---

enum class face { coroutines, callbacks };

std::ostream& operator<<(std::ostream& out, face f) {
  return out << (f == face::coroutines ? "coroutines" : "callbacks");
}

// What a server notes of itself; the callback face keeps it by the reference that each protocol has.
struct counting {
  std::size_t expected = 0;
  std::size_t heap_before = mallinfo2().uordblks;
  std::size_t resident_before = resident();
  std::size_t open = 0;
  std::size_t ended = 0;
  std::size_t answered = 0;
  std::size_t most_open = 0;
  std::size_t bytes_each = 0;     // of malloc, pooled blocks included, when all are idle
  std::size_t resident_each = 0;  // at the same time
  std::size_t most_unsent = 0;    // of a connection, in callbacks

  void opened() { most_open = std::max(most_open, ++open); }
  void closed() {
    --open;
    ++ended;
  }
  void first_answer() {
    if (++answered != expected) return;
    bytes_each = (mallinfo2().uordblks - heap_before) / expected;
    resident_each = (resident() - resident_before) / expected;
  }
};

template <mobius::net::stream S>
task<> echo(counting& c, S stream) {
  c.opened();
  try {
    bool first = true;
    while (lease data = co_await stream.receive()) {
      co_await stream.write_all(data);
      data.reset();
      if (std::exchange(first, false)) c.first_answer();
    }
  } catch (const std::system_error&) {  // a peer that reset
  }
  c.closed();
}

// Reads no faster than its peer does, as the other does by waiting.
struct echo_protocol final : mobius::net::protocol {
  explicit echo_protocol(counting& c) noexcept : counts(c) {}
  void connection_made() override {
    counts.opened();
    transport().register_producer(transport(), mobius::net::producer_kind::push);
  }
  void lease_received(lease data) override {
    transport().write(std::move(data));
    counts.most_unsent = std::max(counts.most_unsent, transport().unsent());
    if (std::exchange(first, false)) counts.first_answer();
  }
  void connection_lost(const mobius::failure&) override { counts.closed(); }

  counting& counts;
  bool first = true;
};

struct echo_factory final : mobius::net::factory {
  explicit echo_factory(counting& c) noexcept : counts(c) {}
  std::shared_ptr<mobius::net::protocol> build_protocol(const mobius::net::socket_address&) override {
    return std::make_shared<echo_protocol>(counts);
  }
  counting& counts;
};

// Echoes to everybody while `clients` runs, which is given the port.
template <class Clients>
task<> serve_in(face f, counting& c, Clients clients) {
  tcp_listener listener("127.0.0.1", 0);
  const std::uint16_t port = listener.local_address().port();
  if (f == face::callbacks) {
    listening_port listening = mobius::net::listen(std::move(listener), std::make_shared<echo_factory>(c));
    co_await clients(port);
    co_await listening.stop_listening();
    while (c.open != 0) co_await mobius::yield();
    co_return;
  }
  auto accept = [&c, &listener](mobius::scope& s) -> task<> {
    while (true) {
      tcp_stream client = co_await listener.accept();
      s.start(echo<tcp_stream>, std::ref(c), std::move(client));
    }
  };
  auto server = mobius::as_result(mobius::with_scope(accept));
  auto work = [&]() -> task<> {
    co_await clients(port);
    while (c.open != 0) co_await mobius::yield();
    listener.close();
  };
  auto both = mobius::when_all(std::move(server), work());
  co_await std::move(both);
}

// Runs the echo server of a face on a stream that is there.
task<> serve_stream(face f, counting& c, socket_stream s) {
  if (f == face::callbacks) {
    auto run = mobius::net::run_protocol(std::make_shared<echo_protocol>(c), std::move(s));
    static_cast<void>(co_await mobius::as_result(std::move(run)));
  } else {
    co_await echo(c, std::move(s));
  }
}

// --- the clients ---

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

// --- two processes of their own, so that what one leaves behind is not counted for the other ---

template <class T>
void send_to(int pipe, const T& value) {
  if (write(pipe, &value, sizeof value) != sizeof value) std::abort();
}
template <class T>
T read_from(int pipe) {
  T value{};
  if (read(pipe, &value, sizeof value) != sizeof value)
    throw std::runtime_error("the other process has ended");
  return value;
}

// Runs `body` in a new process, which ends with 0 if that left nothing behind.
template <class Body>
pid_t in_process(const char* name, Body body) {
  const pid_t child = fork();
  if (child != 0) return child;
  int status = 0;
  try {
    mobius::testing::run([&](world&) -> task<> { return body(); }, real_time);
  } catch (const std::exception& e) {
    std::cerr << name << ": " << e.what() << std::endl;
    status = 1;
  }
  std::cout.flush();
  std::_Exit(status);
}

int status_of(pid_t child) {
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

task<> serve_process(face f, std::size_t expected, int port_to, int counts_to) {
  counting c{expected};
  auto clients = [&](std::uint16_t port) -> task<> {
    send_to(port_to, port);
    while (c.ended != expected) co_await mobius::sleep(5ms);
  };
  co_await serve_in(f, c, clients);
  send_to(counts_to, c);
}

task<> ask_process(face f, std::size_t expected, std::uint64_t seed, std::uint16_t port) {
  clients c{port, expected, mobius::latch(expected), {}};
  auto body = [&](mobius::scope& s) -> task<> {
    for (std::size_t i = 0; i < expected; ++i) {
      s.start(one_client, std::ref(c), i, seed);
      if (i % 50 == 49) co_await mobius::sleep(1ms);
    }
  };
  co_await mobius::timeout(120s, mobius::with_scope(body));
  std::sort(c.round_trips.begin(), c.round_trips.end());
  if (c.round_trips.size() <= expected) throw std::runtime_error("too few polite round trips");
  const auto slowest = c.round_trips[c.round_trips.size() * 999 / 1000];
  std::cout << f << ": 99.9 % of polite round trips within "
            << std::chrono::duration_cast<std::chrono::milliseconds>(slowest).count() << " ms" << std::endl;
  if (slowest > (sanitized ? 20s : 5s)) throw std::runtime_error("polite peers are starved");
}

}  // namespace

TEST_CASE("thousands of connections echo at once among peers that stall, reset and half-close") {
  const face f = GENERATE(face::coroutines, face::callbacks);
  INFO(f);
  const std::uint64_t seed = test::seed();
  const std::size_t expected = count_from("MOBIUS_CONNECTIONS", 10'000);
  allow_descriptors();
  int ports[2];
  int counts[2];
  REQUIRE(pipe2(ports, O_CLOEXEC) == 0);
  REQUIRE(pipe2(counts, O_CLOEXEC) == 0);
  const pid_t server = in_process("server", [&] { return serve_process(f, expected, ports[1], counts[1]); });
  const auto port = read_from<std::uint16_t>(ports[0]);
  const pid_t asking = in_process("clients", [&] { return ask_process(f, expected, seed, port); });
  const int asked = status_of(asking);
  CHECK(asked == 0);
  if (asked != 0) kill(server, SIGKILL);
  const int served = status_of(server);
  CHECK(served == 0);
  if (served == 0) {
    const auto c = read_from<counting>(counts[0]);
    CHECK(c.most_open == expected);
    CHECK(c.open == 0);
    std::cout << f << ": an idle connection costs " << c.bytes_each << " B of malloc, " << c.resident_each
              << " B resident" << std::endl;
    if (!sanitized) CHECK(c.bytes_each <= (f == face::coroutines ? 1024 : 700));
  }
  for (const int fd : {ports[0], ports[1], counts[0], counts[1]}) close(fd);
}

TEST_CASE("connections that are made and closed at once, many thousand times, leave nothing") {
  const face f = GENERATE(face::coroutines, face::callbacks);
  INFO(f);
  const std::size_t count = count_from("MOBIUS_SOAK", 5'000);
  mobius::testing::run(
      [f, count](world&) -> task<> {
        counting c;
        const auto frames = mobius::testing::inventory::take().frames;
        auto clients = [&](std::uint16_t port) -> task<> {
          for (std::size_t i = 0; i < count; ++i) {
            const std::string from = "127.0.0." + std::to_string(1 + i % 8);
            const mobius::net::connect_options options{.bind = *mobius::net::socket_address::parse(from, 0)};
            tcp_stream s = co_await mobius::net::connect("127.0.0.1", port, options);
            // Some end before they are accepted, some when they have been answered.
            if (i % 5 == 0) co_await check_echo(s, "hello");
            if (i % 2 == 0) s.abort();
          }
          co_await test::settle(100);
        };
        co_await serve_in(f, c, clients);
        co_await test::settle(100);
        CHECK(c.open == 0);
        CHECK(c.ended <= count);
        CHECK(c.answered == (count + 4) / 5);
        CHECK(mobius::testing::inventory::take().frames <= frames + 5);
      },
      real_time);
}

TEST_CASE("a flood on one connection leaves another's latency bounded", "[fault-47]") {
  const face f = GENERATE(face::coroutines, face::callbacks);
  const test::kind k = GENERATE(test::kind::tcp4, test::kind::pair);
  INFO(f << " over " << k);
  mobius::testing::run(
      [f, k](world&) -> task<> {
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
        counting c;
        auto all = mobius::when_any(ping(quiet.client), serve_stream(f, c, std::move(quiet.server)),
                                    pour(flood.client), serve_stream(f, c, std::move(flood.server)),
                                    drain(flood.client));
        auto [index, value] = co_await std::move(all);
        REQUIRE(index == 0);
        CHECK(std::get<0>(value) < (sanitized ? 500ms : 100ms));
        CHECK(c.most_unsent < 2'000'000);
      },
      real_time);
}

TEST_CASE("a peer that does not read holds a server's memory at the water mark, not at what it sends") {
  const face f = GENERATE(face::coroutines, face::callbacks);
  const test::kind k = GENERATE(from_range(test::every_kind));
  INFO(f << " over " << k);
  mobius::testing::run([f, k](world&) -> task<> {
    test::peers p = co_await test::connected_peers(k);
    const std::string text = test::pattern(24'000'000);
    const auto before = mallinfo2().uordblks;
    counting c;
    auto writer = [](socket_stream& s, const std::string& t) -> task<> {
      co_await s.write_all(t);
      s.shutdown_write();
    };
    // Begins late, when all that can fill up is full, and then loses no byte.
    auto reader = [](socket_stream& s, const std::string& sent, std::size_t heap) -> task<> {
      co_await test::settle(3000);
      CHECK(mallinfo2().uordblks < heap + 2'000'000);
      std::size_t at = 0;
      while (lease part = co_await s.receive()) {
        REQUIRE(part.text() == std::string_view(sent).substr(at, part.size()));
        at += part.size();
      }
      CHECK(at == sent.size());
    };
    auto all = mobius::when_all(writer(p.client, text), reader(p.client, text, before),
                                serve_stream(f, c, std::move(p.server)));
    co_await std::move(all);
    // The mark, and what was received in the turn in which it was passed.
    CHECK(c.most_unsent < 6 * mobius::net::transport::high_water);
    CHECK(c.ended == 1);
  });
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
