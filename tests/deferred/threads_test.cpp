// Deferreds and other threads.

#include <atomic>
#include <future>
#include <mutex>
#include <stop_token>
#include <thread>

#include "kit.hpp"

namespace {

/// Lets one thread wait for another.
class gate {
 public:
  void open() { promise_.set_value(); }
  void wait() { future_.wait(); }

 private:
  std::promise<void> promise_;
  std::shared_future<void> future_{promise_.get_future()};
};

/// Runs `body` in a reactor on the real clock.
template <class F>
void in_reactor(F body, mobius::reactor_options options = {}) {
  mobius::testing::run_options run;
  run.virtual_time = false;
  run.reactor = options;
  mobius::testing::run(std::move(body), run);
}

/// The failure of a deferred, or an empty text.
template <class T>
task<std::string> error_of(deferred<T> d) {
  auto outcome = co_await mobius::as_result(std::move(d));
  co_return outcome ? std::string() : outcome.error().what();
}

}  // namespace

TEST_CASE("defer_to_thread runs a function elsewhere and fires here, with its value or failure (R198)") {
  in_reactor([](world&) -> task<> {
    const auto here = std::this_thread::get_id();
    std::thread::id there;
    std::thread::id fired_in;
    auto work = [&there](std::unique_ptr<int> n) {
      there = std::this_thread::get_id();
      return *n + 1;
    };
    auto d = mobius::defer_to_thread(work, std::make_unique<int>(4));
    d.add_callback([&fired_in](int n) {
      fired_in = std::this_thread::get_id();
      return n;
    });
    const int n = co_await std::move(d);
    CHECK(n == 5);
    CHECK(there != here);
    CHECK(fired_in == here);
    auto failing = mobius::defer_to_thread([]() -> int { throw std::runtime_error("over there"); });
    const auto error = co_await error_of(std::move(failing));
    CHECK(error == "over there");
  });
}

TEST_CASE("cancelling defer_to_thread fails it at once, and the work goes on (R199)") {
  in_reactor([](world&) -> task<> {
    gate begun;
    gate go_on;
    gate ended;
    auto work = [&] {
      begun.open();
      go_on.wait();
      ended.open();
      return 1;
    };
    auto d = mobius::defer_to_thread(work);
    begun.wait();
    d.cancel();
    REQUIRE(d.failure_if() != nullptr);
    CHECK(d.failure_if()->check<mobius::cancelled>());
    std::move(d).add_errback([](failure) { return 0; });
    go_on.open();
    ended.wait();
    co_return;
  });
}

TEST_CASE("a call that no thread has begun is taken back by a cancel (R199)") {
  mobius::reactor_options options;
  options.max_threads = 1;
  in_reactor(
      [](world&) -> task<> {
        gate begun;
        gate go_on;
        auto blocks = mobius::defer_to_thread([&] {
          begun.open();
          go_on.wait();
        });
        begun.wait();
        bool called = false;
        auto d = mobius::defer_to_thread([&called] { called = true; });
        d.cancel();
        std::move(d).add_errback([](failure) {});
        go_on.open();
        co_await std::move(blocks);
        co_await mobius::defer_to_thread([] {});
        CHECK_FALSE(called);
      },
      options);
}

TEST_CASE("call_in_thread needs nobody to look, and its failure is reported (R197)") {
  in_reactor([](world& w) -> task<> {
    gate called;
    mobius::call_in_thread(
        [&called](int n) {
          if (n == 3) called.open();
        },
        3);
    called.wait();
    mobius::call_in_thread([] { throw std::runtime_error("unseen"); });
    co_await mobius::defer_to_thread([] {});
    std::vector<mobius::testing::unhandled_failures::entry> seen;
    while (seen.empty()) {
      co_await mobius::sleep(1ms);
      seen = w.unhandled.take();
    }
    CHECK(seen[0].what.what() == "unseen");
  });
}

TEST_CASE("calls made before the reactor runs are queued and come to their end in it (R197)") {
  int result = 0;
  {
    mobius::reactor_options options;
    options.signals = false;
    mobius::reactor reactor(options);
    mobius::defer_to_thread([] { return 8; }).add_callback([&](int n) { result = n; });
    CHECK(result == 0);
    reactor.run();
  }
  CHECK(result == 8);
}

