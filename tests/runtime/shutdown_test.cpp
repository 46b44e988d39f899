// The end of a reactor: what is left is cancelled and joined, services end in reverse order, and
// what cannot end is named.

#include <poll.h>
#include <unistd.h>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "child.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using mobius::task;

namespace {

std::vector<std::string>& events() {
  static std::vector<std::string> all;
  return all;
}

struct noted_service {
  explicit noted_service(const char* n) : name(n) { events().push_back(std::string("make ") + name); }
  ~noted_service() { events().push_back(std::string("destroy ") + name); }
  void stop() noexcept { events().push_back(std::string("stop ") + name); }
  const char* name;
};
struct database : noted_service {
  explicit database(mobius::reactor&) : noted_service("database") {}
};
struct cache : noted_service {
  explicit cache(mobius::reactor& r) : noted_service("cache") { r.service<database>(); }
};
struct quiet_service {
  explicit quiet_service(mobius::reactor&) {}
  ~quiet_service() { events().push_back("destroy quiet"); }
};
// Begins other services as it stops, and posts as it is destroyed.
struct late_service {
  explicit late_service(mobius::reactor& r) : owner(r) {}
  ~late_service() {
    posted_after_end = owner.post([] { events().push_back("posted too late"); });
  }
  void stop() noexcept {
    owner.service<cache>();
    owner.service<quiet_service>();
  }
  mobius::reactor& owner;
  static inline bool posted_after_end = false;
};

struct at_end {
  std::string what;
  ~at_end() { events().push_back(what); }
};

mobius::reactor_options quiet(mobius::virtual_clock& clock) { return {.signals = false, .clock = &clock}; }

}  // namespace

TEST_CASE("services are made on first use, stopped and later destroyed in reverse order") {
  events().clear();
  {
    mobius::virtual_clock clock;
    mobius::reactor r(quiet(clock));
    r.service<quiet_service>();
    cache& c = r.service<cache>();
    CHECK(&r.service<cache>() == &c);
    const auto body = []() -> task<> {
      const at_end e{"task"};
      co_await mobius::sleep(1h);
    };
    r.background(body());
  }
  CHECK(events() == std::vector<std::string>{"make cache", "make database", "stop cache", "stop database",
                                             "task", "destroy cache", "destroy database", "destroy quiet"});
}

TEST_CASE("a service may use others for the first time as it stops, and a post after the end is refused") {
  events().clear();
  {
    mobius::virtual_clock clock;
    mobius::reactor r(quiet(clock));
    late_service::posted_after_end = true;
    r.service<late_service>();
  }
  CHECK(!late_service::posted_after_end);
  CHECK(events() == std::vector<std::string>{"make cache", "make database", "destroy quiet", "destroy cache",
                                             "destroy database"});
}

TEST_CASE("what other threads hand over after the end is refused", "[fault-40]") {
  std::shared_ptr<mobius::detail::inbox> inbox;
  {
    mobius::reactor r({.signals = false});
    inbox = r.inbox();
    r.call_later(1ms, [] {});
    r.run();
  }
  mobius::detail::node n([](mobius::detail::node*) noexcept {});
  CHECK(!inbox->push(&n));
  inbox->wake();
}

