// SIGINT and SIGTERM, in child processes.

#include <poll.h>
#include <unistd.h>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <thread>
#include <vector>

#include "child.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::task;

namespace {

struct says_at_end {
  const char* text;
  ~says_at_end() { std::puts(text); }
};

// Sends itself a signal once the reactor runs.
void send_soon(mobius::reactor& r, int signal, std::chrono::milliseconds after = 20ms) {
  r.call_later(after, [signal] { ::raise(signal); });
}

task<> waits_for_ever() {
  const says_at_end s{"cleaned up"};
  co_await mobius::sleep(1h);
  std::puts("not reached");
}

}  // namespace

TEST_CASE("a signal cancels the main task, which cleans up, and is the exit status") {
  const int signal = GENERATE(SIGINT, SIGTERM);
  const ended_child c = in_child([signal] {
    mobius::reactor r;
    send_soon(r, signal);
    r.run(waits_for_ever());
    std::puts("went on");
    return 0;
  });
  INFO(c.text);
  CHECK(c.killed_by(signal));
  CHECK(c.says("cleaned up"));
  CHECK(!c.says("went on"));
}

TEST_CASE("mobius::run ends by a signal as well") {
  const ended_child c = in_child([] {
    const auto body = []() -> task<> {
      send_soon(mobius::reactor::current(), SIGINT);
      co_await waits_for_ever();
    };
    mobius::run(body());
    return 0;
  });
  INFO(c.text);
  CHECK(c.killed_by(SIGINT));
  CHECK(c.says("cleaned up"));
}

TEST_CASE("a signal ends run and run_forever, with the background tasks cleaned up") {
  const bool for_ever = GENERATE(false, true);
  const ended_child c = in_child([for_ever] {
    mobius::reactor r;
    send_soon(r, SIGTERM);
    r.background(waits_for_ever());
    for_ever ? r.run_forever() : r.run();
    std::puts("went on");
    return 0;
  });
  INFO(c.text);
  CHECK(c.killed_by(SIGTERM));
  CHECK(c.says("cleaned up"));
  CHECK(!c.says("went on"));
}

TEST_CASE("a signal from another process, while the loop sleeps, is noticed at once", "[fault-33]") {
  const auto begin = std::chrono::steady_clock::now();
  const ended_child c = in_child([] {
    const pid_t me = ::getpid();
    const pid_t other = ::fork();
    if (other == 0) {
      ::usleep(30'000);
      ::kill(me, SIGINT);
      ::_exit(0);
    }
    mobius::run(waits_for_ever());
    return 0;
  });
  INFO(c.text);
  CHECK(c.killed_by(SIGINT));
  CHECK(c.says("cleaned up"));
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
}

TEST_CASE("a second signal kills at once, even when the task does not end") {
  const ended_child c = in_child([] {
    mobius::reactor r;
    send_soon(r, SIGINT, 20ms);
    send_soon(r, SIGTERM, 60ms);
    const auto body = []() -> task<> { co_await mobius::offload([] { std::this_thread::sleep_for(20s); }); };
    r.run(body());
    return 0;
  });
  INFO(c.text);
  CHECK(c.killed_by(SIGTERM));
}

TEST_CASE("a signal during a look-up that hangs ends the program at once") {
  const auto begin = std::chrono::steady_clock::now();
  const ended_child c = in_child([] {
    const auto body = []() -> task<> {
      const says_at_end s{"cleaned up"};
      auto& names = mobius::reactor::current().service<mobius::net::name_resolver>();
      names.set_lookup([](const std::string&, std::uint16_t) {
        std::this_thread::sleep_for(20s);
        return std::vector<mobius::net::socket_address>();
      });
      send_soon(mobius::reactor::current(), SIGINT);
      co_await mobius::net::connect("hangs.example", 80);
    };
    mobius::run(body());
    return 0;
  });
  INFO(c.text);
  CHECK(c.killed_by(SIGINT));
  CHECK(c.says("cleaned up"));
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
}

TEST_CASE("a signal that is noticed while the full queue is flushed is not forgotten") {
  const auto begin = std::chrono::steady_clock::now();
  const ended_child c = in_child([] {
    int ends[2];
    if (::pipe(ends) != 0) return 1;
    mobius::reactor r({.submission_entries = 8});
    const auto polls = [&]() -> task<> { co_await mobius::poll(ends[0], POLLIN); };
    r.call_later(20ms, [&] {
      ::raise(SIGINT);
      for (int i = 0; i < 40; ++i) r.background(polls());
    });
    r.run_forever();
    return 0;
  });
  INFO(c.text);
  CHECK(c.killed_by(SIGINT));
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
}

TEST_CASE("with signals off the default holds: no clean-up") {
  const ended_child c = in_child([] {
    mobius::reactor r({.signals = false});
    send_soon(r, SIGINT);
    r.run(waits_for_ever());
    return 0;
  });
  INFO(c.text);
  CHECK(c.killed_by(SIGINT));
  CHECK(!c.says("cleaned up"));
}

TEST_CASE("a disposition that is not the default is left alone") {
  const ended_child ignored = in_child([] {
    std::signal(SIGINT, SIG_IGN);
    mobius::reactor r;
    send_soon(r, SIGINT, 10ms);
    const auto body = []() -> task<int> {
      co_await mobius::sleep(40ms);
      co_return 7;
    };
    return r.run(body());
  });
  INFO(ignored.text);
  CHECK(ignored.exited_with(7));
  const ended_child handled = in_child([] {
    std::signal(SIGTERM, [](int) { ::_exit(33); });
    mobius::reactor r;
    send_soon(r, SIGTERM, 10ms);
    r.run(waits_for_ever());
    return 0;
  });
  CHECK(handled.exited_with(33));
}

TEST_CASE("after a run the default dispositions are back, and the next run takes them again") {
  const ended_child c = in_child([] {
    mobius::reactor r;
    r.call_later(1ms, [] {});
    r.run();
    struct sigaction now {};
    sigaction(SIGINT, nullptr, &now);
    if (now.sa_handler != SIG_DFL) return 1;
    send_soon(r, SIGINT);
    r.run(waits_for_ever());
    return 0;
  });
  INFO(c.text);
  CHECK(c.killed_by(SIGINT));
  CHECK(c.says("cleaned up"));
}

TEST_CASE("a task that ends with a value after the signal does not hide it") {
  const ended_child c = in_child([] {
    mobius::reactor r;
    send_soon(r, SIGINT);
    const auto body = []() -> task<int> {
      try {
        co_await mobius::sleep(1h);
      } catch (const mobius::cancelled&) {
        std::puts("ends well");
      }
      co_return 0;
    };
    return r.run(body());
  });
  INFO(c.text);
  CHECK(c.killed_by(SIGINT));
  CHECK(c.says("ends well"));
}
