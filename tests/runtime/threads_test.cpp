// What crosses threads: posts, wake-ups, the pool, and reactors side by side. TSan runs these.

#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::task;

namespace {

constexpr mobius::reactor_options no_signals{.signals = false};

}  // namespace

TEST_CASE("posts from many threads all arrive, those of one thread in their order (R189)") {
  mobius::reactor r(no_signals);
  constexpr int threads = 4;
  constexpr int posts = 20'000;
  std::vector<int> last(threads, -1);
  bool in_order = true;
  int arrived = 0;
  std::vector<std::thread> posters;
  for (int t = 0; t < threads; ++t) {
    posters.emplace_back([&, t] {
      for (int i = 0; i < posts; ++i) {
        r.post([&, t, i] {
          int& before = last[static_cast<std::size_t>(t)];
          in_order = in_order && before == i - 1;
          before = i;
          if (++arrived == threads * posts) r.stop();
        });
      }
    });
  }
  r.run_forever();
  for (auto& p : posters) p.join();
  CHECK(in_order);
  CHECK(arrived == threads * posts);
}

TEST_CASE("a post wakes a loop that goes to sleep at that moment: none is ever missed", "[fault-41]") {
  mobius::reactor r(no_signals);
  constexpr int rounds = 20'000;
  std::atomic<int> answered{0};
  std::thread poster([&] {
    // Each post waits for the answer to the one before, so that the loop sleeps in between.
    for (int i = 0; i < rounds; ++i) {
      r.post([&] { ++answered; });
      while (answered.load() <= i) std::this_thread::yield();
    }
    r.post([&] { r.stop(); });
  });
  r.run_forever();
  poster.join();
  CHECK(answered == rounds);
}

TEST_CASE("a thread that posts while the reactor ends is either served or refused", "[fault-40]") {
  for (int i = 0; i < 20; ++i) {
    std::atomic<int> accepted{0};
    std::atomic<bool> ended{false};
    std::atomic<bool> begun{false};
    auto served = std::make_shared<std::atomic<int>>(0);
    std::thread poster;
    {
      mobius::reactor r(no_signals);
      const auto inbox = r.inbox();
      struct posted final : mobius::detail::node {
        explicit posted(std::shared_ptr<std::atomic<int>> c) : node(&posted::go), count(std::move(c)) {}
        static void go(node* n) noexcept {
          const std::unique_ptr<posted> self(static_cast<posted*>(n));
          ++*self->count;
        }
        std::shared_ptr<std::atomic<int>> count;
      };
      poster = std::thread([&, inbox] {
        while (!ended) {
          auto n = std::make_unique<posted>(served);
          if (inbox->push(n.get())) {
            static_cast<void>(n.release());
            ++accepted;
          }
          begun = true;
          std::this_thread::yield();
        }
      });
      while (!begun) std::this_thread::yield();
      r.call_later(100us, [&] { r.stop(); });
      r.run();
    }
    ended = true;
    poster.join();
    CHECK(*served == accepted);
  }
}

TEST_CASE("wake from another thread makes a sleeping loop turn") {
  mobius::reactor r(no_signals);
  std::atomic<bool> ended{false};
  std::thread waker([&] {
    while (!ended) {
      r.wake();
      std::this_thread::sleep_for(1ms);
    }
  });
  r.call_later(50ms, [&] { r.stop(); });
  r.run_forever();
  ended = true;
  waker.join();
  CHECK(r.stats().turns >= 5);
}

TEST_CASE("two reactors in two threads talk over TCP and post to each other") {
  std::atomic<mobius::reactor*> server{nullptr};
  std::atomic<int> port{0};
  std::atomic<int> noted{0};
  std::atomic<bool> talked{false};
  std::thread serving([&] {
    const auto serve = [&]() -> task<> {
      mobius::net::tcp_listener own("127.0.0.1", 0);
      port = own.local_address().port();
      auto client = co_await own.accept();
      while (mobius::lease data = co_await client.receive()) co_await client.write_all(data);
    };
    mobius::reactor own_reactor(no_signals);
    server = &own_reactor;
    own_reactor.run(serve());
    while (!talked) std::this_thread::yield();  // who posts to it needs it alive
  });
  while (port == 0) std::this_thread::yield();
  const auto talk = [&]() -> task<> {
    auto peer = co_await mobius::net::connect("127.0.0.1", static_cast<std::uint16_t>(port.load()));
    for (int i = 0; i < 500; ++i) {
      co_await peer.write_all("ping");
      std::size_t got = 0;
      while (got < 4) {
        const auto data = co_await peer.receive();
        got += data.size();
      }
      server.load()->post([&] { ++noted; });
    }
    peer.shutdown_write();
    const auto end = co_await peer.receive();
    CHECK(end.empty());
  };
  mobius::run(talk(), no_signals);
  talked = true;
  serving.join();
  CHECK(noted == 500);
}