TEST_CASE("a reactor that ends cancels all kinds of waiting tasks and waits for their end") {
  const auto before = mobius::testing::inventory::take();
  mobius::testing::unhandled_failures unhandled;
  events().clear();
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  {
    mobius::reactor r({.signals = false});
    const auto polls = [&]() -> task<> {
      const at_end e{"poll"};
      co_await mobius::poll(ends[0], POLLIN);
    };
    const auto sleeps = []() -> task<> {
      const at_end e{"sleep"};
      co_await mobius::timeout(2h, mobius::sleep(1h));
    };
    const auto works = []() -> task<> {
      const at_end e{"work"};
      co_await mobius::offload([] { ::usleep(30'000); });
    };
    const auto accepts = []() -> task<> {
      const at_end e{"accept"};
      mobius::net::tcp_listener listener("127.0.0.1", 0);
      auto mine = co_await mobius::net::connect(listener.local_address());
      auto theirs = co_await listener.accept();
      auto both = mobius::when_any(mine.receive(), listener.accept(), theirs.receive(), mobius::sleep(1h));
      co_await std::move(both);
    };
    const auto nested = [&]() -> task<> {
      const at_end e{"nested"};
      co_await mobius::when_all(polls(), sleeps());
    };
    r.background(polls());
    r.background(sleeps());
    r.background(works());
    r.background(accepts());
    r.background(nested());
    r.call_later(1h, [] { FAIL("dropped at the end"); });
    r.call_later(10ms, [&] { r.stop(); });
    r.run();
    CHECK(events().empty());
  }
  ::close(ends[0]);
  ::close(ends[1]);
  CHECK(events().size() == 7);
  unhandled.expect_none();
  before.expect_no_more();
}

TEST_CASE("a task that goes on after its cancel at shutdown is cancelled at each await") {
  const auto before = mobius::testing::inventory::take();
  int told = 0;
  {
    mobius::virtual_clock clock;
    mobius::reactor r(quiet(clock));
    const auto stubborn = [&]() -> task<> {
      while (told < 50) {
        try {
          co_await mobius::sleep(1h);
        } catch (const mobius::cancelled&) {
          ++told;
        }
      }
    };
    r.background(stubborn());
    r.call_later(1s, [&] { r.stop(); });
    r.run();
  }
  CHECK(told == 50);
  before.expect_no_more();
}

TEST_CASE("tasks and calls begun while the reactor ends are ended as well") {
  const auto before = mobius::testing::inventory::take();
  events().clear();
  {
    mobius::virtual_clock clock;
    mobius::reactor r(quiet(clock));
    const auto late = []() -> task<> {
      const at_end e{"late"};
      co_await mobius::sleep(1h);
    };
    const auto body = [&]() -> task<> {
      try {
        co_await mobius::sleep(1h);
      } catch (const mobius::cancelled&) {
        mobius::background(late());
        mobius::call_later(1h, [] { FAIL("dropped"); });
        mobius::reactor::current().post([&] { mobius::background(late()); });
      }
    };
    r.background(body());
    r.call_later(1s, [&] { r.stop(); });
    r.run();
  }
  CHECK(events() == std::vector<std::string>{"late", "late"});
  before.expect_no_more();
}

TEST_CASE("a reactor that cannot end says after 5 s what waits and where, and then waits on", "[fault-50]") {
  std::vector<std::pair<std::string, std::string>> said;
  std::promise<void> promise;
  const std::shared_future<void> told = promise.get_future().share();
  auto hear = [&](const mobius::failure& what, std::string_view where) {
    said.emplace_back(where, what.what());
    if (said.size() == 1) promise.set_value();
  };
  mobius::unhandled_hook before = mobius::set_unhandled_hook(hear);
  const auto begin = std::chrono::steady_clock::now();
  bool worked = false;
  {
    mobius::reactor r({.signals = false});
    // Both end only once the reactor has spoken.
    const auto rest = [&told] { static_cast<void>(told.wait_for(60s)); };
    const auto work = [&] {
      rest();
      std::this_thread::sleep_for(100ms);
      worked = true;
    };
    const auto body = [&work]() -> task<> { co_await mobius::offload(work); };
    const auto named = [&rest]() -> task<> { co_await mobius::named("sleeper", mobius::offload(rest)); };
    r.background(body());
    r.background(named());
    r.call_later(10ms, [&] { r.stop(); });
    r.run();
  }
  mobius::set_unhandled_hook(std::move(before));
  CHECK(worked);
  const auto took = std::chrono::steady_clock::now() - begin;
  CHECK(took >= 5s);
  CHECK(took < 60s);
  REQUIRE(said.size() == 1);
  CHECK(said[0].first == "the shutdown of a reactor");
  CHECK_THAT(said[0].second, Contains("cannot end") && Contains("; a task waits in offload at") &&
                                 Contains("; task sleeper waits in offload at") &&
                                 Contains("shutdown_test.cpp:"));
}

TEST_CASE("a reactor made in one thread and run in another ends in the first", "[fault-39]") {
  mobius::testing::unhandled_failures unhandled;
  const auto before = mobius::testing::inventory::take();
  {
    mobius::reactor mine({.signals = false});
    mine.call_later(1ms, [] {});
    mine.run();
    mobius::reactor theirs({.signals = false});
    int calls = 0;
    std::thread runner([&] {
      CHECK(mobius::reactor::current_or_null() == nullptr);
      theirs.call_later(1ms, [&] { ++calls; });
      theirs.run();
      CHECK(mobius::reactor::current_or_null() == nullptr);
    });
    runner.join();
    CHECK(calls == 1);
    CHECK_THROWS_WITH(theirs.run(), Contains("belongs to another thread"));
    const auto body = []() -> task<> { co_return; };
    CHECK_THROWS_WITH(theirs.run(body()), Contains("belongs to another thread"));
    mine.call_later(1ms, [&] { ++calls; });
    mine.run();
    CHECK(calls == 2);
  }
  before.expect_no_more();
  unhandled.expect_none();
}

TEST_CASE("the rings of other reactors stay registered when one that another thread ran ends") {
  mobius::reactor mine({.signals = false});
  mine.call_later(1ms, [] {});
  mine.run();
  {
    mobius::reactor theirs({.signals = false});
    std::thread([&] {
      theirs.call_later(1ms, [] {});
      theirs.run();
    }).join();
  }
  int calls = 0;
  mine.call_later(1ms, [&] { ++calls; });
  mine.run();
  CHECK(calls == 1);
}

TEST_CASE("a reactor destroyed in the wrong thread with operations in flight ends the program with a text") {
  const ended_child c = in_child([] {
    int ends[2];
    if (::pipe(ends) != 0) return 1;
    auto r = std::make_unique<mobius::reactor>(mobius::reactor_options{.signals = false});
    const auto polls = [&]() -> task<> { co_await mobius::poll(ends[0], POLLIN); };
    std::thread([&] {
      r->background(polls());
      r->call_later(1ms, [&] { r->stop(); });
      r->run();
    }).join();
    r.reset();
    return 0;
  });
  INFO(c.text);
  CHECK(c.killed_by(SIGABRT));
  CHECK(c.says("belongs to another thread"));
}

TEST_CASE("an awaiter destroyed while its operation is in flight ends the program with a text",
          "[fault-23]") {
  const ended_child c = in_child([] {
    mobius::reactor r({.signals = false});
    mobius::detail::poll_awaiter a(0, POLLIN);
    a.suspend(std::noop_coroutine(), nullptr, std::source_location::current());
    return 0;
  });
  INFO(c.text);
  CHECK(c.killed_by(SIGABRT));
  CHECK(c.says("destroyed while its poll was in flight"));
}
