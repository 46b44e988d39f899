// What the kernel may answer to an enter, and completions that are not as expected: injected at
// the seam, or provoked with small queues.

#include <sys/time.h>
#include <unistd.h>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>

#include <cerrno>
#include <csignal>
#include <string>
#include <system_error>
#include <vector>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::task;
using mobius::testing::world;

namespace {

struct pipe_ends {
  pipe_ends() { REQUIRE(::pipe(fd) == 0); }
  pipe_ends(const pipe_ends&) = delete;
  pipe_ends& operator=(const pipe_ends&) = delete;
  ~pipe_ends() {
    ::close(fd[0]);
    ::close(fd[1]);
  }
  void fill() const { REQUIRE(::write(fd[1], "x", 1) == 1); }
  int fd[2];
};

task<> poll_once(int fd, int& ended) {
  co_await mobius::poll(fd, POLLIN);
  ++ended;
}

}  // namespace

TEST_CASE("an enter that fails for lack of memory, a backlog or a signal keeps what was to be submitted",
          "[fault-14]") {
  const int error = GENERATE(EAGAIN, EBUSY, EINTR, ETIME);
  const unsigned times = GENERATE(1U, 50U);
  mobius::testing::run(
      [&](world& w) -> task<> {
        mobius::testing::faults faults(w.reactor);
        const pipe_ends p;
        p.fill();
        int ended = 0;
        for (int round = 0; round < 10; ++round) {
          faults.fail_enter(error, times);
          std::vector<task<>> polls;
          for (int i = 0; i < 40; ++i) polls.push_back(poll_once(p.fd[0], ended));
          co_await mobius::when_all(std::move(polls));
        }
        CHECK(ended == 400);
        CHECK(faults.failed_enters() == 10 * times);
      },
      {.virtual_time = false});
}

TEST_CASE("failing enters while the queue is full: each operation is submitted once", "[fault-14]") {
  const int error = GENERATE(EAGAIN, EBUSY, EINTR);
  mobius::testing::run(
      [&](world& w) -> task<> {
        mobius::testing::faults faults(w.reactor);
        const pipe_ends p;
        p.fill();
        int ended = 0;
        faults.fail_enter(error, 20);
        std::vector<task<>> polls;
        for (int i = 0; i < 100; ++i) polls.push_back(poll_once(p.fd[0], ended));
        co_await mobius::when_all(std::move(polls));
        CHECK(ended == 100);
      },
      {.virtual_time = false, .reactor = {.submission_entries = 8, .completion_entries = 16}});
}

TEST_CASE("a task cancelled while its operation has not reached the kernel waits for the operation's end",
          "[fault-7]") {
  mobius::testing::run(
      [](world& w) -> task<> {
        mobius::testing::faults faults(w.reactor);
        const pipe_ends p;
        int ended = 0;
        faults.fail_enter(EAGAIN, 30);
        const auto polled = co_await mobius::as_result(mobius::timeout(1ms, poll_once(p.fd[0], ended)));
        CHECK(polled.error().check<mobius::timed_out>());
        CHECK(ended == 0);
        CHECK(w.reactor.stats().submissions >= 2);
      },
      {.virtual_time = false});
}

TEST_CASE("an error of the kernel that cannot be borne ends the run with a text, and the reactor with it") {
  mobius::virtual_clock clock;
  mobius::reactor reactor({.signals = false, .clock = &clock});
  mobius::testing::faults faults(reactor);
  faults.fail_enter(EPERM);
  reactor.call_later(1s, [] {});
  CHECK_THROWS_AS(reactor.run(), std::system_error);
  reactor.run();
}

TEST_CASE("a task whose run ended by an error of the kernel is cancelled with the reactor") {
  const auto before = mobius::testing::inventory::take();
  bool ended = false;
  {
    mobius::virtual_clock clock;
    mobius::reactor reactor({.signals = false, .clock = &clock});
    mobius::testing::faults faults(reactor);
    const auto body = [&ended]() -> task<std::string> {
      struct note {
        bool& flag;
        ~note() { flag = true; }
      };
      const note n{ended};
      co_await mobius::sleep(1s);
      co_return "unreachable";
    };
    faults.fail_enter(EPERM);
    CHECK_THROWS_AS(reactor.run(body()), std::system_error);
  }
  CHECK(ended);
  before.expect_no_more();
}

TEST_CASE("a rewritten result is what the operation sees") {
  mobius::testing::run(
      [](world& w) -> task<> {
        mobius::testing::faults faults(w.reactor);
        const pipe_ends p;
        p.fill();
        faults.on_completion([](mobius::detail::completion& c) {
          if ((c.user_data & mobius::detail::tag_mask) == 0) c.result = -ENOMEM;
        });
        const auto polled = co_await mobius::as_result(mobius::poll(p.fd[0], POLLIN));
        const auto* error = polled.error().get_if<std::system_error>();
        REQUIRE(error);
        CHECK(error->code().value() == ENOMEM);
        CHECK(std::string(error->what()).find("poll of descriptor ") == 0);
      },
      {.virtual_time = false});
}