TEST_CASE("reactors in many threads begin and end at the same time") {
  std::vector<std::thread> all;
  std::atomic<int> sum{0};
  for (int t = 0; t < 8; ++t) {
    all.emplace_back([&sum, t] {
      for (int i = 0; i < 10; ++i) {
        const auto body = [](int n) -> task<int> {
          co_await mobius::sleep(100us);
          const int twice = co_await mobius::offload([](int m) { return 2 * m; }, n);
          co_return twice;
        };
        sum += mobius::run(body(t), no_signals);
      }
    });
  }
  for (auto& t : all) t.join();
  CHECK(sum == 560);
}

TEST_CASE("offloaded calls by the thousand hand their results back without a race") {
  mobius::reactor r(no_signals);
  const auto one = [](int n) -> task<std::string> {
    const auto text = co_await mobius::offload([](int m) { return std::to_string(m); }, n);
    co_return text;
  };
  const auto body = [&]() -> task<std::size_t> {
    std::vector<task<std::string>> tasks;
    for (int i = 0; i < 2000; ++i) tasks.push_back(one(i));
    const auto all = co_await mobius::when_all(std::move(tasks));
    std::size_t size = 0;
    for (const auto& s : all) size += s.size();
    co_return size;
  };
  CHECK(r.run(body()) == 10 + 180 + 2700 + 4000);
}

TEST_CASE("cancels race with pool threads that begin and end the work") {
  mobius::reactor r({.signals = false, .max_threads = 2});
  const auto body = [&]() -> task<int> {
    int ended = 0;
    const auto one = [&ended](int n) -> task<> {
      static_cast<void>(co_await mobius::as_result(
          mobius::timeout(std::chrono::microseconds(n % 50), mobius::offload([](int m) { return m; }, n))));
      ++ended;
    };
    for (int round = 0; round < 50; ++round) {
      std::vector<task<>> tasks;
      for (int i = 0; i < 40; ++i) tasks.push_back(one(i));
      co_await mobius::when_all(std::move(tasks));
    }
    co_return ended;
  };
  CHECK(r.run(body()) == 2000);
}

TEST_CASE("a reactor does not wait for a look-up that hangs, which may end long after it") {
  std::atomic<bool> go{false};
  std::atomic<bool> came_back{false};
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 3; ++i) {
    mobius::reactor r(no_signals);
    const auto body = [&]() -> task<> {
      auto& names = r.service<mobius::net::name_resolver>();
      names.set_lookup([&](const std::string&, std::uint16_t) {
        while (!go) std::this_thread::sleep_for(1ms);
        came_back = true;
        return std::vector<mobius::net::socket_address>();
      });
      auto look_up = names.resolve("hangs.example", 80);
      const auto gone = co_await mobius::as_result(mobius::timeout(10ms, std::move(look_up)));
      CHECK(gone.error().check<mobius::timed_out>());
    };
    r.run(body());
  }
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
  CHECK(!came_back);
  go = true;
  while (!came_back) std::this_thread::sleep_for(1ms);
  std::this_thread::sleep_for(20ms);
}

TEST_CASE("failures travel between threads") {
  mobius::reactor r(no_signals);
  const auto fails = []() -> int { throw std::runtime_error("made there"); };
  const auto body = [&]() -> task<> {
    for (int i = 0; i < 200; ++i) {
      const auto got = co_await mobius::as_result(mobius::offload(fails));
      CHECK(std::string(got.error().what()) == "made there");
    }
  };
  r.run(body());
}
