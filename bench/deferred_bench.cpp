// What deferreds cost, next to the same by hand, to a promise and future for each stage, and to
// Twisted.
//
//   deferred_bench           prints a table: nanoseconds of processor time, then the ratios
//   deferred_bench --check   also fails if a ratio misses its figure, or anything allocates
//
// The contestants take turns at random; each figure is the median of its rounds.

#include <benchmark/benchmark.h>
#include <mobius/deferred.hpp>
#include <mobius/runtime.hpp>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "allocations.hpp"

namespace {

constexpr int stages = 10;

struct add {
  long k;
  long operator()(long n) const { return n + k; }
};

// --- ready chains ------------------------------------------------------------------------------

void ready_deferred(benchmark::State& state) {
  for (auto _ : state) {
    auto d = mobius::succeed(1L);
    for (long k = 0; k < stages; ++k) d.add_callback(add{k});
    long n = std::move(d).get_now();
    benchmark::DoNotOptimize(n);
  }
}

void ready_function(benchmark::State& state) {
  for (auto _ : state) {
    long n = 1;
    for (long k = 0; k < stages; ++k) {
      std::function<long(long)> f = add{k};
      benchmark::DoNotOptimize(f);
      n = f(n);
    }
    benchmark::DoNotOptimize(n);
  }
}

// --- create, add, fire -------------------------------------------------------------------------

void pending_deferred(benchmark::State& state) {
  const std::size_t before = allocations;
  for (auto _ : state) {
    auto [d, fire] = mobius::make_deferred<long>();
    for (long k = 0; k < stages; ++k) d.add_callback(add{k});
    fire(1L);
    long n = std::move(d).get_now();
    benchmark::DoNotOptimize(n);
  }
  state.counters["malloc"] =
      static_cast<double>(allocations - before) / static_cast<double>(state.iterations());
}

void pending_vector(benchmark::State& state) {
  for (auto _ : state) {
    std::vector<std::function<long(long)>> all;
    for (long k = 0; k < stages; ++k) all.push_back(add{k});
    benchmark::DoNotOptimize(all.data());
    long n = 1;
    for (auto& f : all) n = f(n);
    benchmark::DoNotOptimize(n);
  }
}

/// A promise and future for each stage, as libraries of futures make them.
template <class T>
class future {
  struct shared {
    std::optional<T> value;
    std::function<void(T)> next;
  };

 public:
  future() : state_(std::make_shared<shared>()) {}

  template <class F>
  future<T> then(F f) {
    future<T> made;
    state_->next = [f, made](T value) { made.fire(f(value)); };
    if (state_->value) state_->next(*state_->value);
    return made;
  }
  void fire(T value) const {
    state_->value = value;
    if (state_->next) state_->next(value);
  }
  T get() const { return *state_->value; }

 private:
  std::shared_ptr<shared> state_;
};

void pending_future(benchmark::State& state) {
  for (auto _ : state) {
    const future<long> first;
    future<long> f = first;
    for (long k = 0; k < stages; ++k) f = f.then(add{k});
    first.fire(1);
    long n = f.get();
    benchmark::DoNotOptimize(n);
  }
}

void pending_std(benchmark::State& state) {
  for (auto _ : state) {
    long n = 1;
    for (long k = 0; k < stages; ++k) {
      std::promise<long> p;
      std::future<long> f = p.get_future();
      p.set_value(add{k}(n));
      n = f.get();
    }
    benchmark::DoNotOptimize(n);
  }
}

// --- awaits ------------------------------------------------------------------------------------

mobius::task<long> one() { co_return 2; }
mobius::deferred<long> await_task() { co_return co_await one(); }
mobius::deferred<long> one_await(mobius::deferred<long> d) { co_return co_await std::move(d); }
mobius::deferred<long> one_callback(mobius::deferred<long> d) { return d; }

template <class Start>
void suspended(benchmark::State& state, Start start) {
  const std::size_t before = allocations;
  for (auto _ : state) {
    auto ends = mobius::make_deferred<long>();
    auto d = start(std::move(ends.deferred));
    ends.resolver(1L);
    long n = std::move(d).get_now();
    benchmark::DoNotOptimize(n);
  }
  state.counters["malloc"] =
      static_cast<double>(allocations - before) / static_cast<double>(state.iterations());
}

void awaited_task(benchmark::State& state) {
  for (auto _ : state) {
    long n = await_task().get_now();
    benchmark::DoNotOptimize(n);
  }
}

// --- failures ----------------------------------------------------------------------------------

struct lookup_error : std::exception {};

void value_path(benchmark::State& state) {
  for (auto _ : state) {
    auto [d, fire] = mobius::make_deferred<long>();
    for (long k = 0; k < stages; ++k) d.add_callback(add{k});
    fire(1L);
    benchmark::DoNotOptimize(*d.value_if());
  }
}

void error_path(benchmark::State& state) {
  for (auto _ : state) {
    auto [d, fire] = mobius::make_deferred<long>();
    for (long k = 0; k < stages; ++k) d.add_errback([](mobius::failure f) { return f; });
    d.add_errback([](mobius::failure f) { return f.check<lookup_error>() ? 1L : 0L; });
    fire.errback(mobius::make_failure<lookup_error>());
    benchmark::DoNotOptimize(*d.value_if());
  }
}

// --- the table ---------------------------------------------------------------------------------

/// Prints as usual, and keeps the medians.
class keeper : public benchmark::ConsoleReporter {
 public:
  keeper() : ConsoleReporter(OO_Tabular) {}
  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& r : runs) {
      if (r.run_type == Run::RT_Aggregate && r.aggregate_name == "median") {
        medians[r.run_name.function_name] = r.GetAdjustedCPUTime();
        const auto counted = r.counters.find("malloc");
        if (counted != r.counters.end()) mallocs[r.run_name.function_name] = counted->second.value;
      }
    }
  }

  std::map<std::string, double> medians;
  std::map<std::string, double> mallocs;
};

