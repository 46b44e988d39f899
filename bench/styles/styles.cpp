// The same work in three styles, without I/O: callbacks on deferreds, deferreds in coroutines that await
// them, and tasks. In every row the same sources (deferreds that this program fires or cancels, or a queue
// that it fills) are waited for before anything happens, and the same result is checked; what differs is the
// code between the two. rounds.hpp says what is printed.
#include <mobius/deferred.hpp>
#include <mobius/runtime.hpp>
#include <numeric>
#include <vector>

#include "flows.hpp"
#include "rounds.hpp"
#include "sources.hpp"

using bench::check;
using bench::contestant;
using bench::sources;
using bench::width;
using mobius::deferred;
using mobius::resolver;
using mobius::task;

namespace {

constexpr long steps = bench::stages;

// --- a chain of ten steps behind something that is waited for, as in the tutorial

void check_chain(long n) { check("chain", n, 1 + steps * (steps - 1) / 2); }

task<> chain_callbacks() {
  auto [d, fire] = mobius::make_deferred<long>();
  for (long k = 0; k < steps; ++k) d.add_callback([k](long n) { return n + k; });
  fire(1L);
  const long n = co_await std::move(d);
  check_chain(n);
}

deferred<long> step_deferred(long n, long k) { co_return n + k; }
deferred<long> run_chain_deferred(deferred<long> d) {
  long n = co_await std::move(d);
  for (long k = 0; k < steps; ++k) n = co_await step_deferred(n, k);
  co_return n;
}
task<> chain_awaits() {
  auto [d, fire] = mobius::make_deferred<long>();
  auto all = run_chain_deferred(std::move(d));
  fire(1L);
  const long n = co_await std::move(all);
  check_chain(n);
}

task<long> step_task(long n, long k) { co_return n + k; }
task<> run_chain_task(deferred<long> d) {
  long n = co_await std::move(d);
  for (long k = 0; k < steps; ++k) n = co_await step_task(n, k);
  check_chain(n);
}
task<> fire_one(resolver<long> fire) {
  fire(1L);
  co_return;
}
task<> chain_tasks() {
  auto [d, fire] = mobius::make_deferred<long>();
  co_await mobius::when_all(run_chain_task(std::move(d)), fire_one(fire));
}

// --- a thousand at once, and their results together

void check_gathered(const std::vector<long>& values) {
  check("fan-out", std::accumulate(values.begin(), values.end(), 0L), 2 * width);
}

task<> fan_out_callbacks() {
  sources from;
  for (auto& d : from.waiting) d.add_callback([](long n) { return n + 1; });
  auto together = mobius::gather_results(std::move(from.waiting));
  from.fire_all();
  const std::vector<long> values = co_await std::move(together);
  check_gathered(values);
}

deferred<long> next_deferred(deferred<long> d) {
  const long n = co_await std::move(d);
  co_return n + 1;
}
task<> fan_out_awaits() {
  sources from;
  std::vector<deferred<long>> all;
  for (auto& d : from.waiting) all.push_back(next_deferred(std::move(d)));
  auto together = mobius::gather_results(std::move(all));
  from.fire_all();
  const std::vector<long> values = co_await std::move(together);
  check_gathered(values);
}

task<long> next_task(deferred<long> d) {
  const long n = co_await std::move(d);
  co_return n + 1;
}
task<> gather_tasks(std::vector<task<long>> all) {
  const std::vector<long> values = co_await mobius::when_all(std::move(all));
  check_gathered(values);
}
task<> fire_all(const sources& from) {
  from.fire_all();
  co_return;
}
task<> fan_out_tasks() {
  sources from;
  std::vector<task<long>> all;
  for (auto& d : from.waiting) all.push_back(next_task(std::move(d)));
  co_await mobius::when_all(gather_tasks(std::move(all)), fire_all(from));
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
      {"pipeline of 10 stages", "deferred callbacks", bench::pipeline_callbacks, steps * width, 5},
      {"pipeline of 10 stages", "deferreds, co_await", bench::pipeline_awaits, steps * width, 5},
      {"pipeline of 10 stages", "tasks", bench::pipeline_tasks, steps * width, 5},
      {"cancel of 1000", "deferred callbacks", bench::cancel_callbacks, width, 30},
      {"cancel of 1000", "deferreds, co_await", bench::cancel_awaits, width, 30},
      {"cancel of 1000", "tasks", bench::cancel_tasks, width, 30},
  };
  for (int round = 0; round < bench::rounds; ++round)
    for (contestant& c : all) reactor.run(bench::measure(c));
  for (const contestant& c : all) bench::print(c);
}
