// The rules of cancellation, C1 to C10 and C14 to C26, each by its number. (C11 to C13 are about
// a delivery that unwinds frames; here a cancel is delivered as the exception `cancelled`.)

#include <unistd.h>
#include <mobius/deferred.hpp>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/runtime/testing/shake.hpp>
#include <mobius/runtime/testing/spy.hpp>

#include <array>
#include <atomic>
#include <cerrno>
#include <coroutine>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "runtime/child.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using mobius::as_result;
using mobius::cancelled;
using mobius::scope;
using mobius::task;
using mobius::timed_out;
using mobius::timeout;
using mobius::with_scope;
using mobius::testing::spied;
using mobius::testing::world;

namespace {

mobius::testing::run_options by_real_clock() {
  mobius::testing::run_options out;
  out.virtual_time = false;
  return out;
}

/// Both ends of a pipe.
class pipe_ends {
 public:
  pipe_ends() { REQUIRE(::pipe(fds_.data()) == 0); }
  pipe_ends(const pipe_ends&) = delete;
  pipe_ends& operator=(const pipe_ends&) = delete;
  ~pipe_ends() {
    ::close(fds_[0]);
    ::close(fds_[1]);
  }
  int reader() const { return fds_[0]; }
  void fill() const { REQUIRE(::write(fds_[1], "x", 1) == 1); }