TEST_CASE(
    "defer_to_thread_pool uses a pool of one's own, call_multiple_in_thread one thread in order (R201)") {
  in_reactor([](world& w) -> task<> {
    mobius::thread_pool pool(w.reactor, 1);
    std::mutex mutex;
    std::vector<int> order;
    std::vector<deferred<std::thread::id>> all;
    for (int i = 0; i < 20; ++i) {
      all.push_back(mobius::defer_to_thread_pool(pool, [&, i] {
        const std::lock_guard lock(mutex);
        order.push_back(i);
        return std::this_thread::get_id();
      }));
    }
    const auto first = co_await std::move(all[0]);
    for (std::size_t i = 1; i < all.size(); ++i) {
      const auto id = co_await std::move(all[i]);
      CHECK(id == first);
    }
    CHECK(std::is_sorted(order.begin(), order.end()));

    std::vector<std::thread::id> ids(3);
    gate done;
    const auto note = [&](std::size_t i) {
      return [&, i] {
        ids[i] = std::this_thread::get_id();
        if (i == 2) done.open();
      };
    };
    mobius::call_multiple_in_thread(note(0), note(1), note(2));
    done.wait();
    CHECK(ids[0] == ids[1]);
    CHECK(ids[1] == ids[2]);
  });
}

TEST_CASE("a pool that ends tells the calls that no thread has begun (R201)") {
  in_reactor([](world& w) -> task<> {
    gate begun;
    gate go_on;
    auto pool = std::make_unique<mobius::thread_pool>(w.reactor, 1);
    auto running = mobius::defer_to_thread_pool(*pool, [&] {
      begun.open();
      go_on.wait();
      return 1;
    });
    begun.wait();
    auto waiting = mobius::defer_to_thread_pool(*pool, [] { return 2; });
    go_on.open();
    pool.reset();
    const auto outcome = co_await mobius::as_result(std::move(waiting));
    CHECK((outcome.has_value() || outcome.error().check<mobius::cancelled>()));
    const int n = co_await std::move(running);
    CHECK(n == 1);
  });
}

TEST_CASE("suggest_thread_pool_size bounds the threads of the reactor (R202)") {
  in_reactor([](world&) -> task<> {
    mobius::suggest_thread_pool_size(2);
    std::atomic<int> inside{0};
    std::atomic<int> most{0};
    std::vector<deferred<>> all;
    for (int i = 0; i < 12; ++i) {
      all.push_back(mobius::defer_to_thread([&] {
        const int now = ++inside;
        int seen = most;
        while (now > seen && !most.compare_exchange_weak(seen, now)) {
        }
        std::this_thread::sleep_for(2ms);
        --inside;
      }));
    }
    for (auto& d : all) co_await std::move(d);
    CHECK(most <= 2);
  });
}

TEST_CASE("the end of a reactor waits for its threads, whose results are dropped (R203)") {
  const reports hook;
  std::atomic<bool> ended{false};
  bool fired = false;
  {
    mobius::reactor_options options;
    options.signals = false;
    mobius::reactor reactor(options);
    mobius::defer_to_thread([&] {
      std::this_thread::sleep_for(20ms);
      ended = true;
    }).add_both([&](mobius::result<void>) { fired = true; });
  }
  CHECK(ended);
  CHECK(fired);
  CHECK(hook.errors.empty());
}

// --- blocking_call_from_thread -----------------------------------------------------------------

TEST_CASE("a thread calls into the reactor and waits for the end of what it started (R200)") {
  in_reactor([](world& w) -> task<> {
    auto& r = w.reactor;
    auto work = [&r] {
      const int plain = mobius::blocking_call_from_thread(
          r, [](int n) { return n; }, 1);
      const int waited =
          mobius::blocking_call_from_thread(r, [] { return mobius::defer_later(5ms, [] { return 2; }); });
      const auto as_task = []() -> task<std::unique_ptr<int>> {
        co_await mobius::sleep(1ms);
        co_return std::make_unique<int>(3);
      };
      const auto moved = mobius::blocking_call_from_thread(r, as_task);
      mobius::blocking_call_from_thread(r, [] {});
      return plain + waited + *moved;
    };
    const int sum = co_await mobius::defer_to_thread(work);
    CHECK(sum == 6);
    auto fails = [&r] {
      mobius::blocking_call_from_thread(r, []() -> int { throw std::runtime_error("inside"); });
    };
    const auto error = co_await error_of(mobius::defer_to_thread(fails));
    CHECK(error == "inside");
    auto breaks = [&r] {
      mobius::blocking_call_from_thread(r, [] {
        auto [d, fire] = mobius::make_deferred<int>();
        return std::move(d);
      });
    };
    const auto broken = co_await error_of(mobius::defer_to_thread(breaks));
    CHECK(broken.find("dropped") != std::string::npos);
  });
}

TEST_CASE("a blocking call in the reactor's own thread is refused (R200)") {
  in_reactor([](world& w) -> task<> {
    CHECK_THROWS_AS(mobius::blocking_call_from_thread(w.reactor, [] {}), std::logic_error);
    co_return;
  });
}

