// Uses after the end that AddressSanitizer must see, in children that die of them. These exist in
// builds with AddressSanitizer only.

#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>

#include <cstddef>
#include <string>
#include <utility>

#include "child.hpp"
#include "support/catch.hpp"

#ifdef MOBIUS_ASAN

#include <sanitizer/asan_interface.h>

using mobius::lease;
using mobius::task;

namespace {

task<> connect_pair(mobius::net::tcp_stream& mine, mobius::net::tcp_stream& theirs) {
  mobius::net::tcp_listener listener("127.0.0.1", 0);
  auto connecting = mobius::net::connect(listener.local_address());
  auto [a, b] = co_await mobius::when_all(std::move(connecting), listener.accept());
  mine = std::move(a);
  theirs = std::move(b);
}

volatile char sink;

}  // namespace

TEST_CASE("a use of a coroutine's local after the frame was freed is caught") {
  const ended_child c = in_child([] {
    const char* local = nullptr;
    const auto body = [&local]() -> task<> {
      volatile char text[32] = "in the frame";
      local = const_cast<const char*>(text);
      co_await mobius::sleep(std::chrono::milliseconds(1));
      text[0] = 'I';
    };
    mobius::run(body());
    sink = local[0];
    return 0;
  });
  INFO(c.text);
  CHECK(!c.exited_with(0));
  CHECK(c.says("AddressSanitizer: heap-use-after-free"));
}

TEST_CASE("a use of a dropped lease's bytes is caught") {
  const ended_child c = in_child([] {
    const auto body = []() -> task<> {
      mobius::net::tcp_stream mine;
      mobius::net::tcp_stream theirs;
      co_await connect_pair(mine, theirs);
      co_await mine.write_all("hello");
      lease data = co_await theirs.receive();
      const std::byte* bytes = data.data();
      data.reset();
      sink = static_cast<char>(bytes[0]);
    };
    mobius::run(body());
    return 0;
  });
  INFO(c.text);
  CHECK(!c.exited_with(0));
  CHECK(c.says("AddressSanitizer: use-after-poison"));
}

TEST_CASE("only the received part of a leased buffer may be touched") {
  mobius::testing::run(
      [](mobius::testing::world&) -> task<> {
        mobius::net::tcp_stream mine;
        mobius::net::tcp_stream theirs;
        co_await connect_pair(mine, theirs);
        co_await mine.write_all("hello");
        lease data = co_await theirs.receive();
        const std::byte* bytes = data.data();
        CHECK(__asan_region_is_poisoned(const_cast<std::byte*>(bytes), 5) == nullptr);
        CHECK(__asan_address_is_poisoned(bytes + 16) == 1);
        data.reset();
        CHECK(__asan_address_is_poisoned(bytes) == 1);
      },
      {.virtual_time = false});
}

TEST_CASE("a delayed call's arguments are freed with the call, and a late use is caught") {
  const ended_child c = in_child([] {
    const int* inside = nullptr;
    {
      mobius::reactor r({.signals = false});
      struct holds {
        int value = 7;
      };
      auto call = r.call_later(
          std::chrono::milliseconds(1), [&](const holds& h) { inside = &h.value; }, holds());
      r.run();
    }
    sink = static_cast<char>(*inside);
    return 0;
  });
  INFO(c.text);
  CHECK(!c.exited_with(0));
  CHECK(c.says("AddressSanitizer: heap-use-after-free"));
}

#endif
