// What the runtime's own parts cost, next to the least that could do it and next to Asio and libuv.
//
//   runtime_bench           prints a table: nanoseconds, ratios, frame sizes
//   runtime_bench --check   also fails if a ratio misses its figure, or anything allocates
//   runtime_bench --json    ends with a line of JSON for each row of nanoseconds
//
// Every figure is the median of several rounds, in which the contestants take turns, in an order drawn
// from a printed seed (MOBIUS_SEED). Ratios in one run count; the nanoseconds of a shared machine are notes.

#include <mobius/runtime.hpp>

#include <algorithm>
#include <chrono>
#include <coroutine>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "allocations.hpp"
#include "runtime_frames.hpp"
#include "runtime_peers.hpp"
#include "thread_time.hpp"

using namespace std::chrono_literals;
using mobius::task;

namespace {

// --- measuring ---------------------------------------------------------------------------------

/// One contestant: runs `count` operations, and may be asked how long those took.
struct contestant {
  std::string name;
  std::function<double(std::size_t)> run;  // nanoseconds an operation
  double ns = 0;
  double allocated = 0;             // an operation
  std::vector<double> rounds = {};  // nanoseconds of each
};

double median(std::vector<double> all) {
  std::sort(all.begin(), all.end());
  return all[all.size() / 2];
}

unsigned drawn_seed() {
  const char* given = std::getenv("MOBIUS_SEED");
  return given ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device()();
}
const unsigned seed = drawn_seed();
std::mt19937 turns(seed);

void measure(std::vector<contestant*> all, std::size_t count, int rounds = 7) {
  for (contestant* c : all) c->run(count / 10 + 1);
  for (int round = 0; round < rounds; ++round) {
    std::shuffle(all.begin(), all.end(), turns);
    for (contestant* c : all) {
      const std::size_t before = allocations;
      c->rounds.push_back(c->run(count));
      c->allocated = static_cast<double>(allocations - before) / static_cast<double>(count);
    }
  }
  for (contestant* c : all) c->ns = median(c->rounds);
}

/// The median of the ratios of each round: what disturbs a round disturbs its neighbours, too. What
/// always comes behind the same one would inherit its caches: so the turns are drawn.
double ratio(const contestant& of, const contestant& to) {
  std::vector<double> all;
  for (std::size_t i = 0; i < of.rounds.size(); ++i) all.push_back(of.rounds[i] / to.rounds[i]);
  return median(all);
}

// --- raw coroutines, the least there could be ---------------------------------------------------

/// A pooled task with symmetric transfer and nothing else: no cancellation, no errors.
class raw_task {
 public:
  struct promise_type : mobius::detail::pooled {
    raw_task get_return_object() {
      return raw_task(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    struct at_end {
      bool await_ready() noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> h) noexcept {
        return h.promise().next;
      }
      void await_resume() noexcept {}
    };
    at_end final_suspend() noexcept { return {}; }
    void return_value(int v) noexcept { value = v; }
    void unhandled_exception() noexcept { std::terminate(); }
    std::coroutine_handle<> next = std::noop_coroutine();
    int value = 0;
  };

  explicit raw_task(std::coroutine_handle<promise_type> h) noexcept : handle_(h) {}
  raw_task(raw_task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  raw_task& operator=(raw_task&&) = delete;
  ~raw_task() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> h) noexcept {
    handle_.promise().next = h;
    return handle_;
  }
  int await_resume() noexcept { return handle_.promise().value; }
  int run() {
    handle_.resume();
    return handle_.promise().value;
  }

 private:
  std::coroutine_handle<promise_type> handle_;
};

__attribute__((noinline)) raw_task raw_child(int n) { co_return n; }
raw_task raw_parent(std::size_t count) {
  int sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += co_await raw_child(static_cast<int>(i & 1));
  co_return sum;
}

double raw_await(std::size_t count) {
  return timed(count, [&] { raw_parent(count).run(); });
}

// --- mobius ------------------------------------------------------------------------------------

/// Times `body(count)` inside a run of its own.
template <class F>
double in_reactor(std::size_t count, F body) {
  static mobius::reactor reactor([] {
    mobius::reactor_options o;
    o.signals = false;
    return o;
  }());
  double ns = 0;
  auto main = [&]() -> task<> {
    const double begin = thread_ns();
    co_await body(count);
    ns = (thread_ns() - begin) / static_cast<double>(count);
  };
  reactor.run(main());
  return ns;
}

__attribute__((noinline)) task<int> child(int n) { co_return n; }

task<> await_children(std::size_t count) {
  int sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += co_await child(static_cast<int>(i & 1));
  static_cast<void>(sum);
}

task<> yield_turns(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) co_await mobius::yield();
}

/// Goes to the back of the ready queue and nothing else. No cancel reaches it, so no leaf of ours can
/// be as little.
class requeue : public mobius::detail::node {
 public:
  requeue() noexcept : node(&requeue::go_on) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> h) noexcept {
    handle_ = h;
    mobius::detail::this_thread.ready->push(this);
  }
  void await_resume() const noexcept {}