TEST_CASE("a blocking call that never ends is ended by the reactor's end (R200)") {
  std::optional<std::thread> caller;
  std::atomic<bool> told{false};
  mobius::resolver<int> keep;
  {
    mobius::reactor_options options;
    options.signals = false;
    mobius::reactor reactor(options);
    caller.emplace([&] {
      try {
        mobius::blocking_call_from_thread(reactor, [&] {
          auto [d, fire] = mobius::make_deferred<int>();
          keep = fire;
          reactor.stop();
          return std::move(d);
        });
      } catch (const mobius::reactor_ended&) {
        told = true;
      }
    });
    reactor.run_forever();
  }
  caller->join();
  CHECK(told);
}

// --- thread_resolver ---------------------------------------------------------------------------

TEST_CASE("a thread_resolver fires in its reactor's thread, whichever thread it is called in") {
  in_reactor([](world&) -> task<> {
    const auto here = std::this_thread::get_id();
    auto [d, fire] = mobius::make_thread_deferred<std::string>();
    d.add_callback([here](std::string s) { return std::this_thread::get_id() == here ? s : "elsewhere"; });
    std::thread other([f = std::move(fire)] { f("from afar"); });
    const auto text = co_await std::move(d);
    CHECK(text == "from afar");
    other.join();

    auto [e, fail] = mobius::make_thread_deferred<int>();
    fail.errback(std::runtime_error("from here"));
    CHECK_FALSE(e.ready());
    CHECK_THROWS_AS(fail(1), mobius::thread_resolver_used);
    const auto error = co_await error_of(std::move(e));
    CHECK(error == "from here");

    auto [v, done] = mobius::make_thread_deferred();
    std::thread third([f = done] { f(); });
    co_await std::move(v);
    third.join();
    CHECK_THROWS_AS(mobius::thread_resolver<int>()(1), mobius::no_deferred);
  });
}

TEST_CASE("many threads fire many deferreds") {
  in_reactor([](world&) -> task<> {
    constexpr int count = 200;
    std::vector<deferred<int>> all;
    std::vector<std::vector<mobius::thread_resolver<int>>> shares(4);
    for (int i = 0; i < count; ++i) {
      auto [d, fire] = mobius::make_thread_deferred<int>();
      all.push_back(std::move(d));
      shares[static_cast<std::size_t>(i % 4)].push_back(std::move(fire));
    }
    std::vector<std::thread> threads;
    for (auto& share : shares) {
      threads.emplace_back([mine = std::move(share)] {
        for (const auto& fire : mine) fire(1);
      });
    }
    int sum = 0;
    for (auto& d : all) {
      const int n = co_await std::move(d);
      sum += n;
    }
    CHECK(sum == count);
    for (auto& t : threads) t.join();
  });
}

TEST_CASE("a thread_resolver that is dropped unfired breaks the deferred that somebody awaits") {
  in_reactor([](world&) -> task<> {
    auto [d, fire] = mobius::make_thread_deferred<int>();
    std::thread other([f = std::exchange(fire, {})] {});
    const auto error = co_await error_of(std::move(d));
    CHECK(error.find("dropped") != std::string::npos);
    other.join();
  });
}

TEST_CASE("what a thread_resolver fires after a cancel is dropped") {
  in_reactor([](world&) -> task<> {
    auto [d, fire] = mobius::make_thread_deferred<int>();
    d.cancel();
    CHECK(d.failure_if()->check<mobius::cancelled>());
    std::move(d).add_errback([](failure) { return 0; });
    std::thread other([f = fire] { f(4); });
    other.join();
    co_await mobius::sleep(1ms);
  });
}

TEST_CASE("the end of a reactor breaks the deferreds of its thread_resolvers, which may live on") {
  const reports hook;
  mobius::thread_resolver<int> left;
  mobius::thread_resolver<int> unused;
  std::string error;
  {
    mobius::reactor_options options;
    options.signals = false;
    mobius::reactor reactor(options);
    auto [d, fire] = mobius::make_thread_deferred<int>();
    left = fire;
    auto ends = mobius::make_thread_deferred<int>();
    unused = std::move(ends.resolver);
    std::move(d).add_callback([](int) {}).add_errback([&](failure f) { error = f.what(); });
  }
  std::thread other([f = std::move(left)] { CHECK_FALSE(f(1)); });
  other.join();
  unused = {};
  CHECK(hook.errors.empty());
}

