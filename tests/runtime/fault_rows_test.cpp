// Rows of the fault list that have no better place: see faults.md. A program of its own, as it
// replaces operator new to let allocations fail.

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>

#include <array>
#include <cerrno>
#include <coroutine>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <new>
#include <set>
#include <source_location>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "child.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using mobius::task;
using mobius::net::tcp_stream;
using mobius::testing::world;

namespace {

constexpr mobius::testing::run_options real_time{.virtual_time = false};

}  // namespace

// --- row 10 ------------------------------------------------------------------------------------

namespace {

/// No descriptor is left, so the kernel really ends the accept; the hook gives that end another errno.
class ended_accepts {
 public:
  ended_accepts(mobius::reactor& r, int error, int times) : faults_(r) {
    getrlimit(RLIMIT_NOFILE, &before_);
    const int next_free = ::dup(0);
    ::close(next_free);
    const rlimit tight{static_cast<rlim_t>(next_free), before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &tight);
    faults_.on_completion([this, error, times](mobius::detail::completion& c) {
      if (c.result != -EMFILE) return;
      c.result = -error;
      if (++count_ == times) lift();
    });
  }
  ended_accepts(const ended_accepts&) = delete;
  ended_accepts& operator=(const ended_accepts&) = delete;
  ~ended_accepts() { lift(); }
  int count() const { return count_; }

 private:
  void lift() const { setrlimit(RLIMIT_NOFILE, &before_); }

  mobius::testing::faults faults_;
  rlimit before_{};
  int count_ = 0;
};

}  // namespace

TEST_CASE("an accept that fails for one connection, or for lack of memory, is gone on with", "[fault-10]") {
  const int error = GENERATE(ECONNABORTED, EPROTO, EINTR, ENETDOWN, EHOSTUNREACH, ENOMEM, ENOBUFS, ENFILE);
  mobius::testing::run(
      [error](world& w) -> task<> {
        mobius::net::tcp_listener listener("127.0.0.1", 0);
        auto client = co_await mobius::net::connect("127.0.0.1", listener.local_address().port());
        const ended_accepts failing(w.reactor, error, 3);
        auto server = co_await mobius::timeout(10s, listener.accept());
        CHECK(failing.count() == 3);
        co_await client.write_all("hello");
        auto hello = co_await server.receive();
        CHECK(hello.text() == "hello");
      },
      real_time);
}

TEST_CASE("an accept's error that concerns the listener is told once, and the next accept tries again",
          "[fault-10]") {
  mobius::testing::run(
      [](world& w) -> task<> {
        mobius::net::tcp_listener listener("127.0.0.1", 0);
        auto client = co_await mobius::net::connect("127.0.0.1", listener.local_address().port());
        const ended_accepts failing(w.reactor, EPERM, 1);
        const auto refused = co_await mobius::as_result(listener.accept());
        CHECK_THAT(std::string(refused.error().what()), Contains("accept on 127.0.0.1:"));
        auto server = co_await mobius::timeout(10s, listener.accept());
        co_await client.write_all("hello");
        auto hello = co_await server.receive();
        CHECK(hello.text() == "hello");
      },
      real_time);
}

TEST_CASE("connections that are lost while the accept stays armed do not hold up the next", "[fault-10]") {
  const int error = GENERATE(ECONNABORTED, EPROTO);
  mobius::testing::run(
      [error](world& w) -> task<> {
        mobius::net::tcp_listener listener("127.0.0.1", 0);
        const auto port = listener.local_address().port();
        std::vector<tcp_stream> clients;
        for (int i = 0; i < 4; ++i) clients.push_back(co_await mobius::net::connect("127.0.0.1", port));
        mobius::testing::faults faults(w.reactor);
        int lost = 0;
        faults.on_completion([&](mobius::detail::completion& c) {
          if (lost == 3 || c.result <= 2 || !(c.flags & IORING_CQE_F_MORE)) return;
          ++lost;
          ::close(c.result);
          c.result = -error;
        });
        auto server = co_await mobius::timeout(10s, listener.accept());
        CHECK(lost == 3);
        co_await clients[3].write_all("hello");
        auto hello = co_await server.receive();
        CHECK(hello.text() == "hello");
      },
      real_time);
}

// --- row 12 ------------------------------------------------------------------------------------

TEST_CASE("completions that the kernel has dropped end the program with a text", "[fault-12]") {
  const ended_child c = in_child([] {
    mobius::reactor reactor({.signals = false});
    mobius::testing::faults faults(reactor);
    faults.fail_enter(EBADR);
    reactor.call_later(1ms, [] {});
    reactor.run();
    return 0;
  });
  CHECK(c.killed_by(SIGABRT));
  CHECK_THAT(c.text, Contains("the kernel has dropped io_uring completions"));
}

