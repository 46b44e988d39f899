// Cancelling: what a canceller may say, and how a cancel crosses between deferreds and tasks.

#include "kit.hpp"

namespace {

deferred<int> as_coroutine(deferred<int> d) { co_return co_await std::move(d); }
task<int> as_task(deferred<int> d) { co_return co_await std::move(d); }

driven await_task(mobius::detail::context&, task<int> t) { co_await std::move(t); }
driven swallow_first(mobius::detail::context&, deferred<int> first, deferred<int> second) {
  const auto ignored = co_await mobius::to_task(mobius::succeed(0));
  static_cast<void>(ignored);
  try {
    co_await std::move(first);
  } catch (const cancelled&) {
  }
  co_await std::move(second);
}

}  // namespace

TEST_CASE("a deferred without canceller is cancelled at once and ignores one late firing") {
  const no_leak check;
  auto [d, fire] = make_deferred<int>();
  d.cancel();
  CHECK(failed_with<cancelled>(d));
  fire(1);
  CHECK_THROWS_AS(fire(2), mobius::already_called);
}

TEST_CASE("a canceller that says nothing ends the deferred, and a late firing is an error") {
  const no_leak check;
  int asked = 0;
  auto [d, fire] = make_deferred<int>([&] { ++asked; });
  d.cancel();
  d.cancel();
  CHECK(asked == 1);
  CHECK(failed_with<cancelled>(d));
  CHECK_THROWS_AS(fire(1), mobius::already_called);
}

TEST_CASE("a canceller may fire the deferred itself, also through its parameter") {
  const no_leak check;
  auto [d, fire] = make_deferred<int>([text = std::string(50, 'x')](resolver<int>& r) {
    r(static_cast<int>(text.size()));
    return cancel_reply::done;
  });
  d.cancel();
  CHECK(std::move(d).get_now() == 50);
}

TEST_CASE("a canceller that answers later is asked once and fires when it has stopped") {
  const no_leak check;
  int asked = 0;
  auto [d, fire] = make_deferred<int>([&] {
    ++asked;
    return cancel_reply::later;
  });
  d.cancel();
  d.cancel();
  CHECK(asked == 1);
  CHECK_FALSE(d.ready());
  fire.errback(mobius::cancelled_failure());
  CHECK(failed_with<cancelled>(d));
}

TEST_CASE("a canceller that answers again is asked at each cancel") {
  const no_leak check;
  int asked = 0;
  auto [d, fire] = make_deferred<int>([&] {
    ++asked;
    return cancel_reply::again;
  });
  d.cancel();
  d.cancel();
  CHECK(asked == 2);
  fire(3);
  d.cancel();
  CHECK(asked == 2);
  CHECK(std::move(d).get_now() == 3);
}

TEST_CASE("what a canceller throws leaves cancel, and it stays armed") {
  const no_leak check;
  int asked = 0;
  auto [d, fire] = make_deferred<int>([&] {
    if (++asked == 1) throw std::runtime_error("cannot stop now");
  });
  CHECK_THROWS_AS(d.cancel(), std::runtime_error);
  CHECK_FALSE(d.ready());
  d.cancel();
  CHECK(failed_with<cancelled>(d));
}

TEST_CASE("a canceller that cancels its own deferred is not called again") {
  const no_leak check;
  int asked = 0;
  deferred<int>* self = nullptr;
  auto [d, fire] = make_deferred<int>([&] {
    ++asked;
    self->cancel();
  });
  self = &d;
  d.cancel();
  CHECK(asked == 1);
  CHECK(failed_with<cancelled>(d));
}

TEST_CASE("a canceller that drops the operation's last resolver still gives cancelled") {
  const no_leak check;
  resolver<int> kept;
  auto ends = make_deferred<int>([&] { kept = {}; });
  kept = std::move(ends.resolver);
  auto outer = as_coroutine(std::move(ends.deferred));
  outer.cancel();
  CHECK(failed_with<cancelled>(outer));
}

TEST_CASE("a cancel goes to what the chain waits for now, and again to the next") {
  const no_leak check;
  std::string log;
  auto [a, fire_a] = make_deferred<int>([&] { log += "a"; });
  auto [b, fire_b] = make_deferred<int>([&] { log += "b"; });
  auto d = succeed(0);
  d.add_callback([i = std::move(a)](int) mutable { return std::move(i); });
  d.add_errback([i = std::move(b)](failure) mutable { return std::move(i); });
  d.cancel();
  CHECK(log == "a");
  CHECK(d.waiting());
  d.cancel();
  CHECK(log == "ab");
  CHECK(failed_with<cancelled>(d));
}

TEST_CASE("a cancel crosses from a deferred through tasks and coroutines to the innermost deferred") {
  const no_leak check;
  std::string log;
  auto [leaf, fire] = make_deferred<int>([&] { log += "stop"; });
  auto chain = as_coroutine(mobius::to_deferred(as_task(as_coroutine(std::move(leaf)))));
  auto outer =
      succeed(0).add_callback([t = mobius::to_task(std::move(chain))](int) mutable { return std::move(t); });
  CHECK(log.empty());
  outer.cancel();
  CHECK(log == "stop");
  CHECK(failed_with<cancelled>(outer));
}