 private:
  std::array<int, 2> fds_{};
};

/// A coroutine of no library, which can be destroyed at will.
struct foreign {
  struct promise_type {
    foreign get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
  std::coroutine_handle<> handle;
};

foreign wait_as_foreigner(int fd) { co_await mobius::poll(fd, POLLIN); }

struct flag_at_end {
  explicit flag_at_end(bool& f) : flag(f) {}
  ~flag_at_end() { flag = true; }
  bool& flag;
};

task<> poll_guarded(int fd, bool& gone) {
  const flag_at_end at_end(gone);
  co_await mobius::poll(fd, POLLIN);
}

task<> sleep_long(bool& stopped) {
  try {
    co_await mobius::sleep(1000h);
  } catch (const cancelled&) {
    stopped = true;
    throw;
  }
}

// Runs `point` in a chain that has been cancelled; says whether it threw `cancelled` there.
template <class F>
task<bool> stops_at(F point) {
  bool stopped = false;
  auto body = [&]() -> task<> {
    try {
      co_await mobius::sleep(1000h);
    } catch (const cancelled&) {
    }
    try {
      static_cast<void>(co_await point());
    } catch (const cancelled&) {
      stopped = true;
    }
  };
  const auto ended = co_await as_result(timeout(1ms, body()));
  static_cast<void>(ended);
  co_return stopped;
}

}  // namespace

TEST_CASE("C1: an operation's awaiter that is destroyed in flight ends the program with its name",
          "[fault-23]") {
  const ended_child ended = in_child([] {
    const pipe_ends p;
    mobius::reactor reactor;
    const foreign waiting = wait_as_foreigner(p.reader());
    waiting.handle.destroy();
    return 0;
  });
  CHECK(ended.killed_by(SIGABRT));
  CHECK_THAT(ended.text, Contains("destroyed while its poll was in flight"));
}

TEST_CASE("C2: cancel frees nothing: the frame lives until its operation has ended") {
  mobius::testing::run([](world&) -> task<> {
    const pipe_ends p;
    bool gone = false;
    scope s;
    s.start(poll_guarded, p.reader(), std::ref(gone));
    co_await mobius::yield();
    s.cancel();
    CHECK_FALSE(gone);
    co_await s.join();
    CHECK(gone);
  });
}

TEST_CASE("C3: an awaited read fills the caller's memory; one that nobody awaits owns its own") {
  mobius::testing::run([](world&) -> task<> {
    auto [client, server] = mobius::net::stream_pair();
    std::array<char, 5> here{};
    co_await client.write_all("hello");
    const std::size_t borrowed = co_await server.read_some(std::span(here));
    CHECK(std::string(here.data(), borrowed) == "hello");

    std::string got;
    std::string sent;
    {
      auto read = mobius::to_deferred(server.read_some(std::string(100, '\0')));
      auto written = mobius::to_deferred(client.write_all(std::string(5000, 'x')));
      std::move(read).add_callback([&got](auto r) { got = r.buffer.substr(0, r.size); });
      std::move(written).add_callback([&sent](std::string back) { sent = std::move(back); });
    }
    // Nobody holds them or waits: the operations go on with what they own.
    for (int i = 0; i < 100'000 && (got.empty() || sent.empty()); ++i) co_await mobius::yield();
    CHECK(got == std::string(100, 'x'));
    CHECK(sent == std::string(5000, 'x'));

    auto text = std::make_unique<std::string>("owned");
    auto measure = [](const std::unique_ptr<std::string>& t) { return t->size(); };
    const std::size_t size = co_await mobius::offload(measure, std::move(text));
    CHECK(size == 5);
    CHECK_FALSE(text);
  });
}

TEST_CASE("C4: cancelling a scope reaches waiting tasks, marks the others, and runs nobody inline") {
  mobius::testing::run([](world&) -> task<> {
    bool first = false;
    bool second = false;
    scope s;
    s.start(sleep_long, std::ref(first));
    co_await mobius::yield();
    s.start(sleep_long, std::ref(second));  // has not run yet
    s.cancel();
    s.cancel();
    CHECK_FALSE(first);
    CHECK_FALSE(second);
    co_await s.join();
    CHECK(first);
    CHECK(second);  // at its first cancellation point
    CHECK(s.size() == 0);
  });
}

TEST_CASE("C5: a cancel before submission, in flight, and after the completion", "[fault-3][fault-7]") {
  mobius::testing::run(
      [](world&) -> task<> {
        const pipe_ends p;
        auto wait = [&]() -> task<> { co_await mobius::poll(p.reader(), POLLIN); };
        const auto before = co_await as_result(mobius::when_any(wait(), mobius::yield()));
        CHECK(before->first == 1);
        const auto in_flight = co_await as_result(timeout(10ms, wait()));
        CHECK(in_flight.error().check<timed_out>());
        p.fill();
        const auto after = co_await as_result(timeout(0ms, wait()));
        CHECK((after || after.error().check<timed_out>()));
      },
      by_real_clock());
}

TEST_CASE("C6: what becomes of the cancel request itself is nobody's business", "[fault-6]") {
  mobius::testing::run(
      [](world& w) -> task<> {
        const pipe_ends p;
        w.reactor.cancel(0x7ff0);  // no such operation: ENOENT
        for (int i = 0; i < 100; ++i) {
          const auto r = co_await as_result(timeout(0ms, mobius::poll(p.reader(), POLLIN)));
          CHECK(r.error().check<timed_out>());
        }
        CHECK(w.unhandled.take().empty());
      },
      by_real_clock());
}

TEST_CASE("C7: a cancel never hits a later operation at the same address") {
  mobius::testing::run(
      [](world&) -> task<> {
        const pipe_ends quiet;
        const pipe_ends full;
        full.fill();
        for (int i = 0; i < 2000; ++i) {
          auto cancelled_one = [&]() -> task<> {
            co_await timeout(0ms, mobius::poll(quiet.reader(), POLLIN));
          };
          auto good_one = [&]() -> task<> { co_await mobius::poll(full.reader(), POLLIN); };
          const auto first = co_await as_result(cancelled_one());
          CHECK(first.error().check<timed_out>());
          co_await good_one();
        }
      },
      by_real_clock());
}

TEST_CASE("C8: the result wins, and the mark acts at the next cancellation point", "[fault-3]") {
  mobius::testing::run(
      [](world& w) -> task<> {
        const pipe_ends p;
        mobius::testing::faults faults(w.reactor);
        faults.on_completion([](mobius::detail::completion& c) {
          if (c.result == -ECANCELED) c.result = POLLIN;
        });
        bool delivered = false;
        auto body = [&]() -> task<> {
          const auto events = co_await mobius::poll(p.reader(), POLLIN);
          delivered = events == POLLIN;
          co_await mobius::checkpoint();
          FAIL("the mark was to act here");
        };
        const auto r = co_await as_result(timeout(1ms, body()));
        CHECK(r.error().check<timed_out>());
        CHECK(delivered);
      },
      by_real_clock());
}

TEST_CASE("C9: a late result that owns something is given back by whoever drops it") {
  mobius::testing::run([](world&) -> task<> {
    mobius::testing::result_spy spy;
    auto late = [&]() -> task<spied> {
      co_await mobius::shield(mobius::yield());
      co_return spy.make();
    };
    for (int i = 0; i < 10; ++i) {
      const auto r = co_await as_result(mobius::when_any(mobius::yield(), late()));
      CHECK(r.has_value());
    }
    mobius::mutex m;
    const auto won = co_await mobius::when_any(mobius::checkpoint(), m.lock());
    CHECK(won.first == 0);
    CHECK_FALSE(m.locked());
    CHECK(spy.live() == 0);
  });
}

TEST_CASE("C10: ECANCELED that nobody asked for is an error") {
  mobius::testing::run([](world& w) -> task<> {
    const pipe_ends p;
    p.fill();
    mobius::testing::faults faults(w.reactor);
    faults.on_completion([](mobius::detail::completion& c) {
      if (c.result == POLLIN) c.result = -ECANCELED;
    });
    const auto r = co_await as_result(mobius::poll(p.reader(), POLLIN));
    REQUIRE_FALSE(r);
    CHECK_FALSE(r.error().check<cancelled>());
    CHECK(r.error().check<std::system_error>());
  });
}

TEST_CASE("C14: leaves and primitives are cancellation points; calling a task is none") {
  mobius::testing::run([](world&) -> task<> {
    mobius::mutex m;
    mobius::event e;
    e.set();
    mobius::semaphore permits(1);
    mobius::channel<int> c(4);
    c.try_send(1);
    auto plain = []() -> task<> { co_return; };
    std::vector<bool> stops;
    stops.push_back(co_await stops_at([] { return mobius::yield(); }));
    stops.push_back(co_await stops_at([] { return mobius::sleep(0ms); }));
    stops.push_back(co_await stops_at([] { return mobius::checkpoint(); }));
    stops.push_back(co_await stops_at([&] { return m.lock(); }));
    stops.push_back(co_await stops_at([&] { return e.wait(); }));
    stops.push_back(co_await stops_at([&] { return permits.acquire(); }));
    stops.push_back(co_await stops_at([&] { return c.next(); }));
    stops.push_back(co_await stops_at([&] { return c.send(2); }));
    CHECK(stops == std::vector<bool>(8, true));
    const bool at_call = co_await stops_at([&] { return plain(); });
    CHECK_FALSE(at_call);
    CHECK_FALSE(m.locked());
    CHECK(permits.available() == 1);
    CHECK(c.size() == 1);
  });
}

TEST_CASE("C15: a cancel of what one waits for, by another, is no runtime_error and no mark") {
  mobius::testing::run([](world& w) -> task<> {
    auto [d, r] = mobius::make_deferred<int>();
    w.reactor.call_soon([&fire = r] { fire.errback(mobius::cancelled_failure()); });
    std::string caught;
    try {
      auto waiting = [](mobius::deferred<int>& from) -> task<int> { co_return co_await from; };
      co_await waiting(d);
    } catch (const std::runtime_error&) {
      caught = "runtime_error";
    } catch (const cancelled&) {
      caught = "cancelled";
    }
    CHECK(caught == "cancelled");
    co_await mobius::checkpoint();
  });
}

TEST_CASE("C16: a scope ends after all its children; the first error cancels the rest and beats cancelled") {
  mobius::testing::shake([](world& w) -> task<> {
    int ended = 0;
    auto child = [&](std::chrono::milliseconds length) -> task<> {
      try {
        co_await mobius::sleep(length);
      } catch (const cancelled&) {
        ++ended;
        throw;
      }
      ++ended;
      throw std::runtime_error("first");
    };
    auto body = [&](scope& s) -> task<> {
      for (int i = 0; i < 5; ++i) s.start(std::ref(child), std::chrono::milliseconds(i == 2 ? 1 : 1'000'000));
      co_return;
    };
    const auto r = co_await as_result(with_scope(body));
    CHECK(r.error().what() == "first");
    CHECK(ended == 5);
    CHECK(w.unhandled.take().empty());
  });
}

TEST_CASE("C17: results that come together are kept or given back, none is lost") {
  mobius::testing::result_spy spy;
  mobius::testing::shake([&](world&) -> task<> {
    auto give = [&](int n) -> task<spied> {
      co_await mobius::sleep(1ms);
      co_return spy.make(n);
    };
    auto [index, value] = co_await mobius::when_any(give(1), give(2));
    const int first = index == 0 ? std::get<0>(value).take() : std::get<1>(value).take();
    auto [a, b] = co_await mobius::when_all(give(3), give(4));
    CHECK(a.take() + b.take() + first >= 8);
  });
  CHECK(spy.live() == 0);
  CHECK(spy.taken() == 300);
}

TEST_CASE("C18: detached work is the reactor's, which cancels and joins it, and reports its errors") {
  bool stopped = false;
  mobius::testing::unhandled_failures unhandled;
  {
    mobius::reactor reactor;
    reactor.background(sleep_long(stopped));
    auto failing = []() -> task<> {
      co_await mobius::yield();
      throw std::runtime_error("in the background");
    };
    reactor.background(failing());
    auto main = []() -> task<> { co_await mobius::sleep(1ms); };
    reactor.run(main());
    CHECK_FALSE(stopped);
  }
  CHECK(stopped);
  const auto seen = unhandled.take();
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].where == "a background task");
}