// --- rows 26 and 27 ----------------------------------------------------------------------------

namespace {

std::array<int, 2> socket_pair() {
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  return ends;
}

void put(int fd, const std::string& text) {
  REQUIRE(::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

task<> expect_end(tcp_stream& stream, int& ended) {
  const auto read = co_await mobius::as_result(stream.receive());
  if (!read) ++ended;
}

task<> expect_text(tcp_stream& stream, std::string text) {
  auto part = co_await mobius::timeout(10s, stream.receive());
  CHECK(part.text() == text);
}

}  // namespace

TEST_CASE("a descriptor's number that is used again in the same turn: nothing of the old one reaches the new",
          "[fault-26]") {
  const bool with_reader = GENERATE(false, true);
  mobius::testing::run(
      [with_reader](world&) -> task<> {
        int reused = 0;
        for (int round = 0; round < 300; ++round) {
          const auto first = socket_pair();
          auto old = tcp_stream::adopt(first[0]);
          put(first[1], "old");
          co_await expect_text(old, "old");
          mobius::scope readers;
          int ended = 0;
          if (with_reader) readers.start(expect_end, std::ref(old), std::ref(ended));
          co_await mobius::yield();
          put(first[1], "never read");
          co_await old.close();
          const auto second = socket_pair();
          if (second[0] == first[0]) ++reused;
          auto fresh = tcp_stream::adopt(second[0]);
          put(second[1], "new");
          co_await expect_text(fresh, "new");
          co_await readers.join();
          CHECK(ended == (with_reader ? 1 : 0));
          co_await fresh.close();
          ::close(first[1]);
          ::close(second[1]);
        }
        CHECK(reused > 200);
      },
      real_time);
}

TEST_CASE("a poll of a closed descriptor does not speak for the next one of its number", "[fault-26]") {
  mobius::testing::run(
      [](world&) -> task<> {
        const auto first = socket_pair();
        const auto second = socket_pair();
        mobius::scope polls;
        polls.start(mobius::poll(first[0], POLLIN));
        co_await mobius::sleep(1ms);  // the kernel has it
        REQUIRE(::dup2(second[0], first[0]) == first[0]);
        put(second[1], "new");
        const auto events = co_await mobius::timeout(10s, mobius::poll(first[0], POLLIN));
        CHECK((events & POLLIN) != 0);
        CHECK(polls.size() == 1);
        polls.cancel();
        co_await polls.join();
        const auto again = co_await mobius::timeout(10s, mobius::poll(first[0], POLLIN));
        CHECK((again & POLLIN) != 0);
        for (const int fd : {first[0], first[1], second[0], second[1]}) ::close(fd);
      },
      real_time);
}

TEST_CASE("closing a stream leaves a duplicate of its descriptor alone", "[fault-27]") {
  const bool with_reader = GENERATE(false, true);
  mobius::testing::run(
      [with_reader](world&) -> task<> {
        const auto ends = socket_pair();
        auto one = tcp_stream::adopt(ends[0]);
        auto other = tcp_stream::adopt(::fcntl(ends[0], F_DUPFD_CLOEXEC, 0));
        mobius::scope readers;
        int ended = 0;
        if (with_reader) readers.start(expect_end, std::ref(one), std::ref(ended));
        co_await mobius::yield();
        co_await one.close();
        co_await readers.join();
        CHECK(ended == (with_reader ? 1 : 0));
        put(ends[1], "for the duplicate");
        co_await expect_text(other, "for the duplicate");
        co_await other.write_all("answer");
        std::array<char, 6> answer{};
        CHECK(::read(ends[1], answer.data(), answer.size()) == 6);
        ::close(ends[1]);
      },
      real_time);
}

TEST_CASE("a duplicate's operations are cancelled one by one, not by their common file", "[fault-27]") {
  mobius::testing::run(
      [](world&) -> task<> {
        const auto ends = socket_pair();
        const int twin = ::fcntl(ends[0], F_DUPFD_CLOEXEC, 0);
        mobius::scope cancelled;
        mobius::scope kept;
        cancelled.start(mobius::poll(ends[0], POLLIN));
        kept.start(mobius::poll(twin, POLLIN));
        co_await mobius::sleep(1ms);
        cancelled.cancel();
        co_await cancelled.join();
        ::close(ends[0]);
        CHECK(kept.size() == 1);
        put(ends[1], "x");
        co_await mobius::timeout(10s, kept.join());
        ::close(ends[1]);
        ::close(twin);
      },
      real_time);
}

// --- row 31 ------------------------------------------------------------------------------------

namespace {

std::set<int> open_descriptors() {
  std::set<int> all;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    all.insert(std::stoi(entry.path().filename().string()));
  }
  return all;
}

}  // namespace

TEST_CASE("a program that is executed inherits neither ring nor wake-up nor sockets", "[fault-31]") {
  const ended_child c = in_child([] {
    mobius::reactor reactor({.signals = false});
    mobius::net::tcp_listener listener("127.0.0.1", 0);
    const auto body = [&listener]() -> task<int> {
      auto client = co_await mobius::net::connect("127.0.0.1", listener.local_address().port());
      auto server = co_await listener.accept();
      ::execl("/bin/sh", "sh", "-c", "for fd in /proc/$$/fd/*; do echo \"kept $(readlink $fd)\"; done",
              static_cast<char*>(nullptr));
      co_return 1;
    };
    return reactor.run(body());
  });
  CHECK(c.exited_with(0));
  CHECK_THAT(c.text,
             Contains("kept ") && !Contains("io_uring") && !Contains("eventfd") && !Contains("socket:"));
}

// --- row 36 ------------------------------------------------------------------------------------

namespace {

constexpr int new_time_namespace = 0x80;  // CLONE_NEWTIME

int timers_keep_time() {
  int wrong = 0;
  mobius::run([&wrong]() -> task<> {
    for (int i = 0; i < 3; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      co_await mobius::sleep(30ms);
      const auto slept = std::chrono::steady_clock::now() - begin;
      if (slept < 30ms || slept > 3s) ++wrong;
    }
    const auto late = co_await mobius::as_result(mobius::timeout(20ms, mobius::sleep(1h)));
    if (!late.error().check<mobius::timed_out>()) ++wrong;
    const auto end = std::chrono::steady_clock::now() + 20ms;
    const auto later = co_await mobius::as_result(mobius::deadline(end, mobius::sleep(1h)));
    if (!later.error().check<mobius::timed_out>() || std::chrono::steady_clock::now() < end) ++wrong;
  }());
  return wrong;
}

}  // namespace

TEST_CASE("timers keep time in a time namespace whose monotonic clock is days ahead", "[fault-36]") {
  const ended_child c = in_child([] {
    if (::unshare(new_time_namespace) != 0) {
      std::printf("no namespace: %s\n", std::strerror(errno));
      return 0;
    }
    std::ofstream("/proc/self/timens_offsets") << "monotonic 1000000 0\nboottime 1000000 0\n";
    const auto outside = std::chrono::steady_clock::now();
    const ended_child inner = in_child([outside] {
      if (std::chrono::steady_clock::now() - outside < 900'000s) return 91;
      return timers_keep_time();
    });
    std::printf("inside: %d %s\n", inner.status, inner.text.c_str());
    return 0;
  });
  if (c.says("no namespace")) {
    WARN("SKIPPED: " << c.text);
    return;
  }
  CHECK(c.exited_with(0));
  CHECK_THAT(c.text, Contains("inside: 0 "));
}

// --- row 44 ------------------------------------------------------------------------------------

namespace {

/// The descriptor of the only eventfd that `before` has not.
int new_eventfd(const std::set<int>& before) {
  for (const int fd : open_descriptors()) {
    std::error_code gone;
    const auto target = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), gone);
    if (!before.contains(fd) && target == "anon_inode:[eventfd]") return fd;
  }
  return -1;
}

}  // namespace

