// The same work in three styles, without I/O: deferreds with callbacks, deferreds in coroutines that await
// them, and tasks. rounds.hpp says what is
// printed.
#include <chrono>
#include <functional>
#include <memory>
#include <mobius/deferred.hpp>
#include <mobius/runtime.hpp>
#include <vector>

#include "rounds.hpp"

using namespace std::chrono_literals;
using bench::contestant;
using mobius::deferred;
using mobius::resolver;
using mobius::task;

namespace {

constexpr int steps = 10;
constexpr std::size_t width = 1000;

// --- a chain of ten steps behind something that is waited for, as in the tutorial

task<> chain_callbacks() {
  auto [d, fire] = mobius::make_deferred<long>();
  for (long k = 0; k < steps; ++k) d.add_callback([k](long n) { return n + k; });
  fire(1L);
  co_await std::move(d);
}

deferred<long> step_deferred(long n, long k) { co_return n + k; }
deferred<long> run_chain(deferred<long> d) {
  long n = co_await std::move(d);
  for (long k = 0; k < steps; ++k) n = co_await step_deferred(n, k);
  co_return n;
}

task<> chain_awaits() {
  auto [d, fire] = mobius::make_deferred<long>();
  auto all = run_chain(std::move(d));
  fire(1L);
  co_await std::move(all);
}

task<long> step_task(long n, long k) { co_return n + k; }
task<> chain_tasks() {
  long n = 1;
  for (long k = 0; k < steps; ++k) n = co_await step_task(n, k);
}

// --- a thousand at once, and their results together
// ----------------------------------------------------------

task<> fan_out_callbacks() {
  std::vector<deferred<long>> all;
  std::vector<resolver<long>> fires;
  for (std::size_t i = 0; i < width; ++i) {
    auto [d, fire] = mobius::make_deferred<long>();
    d.add_callback([](long n) { return n + 1; });
    all.push_back(std::move(d));
    fires.push_back(std::move(fire));
  }
  auto together = mobius::gather_results(std::move(all));
  for (const auto& fire : fires) fire(1L);
  co_await std::move(together);
}

deferred<long> one_deferred() {
  co_await mobius::yield();
  co_return 1;
}

task<> fan_out_awaits() {
  std::vector<deferred<long>> all;
  for (std::size_t i = 0; i < width; ++i) all.push_back(one_deferred());
  auto together = mobius::gather_results(std::move(all));
  co_await std::move(together);
}

task<long> one_task() {
  co_await mobius::yield();
  co_return 1;
}
task<> fan_out_tasks() {
  std::vector<task<long>> all;
  for (std::size_t i = 0; i < width; ++i) all.push_back(one_task());
  co_await mobius::when_all(std::move(all));
}

// --- a thousand items through ten stages
// ---------------------------------------------------------------------

using queue = mobius::deferred_queue<long>;
void pass_on(queue& from, queue& to, std::size_t left) {
  if (left == 0) return;
  from.get().add_callback([&from, &to, left](long item) {
    to.put(item + 1);
    pass_on(from, to, left - 1);
  });
}

task<> pipeline_callbacks() {
  std::vector<queue> queues(steps + 1);
  for (std::size_t k = 0; k < steps; ++k) pass_on(queues[k], queues[k + 1], width);
  for (std::size_t i = 0; i < width; ++i) queues.front().put(0);
  for (std::size_t i = 0; i < width; ++i) co_await queues.back().get();
}

deferred<void> stage_deferred(queue& from, queue& to) {
  for (std::size_t i = 0; i < width; ++i) {
    const long item = co_await from.get();
    to.put(item + 1);
  }
}

task<> pipeline_awaits() {
  std::vector<queue> queues(steps + 1);
  std::vector<deferred<void>> stages;
  for (std::size_t k = 0; k < steps; ++k) stages.push_back(stage_deferred(queues[k], queues[k + 1]));
  for (std::size_t i = 0; i < width; ++i) queues.front().put(0);
  co_await mobius::when_all(std::move(stages));
}

task<> stage_task(mobius::channel<long>& from, mobius::channel<long>& to) {
  while (auto item = co_await from.next()) co_await to.send(*item + 1);
  to.close();
}

task<> pipeline_tasks() {
  std::vector<std::unique_ptr<mobius::channel<long>>> channels;
  for (int k = 0; k <= steps; ++k) channels.push_back(std::make_unique<mobius::channel<long>>(64));
  mobius::scope stages;
  for (std::size_t k = 0; k < steps; ++k)
    stages.start(stage_task, std::ref(*channels[k]), std::ref(*channels[k + 1]));
  stages.start(
      [](mobius::channel<long>& first) -> task<> {
        for (std::size_t i = 0; i < width; ++i) co_await first.send(0);
        first.close();
      },
      std::ref(*channels.front()));
  while (auto item = co_await channels.back()->next()) {
  }
  co_await stages.join();
}

// --- a thousand that wait are cancelled
// --------------------------------------------------------------------------

task<> cancel_callbacks() {
  std::vector<deferred<long>> all;
  for (std::size_t i = 0; i < width; ++i) {
    auto ends = mobius::make_deferred<long>();
    all.push_back(std::move(ends.deferred));
    all.back().add_errback([](const mobius::failure&) { return 0L; });
    all.back().cancel();
  }
  co_return;
}

deferred<void> wait_deferred() { co_await mobius::sleep(1h); }
task<> cancel_awaits() {
  std::vector<deferred<void>> all;
  for (std::size_t i = 0; i < width; ++i) all.push_back(wait_deferred());
  for (auto& d : all) d.cancel();
  for (auto& d : all) static_cast<void>(co_await mobius::as_result(std::move(d)));
}

task<> wait_task() { co_await mobius::sleep(1h); }
task<> cancel_tasks() {
  mobius::scope all;
  for (std::size_t i = 0; i < width; ++i) all.start(wait_task);
  co_await mobius::yield();
  all.cancel();
  co_await all.join();
}

}  // namespace

int main() {
  mobius::reactor reactor;
  contestant all[] = {
      {"chain of 10", "deferred callbacks", chain_callbacks, steps, 5000},
      {"chain of 10", "deferreds, co_await", chain_awaits, steps, 5000},
      {"chain of 10", "tasks", chain_tasks, steps, 5000},
      {"fan-out and gather of 1000", "deferred callbacks", fan_out_callbacks, width, 30},
      {"fan-out and gather of 1000", "deferreds, co_await", fan_out_awaits, width, 30},
      {"fan-out and gather of 1000", "tasks", fan_out_tasks, width, 30},
      {"pipeline of 10 stages", "deferred callbacks", pipeline_callbacks, steps * width, 5},
      {"pipeline of 10 stages", "deferreds, co_await", pipeline_awaits, steps * width, 5},
      {"pipeline of 10 stages", "tasks", pipeline_tasks, steps * width, 5},
      {"cancel of 1000", "deferred callbacks", cancel_callbacks, width, 30},
      {"cancel of 1000", "deferreds, co_await", cancel_awaits, width, 30},
      {"cancel of 1000", "tasks", cancel_tasks, width, 30},
  };
  for (int round = 0; round < bench::rounds; ++round)
    for (contestant& c : all) reactor.run(bench::measure(c));
  for (const contestant& c : all) bench::print(c);
}