TEST_CASE("C19: shutdown cancels, drains all operations, and only then frees") {
  bool gone = false;
  const pipe_ends p;
  {
    mobius::reactor reactor;
    reactor.background(poll_guarded(p.reader(), gone));
    auto main = []() -> task<> { co_await mobius::sleep(1ms); };
    reactor.run(main());
    CHECK(reactor.in_flight() > 0);
    CHECK_FALSE(gone);
  }
  CHECK(gone);
}

TEST_CASE("C20: a cancelled wait for a multishot receive loses no byte") {
  mobius::testing::run(
      [](world&) -> task<> {
        mobius::net::tcp_listener listener("127.0.0.1", 0);
        auto [server, client] =
            co_await mobius::when_all(listener.accept(), mobius::net::connect(listener.local_address()));
        const auto nothing = co_await as_result(timeout(1ms, server.receive()));
        CHECK(nothing.error().check<timed_out>());
        co_await client.write_all(std::string_view("kept"));
        co_await mobius::sleep(5ms);
        auto lease = co_await server.receive();
        CHECK(lease.size() == 4);
      },
      by_real_clock());
}

TEST_CASE("C21: an offloaded call is not interrupted: the scope waits, its result wins") {
  mobius::testing::run(
      [](world&) -> task<> {
        std::atomic<bool> ran = false;
        auto work = [&] {
          std::this_thread::sleep_for(20ms);
          ran = true;
          return 7;
        };
        const int n = co_await timeout(5ms, mobius::offload(work));
        CHECK(n == 7);
        CHECK(ran);
      },
      by_real_clock());
}

