// Locks, semaphores and queues by deferreds, and the lock in the file system.

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include <mobius/runtime/sync/event.hpp>

#include "kit.hpp"
#include "temporary_directory.hpp"

using mobius::deferred_filesystem_lock;
using mobius::deferred_lock;
using mobius::deferred_queue;
using mobius::deferred_semaphore;

namespace {

/// An errback that writes a word down for an `E`, else what failed.
template <class E>
auto note_failure(words& log, std::string word) {
  return [&log, word = std::move(word)](failure f) { log.push_back(f.check<E>() ? word : f.what()); };
}

}  // namespace

// --- deferred_lock -----------------------------------------------------------------------------

TEST_CASE("a free lock is acquired at once, a held one in order of asking (R139)") {
  const no_leak check;
  words log;
  deferred_lock lock;
  auto first = lock.acquire();
  CHECK(first.ready());
  CHECK(&std::move(first).get_now() == &lock);
  lock.acquire().add_callback(note(log, "b"));
  lock.acquire().add_callback(note(log, "c"));
  CHECK(lock.waiting() == 2);
  lock.release();
  CHECK(log == words{"b"});
  lock.release();
  CHECK(log == words{"b", "c"});
  lock.release();
  CHECK_FALSE(lock.locked());
}

TEST_CASE("a lock is handed over inside release, and stays locked (R140)") {
  const no_leak check;
  words log;
  deferred_lock lock;
  lock.acquire();
  lock.acquire().add_callback([&](deferred_lock& held) {
    log.push_back("b");
    held.release();
    log.push_back("b released");
  });
  lock.acquire().add_callback(note(log, "c"));
  lock.release();
  CHECK(log == words{"b", "c", "b released"});
  CHECK(lock.locked());
}

TEST_CASE("releasing a lock that nobody holds is refused (R140)") {
  deferred_lock lock;
  CHECK_THROWS_AS(lock.release(), mobius::deferred_misuse);
  lock.acquire();
  lock.release();
  CHECK_THROWS_AS(lock.release(), mobius::deferred_misuse);
}

TEST_CASE("cancelling who waits for a lock takes him out of the line (R141)") {
  const no_leak check;
  words log;
  deferred_lock lock;
  lock.acquire();
  auto b = lock.acquire();
  lock.acquire().add_callback(note(log, "c"));
  b.cancel();
  std::move(b)
      .add_callback([](deferred_lock&) {})
      .add_errback(note_failure<mobius::cancelled>(log, "cancelled"));
  CHECK(lock.waiting() == 1);
  lock.release();
  CHECK(log == words{"cancelled", "c"});
}

TEST_CASE("cancelling who has acquired a lock does nothing (R141)") {
  const no_leak check;
  deferred_lock lock;
  auto first = lock.acquire();
  auto second = lock.acquire();
  first.cancel();
  CHECK(first.ready());
  lock.release();
  second.cancel();
  CHECK(second.value_if() != nullptr);
  CHECK(lock.locked());
}

TEST_CASE("run releases the lock before its caller sees the outcome, whatever that is (R142)") {
  const no_leak check;
  words log;
  deferred_lock lock;
  auto [inner, fire] = make_deferred<int>();
  lock.run([&log, i = std::move(inner)]() mutable {
        log.push_back("a");
        return std::move(i);
      })
      .add_callback([&log](int n) { log.push_back("a gave " + std::to_string(n)); });
  lock.run(
          [](words& l) -> int {
            l.push_back("b");
            throw std::runtime_error("b failed");
          },
          std::ref(log))
      .add_callback([](int) {})
      .add_errback(note_failure<std::runtime_error>(log, "b failed"));
  auto last = lock.run(
      [&log](std::unique_ptr<int> n) {
        log.push_back("c");
        return *n;
      },
      std::make_unique<int>(7));
  CHECK(log == words{"a"});
  fire(1);
  CHECK(log == words{"a", "b", "c", "b failed", "a gave 1"});
  CHECK(std::move(last).get_now() == 7);
  CHECK_FALSE(lock.locked());
}

TEST_CASE(
    "a run that is cancelled in the line does not call its function, one that holds cancels it (R142)") {
  const no_leak check;
  words log;
  deferred_lock lock;
  auto [inner, fire] = make_deferred<int>(note(log, "stop"));
  auto a = lock.run([i = std::move(inner)]() mutable { return std::move(i); });
  auto b = lock.run(note(log, "b"));
  b.cancel();
  std::move(b).add_errback(note_failure<mobius::cancelled>(log, "b cancelled"));
  CHECK(lock.locked());
  a.cancel();
  std::move(a).add_callback([](int) {}).add_errback(note_failure<mobius::cancelled>(log, "a cancelled"));
  CHECK(log == words{"b cancelled", "stop", "a cancelled"});
  CHECK_FALSE(lock.locked());
}

