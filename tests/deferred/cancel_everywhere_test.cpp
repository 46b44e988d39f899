// A cancel at every moment, over everything that combines deferreds: whatever it meets, it ends, and leaves
// neither a frame, a timer, a held lock, a lost value nor an unhandled failure behind.

#include <mobius/runtime/runtime.hpp>
#include <mobius/runtime/testing/shake.hpp>
#include <mobius/runtime/testing/spy.hpp>

#include "kit.hpp"
#include "temporary_directory.hpp"

using mobius::as_result;
using mobius::list_flags;

namespace {

deferred<int> fails(std::chrono::milliseconds time) {
  co_await mobius::sleep(time);
  throw std::runtime_error("as planned");
}
deferred<int> timed(std::chrono::milliseconds time, int value) {
  return mobius::defer_later(mobius::reactor::current(), time, [value] { return value; });
}

/// Inputs of every kind: a chain on a timer, a coroutine, one that takes no cancel, one that fails, and
/// one that is ready.
std::vector<deferred<int>> several() {
  std::vector<deferred<int>> all;
  all.push_back(timed(2ms, 1));
  all.push_back(nap(3ms, 2));
  all.push_back(mobius::delay_cancel(nap(4ms, 3)));
  all.push_back(fails(3ms));
  all.push_back(mobius::succeed(5));
  return all;
}

struct cannot_stop : std::runtime_error {
  cannot_stop() : std::runtime_error("cannot stop") {}
};

/// Asserts something when a body ends, however it does.
template <class F>
struct at_end {
  explicit at_end(F f) : check(std::move(f)) {}
  at_end(const at_end&) = delete;
  at_end& operator=(const at_end&) = delete;
  ~at_end() { check(); }
  F check;
};

using body = std::function<task<>(world&)>;

/// The same with some time after it for what is allowed to go on: the other inputs of a list that has fired.
body with_rest(const body& work) {
  return [work](world& w) -> task<> {
    return mobius::finally([&work, &w] { return work(w); }, [] { return mobius::sleep(20ms); });
  };
}

/// One run whose deferred is asked to stop, once, at moment `at`, as in Twisted; says whether it came to
/// that.
task<> run_once(const body& work, world& w, std::uint64_t seed, std::size_t at, bool& reached) {
  mobius::testing::shaker order(w.reactor, seed);
  co_await mobius::yield();
  deferred<> d = mobius::to_deferred(work(w));
  const mobius::cancel_handle stop(d);
  std::size_t moment = 0;
  order.on_step = [&] {
    if (moment++ != at) return;
    reached = true;
    try {
      stop.cancel();
    } catch (const cannot_stop&) {
    }
  };
  // Any outcome will do: a list, for one, turns the cancel of an input into an error of its own.
  static_cast<void>(co_await as_result(std::move(d)));
  order.on_step = nullptr;
}

/// Runs `work` with a cancel for good, and again with a cancel asked once, at each moment of its life.
void cancel_everywhere(const body& subject) {
  const body work = with_rest(subject);
  for (const std::uint64_t seed : {0U, 1U, 2U}) {
    CHECK(mobius::testing::cancel_at_every_await(work, seed) > 2);
    std::size_t at = 0;
    for (bool reached = true; reached; ++at) {
      INFO("asked at moment " << at << ", seed " << seed);
      reached = false;
      mobius::testing::run([&](world& w) { return run_once(work, w, seed, at, reached); });
    }
    CHECK(at > 2);
  }
}

template <list_flags Flags>
task<> await_list() {
  static_cast<void>(co_await as_result(mobius::deferred_list<Flags>(several())));
  auto pack = mobius::deferred_list<Flags>(timed(1ms, 1), nap_task(2ms, 2), fails(1ms));
  static_cast<void>(co_await as_result(std::move(pack)));
}

template <unsigned... Flags>
void cancel_lists_everywhere(std::integer_sequence<unsigned, Flags...>) {
  (cancel_everywhere([](world&) { return await_list<static_cast<list_flags>(Flags)>(); }), ...);
}

}  // namespace

TEST_CASE("a deferred_list may be cancelled at every moment, with each of its flags") {
  cancel_lists_everywhere(std::make_integer_sequence<unsigned, 16>());
}

