// Waiting for other people's descriptors.

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>

#include <string>
#include <system_error>
#include <vector>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using mobius::task;
using mobius::testing::world;

namespace {

struct sockets {
  sockets() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0); }
  sockets(const sockets&) = delete;
  sockets& operator=(const sockets&) = delete;
  ~sockets() {
    ::close(fd[0]);
    if (fd[1] >= 0) ::close(fd[1]);
  }
  void hang_up() { ::close(std::exchange(fd[1], -1)); }
  int fd[2];
};

}  // namespace

TEST_CASE("poll gives the events that hold, now or later") {
  mobius::testing::run(
      [](world&) -> task<> {
        sockets s;
        const auto writable = co_await mobius::poll(s.fd[0], POLLIN | POLLOUT);
        CHECK(writable == POLLOUT);
        mobius::call_later(2ms, [&] { CHECK(::write(s.fd[1], "x", 1) == 1); });
        const auto readable = co_await mobius::poll(s.fd[0], POLLIN);
        CHECK(readable == POLLIN);
        s.hang_up();
        const auto gone = co_await mobius::poll(s.fd[0], 0);
        CHECK((gone & POLLHUP) != 0);
      },
      {.virtual_time = false});
}

TEST_CASE("poll of what is no descriptor is an error that names it") {
  mobius::testing::run([](world&) -> task<> {
    const auto r = co_await mobius::as_result(mobius::poll(-1, POLLIN));
    REQUIRE(!r);
    const auto* error = r.error().get_if<std::system_error>();
    REQUIRE(error);
    CHECK(error->code() == std::errc::bad_file_descriptor);
    CHECK_THAT(std::string(error->what()), Contains("poll of descriptor -1"));
  });
}

TEST_CASE("any number of polls of one descriptor may overlap") {
  mobius::testing::run(
      [](world&) -> task<> {
        sockets s;
        mobius::call_later(2ms, [&] { CHECK(::write(s.fd[1], "x", 1) == 1); });
        const auto [a, b, c] = co_await mobius::when_all(
            mobius::poll(s.fd[0], POLLIN), mobius::poll(s.fd[0], POLLIN), mobius::poll(s.fd[0], POLLOUT));
        CHECK(a == POLLIN);
        CHECK(b == POLLIN);
        CHECK(c == POLLOUT);
      },
      {.virtual_time = false});
}

TEST_CASE("a poll that is cancelled ends at once and leaves the descriptor as it was") {
  mobius::testing::run(
      [](world& w) -> task<> {
        sockets s;
        const auto r = co_await mobius::as_result(mobius::timeout(5ms, mobius::poll(s.fd[0], POLLIN)));
        CHECK(r.error().check<mobius::timed_out>());
        CHECK(w.reactor.in_flight() <= 1);
        CHECK(::write(s.fd[1], "y", 1) == 1);
        const auto readable = co_await mobius::poll(s.fd[0], POLLIN);
        CHECK(readable == POLLIN);
        char c = 0;
        CHECK(::read(s.fd[0], &c, 1) == 1);
        CHECK(c == 'y');
      },
      {.virtual_time = false});
}