TEST_CASE("a wake-up whose counter is full wakes all the same", "[fault-44]") {
  const auto before = open_descriptors();
  mobius::reactor reactor({.signals = false});
  const int fd = new_eventfd(before);
  REQUIRE(fd >= 0);
  const auto fill = [fd] {
    const std::uint64_t most = std::numeric_limits<std::uint64_t>::max() - 1;
    std::uint64_t held = 0;
    static_cast<void>(!::read(fd, &held, sizeof held));
    CHECK(::write(fd, &most, sizeof most) == sizeof most);
  };
  int posted = 0;
  std::thread poster;
  reactor.call_later(10s, [&] { reactor.stop(); });
  reactor.call_later(1ms, [&] {
    fill();
    poster = std::thread([&] {
      for (int i = 0; i < 5; ++i) {
        std::this_thread::sleep_for(20ms);
        reactor.post([&, i] {
          ++posted;
          fill();
          if (i == 4) reactor.stop();
        });
      }
    });
  });
  const auto begin = std::chrono::steady_clock::now();
  reactor.run();
  poster.join();
  CHECK(posted == 5);
  CHECK(std::chrono::steady_clock::now() - begin < 9s);
}

TEST_CASE("wake-ups for nothing are harmless", "[fault-44]") {
  const auto before = open_descriptors();
  mobius::reactor reactor({.signals = false});
  const int fd = new_eventfd(before);
  REQUIRE(fd >= 0);
  int called = 0;
  bool stop = false;
  reactor.call_later(50ms, [&] { ++called; });
  std::thread disturber([&] {
    const std::uint64_t one = 1;
    for (int i = 0; i < 2000; ++i) static_cast<void>(!::write(fd, &one, sizeof one));
    stop = true;
  });
  reactor.run();
  disturber.join();
  CHECK(called == 1);
  CHECK(stop);
}

