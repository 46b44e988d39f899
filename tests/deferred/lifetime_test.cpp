// Who keeps what alive, and until when.

#include "kit.hpp"

namespace {

// Tells when it is destroyed.
struct guard {
  explicit guard(std::string& l) : log(&l) {}
  guard(guard&& other) noexcept : log(std::exchange(other.log, nullptr)) {}
  guard& operator=(guard&&) = delete;
  ~guard() {
    if (log) *log += "~";
  }
  std::string* log;
};

deferred<int> wait_for(deferred<int> d) {
  const int n = co_await std::move(d);
  co_return n + 1;
}

template <class A>
driven await_any(mobius::detail::context&, A a) {
  static_cast<void>(co_await std::move(a));
}

}  // namespace

TEST_CASE("a coroutine lambda with captures may be a callback, on a pending and on a ready chain") {
  const no_leak check;
  for (const bool ready : {false, true}) {
    auto [gate, open] = make_deferred<>();
    auto [d, fire] = make_deferred<int>();
    if (ready) fire(3);
    const std::string text = "a text that does not fit into a small string";
    auto end =
        std::move(d).add_callback([text, g = std::move(gate)](int n) mutable -> mobius::task<std::string> {
          co_await std::move(g);
          co_return text + std::to_string(n);
        });
    if (!ready) fire(3);
    CHECK(end.waiting());
    open();
    CHECK(std::move(end).get_now() == text + "3");
  }
}

TEST_CASE("the argument of a coroutine callback lives until the coroutine has ended") {
  const no_leak check;
  for (const bool ready : {false, true}) {
    auto [gate, open] = make_deferred<>();
    auto [d, fire] = make_deferred<std::string>();
    const std::string text(100, 'x');
    if (ready) fire(text);
    deferred<> g = std::move(gate);
    auto end = std::move(d).add_callback([&g](std::string&& s) -> deferred<std::size_t> {
      co_await std::move(g);
      co_return s.size();
    });
    if (!ready) fire(text);
    open();
    CHECK(std::move(end).get_now() == 100);
  }
}

TEST_CASE("the argument of a captureless coroutine callback on a ready chain lives as long") {
  const no_leak check;
  static deferred<> gate;
  auto [g, open] = make_deferred<>();
  gate = std::move(g);
  auto end = succeed(std::string(100, 'y')).add_callback([](std::string&& s) -> deferred<std::size_t> {
    co_await std::move(gate);
    co_return s.size();
  });
  open();
  CHECK(std::move(end).get_now() == 100);
}

TEST_CASE("the failure given to a coroutine errback lives as long") {
  const no_leak check;
  auto [gate, open] = make_deferred<>();
  auto [d, fire] = make_deferred<std::string>();
  deferred<> g = std::move(gate);
  d.add_errback([&g](const failure& f) -> deferred<std::string> {
    co_await std::move(g);
    co_return f.what();
  });
  fire.errback(std::runtime_error("kept"));
  open();
  CHECK(std::move(d).get_now() == "kept");
}

TEST_CASE("a callback and what it captures are freed as soon as it has run") {
  const no_leak check;
  std::string log;
  auto [d, fire] = make_deferred<int>();
  d.add_callback([g = guard(log), &log](int n) {
    log += "a";
    return n;
  });
  d.add_callback([g = guard(log), &log](int n) {
    log += "b";
    return n;
  });
  fire(1);
  CHECK(log == "a~b~");
}

TEST_CASE("callbacks that never run are freed with their chain") {
  const no_leak check;
  std::string log;
  {
    auto [d, fire] = make_deferred<int>();
    d.add_callback([g = guard(log)](int n) { return n; });
    d.add_errback([g = guard(log)](failure) { return 0; });
    const deferred<int> dropped = std::move(d);
  }
  CHECK(log == "~~");
}

TEST_CASE("a dropped handle detaches its chain, which still runs") {
  const no_leak check;
  int seen = 0;
  resolver<int> fire;
  {
    auto ends = make_deferred<int>();
    ends.deferred.add_callback([&](int n) { return seen = n; });
    fire = ends.resolver;
  }
  fire(5);
  CHECK(seen == 5);
}