TEST_CASE("C22: closing a stream ends its operations first", "[fault-25]") {
  mobius::testing::run(
      [](world&) -> task<> {
        mobius::net::tcp_listener listener("127.0.0.1", 0);
        auto [server, client] =
            co_await mobius::when_all(listener.accept(), mobius::net::connect(listener.local_address()));
        auto reading = [](mobius::net::tcp_stream& from) -> task<bool> {
          const auto r = co_await as_result(from.receive());
          co_return !r || r->size() == 0;
        };
        auto closing = [](mobius::net::tcp_stream& s) -> task<> {
          co_await mobius::sleep(2ms);
          co_await s.close();
        };
        auto [ended, nothing] = co_await mobius::when_all(reading(server), closing(server));
        static_cast<void>(nothing);
        CHECK(ended);
        auto end = co_await client.receive();
        CHECK(end.size() == 0);
      },
      by_real_clock());
}

TEST_CASE("C23: a timeout counts to the request: what cannot be cancelled makes it soft") {
  mobius::testing::run([](world& w) -> task<> {
    const auto begin = w.clock.now();
    const auto r = co_await as_result(timeout(1ms, mobius::shield(mobius::sleep(1s))));
    CHECK(r.error().check<timed_out>());
    CHECK(w.clock.now() - begin == 1s);
  });
}

TEST_CASE("C24: cancelling the deferred of a task cancels the task, and fires when that has ended") {
  mobius::testing::run([](world&) -> task<> {
    bool stopped = false;
    bool fired = false;
    auto slow = [](bool& s) -> task<> { co_await sleep_long(s); };
    mobius::deferred<void> d = mobius::to_deferred(slow(stopped));
    auto after = std::move(d).add_errback([&](mobius::failure f) {
      fired = true;
      CHECK(f.check<cancelled>());
      CHECK(stopped);
    });
    co_await mobius::yield();
    after.cancel();
    CHECK_FALSE(fired);
    co_await std::move(after);
    CHECK(fired);
  });
}

TEST_CASE("C25: a cancelled task cancels the deferred that it awaits") {
  mobius::testing::run([](world&) -> task<> {
    int asked = 0;
    auto [d, r] = mobius::make_deferred<int>([&](mobius::resolver<int>&) { ++asked; });
    auto waiting = [](mobius::deferred<int> from) -> task<int> { co_return co_await std::move(from); };
    const auto result = co_await as_result(timeout(1ms, waiting(std::move(d))));
    CHECK(result.error().check<timed_out>());
    CHECK(asked == 1);
  });
}

TEST_CASE("C26: a failed deferred that is dropped is reported, with where it was created") {
  mobius::testing::run([](world& w) -> task<> {
    {
      auto [d, r] = mobius::make_deferred<int>();
      r.errback(mobius::make_failure<std::runtime_error>("nobody looks"));
    }
    const auto seen = w.unhandled.take();
    REQUIRE(seen.size() == 1);
    CHECK(seen[0].what.what() == "nobody looks");
    CHECK_THAT(seen[0].where, Contains("rules_test.cpp"));
    co_return;
  });
}