 private:
  static void go_on(node* n) noexcept { mobius::detail::resume(static_cast<requeue*>(n)->handle_); }
  std::coroutine_handle<> handle_;
};

task<> suspend_out_of_reach(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    requeue r;
    co_await r;
  }
}

/// The least that a leaf does: it enters its chain's slot, where a cancel finds it, goes to the back of
/// the ready queue, and leaves the slot: a bare suspension.
class bare_leaf final : public mobius::detail::waiter {
 public:
  bare_leaf() noexcept : waiter(kind) {}
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h,
                     std::source_location where = std::source_location::current()) noexcept {
    if (const gate g = arrive(h, mobius::detail::context_of(h), where); g != gate::open)
      return g == gate::queued;
    wake();
    return true;
  }
  void await_resume() {
    leave();
    if (was_stopped()) throw mobius::cancelled();
  }

 private:
  static const mobius::detail::leaf_type kind;
  static bool cancel(mobius::detail::leaf* self) noexcept {
    static_cast<bare_leaf*>(self)->stop();
    return true;
  }
};
const mobius::detail::leaf_type bare_leaf::kind{"a bare suspension", &bare_leaf::cancel};

task<> suspend_bare(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    bare_leaf leaf;
    co_await leaf;
  }
}

task<> nothing() { co_return; }

task<> start_and_join(std::size_t count) {
  mobius::scope s;
  for (std::size_t i = 0; i < count; ++i) {
    s.start(nothing);
    co_await s.join();
  }
}

task<> start_hundreds(std::size_t count) {
  mobius::scope s;
  for (std::size_t i = 0; i < count; i += 100) {
    for (int k = 0; k < 100; ++k) s.start(nothing);
    co_await s.join();
  }
}

task<> lock_often(mobius::mutex& m, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const mobius::mutex_guard guard = co_await m.lock();
    bare_leaf leaf;
    co_await leaf;
  }
}

// Two tasks that always find the mutex locked: each lock is a hand-over, and each holder suspends
// once. So a hand-over costs what is left after one bare suspension.
task<> hand_over(std::size_t count) {
  mobius::mutex m;
  co_await mobius::when_all(lock_often(m, count / 2), lock_often(m, count / 2));
}

task<> send_all(mobius::channel<int>& c, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) co_await c.send(1);
  c.close();
}
// In bursts: nothing else would ever let the receiver of an unbounded channel run.
task<> send_bursts(mobius::channel<int>& c, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    co_await c.send(1);
    if (i % 64 != 63) continue;
    bare_leaf leaf;
    co_await leaf;
  }
  c.close();
}
task<> receive_all(mobius::channel<int>& c) {
  while (auto n = co_await c.next()) static_cast<void>(n);
}
task<> through_channel(std::size_t count, std::size_t capacity) {
  mobius::channel<int> c(capacity);
  co_await mobius::when_all(send_all(c, count), receive_all(c));
}
task<> through_unbounded(std::size_t count) {
  mobius::channel<int> c(mobius::channel<int>::unbounded);
  co_await mobius::when_all(send_bursts(c, count), receive_all(c));
}