TEST_CASE("a callback may drop or move the handle that runs it") {
  const no_leak check;
  for (const bool ready : {false, true}) {
    std::string order;
    auto ends = make_deferred<int>();
    auto held = std::make_unique<deferred<int>>(std::move(ends.deferred));
    deferred<int> moved;
    if (ready) ends.resolver(1);
    held->add_callback([&](int n) {
      moved = std::move(*held);
      held.reset();
      order += "a";
      return n + 1;
    });
    if (!ready) ends.resolver(1);
    REQUIRE(moved.value_if() != nullptr);
    CHECK(*moved.value_if() == 2);
    auto dropped = std::make_unique<deferred<int>>(std::move(moved));
    dropped->add_callback([&](int n) {
      dropped.reset();
      order += "b";
      return n;
    });
    CHECK(order == "ab");
  }
}

TEST_CASE("a callback may hand the chain that runs it on: to another type, or to a coroutine") {
  const no_leak check;
  for (const bool ready : {false, true}) {
    auto ends = make_deferred<int>();
    deferred<int> d = std::move(ends.deferred);
    deferred<std::string> text;
    if (ready) ends.resolver(1);
    d.add_callback([&](int n) {
      text = std::move(d).add_callback([](int m) { return std::to_string(m); });
      return n + 1;
    });
    if (!ready) ends.resolver(1);
    CHECK(std::move(text).get_now() == "2");

    auto other = make_deferred<int>();
    deferred<int> e = std::move(other.deferred);
    deferred<int> awaiting;
    if (ready) other.resolver(5);
    e.add_callback([&](int n) {
      awaiting = wait_for(std::move(e));
      return n;
    });
    if (!ready) other.resolver(5);
    CHECK(std::move(awaiting).get_now() == 6);
  }
}

TEST_CASE("a deferred that is running a callback counts as not ready for who waits for it") {
  const no_leak check;
  auto d = succeed(3);
  auto outer = succeed(0);
  d.add_callback([&](int) {
    outer.add_callback([&](int) { return std::move(d); });
    CHECK(outer.waiting());
    return 9;
  });
  REQUIRE(outer.value_if() != nullptr);
  CHECK(*outer.value_if() == 9);
}

TEST_CASE("a callback may assign a new deferred to the handle that runs it") {
  const no_leak check;
  reports hook;
  auto d = succeed(1);
  d.add_callback([&](int n) -> int {
    d = succeed(10);
    throw std::runtime_error("of the first, " + std::string(1, static_cast<char>('0' + n)));
  });
  CHECK(*d.value_if() == 10);
  CHECK(hook.errors == std::vector<std::string>{"of the first, 1"});
}

TEST_CASE("what a callback adds to its own handle runs after it, not inside it") {
  const no_leak check;
  std::string order;
  auto d = succeed(0);
  d.add_callback([&](int n) {
    d.add_callback([&](int m) {
      order.append("c").append(std::to_string(m));
      return m + 1;
    });
    order.append("a").append(std::to_string(n));
    return n + 1;
  });
  CHECK(order == "a0c1");
  CHECK(std::move(d).get_now() == 2);
}

TEST_CASE("a callback that returns its own deferred fails instead of waiting for ever") {
  const no_leak check;
  for (const bool ready : {false, true}) {
    reports hook;
    auto ends = make_deferred<int>();
    deferred<int> d = std::move(ends.deferred);
    if (ready) ends.resolver(1);
    d.add_callback([&](int) { return std::move(d); });
    if (!ready) ends.resolver(1);
    CHECK(hook.errors.size() == 1);
  }
}

TEST_CASE("a coroutine that is destroyed while it awaits leaves the deferred detached") {
  const no_leak check;
  reports hook;
  mobius::detail::context ctx;
  auto [d, fire] = make_deferred<int>();
  int seen = 0;
  d.add_callback([&](int n) { return seen = n; });
  d.add_callback([](int) -> int { throw std::runtime_error("nobody waits"); });
  driven coroutine = await_deferred(ctx, std::move(d));
  CHECK(ctx.waiting() != nullptr);
  coroutine.destroy();
  CHECK(ctx.waiting() == nullptr);
  fire(9);
  CHECK(seen == 9);
  CHECK(hook.errors == std::vector<std::string>{"nobody waits"});
}