TEST_CASE("an operation of another thread's library is waited for by run") {
  int got = 0;
  {
    mobius::reactor_options options;
    options.signals = false;
    mobius::reactor reactor(options);
    auto [d, fire] = mobius::make_thread_deferred<int>();
    std::move(d).add_callback([&](int n) { got = n; });
    std::thread other([f = std::exchange(fire, {})] {
      std::this_thread::sleep_for(10ms);
      f(6);
    });
    reactor.run();
    CHECK(got == 6);
    other.join();
  }
}

TEST_CASE("an operation on another thread is given to its deferred's thread through the inbox") {
  in_reactor([](world& w) -> task<> {
    auto [d, fire] = mobius::make_deferred<std::thread::id>();
    std::thread other([&r = w.reactor, f = &fire] { r.post([f] { (*f)(std::this_thread::get_id()); }); });
    const auto fired_in = co_await std::move(d);
    other.join();
    CHECK(fired_in == std::this_thread::get_id());
  });
}

// --- futures -----------------------------------------------------------------------------------

TEST_CASE("to_future takes a value and a failure alike (R97)") {
  in_reactor([](world&) -> task<> {
    auto value = mobius::to_future(mobius::defer_later(1ms, [] { return std::make_unique<int>(3); }));
    auto nothing = mobius::to_future(mobius::succeed());
    auto error = mobius::to_future(mobius::fail<int>(std::runtime_error("kept")));
    auto wait = [&] {
      nothing.get();
      return *value.get();
    };
    const int n = co_await mobius::defer_to_thread(std::ref(wait));
    CHECK(n == 3);
    CHECK_THROWS_AS(error.get(), std::runtime_error);
    auto [d, fire] = mobius::make_deferred<int>();
    auto broken = mobius::to_future(std::move(d));
    fire = {};
    CHECK_THROWS_AS(broken.get(), std::future_error);
  });
}

TEST_CASE("a stop request cancels the deferred of a future, from any thread (R97)") {
  in_reactor([](world&) -> task<> {
    std::stop_source stop;
    auto [d, fire] = mobius::make_deferred<int>();
    auto future = mobius::to_future(std::move(d), stop.get_token());
    auto ask = [&] {
      stop.request_stop();
      future.get();
    };
    const auto error = co_await error_of(mobius::defer_to_thread(std::ref(ask)));
    CHECK(error == "cancelled");
    fire(4);  // late, and dropped
  });
}

TEST_CASE("from_future fires with the outcome of a future (R98)") {
  in_reactor([](world&) -> task<> {
    auto later = std::async(std::launch::async, [] {
      std::this_thread::sleep_for(2ms);
      return std::make_unique<int>(9);
    });
    const auto n = co_await mobius::from_future(std::move(later));
    CHECK(*n == 9);
    std::promise<void> promise;
    auto d = mobius::from_future(promise.get_future());
    promise.set_exception(std::make_exception_ptr(std::runtime_error("promised")));
    const auto error = co_await error_of(std::move(d));
    CHECK(error == "promised");
    CHECK_THROWS_AS(mobius::from_future(std::future<int>()), std::invalid_argument);
  });
}

TEST_CASE("cancelling from_future asks the work to stop, and waits for it to say so (R98)") {
  in_reactor([](world&) -> task<> {
    std::stop_source stop;
    auto work = std::async(std::launch::async, [token = stop.get_token()] {
      while (!token.stop_requested()) std::this_thread::sleep_for(1ms);
      return std::string("stopped in good order");
    });
    auto d = mobius::from_future(std::move(work), stop);
    d.cancel();
    CHECK_FALSE(d.ready());
    const auto text = co_await std::move(d);
    CHECK(text == "stopped in good order");
  });
}

// Without the kit's count of descriptors: the abandoned thread keeps the reactor's wake-up for a while.
TEST_CASE("cancelling from_future without a stop source ends it at once, and drops the outcome (R98)") {
  const reports hook;
  std::promise<int> promise;
  {
    mobius::reactor_options options;
    options.signals = false;
    mobius::reactor reactor(options);
    auto plain = mobius::from_future(promise.get_future());
    plain.cancel();
    CHECK(plain.ready());
    std::move(plain).add_errback([](failure f) { return f.check<mobius::cancelled>() ? 0 : 1; });
  }
  promise.set_value(1);
  CHECK(hook.errors.empty());
}

TEST_CASE("the end of a reactor does not wait for a future") {
  const reports hook;
  std::promise<int> promise;
  {
    mobius::reactor_options options;
    options.signals = false;
    mobius::reactor reactor(options);
    mobius::from_future(promise.get_future()).add_callback([](int) {});
  }
  promise.set_value(1);
  CHECK(hook.errors.empty());
}