TEST_CASE("a cancel of a coroutine reaches the deferred that it awaits, whose result wins") {
  const no_leak check;
  auto [leaf, fire] = make_deferred<int>([](resolver<int>& r) { r(5); });
  auto d = as_coroutine(std::move(leaf));
  d.cancel();
  CHECK(std::move(d).get_now() == 5);
}

TEST_CASE("a coroutine may swallow a cancel, go on, and be cancelled again") {
  const no_leak check;
  auto [a, fire_a] = make_deferred<int>();
  auto [b, fire_b] = make_deferred<int>();
  const auto stubborn = [](deferred<int> first, deferred<int> second) -> deferred<int> {
    try {
      co_await std::move(first);
    } catch (const cancelled&) {
    }
    co_return co_await std::move(second);
  };
  auto d = stubborn(std::move(a), std::move(b));
  d.cancel();
  CHECK_FALSE(d.ready());
  d.cancel();
  CHECK(failed_with<cancelled>(d));
}

TEST_CASE("a coroutine that cancels itself while it runs takes no notice") {
  const no_leak check;
  auto [a, fire] = make_deferred<int>();
  deferred<int> self;
  const auto coroutine = [](deferred<int> d, deferred<int>& me) -> deferred<int> {
    const int n = co_await std::move(d);
    me.cancel();
    co_return n;
  };
  self = coroutine(std::move(a), self);
  fire(1);
  CHECK(std::move(self).get_now() == 1);
}

TEST_CASE("a context that is cancelled passes it on to the awaited deferred, directly and through a task") {
  const no_leak check;
  for (const bool level : {false, true}) {
    int asked = 0;
    mobius::detail::context ctx;
    auto [a, fire_a] = make_deferred<int>([&] { ++asked; });
    auto [b, fire_b] = make_deferred<int>([&] { ++asked; });
    driven direct = await_deferred(ctx, std::move(a));
    level ? ctx.cancel() : ctx.cancel_once();
    CHECK(direct.cancelled());
    mobius::detail::context other;
    driven through_task = await_task(other, mobius::to_task(std::move(b)));
    level ? other.cancel() : other.cancel_once();
    CHECK(through_task.cancelled());
    CHECK(asked == 2);
  }
}

TEST_CASE("a chain cancelled for good forwards the cancel once to each deferred it starts to wait for") {
  const no_leak check;
  int asked_a = 0;
  int asked_b = 0;
  mobius::detail::context ctx;
  auto [a, fire_a] = make_deferred<int>([&] {
    ++asked_a;
    return cancel_reply::again;
  });
  auto [b, fire_b] = make_deferred<int>([&] {
    ++asked_b;
    return cancel_reply::again;
  });
  ctx.cancel();
  driven coroutine = swallow_first(ctx, std::move(a), std::move(b));
  CHECK(asked_a == 1);
  CHECK(asked_b == 0);
  fire_a.errback(mobius::cancelled_failure());
  CHECK(asked_b == 1);
  CHECK_FALSE(coroutine.done());
  fire_b.errback(mobius::cancelled_failure());
  CHECK(coroutine.cancelled());
}

TEST_CASE("a chain cancelled for good gets a ready value all the same") {
  const no_leak check;
  mobius::detail::context ctx;
  ctx.cancel();
  driven coroutine = await_deferred(ctx, succeed(1));
  CHECK(coroutine.done());
  CHECK_FALSE(coroutine.cancelled());
  int asked = 0;
  auto [d, fire] = make_deferred<int>([&] { ++asked; });
  driven stopped = await_deferred(ctx, std::move(d));
  CHECK(stopped.cancelled());
  CHECK(asked == 1);
}

TEST_CASE("what a canceller throws at a cancelled coroutine goes to the hook") {
  const no_leak check;
  reports hook;
  bool fail = true;
  auto [d, fire] = make_deferred<int>([&] {
    if (fail) throw std::runtime_error("cannot stop now");
  });
  mobius::detail::context ctx;
  driven coroutine = await_deferred(ctx, std::move(d));
  ctx.cancel_once();
  CHECK(hook.errors == std::vector<std::string>{"cannot stop now"});
  CHECK_FALSE(coroutine.done());
  fail = false;
  ctx.cancel_once();
  CHECK(coroutine.cancelled());
}

TEST_CASE("an awaited deferred that is paused waits for unpause, and a cancel does not reach it") {
  const no_leak check;
  auto inner = succeed(1);
  inner.pause();
  auto [d, fire] = make_deferred<int>();
  d.pause();
  d.pause();
  d.add_callback([](int n) { return n + 1; });
  fire(1);
  d.unpause();
  CHECK(d.paused());
  CHECK(*d.value_if() == 1);
  d.unpause();
  CHECK(*d.value_if() == 2);
  CHECK_THROWS_AS(d.unpause(), mobius::deferred_misuse);
  inner.cancel();
  inner.unpause();
  CHECK(std::move(inner).get_now() == 1);
}
