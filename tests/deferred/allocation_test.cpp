// What deferreds allocate: new and malloc are counted here, blocks of the pool by their number.

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>

#include "kit.hpp"

namespace {
std::size_t news = 0;
}

void* operator new(std::size_t size) {
  ++news;
  if (void* p = std::malloc(size)) return p;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++news;
  return std::malloc(size);
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace {

struct cost {
  std::size_t heap;
  std::size_t blocks;
};

// What has been taken since it was made: from the heap in all, and from the pool and not given back.
class meter {
 public:
  cost so_far() const { return {news - news_, mobius::detail::live_frames() - blocks_}; }

 private:
  std::size_t news_ = news;
  std::size_t blocks_ = mobius::detail::live_frames();
};

deferred<int> plus_one(deferred<int>& d) {
  const int n = co_await d;
  co_return n + 1;
}
deferred<int> immediate() { co_return 1; }

}  // namespace

TEST_CASE("a chain on a ready deferred allocates nothing") {
  const meter used;
  int x = 1;
  auto d = succeed(1).add_callback([&x](int n) { return n + x; }).add_callback([](int n) { return n * 2.0; });
  d.add_callback([](double v) { return v + 1; });
  auto e = std::move(d).add_callback([](double) { return succeed(2); });
  const cost ready = used.so_far();
  CHECK(ready.heap == 0);
  CHECK(ready.blocks == 0);
  CHECK(std::move(e).get_now() == 2);
}

TEST_CASE("a pending chain of ten callbacks with captures is one block") {
  const meter used;
  auto [d, fire] = make_deferred<long>();
  long k = 1;
  for (int i = 0; i < 10; ++i) d.add_callback([k](long n) { return n + k; });
  const cost pending = used.so_far();
  fire(1);
  const cost fired = used.so_far();
  CHECK(pending.heap == 0);
  CHECK(pending.blocks == 1);
  CHECK(fired.heap == 0);
  CHECK(*d.value_if() == 11);
}

TEST_CASE("what a long chain takes from the pool it gives back as it runs, fired or dropped") {
  const meter used;
  for (const bool fires : {true, false}) {
    auto [d, fire] = make_deferred<long>();
    std::size_t most = 0;
    std::size_t at_the_end = 0;
    long k = 1;
    for (int i = 0; i < 1000; ++i) d.add_callback([k](long n) { return n + k; });
    d.tap([&](long) { at_the_end = used.so_far().blocks; });
    most = used.so_far().blocks;
    if (fires) {
      fire(0);
      CHECK(*d.value_if() == 1000);
      CHECK(at_the_end == 2);
      CHECK(used.so_far().blocks == 1);
    }
    CHECK(most < 60);
  }
  CHECK(used.so_far().blocks == 0);
}

TEST_CASE("a callback that adds the next one for ever needs no more memory") {
  const meter used;
  auto [d, fire] = make_deferred<long>();
  std::size_t most = 0;
  struct again {
    deferred<long>& chain;
    std::size_t& most;
    const meter& used;
    long operator()(long n) const {
      most = std::max(most, used.so_far().blocks);
      if (n < 1000) chain.add_callback(*this);
      return n + 1;
    }
  };
  d.add_callback(again{d, most, used});
  fire(0);
  CHECK(*d.value_if() == 1001);
  CHECK(most <= 3);
}

TEST_CASE("a callback that is too long or aligned for the list lies in a block of its own") {
  struct alignas(16) wide {
    long n;
  };
  const meter used;
  for (const bool fires : {true, false}) {
    auto [d, fire] = make_deferred<long>();
    std::array<long, 100> numbers{};
    numbers[99] = 7;
    const wide w{3};
    bool aligned = false;
    d.add_callback([numbers, held = std::string(100, 'x')](long n) {
      return n + numbers[99] + static_cast<long>(held.size());
    });
    d.add_callback([w, &aligned](long n) {
      aligned = reinterpret_cast<std::uintptr_t>(&w) % 16 == 0;
      return n + w.n;
    });
    CHECK(used.so_far().blocks == 3);
    if (!fires) continue;
    fire(0);
    CHECK(*d.value_if() == 110);
    CHECK(aligned);
    CHECK(used.so_far().blocks == 1);
  }
  CHECK(used.so_far().blocks == 0);
}

TEST_CASE("a long callback outlives its call while what it returned is pending") {
  auto [inner, fire_inner] = make_deferred<int>();
  auto [d, fire] = make_deferred<int>();
  std::array<int, 100> numbers{};
  numbers[99] = 7;
  d.add_callback([numbers, &from = inner](int) -> deferred<int> {
    const int n = co_await from;
    co_return n + numbers[99];
  });
  fire(0);
  for (int i = 0; i < 40; ++i) d.add_callback([i](int n) { return i % 2 == 0 ? n : n + 1; });
  fire_inner(1);
  CHECK(std::move(d).get_now() == 28);
}

TEST_CASE("adding to a fired chain again and again does not grow it") {
  auto [d, fire] = make_deferred<long>();
  fire(1);
  const meter used;
  for (int i = 0; i < 1000; ++i) {
    d.add_callback([&d](long n) { return d ? n + 1 : 0; });
  }
  CHECK(used.so_far().blocks == 0);
  CHECK(*d.value_if() == 1001);
}

TEST_CASE("a coroutine that returns a deferred is one block, and its await of another none") {
  auto [d, fire] = make_deferred<int>();
  const meter used;
  auto c = plus_one(d);
  const cost awaiting = used.so_far();
  fire(1);
  CHECK(awaiting.heap == 0);
  CHECK(awaiting.blocks == 1);
  CHECK(std::move(c).get_now() == 2);
  CHECK(used.so_far().heap == 0);
  const meter second;
  auto ready = immediate();
  CHECK(second.so_far().blocks == 1);
  CHECK(std::move(ready).get_now() == 1);
}

TEST_CASE("a callback that returns a pending deferred allocates nothing more than its chain") {
  auto [inner, fire_inner] = make_deferred<int>();
  auto [d, fire] = make_deferred<int>();
  const meter used;
  d.add_callback([i = std::move(inner)](int) mutable { return std::move(i); });
  fire(1);
  const cost waiting = used.so_far();
  fire_inner(2);
  CHECK(waiting.heap == 0);
  CHECK(waiting.blocks == 0);
  CHECK(std::move(d).get_now() == 2);
}

TEST_CASE("callbacks on a coroutine's deferred lie in its frame") {
  auto [d, fire] = make_deferred<int>();
  const meter used;
  auto c = plus_one(d);
  c.add_callback([](int n) { return n + 1; });
  c.add_callback([](int n) { return n + 1; });
  CHECK(used.so_far().blocks == 1);
  fire(1);
  CHECK(std::move(c).get_now() == 4);

  mobius::detail::coroutine_core core{std::source_location::current()};
  CHECK(core.home() == core.stages);
  core.work.~root();
}

TEST_CASE("the sizes of handles and cores stay what they are") {
  CHECK(sizeof(mobius::detail::core) == 128);
  CHECK(sizeof(deferred<long>) <= 24);
  CHECK(sizeof(deferred<std::string>) <= 40);
  CHECK(sizeof(mobius::resolver<long>) == sizeof(void*));
  CHECK(sizeof(mobius::detail::deferred_awaiter<long>) <= 64);
}