// --- row 55 ------------------------------------------------------------------------------------

namespace {

/// A read that the kernel must give to a worker of its own.
class worker_read final : public mobius::detail::op {
 public:
  worker_read(int fd, std::array<char, 4>& to) : op(kind), fd_(fd), to_(to) {}
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h) {
    return suspend(h, mobius::detail::context_of(h), std::source_location::current());
  }
  bool suspend(std::coroutine_handle<> h, mobius::detail::context* ctx, const std::source_location& where) {
    mobius::detail::request r{.opcode = IORING_OP_READ, .fd = fd_, .length = 4, .entry_flags = IOSQE_ASYNC};
    r.address = reinterpret_cast<std::uint64_t>(to_.data());
    return submit(h, ctx, where, r);
  }
  int await_resume() {
    leave();
    if (was_stopped()) throw mobius::cancelled();
    return result_;
  }

 private:
  static const mobius::detail::leaf_type kind;
  int fd_;
  std::array<char, 4>& to_;
};

const mobius::detail::leaf_type worker_read::kind{"read", &worker_read::cancel};

task<int> read_by_worker(int fd) {
  std::array<char, 4> text{};
  worker_read read(fd, text);
  const int got = co_await read;
  co_return got == 4 && std::string(text.data(), 4) != "four" ? 0 : got;
}

/// As another user who may have `threads` threads; root is not bound by the limit.
bool become_limited(rlim_t threads) {
  const rlimit limit{threads, threads};
  return ::setgroups(0, nullptr) == 0 && ::setgid(65534) == 0 && ::setuid(65534) == 0 &&
         ::setrlimit(RLIMIT_NPROC, &limit) == 0;
}

// With a limit of 1 Linux 6.18 ends it with ECANCELED; with 0 it ends only when it is cancelled.
task<> read_all_the_same(int fd) {
  for (int i = 0; i < 5; ++i) {
    const auto got = co_await mobius::as_result(mobius::timeout(200ms, read_by_worker(fd)));
    if (!got && got.error().check<mobius::timed_out>()) {
      std::puts("read was cancelled");
    } else if (got.value() != 0) {
      std::printf("read gave %d\n", got.value());
    }
    ::lseek(fd, 0, SEEK_SET);
  }
}

}  // namespace

TEST_CASE(
    "an operation that needs a worker of the kernel's, and no thread is left: it ends, or can be cancelled",
    "[fault-55]") {
  const auto threads = static_cast<rlim_t>(GENERATE(0, 1));
  const ended_child c = in_child([threads] {
    char path[] = "/tmp/mobius_fault_55_XXXXXX";
    const int fd = ::mkstemp(path);
    ::unlink(path);
    if (fd < 0 || ::write(fd, "four", 4) != 4 || ::lseek(fd, 0, SEEK_SET) != 0) return 2;
    if (!become_limited(threads)) {
      std::printf("no other user: %s\n", std::strerror(errno));
      return 0;
    }
    mobius::reactor reactor({.signals = false});
    reactor.run(read_all_the_same(fd));
    std::puts("all ended");
    return 0;
  });
  if (c.says("no other user")) {
    WARN("SKIPPED: " << c.text);
    return;
  }
  INFO(c.text);
  CHECK(c.exited_with(0));
  CHECK(c.says("all ended"));
  const std::size_t told = [&c] {
    std::size_t count = 0;
    for (std::size_t at = c.text.find("read "); at != std::string::npos; at = c.text.find("read ", at + 1))
      ++count;
    return count;
  }();
  CHECK(told == 5);
}