TEST_CASE("an operation that ends as cancelled though nobody asked for it is an error, not a cancel") {
  mobius::testing::run(
      [](world& w) -> task<> {
        mobius::testing::faults faults(w.reactor);
        const pipe_ends p;
        p.fill();
        faults.on_completion([](mobius::detail::completion& c) {
          if ((c.user_data & mobius::detail::tag_mask) == 0) c.result = -ECANCELED;
        });
        const auto polled = co_await mobius::as_result(mobius::poll(p.fd[0], POLLIN));
        CHECK(polled.error().check<std::system_error>());
      },
      {.virtual_time = false});
}

TEST_CASE("completions of nobody's are ignored", "[fault-45]") {
  mobius::testing::run(
      [](world& w) -> task<> {
        // What a library that shares the ring, or a kernel with a bug, may leave there.
        for (const std::uint64_t stray : {2ULL, 3ULL, 7ULL, 0xffffffffffffffffULL, 0xdead0006ULL}) {
          io_uring_sqe* entry = io_uring_get_sqe(&w.reactor.ring().raw());
          io_uring_prep_nop(entry);
          entry->user_data = stray;
        }
        co_await mobius::yield();
        const pipe_ends p;
        p.fill();
        const auto events = co_await mobius::poll(p.fd[0], POLLIN);
        CHECK((events & POLLIN) != 0);
      },
      {.virtual_time = false});
}

TEST_CASE("a burst of operations larger than the submission queue is all submitted", "[fault-13]") {
  mobius::testing::run(
      [](world& w) -> task<> {
        const pipe_ends p;
        int ended = 0;
        std::vector<task<>> polls;
        for (int i = 0; i < 1000; ++i) polls.push_back(poll_once(p.fd[0], ended));
        const auto fill = [&p]() -> task<> {
          co_await mobius::sleep(1ms);
          p.fill();
        };
        co_await mobius::when_all(mobius::when_all(std::move(polls)), fill());
        CHECK(ended == 1000);
        CHECK(w.reactor.in_flight() == 1);  // the wake-up
      },
      {.virtual_time = false, .reactor = {.submission_entries = 8, .completion_entries = 4096}});
}

TEST_CASE("more completions at once than the completion queue holds: none is lost", "[fault-11]") {
  mobius::testing::run(
      [](world& w) -> task<> {
        const pipe_ends p;
        int ended = 0;
        std::vector<task<>> polls;
        for (int i = 0; i < 1000; ++i) polls.push_back(poll_once(p.fd[0], ended));
        const auto fill = [&p]() -> task<> {
          co_await mobius::sleep(1ms);
          p.fill();
        };
        co_await mobius::when_all(mobius::when_all(std::move(polls)), fill());
        CHECK(ended == 1000);
        CHECK(w.reactor.in_flight() <= 1);
      },
      {.virtual_time = false, .reactor = {.submission_entries = 8, .completion_entries = 16}});
}

TEST_CASE("a thousand cancels through a queue of eight reach their operations", "[fault-13]") {
  mobius::testing::run(
      [](world&) -> task<> {
        const pipe_ends p;
        int ended = 0;
        std::vector<task<>> polls;
        for (int i = 0; i < 1000; ++i) polls.push_back(poll_once(p.fd[0], ended));
        const auto all = co_await mobius::as_result(mobius::timeout(1ms, mobius::when_all(std::move(polls))));
        CHECK(all.error().check<mobius::timed_out>());
        CHECK(ended == 0);
      },
      {.virtual_time = false, .reactor = {.submission_entries = 8, .completion_entries = 16}});
}

TEST_CASE("a storm of signals loses no operation and makes no timer early", "[fault-15]") {
  struct sigaction before {};
  struct sigaction quiet {};
  quiet.sa_handler = [](int) {};
  sigaction(SIGALRM, &quiet, &before);
  const itimerval storm{{0, 500}, {0, 500}};
  setitimer(ITIMER_REAL, &storm, nullptr);
  mobius::testing::run(
      [](world&) -> task<> {
        const pipe_ends p;
        for (int i = 0; i < 20; ++i) {
          const auto begin = std::chrono::steady_clock::now();
          int ended = 0;
          const auto polled = co_await mobius::as_result(mobius::timeout(10ms, poll_once(p.fd[0], ended)));
          CHECK(polled.error().check<mobius::timed_out>());
          CHECK(std::chrono::steady_clock::now() - begin >= 10ms);
        }
        p.fill();
        int ended = 0;
        co_await poll_once(p.fd[0], ended);
        CHECK(ended == 1);
      },
      {.virtual_time = false});
  const itimerval calm{};
  setitimer(ITIMER_REAL, &calm, nullptr);
  sigaction(SIGALRM, &before, nullptr);
}