TEST_CASE("a guard releases its lock, also when its coroutine fails (R143)") {
  const no_leak check;
  words log;
  deferred_lock lock;
  const auto work = [&](const char* name, bool fails) -> deferred<> {
    auto guard = co_await lock.scoped();
    log.push_back(name);
    auto [d, fire] = make_deferred<void>();
    fire();
    co_await std::move(d);
    if (fails) throw std::runtime_error(name);
  };
  auto [hold, go] = make_deferred<void>();
  auto holder = lock.run([h = std::move(hold)]() mutable { return std::move(h); });
  auto a = work("a", true);
  auto b = work("b", false);
  CHECK(log.empty());
  go();
  CHECK(log == words{"a", "b"});
  CHECK_FALSE(lock.locked());
  CHECK_THROWS_AS(std::move(a).get_now(), std::runtime_error);
  std::move(b).get_now();
}

TEST_CASE("a guard whose lock was released behind its back says so and does not end the program (R143)") {
  const reports hook;
  deferred_lock lock;
  {
    auto guard = lock.scoped().get_now();
    lock.release();
  }
  REQUIRE(hook.errors.size() == 1);
  CHECK(hook.errors[0].find("release once for each acquire") != std::string::npos);
}

TEST_CASE("who still waits when a lock ends gets broken_deferred, or nothing if nobody would see it") {
  const no_leak check;
  const reports hook;
  words log;
  auto lock = std::make_unique<deferred_lock>();
  lock->acquire();
  const auto wait = [&]() -> deferred<> {
    auto& held = co_await lock->acquire();
    held.release();
  };
  auto waiting = wait();
  auto plain = lock->acquire();
  lock->acquire().add_callback(note(log, "never"));
  lock.reset();
  CHECK_THROWS_AS(std::move(waiting).get_now(), mobius::broken_deferred);
  plain.cancel();
  CHECK(plain.failure_if()->check<mobius::cancelled>());
  std::move(plain).add_callback([](deferred_lock&) {}).add_errback([](failure) {});
  CHECK(log.empty());
  CHECK(hook.errors.empty());
}