TEST_CASE(
    "a coroutine destroyed while it awaits a list, a guard, a place in a queue or a reader leaves them "
    "whole") {
  const no_leak check;
  mobius::detail::context ctx;
  auto [a, fire_a] = make_deferred<int>();
  auto [b, fire_b] = make_deferred<int>();
  driven list = await_any(ctx, mobius::gather_results(std::move(a), std::move(b)));
  fire_a(1);
  list.destroy();
  fire_b(2);

  mobius::deferred_lock lock;
  auto held = lock.acquire();
  driven guard = await_any(ctx, lock.scoped());
  guard.destroy();
  CHECK(lock.waiting() == 1);
  std::move(held).get_now().release();
  CHECK_FALSE(lock.locked());

  mobius::deferred_queue<int> queue;
  driven getter = await_any(ctx, queue.get());
  getter.destroy();
  queue.put(1);  // goes to who asked, as in Twisted
  CHECK(queue.size() == 0);

  auto [source, fire] = make_deferred<int>();
  const mobius::shared_deferred<int> shared(std::move(source));
  driven reader = await_any(ctx, shared.reader());
  reader.destroy();
  fire(3);
  CHECK(*shared.value_if() == 3);
  CHECK(ctx.waiting() == nullptr);
}

TEST_CASE("dropping the last resolver breaks the chain for who waits, and for nobody else") {
  const no_leak check;
  reports hook;
  std::string order;
  auto first = make_deferred<int>();
  auto outer = succeed(0).add_callback([d = std::move(first.deferred)](int) mutable { return std::move(d); });
  first.resolver = {};
  REQUIRE(outer.failure_if() != nullptr);
  CHECK(outer.failure_if()->check<mobius::broken_deferred>());
  outer.add_errback([](failure) { return 0; });

  auto second = make_deferred<int>();
  auto awaiting = wait_for(std::move(second.deferred));
  second.resolver = {};
  CHECK_THROWS_AS(std::move(awaiting).get_now(), mobius::broken_deferred);

  auto third = make_deferred<int>();
  third.deferred.add_both([&](mobius::result<int>) -> int {
    order += "ran";
    return 0;
  });
  third.resolver = {};
  third.deferred = {};
  CHECK(order.empty());
  CHECK(hook.errors.empty());
}

TEST_CASE("waiting for a deferred that nobody can fire any more fails at once") {
  const no_leak check;
  auto ends = make_deferred<int>();
  ends.resolver = {};
  CHECK_FALSE(ends.deferred.ready());
  auto awaiting = wait_for(std::move(ends.deferred));
  REQUIRE(awaiting.ready());
  CHECK_THROWS_AS(std::move(awaiting).get_now(), mobius::broken_deferred);
}

TEST_CASE("an awaited deferred and one that was moved from are empty") {
  const no_leak check;
  auto d = succeed(1);
  auto other = std::move(d);
  CHECK_FALSE(d);
  CHECK_THROWS_AS(d.add_callback([](int n) { return n; }), mobius::no_deferred);
  CHECK_THROWS_AS(d.pause(), mobius::no_deferred);
  CHECK_THROWS_AS(resolver<int>()(1), mobius::no_deferred);
  CHECK(std::move(other).get_now() == 1);
  CHECK_FALSE(other);
}

TEST_CASE("the parameters of a coroutine that returns a deferred live until that is consumed") {
  const no_leak check;
  std::string log;
  const auto coroutine = [](guard) -> deferred<int> { co_return 1; };
  {
    deferred<int> d = coroutine(guard(log));
    CHECK(log.empty());
    auto end = wait_for(std::move(d));
    CHECK(log == "~");
    CHECK(std::move(end).get_now() == 2);
  }
  CHECK(log == "~");
}

TEST_CASE("a cancel handle keeps nothing alive and does nothing once the chain has ended") {
  const no_leak check;
  std::string log;
  auto ends = make_deferred<int>([&log] { log += "stop "; });
  ends.deferred.add_errback([g = guard(log)](failure) { return 7; });
  const mobius::cancel_handle stop(ends.deferred);
  const mobius::cancel_handle copy = stop;
  copy();
  CHECK(log == "stop ~");
  CHECK(std::move(ends.deferred).get_now() == 7);
  stop.cancel();
  ends.resolver = {};
  stop.cancel();
  mobius::cancel_handle().cancel();
  CHECK(log == "stop ~");
}
