// Measuring work without I/O: the contestants take turns, and one line of JSON for each says the median of
// the rounds, in nanoseconds of processor time, and how often malloc was called, both per step.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <mobius/runtime.hpp>
#include <vector>

#include "../allocations.hpp"
#include "../thread_time.hpp"

namespace bench {

inline constexpr int rounds = 10;  // the first one warms up

struct contestant {
  const char* row;
  const char* style;
  mobius::task<> (*run)();
  std::size_t steps;  // of one run
  std::size_t times;  // runs of a round
  std::vector<double> ns = {};
  double allocated = 0;
};

/// One round of one contestant.
inline mobius::task<> measure(contestant& c) {
  const auto count = static_cast<double>(c.times * c.steps);
  const std::size_t before = allocations;
  const double begin = thread_ns();
  for (std::size_t i = 0; i < c.times; ++i) co_await c.run();
  c.ns.push_back((thread_ns() - begin) / count);
  c.allocated = static_cast<double>(allocations - before) / count;
}

/// The line of JSON.
inline void print(const contestant& c) {
  std::vector<double> sorted(c.ns.begin() + 1, c.ns.end());
  std::sort(sorted.begin(), sorted.end());
  std::printf("{\"row\": \"%s\", \"program\": \"%s\", \"ns\": %.2f, \"allocations\": %.4f}\n", c.row, c.style,
              sorted[sorted.size() / 2], c.allocated);
}

}  // namespace bench