TEST_CASE("gather_results, settle and both races may be cancelled at every moment") {
  cancel_everywhere([](world&) -> task<> {
    static_cast<void>(co_await as_result(mobius::gather_results(several())));
    auto pack = mobius::gather_results(mobius::cancel_rest, nap_task(2ms, 1), fails(1ms), timed(3ms, 1));
    static_cast<void>(co_await as_result(std::move(pack)));
  });
  cancel_everywhere([](world&) -> task<> {
    static_cast<void>(co_await as_result(mobius::settle(several())));
    auto of_lists =
        mobius::settle(mobius::settle(several()), mobius::gather_results(nap(1ms, 1), nap(2ms, 2)));
    static_cast<void>(co_await as_result(std::move(of_lists)));
  });
  cancel_everywhere([](world&) -> task<> {
    std::vector<deferred<int>> slow;
    slow.push_back(fails(1ms));
    slow.push_back(nap(2ms, 2));
    slow.push_back(mobius::delay_cancel(nap(4ms, 3)));
    static_cast<void>(co_await as_result(mobius::race(std::move(slow))));
    static_cast<void>(co_await as_result(mobius::race(fails(1ms), fails(2ms))));
  });
  cancel_everywhere([](world&) -> task<> {
    auto of_tasks = mobius::race(nap_task(2ms, 1), mobius::delay_cancel(nap(3ms, 2)));
    static_cast<void>(co_await as_result(std::move(of_tasks)));
    auto all = mobius::when_all(nap(1ms, 1), nap_task(2ms, 2), timed(3ms, 3));
    static_cast<void>(co_await as_result(std::move(all)));
    auto any = mobius::when_any(nap(1ms, 1), nap_task(2ms, 2), timed(3ms, 3));
    static_cast<void>(co_await as_result(std::move(any)));
  });
}

TEST_CASE("who waits for or holds a lock may be cancelled at every moment, and it ends free") {
  const auto guarded = [](mobius::deferred_lock& lock) -> deferred<int> {
    const auto held = co_await lock.scoped();
    co_await mobius::sleep(1ms);
    co_return 2;
  };
  cancel_everywhere([&guarded](world&) -> task<> {
    mobius::deferred_lock lock;
    const at_end check([&lock] {
      CHECK_FALSE(lock.locked());
      CHECK(lock.waiting() == 0);
    });
    auto all =
        mobius::settle(lock.run(nap, 2ms, 1), guarded(lock), lock.run(nap_task, 1ms, 3), guarded(lock));
    static_cast<void>(co_await as_result(std::move(all)));
  });
}

TEST_CASE("who waits for or holds a semaphore may be cancelled at every moment, and no token is lost") {
  const auto guarded = [](mobius::deferred_semaphore& tokens) -> deferred<int> {
    const auto held = co_await tokens.scoped();
    co_await mobius::sleep(1ms);
    co_return 2;
  };
  cancel_everywhere([&guarded](world&) -> task<> {
    mobius::deferred_semaphore tokens(2);
    const at_end check([&tokens] {
      CHECK(tokens.tokens() == 2);
      CHECK(tokens.waiting() == 0);
    });
    auto all = mobius::settle(tokens.run(nap, 2ms, 1), guarded(tokens), tokens.run(nap_task, 1ms, 3),
                              guarded(tokens), tokens.run(fails, 1ms));
    static_cast<void>(co_await as_result(std::move(all)));
  });
}

TEST_CASE("who gets from a queue may be cancelled at every moment, and no value is lost or given twice") {
  const auto use = [](mobius::deferred_queue<mobius::testing::spied>& queue) -> deferred<int> {
    mobius::testing::spied first = co_await queue.get();
    mobius::testing::spied second = co_await queue.get();
    co_return first.take() + second.take();
  };
  cancel_everywhere([&use](world& w) -> task<> {
    mobius::testing::result_spy spy;
    const at_end check([&spy] { CHECK(spy.live() == 0); });
    mobius::deferred_queue<mobius::testing::spied> queue;
    auto all = mobius::settle(use(queue), use(queue));
    queue.put(spy.make(1));
    const auto put = [&] { queue.put(spy.make(2)); };
    const mobius::scoped_call first = w.reactor.call_later(1ms, put);
    const mobius::scoped_call second = w.reactor.call_later(2ms, put);
    const mobius::scoped_call third = w.reactor.call_later(2ms, put);
    static_cast<void>(co_await as_result(std::move(all)));
    CHECK(spy.taken() + queue.size() + spy.dropped() == spy.made());
  });
}

TEST_CASE("who waits for a file system lock may be cancelled at every moment, and it ends free") {
  const temporary_directory place;
  cancel_everywhere([&place](world& w) -> task<> {
    mobius::filesystem_lock other(place.lock());
    CHECK(other.lock());
    mobius::deferred_filesystem_lock lock(w.reactor, place.lock());
    const mobius::scoped_call later = w.reactor.call_later(1500ms, [&other] { other.unlock(); });
    static_cast<void>(co_await as_result(lock.defer_until_locked(500ms)));
    const auto locked = co_await as_result(lock.defer_until_locked(5s));
    CHECK(lock.locked() == locked.has_value());
    if (locked) lock.unlock();
  });
  CHECK(std::filesystem::is_empty(place.path));
}

