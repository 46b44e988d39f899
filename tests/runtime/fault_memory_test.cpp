// What lack of memory does: row 53 of the fault list, with an operator new and a frame pool that fail
// after so many calls. The operator stands for the whole program.

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
#include <optional>
#include <set>
#include <source_location>
#include <string>
#include <string_view>
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

thread_local long allocations_left = std::numeric_limits<long>::max();

}  // namespace

#ifndef MOBIUS_ASAN  // which has operators of its own; there the frame pool alone fails
// Not inlined: g++ would compare what they call with new and delete.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (allocations_left-- <= 0) throw std::bad_alloc();
  if (void* block = std::malloc(size == 0 ? 1 : size)) return block;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* block) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete(void* block, std::size_t) noexcept { std::free(block); }
#endif

// --- row 53 ------------------------------------------------------------------------------------

namespace {

/// The frame pool of this thread gives nothing that it has kept.
class empty_pool {
 public:
  empty_pool() { std::swap(kept_, mobius::detail::this_pool.lists); }
  empty_pool(const empty_pool&) = delete;
  empty_pool& operator=(const empty_pool&) = delete;
  ~empty_pool() {
    std::swap(kept_, mobius::detail::this_pool.lists);
    for (mobius::detail::free_block*& list : kept_) {
      while (mobius::detail::free_block* block = list) {
        list = block->next;
        std::free(block);
      }
    }
  }

 private:
  mobius::detail::free_block* kept_[mobius::detail::frame_pool::classes + 1] = {};
};

/// Only so many allocations succeed while it exists.
class limited_memory {
 public:
  explicit limited_memory(long left) {
    allocations_left = left;
    mobius::detail::this_pool.allowance = &allocations_left;
  }
  limited_memory(const limited_memory&) = delete;
  limited_memory& operator=(const limited_memory&) = delete;
  ~limited_memory() {
    mobius::detail::this_pool.allowance = nullptr;
    allocations_left = std::numeric_limits<long>::max();
  }

 private:
  empty_pool pool_;
};

/// Lets `f` run with `left` allocations; says whether it met their end.
template <class F>
bool with_allocations(long left, F f) {
  const limited_memory limited(left);
  bool failed = false;
  try {
    f();
  } catch (const std::bad_alloc&) {
    failed = true;
  }
  return failed || allocations_left < 0;
}

// Not inlined: clang would do without the frame that is to fail.
[[gnu::noinline]] task<> count_up(int& count) {
  co_await mobius::yield();
  ++count;
}

}  // namespace

TEST_CASE("no memory for a child's frames: the start or the join says so, and the loop goes on",
          "[fault-53]") {
  mobius::testing::run([](world&) -> task<> {
    bool failed = true;
    for (long left = 0; failed; ++left) {
      REQUIRE(left < 100);
      int count = 0;
      int refused = 0;
      mobius::scope s;
      s.start(count_up, std::ref(count));
      failed = with_allocations(left, [&] {
        try {
          s.start(count_up, std::ref(count));
        } catch (const std::bad_alloc&) {
          ++refused;
          throw;
        }
      });
      const auto joined = co_await mobius::as_result(s.join());
      CHECK(joined.has_value());
      CHECK(count == 2 - refused);
      CHECK(refused == (failed ? 1 : 0));
      CHECK(s.size() == 0);
    }
  });
}

TEST_CASE("no memory while a child begins is that child's error, and cancels the others", "[fault-53]") {
  mobius::testing::run([](world&) -> task<> {
    bool sibling_ended = false;
    const auto sibling = [&sibling_ended]() -> task<> {
      try {
        co_await mobius::sleep(1h);
      } catch (const mobius::cancelled&) {
        sibling_ended = true;
        throw;
      }
    };
    const auto child = []() -> task<> {
      const limited_memory none(0);
      int count = 0;
      const auto inner = count_up(count);
      co_return;
    };
    mobius::scope s;
    s.start(sibling);
    s.start(child);
    const auto joined = co_await mobius::as_result(s.join());
    CHECK(joined.error().check<std::bad_alloc>());
    CHECK(sibling_ended);
  });
}