double twisted() {
  double ns = 0;
  if (std::FILE* script =
          ::popen("/usr/bin/python3 -B " MOBIUS_BENCH_DIR "/deferred_twisted.py 2>/dev/null", "r")) {
    if (std::fscanf(script, "%lf", &ns) != 1) ns = 0;
    ::pclose(script);
  }
  return ns;
}

int judge(const keeper& seen) {
  int misses = 0;
  const auto at_most = [&](const char* what, double value, double figure) {
    const bool met = value <= figure;
    misses += met ? 0 : 1;
    std::printf("  %-58s %8.3f   at most %g%s\n", what, value, figure, met ? "" : "   MISSED");
  };
  const auto of = [&](const char* a, const char* b) { return seen.medians.at(a) / seen.medians.at(b); };
  std::printf("\n");
  at_most("ready chain / the same lambdas through std::function", of("ready_deferred", "ready_function"), 1);
  at_most("create + 10 + fire / a vector of std::function", of("pending_deferred", "pending_vector"), 0.65);
  at_most("malloc calls of create + 10 + fire", seen.mallocs.at("pending_deferred"), 0.001);
  at_most("malloc calls of an await of a pending one", seen.mallocs.at("await_pending"), 0.001);
  at_most("a coroutine that awaits a pending one / a bare task", of("await_pending", "await_task"), 2);
  at_most("a failure through 10 errbacks / the value path", of("error_path", "value_path"), 3);
  std::printf("  %-58s %8.3f\n", "create + 10 + fire / a promise and future for each stage",
              of("pending_deferred", "pending_future"));
  std::printf("  %-58s %8.3f\n", "create + 10 + fire / std::promise and std::future",
              of("pending_deferred", "pending_std"));
  if (const double ns = twisted(); ns > 0) {
    at_most("1000 * create + 10 + fire / Twisted's", 1000 * seen.medians.at("pending_deferred") / ns,
            1000.0 / 150);
  } else {
    std::printf("  Twisted is not installed (Debian: python3-twisted): no figure\n");
  }
  return misses;
}

}  // namespace

int main(int argc, char** argv) {
  const auto checks =
      std::remove_if(argv, argv + argc, [](const char* a) { return std::strcmp(a, "--check") == 0; });
  const bool check = checks != argv + argc;
  std::vector<char*> words(argv, checks);
  std::string options[] = {"--benchmark_repetitions=9", "--benchmark_enable_random_interleaving=true",
                           "--benchmark_report_aggregates_only=true", "--benchmark_min_time=0.05"};
  for (std::string& o : options) words.push_back(o.data());
  int count = static_cast<int>(words.size());
  words.push_back(nullptr);
  benchmark::Initialize(&count, words.data());
  benchmark::RegisterBenchmark("ready_deferred", ready_deferred);
  benchmark::RegisterBenchmark("ready_function", ready_function);
  benchmark::RegisterBenchmark("pending_deferred", pending_deferred);
  benchmark::RegisterBenchmark("pending_vector", pending_vector);
  benchmark::RegisterBenchmark("pending_future", pending_future);
  benchmark::RegisterBenchmark("pending_std", pending_std);
  benchmark::RegisterBenchmark("await_task", awaited_task);
  benchmark::RegisterBenchmark("await_pending", [](benchmark::State& s) { suspended(s, one_await); });
  benchmark::RegisterBenchmark("no_await", [](benchmark::State& s) { suspended(s, one_callback); });
  benchmark::RegisterBenchmark("value_path", value_path);
  benchmark::RegisterBenchmark("error_path", error_path);
  keeper seen;
  benchmark::RunSpecifiedBenchmarks(&seen);
  const int misses = judge(seen);
  return check && misses != 0 ? 1 : 0;
}
