// Cancels that meet completions: each await ends exactly once, and no byte is lost.

#include <poll.h>
#include <unistd.h>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>

#include <cstdlib>
#include <iostream>
#include <random>
#include <span>
#include <string>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::task;
using mobius::testing::world;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(NDEBUG)
constexpr int races = 20'000;
#else
constexpr int races = 100'000;
#endif

std::mt19937 seeded() {
  const char* given = std::getenv("MOBIUS_SEED");
  const auto seed = given ? static_cast<unsigned>(std::stoul(given)) : std::random_device()();
  std::cout << "MOBIUS_SEED=" << seed << '\n';
  return std::mt19937(seed);
}

}  // namespace

TEST_CASE("polls that race with their cancel end once, and leave what they polled for", "[fault-3]") {
  mobius::testing::run(
      [](world&) -> task<> {
        auto random = seeded();
        int ends[2];
        REQUIRE(::pipe(ends) == 0);
        int written = 0;
        int seen = 0;
        int ended = 0;
        const auto waits = [&]() -> task<> {
          struct counts {
            int& count;
            ~counts() { ++count; }
          };
          const counts c{ended};
          co_await mobius::poll(ends[0], POLLIN);
          ++seen;
        };
        const auto disturbs = [&](unsigned kind) -> task<> {
          if (kind % 2 == 0) co_await mobius::yield();
          if (kind < 6) {
            ++written;
            CHECK(::write(ends[1], "x", 1) == 1);
          }
          if (kind % 3 == 0) co_await mobius::yield();
        };
        for (int i = 0; i < races / 2; ++i) {
          // The first to end cancels the other: sometimes both have ended by then.
          co_await mobius::when_any(waits(), disturbs(static_cast<unsigned>(random() % 8)));
          char drain[16];
          if (written > 0 && i % 8 == 7) written -= static_cast<int>(::read(ends[0], drain, sizeof drain));
        }
        CHECK(ended == races / 2);
        CHECK(seen > 0);
        CHECK(seen < races / 2);
        ::close(ends[0]);
        ::close(ends[1]);
      },
      {.virtual_time = false});
}

TEST_CASE("receives and reads that race with their cancel lose no byte and end once", "[fault-3]") {
  const bool copied = GENERATE(false, true);
  mobius::testing::run(
      [copied](world&) -> task<> {
        auto random = seeded();
        mobius::net::tcp_listener listener("127.0.0.1", 0);
        auto connecting = mobius::net::connect(listener.local_address());
        auto [mine, theirs] = co_await mobius::when_all(std::move(connecting), listener.accept());
        unsigned char next_out = 0;
        unsigned char next_in = 0;
        std::size_t sent = 0;
        std::size_t got = 0;
        bool right = true;
        int cancelled = 0;
        const auto take = [&](std::span<const std::byte> bytes) {
          for (const std::byte b : bytes) right = right && static_cast<unsigned char>(b) == next_in++;
          got += bytes.size();
        };
        const auto waits = [&]() -> task<> {
          struct told {
            int& count;
            bool ended = false;
            ~told() { count += ended ? 0 : 1; }
          };
          told t{cancelled};
          if (copied) {
            std::byte some[7];
            const std::size_t n = co_await theirs.read_some(std::span(some));
            t.ended = true;
            take(std::span(some, n));
          } else {
            const mobius::lease data = co_await theirs.receive();
            t.ended = true;
            take(data.bytes());
          }
        };
        const auto disturbs = [&](unsigned kind) -> task<> {
          if (kind % 2 == 0) co_await mobius::yield();
          if (kind % 4 != 3) {
            std::string text;
            for (unsigned i = 0; i <= kind; ++i) text.push_back(static_cast<char>(next_out++));
            sent += text.size();
            CHECK(::write(mine.native_handle(), text.data(), text.size()) ==
                  static_cast<ssize_t>(text.size()));
          }
          if (kind % 3 == 0) co_await mobius::yield();
        };
        for (int i = 0; i < races / 2; ++i)
          co_await mobius::when_any(waits(), disturbs(static_cast<unsigned>(random() % 12)));
        CHECK(cancelled > 0);
        while (got < sent) {
          const mobius::lease data = co_await mobius::timeout(5s, theirs.receive());
          take(data.bytes());
        }
        CHECK(right);
        CHECK(got == sent);
      },
      {.virtual_time = false});
}