TEST_CASE("no memory for detached work, calls and combinations is an error where they are made",
          "[fault-53]") {
  mobius::testing::run([](world& w) -> task<> {
    int background = 0;
    int called = 0;
    int combined = 0;
    std::size_t begun = 0;
    std::size_t calls = 0;
    for (long left = 0; left < 12; ++left) {
      if (!with_allocations(left, [&] { mobius::background(count_up(background)); })) ++begun;
      if (!with_allocations(left, [&] { w.reactor.call_later(1ms, [&called] { ++called; }); })) ++calls;
      with_allocations(left, [&] {
        std::vector<task<>> all;
        for (int i = 0; i < 3; ++i) all.push_back(count_up(combined));
      });
    }
    co_await mobius::sleep(1s);
    CHECK(begun > 0);
    CHECK(static_cast<std::size_t>(background) == begun);
    CHECK(calls > 0);
    CHECK(static_cast<std::size_t>(called) == calls);
    CHECK(combined == 0);
  });
}

TEST_CASE(
    "no memory for the clean-up of `finally` is known before its body begins, and no clean-up is skipped",
    "[fault-53]") {
  mobius::testing::run([](world&) -> task<> {
    int tried = 0;
    bool refused = true;
    for (long left = 0; refused; ++left) {
      REQUIRE(left < 20);
      int begun = 0;
      int cleaned = 0;
      // Its frames are large: none that they leave behind does for the clean-up.
      const auto body = [&]() -> task<std::array<char, 1000>> {
        ++begun;
        co_return std::array<char, 1000>();
      };
      const auto clean = [&] {
        ++cleaned;
        return mobius::yield();
      };
      const auto attempt = [&]() -> task<> {
        const limited_memory memory(left);
        co_await mobius::finally(body, clean);
      };
      const auto outcome = co_await mobius::as_result(attempt());
      refused = !outcome;
      if (refused) CHECK(outcome.error().check<std::bad_alloc>());
      if (!refused) CHECK(begun == 1);
      CHECK(cleaned >= begun);
      tried += refused ? 1 : 0;
    }
    CHECK(tried > 1);
  });
}

TEST_CASE("a branch that has no memory fails when_all, when_any, race and select, and ends the others",
          "[fault-53]") {
  mobius::testing::run([](world& w) -> task<> {
    int begun = 0;
    int ended = 0;
    const auto wait = [&]() -> task<> {
      ++begun;
      try {
        co_await mobius::sleep(1h);
      } catch (const mobius::cancelled&) {
        ++ended;
        throw;
      }
    };
    // The memory ends at each of the branches in turn, and comes back when all have been tried.
    const auto attempt = [&](long left, auto what) -> task<bool> {
      std::optional<limited_memory> memory;
      w.reactor.call_soon([&memory] { memory.reset(); });
      memory.emplace(left);
      const auto outcome = co_await mobius::as_result(std::move(what));
      memory.reset();
      co_await mobius::yield();
      co_return !outcome.error().template check<std::bad_alloc>();
    };
    // Of two branches without memory one is thrown, the other reported.
    const auto before = mobius::set_unhandled_hook([](const mobius::failure&, std::string_view) {});
    int failed = 0;
    for (long left = 0; left < 4; ++left) {
      mobius::event never;
      auto all = mobius::timeout(1s, mobius::when_all(wait(), wait(), wait()));
      const bool all_good = co_await attempt(left, std::move(all));
      auto any = mobius::timeout(1s, mobius::when_any(wait(), wait(), wait()));
      const bool any_good = co_await attempt(left, std::move(any));
      auto first = mobius::timeout(1s, mobius::race(wait(), wait(), wait()));
      const bool first_good = co_await attempt(left, std::move(first));
      auto one = mobius::timeout(1s, mobius::select(never.wait(), wait(), wait(), wait()));
      const bool one_good = co_await attempt(left, std::move(one));
      failed += !all_good + !any_good + !first_good + !one_good;
      CHECK(begun == ended);
    }
    mobius::set_unhandled_hook(before);
    CHECK(failed == 3 + 3 + 1 + 3);  // a race goes on while one of them may succeed
  });
}