TEST_CASE("looping calls, ticks and cooperators may be cancelled at every moment") {
  cancel_everywhere([](world&) -> task<> {
    int calls = 0;
    mobius::looping_call loop([&calls] {
      ++calls;
      return nap(1ms, calls);
    });
    auto ended = loop.start(2ms);
    co_await mobius::sleep(5ms);
    loop.stop();
    static_cast<void>(co_await as_result(std::move(ended)));
  });
  cancel_everywhere([](world&) -> task<> {
    auto ticks = mobius::every(1ms);
    int left = 3;
    while (const auto tick = co_await ticks.next()) {
      if (--left == 0) ticks.stop();
    }
  });
  cancel_everywhere([](world& w) -> task<> {
    mobius::cooperator steps(w.reactor);
    // A step that waits goes on when its cooperator has gone, so it owns what it uses.
    auto waits = steps.coiterate([left = std::make_shared<int>(2)]() -> deferred<bool> {
      co_await mobius::sleep(1ms);
      co_return --*left > 0;
    });
    auto quick = steps.coiterate([n = 3]() mutable { return --n > 0; });
    static_cast<void>(co_await as_result(mobius::settle(std::move(waits), std::move(quick))));
  });
}

TEST_CASE("delay_cancel, shared deferreds and time limits may be cancelled at every moment") {
  cancel_everywhere([](world&) -> task<> {
    static_cast<void>(co_await as_result(mobius::delay_cancel(nap(2ms, 1))));
    static_cast<void>(co_await as_result(mobius::delay_cancel(timed(1ms, 1))));
  });
  cancel_everywhere([](world&) -> task<> {
    const mobius::shared_deferred<int> shared(nap(2ms, 7));
    const auto read = [](mobius::shared_deferred<int> s) -> deferred<int> { co_return co_await s; };
    auto all = mobius::settle(read(shared), read(shared), shared.add_callback([](int n) { return n; }));
    static_cast<void>(co_await as_result(std::move(all)));
    shared.cancel();
  });
  cancel_everywhere([](world&) -> task<> {
    static_cast<void>(co_await as_result(mobius::add_timeout(nap(3ms, 1), 1ms)));
    static_cast<void>(co_await as_result(mobius::add_timeout(mobius::add_timeout(nap(1ms, 1), 3ms), 2ms)));
    auto decides = nap(3ms, 1);
    mobius::add_timeout(decides, mobius::reactor::current(), 1ms,
                        [](mobius::result<int>) { return nap(1ms, 4); });
    static_cast<void>(co_await as_result(std::move(decides)));
    static_cast<void>(co_await as_result(mobius::timeout(1ms, nap(3ms, 1))));
  });
}

TEST_CASE("all four ways between tasks and deferreds may be cancelled at every moment") {
  const auto as_deferred = [](task<int> t) -> deferred<int> { co_return co_await std::move(t); };
  const auto as_task = [](deferred<int> d) -> task<int> { co_return co_await std::move(d); };
  cancel_everywhere([&](world&) -> task<> {
    static_cast<void>(co_await nap(1ms, 1));
    auto there_and_back = as_task(as_deferred(as_task(as_deferred(nap_task(1ms, 1)))));
    static_cast<void>(co_await std::move(there_and_back));
    auto by_name = mobius::to_deferred(mobius::to_task(mobius::to_deferred(nap_task(1ms, 1))));
    static_cast<void>(co_await std::move(by_name));
    auto chain = timed(1ms, 1).add_callback([&as_task](int n) { return as_task(nap(1ms, n)); });
    static_cast<void>(co_await std::move(chain));
    auto recovers = nap(1ms, 1).add_both([](mobius::result<int>) { return nap_task(1ms, 2); });
    static_cast<void>(co_await std::move(recovers));
  });
}

TEST_CASE("a stubborn coroutine may be cancelled at every moment, and ends all the same") {
  cancel_everywhere([](world&) -> task<> {
    const auto stubborn = []() -> deferred<int> {
      int told = 0;
      for (int i = 0; i < 3; ++i) {
        auto d = nap(1ms, i);
        const auto r = co_await as_result(std::move(d));
        if (!r) ++told;
      }
      co_return told;
    };
    static_cast<void>(co_await as_result(stubborn()));
  });
}

TEST_CASE("what a canceller throws at any moment stops nothing, and is told") {
  const auto unstoppable = [](world& w) {
    auto ends = make_deferred<int>([] { throw cannot_stop(); });
    w.reactor.call_later(1ms, ends.resolver, 1);
    return std::move(ends.deferred);
  };
  const auto wait_for_all = [&unstoppable](world& w) -> task<> {
    const int n = co_await unstoppable(w);
    CHECK(n == 1);
    static_cast<void>(co_await as_result(mobius::settle(unstoppable(w), nap(1ms, 1), unstoppable(w))));
    static_cast<void>(co_await as_result(mobius::race(unstoppable(w), unstoppable(w))));
    static_cast<void>(co_await as_result(mobius::delay_cancel(unstoppable(w))));
    static_cast<void>(co_await as_result(mobius::add_timeout(unstoppable(w), 500us)));
  };
  const auto look = [](world& w) -> task<> {
    co_await mobius::sleep(5ms);
    for (const auto& entry : w.unhandled.take()) CHECK(entry.what.check<cannot_stop>());
  };
  cancel_everywhere(
      [&](world& w) { return mobius::finally([&] { return wait_for_all(w); }, [&] { return look(w); }); });
}