task<> idle_timers(std::size_t pending, std::size_t count, double& ns) {
  struct quiet : mobius::detail::timer {
    quiet() noexcept : timer([](mobius::detail::timer*) noexcept {}) {}
  };
  auto& wheel = mobius::reactor::current().timers();
  const std::int64_t now = mobius::reactor::current().now_ns();
  std::vector<quiet> all(pending);
  for (std::size_t i = 0; i < pending; ++i) {
    wheel.add(all[i], now + 3'600'000'000'000 + static_cast<std::int64_t>(i) * 1000);
  }
  quiet mine;
  const double begin = thread_ns();
  for (std::size_t i = 0; i < count; ++i) {
    wheel.add(mine, now + 1'000'000'000 + static_cast<std::int64_t>(i & 1023) * 1'000'000);
    wheel.cancel(mine);
  }
  const double took = thread_ns() - begin;
  for (auto& t : all) wheel.cancel(t);
  ns = took / static_cast<double>(count);
  co_return;
}

double timer_cost(std::size_t pending, std::size_t count) {
  double ns = 0;
  in_reactor(count, [&](std::size_t n) { return idle_timers(pending, n, ns); });
  return ns;
}

// --- the report --------------------------------------------------------------------------------

int misses = 0;
std::vector<std::pair<std::string, double>> rows;

void row(const char* what, double ns, const char* unit = "ns") {
  std::printf("  %-46s %9.1f %s\n", what, ns, unit);
  rows.emplace_back(what, ns);
}

void print_json() {
  for (const auto& [what, ns] : rows) std::printf("{\"row\": \"%s\", \"ns\": %.2f}\n", what.c_str(), ns);
}

void expect_at_most(const char* what, double ratio, double limit) {
  const bool good = ratio <= limit;
  if (!good) ++misses;
  std::printf("  %-46s %9.2f times, at most %.2f %s\n", what, ratio, limit, good ? "" : "  <-- MISSED");
}

void expect_no_allocation(const contestant& c) {
  if (c.allocated < 0.001) return;
  ++misses;
  std::printf("  %s allocates %.3f times an operation  <-- MISSED\n", c.name.c_str(), c.allocated);
}

void report_calls() {
  contestant raw{"raw pooled coroutine", raw_await};
  contestant ours{"await of a task", [](std::size_t n) { return in_reactor(n, await_children); }};
  contestant theirs{"await of an Asio awaitable", asio_await};
  measure({&raw, &ours, &theirs}, 20'000, 121);
  std::puts("Awaiting a child");
  for (const auto* c : {&raw, &ours, &theirs}) row(c->name.c_str(), c->ns);
  expect_at_most("task / raw coroutine", ratio(ours, raw), 1.3);
  expect_no_allocation(ours);
}

void report_turns() {
  contestant raw{"suspension that no cancel reaches",
                 [](std::size_t n) { return in_reactor(n, suspend_out_of_reach); }};
  contestant bare{"bare suspension through the ready queue",
                  [](std::size_t n) { return in_reactor(n, suspend_bare); }};
  contestant ours{"yield to the next turn", [](std::size_t n) { return in_reactor(n, yield_turns); }};
  contestant theirs{"Asio: post", asio_yield};
  contestant locks{"mutex: lock, suspend once, hand over",
                   [](std::size_t n) { return in_reactor(n, hand_over); }};
  const std::vector<contestant*> all{&raw, &bare, &ours, &theirs, &locks};
  measure(all, 20'000, 61);
  std::puts("Turns and hand-overs");
  for (const auto* c : all) row(c->name.c_str(), c->ns);
  expect_at_most("yield / Asio's post", ratio(ours, theirs), 0.5);
  // The holder of the mutex suspends once of its own accord; the rest is the hand-over.
  expect_at_most("mutex hand-over / bare suspension", ratio(locks, bare) - 1, 2);
  for (const auto* c : {&bare, &ours, &locks}) expect_no_allocation(*c);
}

contestant asio_items(const char* name, std::size_t capacity) {
  return {name, [capacity](std::size_t n) { return asio_through_channel(n, capacity); }};
}

void report_channels() {
  contestant bare{"bare suspension through the ready queue",
                  [](std::size_t n) { return in_reactor(n, suspend_bare); }};
  contestant none{"channel item, rendezvous", [](std::size_t n) {
                    return in_reactor(n, [](std::size_t m) { return through_channel(m, 0); });
                  }};
  contestant some{"channel item, 64 places", [](std::size_t n) {
                    return in_reactor(n, [](std::size_t m) { return through_channel(m, 64); });
                  }};
  contestant any{"channel item, unbounded", [](std::size_t n) { return in_reactor(n, through_unbounded); }};
  contestant their_none = asio_items("Asio: channel item, rendezvous", 0);
  contestant their_some = asio_items("Asio: channel item, 64 places", 64);
  contestant their_any = asio_items("Asio: channel item, unbounded", static_cast<std::size_t>(-1));
  const std::vector<contestant*> all{&bare, &none, &some, &any, &their_none, &their_some, &their_any};
  measure(all, 20'000, 61);
  std::puts("Channels");
  for (const auto* c : all) row(c->name.c_str(), c->ns);
  expect_at_most("rendezvous item / bare suspension", ratio(none, bare), 2);
  expect_at_most("item of 64 places / bare suspension", ratio(some, bare), 2);
  expect_at_most("unbounded item / bare suspension", ratio(any, bare), 2);
  expect_at_most("rendezvous item / Asio's", ratio(none, their_none), 1);
  expect_at_most("item of 64 places / Asio's", ratio(some, their_some), 1);
  expect_at_most("unbounded item / Asio's", ratio(any, their_any), 1);
  for (const auto* c : {&none, &some, &any}) expect_no_allocation(*c);
}

void report_scopes() {
  contestant ours{"scope: start and join one", [](std::size_t n) { return in_reactor(n, start_and_join); }};
  contestant many{"scope: start and join a hundred, each",
                  [](std::size_t n) { return in_reactor(n, start_hundreds); }};
  contestant theirs{"Asio: co_spawn and wait", asio_spawn};
  measure({&ours, &many, &theirs}, 100'000, 15);
  std::puts("Starting tasks");
  for (const auto* c : {&ours, &many, &theirs}) row(c->name.c_str(), c->ns);
  expect_at_most("scope / Asio's co_spawn", ratio(ours, theirs), 0.25);
  expect_no_allocation(ours);
  expect_no_allocation(many);
}

void report_timers() {
  contestant few{"arm and cancel, 1 000 pending", [](std::size_t n) { return timer_cost(1000, n); }};
  contestant lots{"arm and cancel, 1 000 000 pending",
                  [](std::size_t n) { return timer_cost(1'000'000, n); }};
  contestant asio_few{"Asio, 1 000 pending", [](std::size_t n) { return asio_timer_cost(1000, n); }};
  contestant asio_lots{"Asio, 1 000 000 pending",
                       [](std::size_t n) { return asio_timer_cost(1'000'000, n); }};
  contestant uv_few{"libuv, 1 000 pending", [](std::size_t n) { return uv_timer_cost(1000, n); }};
  contestant uv_lots{"libuv, 1 000 000 pending", [](std::size_t n) { return uv_timer_cost(1'000'000, n); }};
  measure({&few, &lots, &asio_few, &asio_lots, &uv_few, &uv_lots}, 200'000, 5);
  std::puts("Timers");
  for (const auto* c : {&few, &lots, &asio_few, &asio_lots, &uv_few, &uv_lots}) row(c->name.c_str(), c->ns);
  expect_at_most("1 000 000 pending / 1 000 pending", ratio(lots, few), 2);
  expect_no_allocation(few);
  expect_no_allocation(lots);
}

// --- cancelling --------------------------------------------------------------------------------

task<> wait_at_depth(int depth) {
  if (depth > 1) {
    co_await wait_at_depth(depth - 1);
  } else {
    co_await mobius::sleep(1000h);
  }
}

double cancel_cost(std::size_t tasks, int depth) {
  std::vector<double> all;
  for (int round = 0; round < 5; ++round) {
    all.push_back(in_reactor(tasks, [&](std::size_t n) -> task<> {
      mobius::scope s;
      for (std::size_t i = 0; i < n; ++i) s.start(wait_at_depth, depth);
      co_await mobius::yield();
      co_await mobius::yield();
      s.cancel();
      co_await s.join();
    }));
  }
  return median(all);
}

void report_cancel() {
  std::puts("A cancelled scope, each task with its start");
  const double few = cancel_cost(1000, 3);
  const double many = cancel_cost(10'000, 3);
  const double shallow = cancel_cost(10'000, 1);
  row("1 000 tasks of depth 3, each", few);
  row("10 000 tasks of depth 3, each", many);
  row("10 000 tasks of depth 1, each", shallow);
  row("each further level of depth", (many - shallow) / 2);
  expect_at_most("10 000 tasks / 1 000 tasks, each", many / few, 1.5);
}

}  // namespace

int main(int argc, char** argv) {
  const bool check = argc > 1 && std::strcmp(argv[1], "--check") == 0;
  const bool json = argc > 1 && std::strcmp(argv[1], "--json") == 0;
  std::printf("mobius runtime, %s, seed %u\n\n", __VERSION__, seed);
  report_calls();
  report_turns();
  report_channels();
  report_scopes();
  report_timers();
  report_cancel();
  misses += report_frames();
  if (misses != 0) std::printf("\n%d figures missed\n", misses);
  if (json) print_json();
  return check && misses != 0 ? 1 : 0;
}
