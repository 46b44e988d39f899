// The rows of styles.cpp in which things flow: a pipeline, and a cancel.
#include "flows.hpp"

#include <memory>
#include <mobius/deferred.hpp>
#include <mobius/runtime.hpp>
#include <utility>
#include <vector>

#include "sources.hpp"

using bench::check;
using bench::sources;
using bench::width;
using mobius::deferred;
using mobius::task;

namespace {

constexpr long steps = bench::stages;

using queue = mobius::deferred_queue<long>;
using channel = mobius::channel<long>;

task<> feed_and_drain(std::vector<queue>& queues) {
  for (long i = 0; i < width; ++i) queues.front().put(0);
  long sum = 0;
  for (long i = 0; i < width; ++i) {
    const long item = co_await queues.back().get();
    sum += item;
  }
  check("pipeline", sum, width * steps);
}

void pass_on(queue& from, queue& to, long left) {
  if (left == 0) return;
  from.get().add_callback([&from, &to, left](long item) {
    to.put(item + 1);
    pass_on(from, to, left - 1);
  });
}

deferred<void> stage_deferred(queue& from, queue& to) {
  for (long i = 0; i < width; ++i) {
    const long item = co_await from.get();
    to.put(item + 1);
  }
}

task<> stage_task(channel& from, channel& to) {
  while (auto item = co_await from.next()) co_await to.send(*item + 1);
  to.close();
}

task<> feed_task(channel& first, channel& last) {
  for (long i = 0; i < width; ++i) co_await first.send(0);
  first.close();
  long sum = 0;
  while (auto item = co_await last.next()) sum += *item;
  check("pipeline", sum, width * steps);
}

deferred<long> wait_deferred(deferred<long> d) {
  const long n = co_await std::move(d);
  co_return n;
}

task<> wait_task(deferred<long> d) { co_await std::move(d); }

}  // namespace

task<> bench::pipeline_callbacks() {
  std::vector<queue> queues(steps + 1);
  for (std::size_t k = 0; k < steps; ++k) pass_on(queues[k], queues[k + 1], width);
  co_await feed_and_drain(queues);
}

task<> bench::pipeline_awaits() {
  std::vector<queue> queues(steps + 1);
  std::vector<deferred<void>> all;
  for (std::size_t k = 0; k < steps; ++k) all.push_back(stage_deferred(queues[k], queues[k + 1]));
  co_await feed_and_drain(queues);
  co_await mobius::when_all(std::move(all));
}

task<> bench::pipeline_tasks() {
  std::vector<std::unique_ptr<channel>> channels;
  for (long k = 0; k <= steps; ++k) channels.push_back(std::make_unique<channel>(channel::unbounded));
  std::vector<task<>> all;
  for (std::size_t k = 0; k < steps; ++k) all.push_back(stage_task(*channels[k], *channels[k + 1]));
  all.push_back(feed_task(*channels.front(), *channels.back()));
  co_await mobius::when_all(std::move(all));
}

task<> bench::cancel_callbacks() {
  sources from;
  for (auto& d : from.waiting) d.add_errback([](const mobius::failure&) { return 0L; });
  for (auto& d : from.waiting) d.cancel();
  check("cancel", from.cancelled, width);
  co_return;
}

task<> bench::cancel_awaits() {
  sources from;
  std::vector<deferred<long>> all;
  for (auto& d : from.waiting) all.push_back(wait_deferred(std::move(d)));
  for (auto& d : all) d.add_errback([](const mobius::failure&) { return 0L; });
  for (auto& d : all) d.cancel();
  check("cancel", from.cancelled, width);
  co_return;
}

task<> bench::cancel_tasks() {
  sources from;
  mobius::scope all;
  for (auto& d : from.waiting) all.start(wait_task, std::move(d));
  co_await mobius::yield();
  all.cancel();
  co_await all.join();
  check("cancel", from.cancelled, width);
}