TEST_CASE("hand-over nests up to 64 deep in Twisted's order, and is a loop from there on") {
  const no_leak check;
  deferred_lock lock;
  constexpr int count = 100'000;
  int depth = 0;
  int deepest = 0;
  std::vector<int> order;
  lock.acquire();
  for (int i = 0; i < count; ++i) {
    lock.acquire().add_callback([&, i](deferred_lock& held) {
      deepest = std::max(deepest, ++depth);
      order.push_back(i);
      held.release();
      --depth;
    });
  }
  lock.release();
  CHECK_FALSE(lock.locked());
  CHECK(deepest == 64);
  REQUIRE(order.size() == count);
  CHECK(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("who was handed a lock and has not had his turn yet keeps it when he is cancelled") {
  const no_leak check;
  words log;
  deferred_lock lock;
  lock.acquire();
  std::vector<deferred<>> waiting;
  for (int i = 0; i < 64; ++i) {
    waiting.push_back(lock.acquire().add_callback([&, i](deferred_lock& held) {
      held.release();
      if (i == 63) waiting[64].cancel();
    }));
  }
  waiting.push_back(lock.acquire().add_callback(note(log, "got it")));
  lock.release();
  CHECK(log == words{"got it"});
  CHECK(lock.locked());
}

TEST_CASE("a lock may end while somebody who was handed it has not had his turn yet") {
  const no_leak check;
  words log;
  auto lock = std::make_unique<deferred_lock>();
  auto other = std::make_unique<deferred_lock>();
  lock->acquire();
  other->acquire();
  for (int i = 0; i < 64; ++i) {
    lock->acquire().add_callback([&, i](deferred_lock& held) {
      held.release();
      if (i != 63) return;
      other->release();
      lock.reset();
    });
  }
  lock->acquire().add_callback(note(log, "never"));
  other->acquire().add_callback(note(log, "other"));
  lock->release();
  CHECK(log == words{"other"});
}

// --- deferred_semaphore ------------------------------------------------------------------------

TEST_CASE("a semaphore lets as many in as it has tokens, and the rest in order (R144)") {
  const no_leak check;
  words log;
  deferred_semaphore tokens(2);
  CHECK(tokens.limit() == 2);
  tokens.acquire().add_callback(note(log, "a"));
  tokens.acquire().add_callback(note(log, "b"));
  tokens.acquire().add_callback(note(log, "c"));
  auto d = tokens.acquire();
  CHECK(tokens.tokens() == 0);
  CHECK(tokens.waiting() == 2);
  CHECK(log == words{"a", "b"});
  d.cancel();
  std::move(d)
      .add_callback([](deferred_semaphore&) {})
      .add_errback(note_failure<mobius::cancelled>(log, "d cancelled"));
  tokens.release();
  CHECK(log == words{"a", "b", "d cancelled", "c"});
  tokens.release();
  tokens.release();
  CHECK(tokens.tokens() == 2);
  CHECK_THROWS_AS(tokens.release(), mobius::deferred_misuse);
}

TEST_CASE("a semaphore of nothing is refused (R144)") {
  CHECK_THROWS_AS(deferred_semaphore(0), std::invalid_argument);
}

TEST_CASE("run and guards of a semaphore give their token back (R144)") {
  const no_leak check;
  words log;
  deferred_semaphore tokens(1);
  auto [inner, fire] = make_deferred<void>();
  auto first = tokens.run([i = std::move(inner)]() mutable { return std::move(i); });
  const auto work = [&]() -> deferred<int> {
    auto guard = co_await tokens.scoped();
    log.push_back("second");
    co_return 2;
  };
  auto second = work();
  CHECK(log.empty());
  fire();
  CHECK(std::move(second).get_now() == 2);
  CHECK(tokens.tokens() == 1);
}

// --- deferred_queue ----------------------------------------------------------------------------

TEST_CASE("a put goes straight to the oldest get, past the size, and else into the queue (R145)") {
  const no_leak check;
  deferred_queue<int> queue(1);
  auto a = queue.get();
  auto b = queue.get();
  queue.put(1);
  CHECK(std::move(a).get_now() == 1);
  queue.put(2);
  CHECK(std::move(b).get_now() == 2);
  queue.put(3);
  CHECK(queue.size() == 1);
  CHECK_THROWS_AS(queue.put(4), mobius::queue_overflow);
  CHECK(queue.get().get_now() == 3);
}

TEST_CASE("a get has what is queued at once, else waits, else is refused on the spot (R146)") {
  const no_leak check;
  deferred_queue<std::string> queue(4, 1);
  queue.put("x");
  CHECK(queue.get().get_now() == "x");
  auto waits = queue.get();
  CHECK_FALSE(waits.ready());
  CHECK_THROWS_AS(queue.get(), mobius::queue_underflow);
  queue.put("y");
  CHECK(std::move(waits).get_now() == "y");
}

TEST_CASE("a get that is cancelled leaves the line, and nothing is lost (R147)") {
  const no_leak check;
  deferred_queue<int> queue(1, 1);
  auto a = queue.get();
  a.cancel();
  CHECK(a.failure_if()->check<mobius::cancelled>());
  a.add_errback([](failure) { return 0; });
  auto b = queue.get();
  queue.put(5);
  CHECK(std::move(b).get_now() == 5);
}

TEST_CASE("puts from inside a getter's callback reach the getters that follow, in order (R148)") {
  const no_leak check;
  std::vector<int> got;
  deferred_queue<int> queue;
  queue.get().add_callback([&](int n) {
    got.push_back(n);
    queue.put(2);
    queue.put(3);
  });
  for (int i = 0; i < 2; ++i) queue.get().add_callback([&](int n) { got.push_back(n); });
  queue.put(1);
  CHECK(got == std::vector<int>{1, 2, 3});
}

TEST_CASE("puts from getters form a loop, however many there are (R148)") {
  const no_leak check;
  constexpr int count = 100'000;
  deferred_queue<int> queue;
  std::vector<int> got;
  for (int i = 0; i < count; ++i) {
    queue.get().add_callback([&](int n) {
      got.push_back(n);
      queue.put(n + 1);
    });
  }
  queue.put(0);
  REQUIRE(got.size() == count);
  CHECK(std::is_sorted(got.begin(), got.end()));
  CHECK(queue.get().get_now() == count);
}

TEST_CASE("a queue without room keeps nothing, and one without backlog lets nobody wait (R149)") {
  deferred_queue<int> no_room(0);
  CHECK_THROWS_AS(no_room.put(1), mobius::queue_overflow);
  auto waits = no_room.get();
  no_room.put(2);
  CHECK(std::move(waits).get_now() == 2);
  deferred_queue<int> no_backlog(1, 0);
  CHECK_THROWS_AS(no_backlog.get(), mobius::queue_underflow);
  deferred_queue<int> no_limits;
  for (int i = 0; i < 1000; ++i) no_limits.put(i);
  CHECK(no_limits.size() == 1000);
}

TEST_CASE("a queue takes move-only values, and its waiting getters break when it ends") {
  const no_leak check;
  auto queue = std::make_unique<deferred_queue<std::unique_ptr<int>>>();
  auto got = queue->get();
  queue->put(std::make_unique<int>(3));
  CHECK(*std::move(got).get_now() == 3);
  const auto wait = [&]() -> deferred<int> { co_return *co_await queue->get(); };
  auto waiting = wait();
  queue.reset();
  CHECK_THROWS_AS(std::move(waiting).get_now(), mobius::broken_deferred);
}

TEST_CASE("what Twisted's core lacks is in the runtime, and works with deferreds: an event (R152)") {
  mobius::testing::run([](mobius::testing::world&) -> mobius::task<> {
    mobius::event opened;
    const auto wait = [](mobius::event& e) -> deferred<int> {
      co_await e.wait();
      co_return 1;
    };
    auto waiting = wait(opened);
    opened.set();
    const int n = co_await std::move(waiting);
    CHECK(n == 1);
  });
}

// --- deferred_filesystem_lock ------------------------------------------------------------------

TEST_CASE("a file system lock is tried each second, and a second wait is refused (R150)") {
  const temporary_directory dir;
  test_clock clock;
  deferred_filesystem_lock holder(clock, dir.lock());
  deferred_filesystem_lock lock(clock, dir.lock());
  REQUIRE(holder.defer_until_locked().ready());
  CHECK(holder.locked());
  auto d = lock.defer_until_locked();
  auto again = lock.defer_until_locked();
  REQUIRE(again.failure_if() != nullptr);
  CHECK(again.failure_if()->check<mobius::already_trying_to_lock>());
  std::move(again).add_errback([](failure) {});
  clock.pump({1s, 1s});
  CHECK_FALSE(d.ready());
  holder.unlock();
  clock.advance(999ms);
  CHECK_FALSE(d.ready());
  clock.advance(1ms);
  CHECK(d.ready());
  CHECK(lock.locked());
  CHECK(clock.pending() == 0);
  CHECK(lock.defer_until_locked(0s).ready() == false);
}

TEST_CASE("a file system lock is tried one last time when the time is up (R151)") {
  const temporary_directory dir;
  test_clock clock;
  deferred_filesystem_lock holder(clock, dir.lock());
  deferred_filesystem_lock lock(clock, dir.lock());
  REQUIRE(holder.lock());
  auto fails = lock.defer_until_locked(1500ms);
  clock.pump({1s, 500ms});
  REQUIRE(fails.failure_if() != nullptr);
  CHECK(fails.failure_if()->check<mobius::timed_out>());
  std::move(fails).add_errback([](failure) {});
  CHECK(clock.pending() == 0);
  auto succeeds = lock.defer_until_locked(1500ms);
  clock.advance(1s);
  holder.unlock();
  clock.advance(500ms);
  CHECK(succeeds.value_if() != nullptr);
  CHECK(lock.locked());
}

TEST_CASE("a file system lock is tried one last time when the wait is cancelled (R151)") {
  const temporary_directory dir;
  test_clock clock;
  deferred_filesystem_lock holder(clock, dir.lock());
  deferred_filesystem_lock lock(clock, dir.lock());
  REQUIRE(holder.lock());
  auto fails = lock.defer_until_locked(1h);
  fails.cancel();
  CHECK(fails.failure_if()->check<mobius::cancelled>());
  std::move(fails).add_errback([](failure) {});
  auto succeeds = lock.defer_until_locked(1h);
  holder.unlock();
  succeeds.cancel();
  CHECK(succeeds.value_if() != nullptr);
  CHECK(clock.pending() == 0);
}

TEST_CASE("a file system lock left behind by a dead process is taken over") {
  const temporary_directory dir;
  test_clock clock;
  const pid_t child = fork();
  if (child == 0) _exit(0);
  REQUIRE(waitpid(child, nullptr, 0) == child);
  std::filesystem::create_symlink(std::to_string(child), dir.lock());
  deferred_filesystem_lock lock(clock, dir.lock());
  CHECK(lock.lock());
  CHECK_FALSE(lock.clean());
  lock.unlock();
  CHECK_FALSE(std::filesystem::is_symlink(dir.lock()));
  CHECK_THROWS_AS(lock.unlock(), std::logic_error);
  CHECK(lock.lock());
  CHECK(lock.clean());
}

TEST_CASE("a file system lock whose directory is missing fails, and names call, path and remedy") {
  test_clock clock;
  deferred_filesystem_lock lock(clock, "/nonexistent/lock");
  auto d = lock.defer_until_locked();
  REQUIRE(d.failure_if() != nullptr);
  CHECK(d.failure_if()->what().find("symlink /nonexistent/lock (its directory must exist") !=
        std::string::npos);
  std::move(d).add_errback([](failure) {});
}

TEST_CASE("a file system lock may end while it is waited for") {
  const no_leak check;
  const temporary_directory dir;
  test_clock clock;
  deferred_filesystem_lock holder(clock, dir.lock());
  REQUIRE(holder.lock());
  deferred<> left;
  {
    deferred_filesystem_lock lock(clock, dir.lock());
    left = lock.defer_until_locked(1h);
  }
  CHECK(clock.pending() == 0);
  left.cancel();
  std::move(left).add_errback([](failure) {});
}
