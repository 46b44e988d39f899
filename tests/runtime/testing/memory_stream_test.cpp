// Streams in memory.

#include <mobius/runtime.hpp>
#include <mobius/runtime/testing/memory_stream.hpp>
#include <mobius/runtime/testing/shake.hpp>

#include <array>
#include <cerrno>
#include <string>
#include <system_error>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::as_result;
using mobius::task;
using mobius::timeout;
using mobius::testing::cancel_at_every_await;
using mobius::testing::memory_stream;
using mobius::testing::shake;
using mobius::testing::stream_options;
using mobius::testing::stream_pair;
using mobius::testing::world;

namespace {

task<std::string> read_all(memory_stream& from) {
  std::string out;
  std::array<char, 64> part{};
  while (true) {
    const std::size_t n = co_await from.read_some(std::span<char>(part));
    if (n == 0) co_return out;
    out.append(part.data(), n);
  }
}

task<> write_and_end(memory_stream& to, std::string text) {
  co_await to.write_all(text);
  to.shutdown_write();
}

std::string long_text() {
  std::string text;
  for (int i = 0; i < 300; ++i) text += "line " + std::to_string(i) + "\n";
  return text;
}

}  // namespace

TEST_CASE("what is written at one end is read at the other, however it is cut", "[fault-8]") {
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    shake(
        [seed](world&) -> task<> {
          stream_options options;
          options.capacity = 100;
          options.longest_read = 7;
          options.longest_write = 11;
          options.seed = seed;
          stream_pair ends(options);
          auto [nothing, there, nothing_else, back] =
              co_await mobius::when_all(write_and_end(ends.near, long_text()), read_all(ends.far),
                                        write_and_end(ends.far, "back"), read_all(ends.near));
          CHECK(there == long_text());
          CHECK(back == "back");
        },
        10);
  }
}

TEST_CASE("a read waits for bytes and a write for room; a cancelled one loses nothing") {
  mobius::testing::run([](world&) -> task<> {
    stream_options small;
    small.capacity = 4;
    stream_pair ends(small);
    std::array<char, 8> to{};
    const auto nothing = co_await as_result(timeout(1ms, ends.far.read_some(std::span<char>(to))));
    CHECK(nothing.error().check<mobius::timed_out>());
    const std::string text = "abcdef";
    const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
    const std::size_t four = co_await ends.near.write_some(bytes);
    CHECK(four == 4);
    const auto full = co_await as_result(timeout(1ms, ends.near.write_some(bytes.subspan(4))));
    CHECK(full.error().check<mobius::timed_out>());
    const std::size_t n = co_await ends.far.read_some(std::span<char>(to));
    CHECK(std::string(to.data(), n) == "abcd");
  });
}

TEST_CASE("an end that is closed is the end for reads, and EPIPE for writes") {
  mobius::testing::run([](world&) -> task<> {
    stream_pair ends;
    co_await ends.near.write_all(std::string_view("last"));
    ends.near.close();
    const std::string last = co_await read_all(ends.far);
    CHECK(last == "last");
    const auto broken = co_await as_result(ends.far.write_all(std::string_view("x")));
    CHECK(broken.error().get_if<std::system_error>()->code().value() == EPIPE);
  });
}

TEST_CASE("a reset fails both ends, also those who wait") {
  shake([](world&) -> task<> {
    stream_pair ends;
    auto reset = [&]() -> task<> {
      co_await mobius::sleep(1ms);
      ends.near.reset(ECONNRESET);
    };
    auto read = [&]() -> task<> {
      const auto r = co_await as_result(read_all(ends.far));
      CHECK(r.error().get_if<std::system_error>()->code().value() == ECONNRESET);
    };
    co_await mobius::when_all(read(), reset());
  });
}

TEST_CASE("a stream in memory is clean wherever a wait is cancelled") {
  const auto body = [](world&) -> task<> {
    stream_options options;
    options.capacity = 10;
    options.seed = 9;
    stream_pair ends(options);
    co_await mobius::when_all(write_and_end(ends.near, "some more than ten bytes"), read_all(ends.far));
  };
  CHECK(cancel_at_every_await(body) > 5);
}
