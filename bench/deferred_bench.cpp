// What deferreds cost, next to the same by hand, to a promise and future for each stage, to
// std::promise and std::future, and to Twisted.
//
//   deferred_bench           prints nanoseconds of processor time for each chain, then the limits
//   deferred_bench --check   also fails if one is missed
//   deferred_bench --json    prints a line of JSON for each chain and contestant, and no limits
//
// The contestants take turns at random; each figure is the median of its rounds.

#include <benchmark/benchmark.h>
#include <dlfcn.h>
#include <unwind.h>
#include <mobius/deferred.hpp>
#include <mobius/runtime.hpp>

#include <cstdio>
#include <cstring>
#include <functional>
#include <future>
#include <map>
#include <string>
#include <vector>

#include "allocations.hpp"
#include "future_per_stage.hpp"

namespace {
std::size_t raised = 0;  // exceptions thrown by this process
}

// The unwinder's own entry, by way of which every throw goes: this one only counts.
extern "C" _Unwind_Reason_Code _Unwind_RaiseException(_Unwind_Exception* e) {
  static const auto real = reinterpret_cast<_Unwind_Reason_Code (*)(_Unwind_Exception*)>(
      ::dlsym(RTLD_NEXT, "_Unwind_RaiseException"));
  ++raised;
  return real(e);
}

namespace {

constexpr int stages = 10;

struct add {
  long k;
  long operator()(long n) const { return n + k; }
};

struct lookup_error : std::exception {};

// --- a chain that is ready ---------------------------------------------------------------------

long ready_deferred() {
  auto d = mobius::succeed(1L);
  for (long k = 0; k < stages; ++k) d.add_callback(add{k});
  return std::move(d).get_now();
}

long ready_function() {
  long n = 1;
  for (long k = 0; k < stages; ++k) {
    std::function<long(long)> f = add{k};
    benchmark::DoNotOptimize(f);
    n = f(n);
  }
  return n;
}

long ready_future() {
  stage_future<long> f;
  f.finish(1L);
  for (long k = 0; k < stages; ++k) f = f.then(add{k});
  return f.get();
}

// --- create, add, fire -------------------------------------------------------------------------

long pending_deferred() {
  auto [d, fire] = mobius::make_deferred<long>();
  for (long k = 0; k < stages; ++k) d.add_callback(add{k});
  fire(1L);
  return std::move(d).get_now();
}

long pending_vector() {
  std::vector<std::function<long(long)>> all;
  for (long k = 0; k < stages; ++k) all.push_back(add{k});
  benchmark::DoNotOptimize(all.data());
  long n = 1;
  for (auto& f : all) n = f(n);
  return n;
}

long pending_future() {
  const stage_future<long> first;
  stage_future<long> f = first;
  for (long k = 0; k < stages; ++k) f = f.then(add{k});
  first.finish(1L);
  return f.get();
}

long pending_std() {
  long n = 1;
  for (long k = 0; k < stages; ++k) {
    std::promise<long> p;
    std::future<long> f = p.get_future();
    p.set_value(add{k}(n));
    n = f.get();
  }
  return n;
}

// --- awaits ------------------------------------------------------------------------------------

mobius::task<long> one() { co_return 2; }
mobius::deferred<long> await_one() { co_return co_await one(); }
mobius::deferred<long> await_it(mobius::deferred<long> d) { co_return co_await std::move(d); }

long await_task() { return await_one().get_now(); }

long await_pending() {
  auto [d, fire] = mobius::make_deferred<long>();
  auto waiting = await_it(std::move(d));
  fire(1L);
  return std::move(waiting).get_now();
}

// --- failures ----------------------------------------------------------------------------------

long failure_deferred() {
  auto [d, fire] = mobius::make_deferred<long>();
  for (int k = 0; k < stages; ++k) d.add_errback([](mobius::failure f) { return f; });
  d.add_errback([](mobius::failure f) { return f.check<lookup_error>() ? 1L : 0L; });
  fire.errback(mobius::make_failure<lookup_error>());
  return std::move(d).get_now();
}

long failure_vector() {
  std::vector<std::function<std::exception_ptr(std::exception_ptr)>> all;
  for (int k = 0; k <= stages; ++k) all.push_back([](std::exception_ptr e) { return e; });
  benchmark::DoNotOptimize(all.data());
  auto e = std::make_exception_ptr(lookup_error());
  for (auto& f : all) e = f(std::move(e));
  return e ? 1 : 0;
}

long failure_future() {
  using outcome = std::variant<std::monostate, long, std::exception_ptr>;
  const stage_future<long> first;
  stage_future<long> f = first;
  for (int k = 0; k < stages; ++k) f = f.recover([](std::exception_ptr e) { return outcome(std::move(e)); });
  f = f.recover([](std::exception_ptr e) { return outcome(e ? 1L : 0L); });
  first.finish(std::make_exception_ptr(lookup_error()));
  return f.get();
}

long failure_std() {
  auto e = std::make_exception_ptr(lookup_error());
  for (int k = 0; k <= stages; ++k) {
    std::promise<long> p;
    std::future<long> f = p.get_future();
    p.set_exception(std::move(e));
    try {
      return f.get();
    } catch (const lookup_error&) {
      e = std::current_exception();
    }
  }
  return 1;
}

// --- the measuring -----------------------------------------------------------------------------

struct figures {
  double ns = 0;
  double mallocs = 0;  // of one chain
  double throws = 0;
};

template <auto Chain>
void run(benchmark::State& state) {
  const std::size_t mallocs = allocations;
  const std::size_t throws = raised;
  for (auto _ : state) {
    long n = Chain();
    benchmark::DoNotOptimize(n);
  }
  const auto count = static_cast<double>(state.iterations());
  state.counters["mallocs"] = static_cast<double>(allocations - mallocs) / count;
  state.counters["throws"] = static_cast<double>(raised - throws) / count;
}

/// Keeps the medians and prints nothing.
class keeper : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& r : runs) {
      if (r.run_type != Run::RT_Aggregate || r.aggregate_name != "median") continue;
      seen[r.run_name.function_name] = {r.GetAdjustedCPUTime(), r.counters.at("mallocs").value,
                                        r.counters.at("throws").value};
    }
  }

  std::map<std::string, figures> seen;
};

void add_twisted(std::map<std::string, figures>& seen) {
  std::FILE* script =
      ::popen("/usr/bin/python3 -B " MOBIUS_BENCH_DIR "/deferred_twisted.py 2>/dev/null", "r");
  if (!script) return;
  char chain[16];
  double ns = 0;
  while (std::fscanf(script, "%15s %lf", chain, &ns) == 2) seen[chain + std::string("/Twisted")].ns = ns;
  ::pclose(script);
}

/// Blocks of the pool that `make` takes and keeps.
template <class Make>
double blocks_of(Make make) {
  const std::size_t before = mobius::detail::live_frames();
  const auto kept = make();
  return static_cast<double>(mobius::detail::live_frames() - before);
}

mobius::deferred<long> ready_chain() {
  auto d = mobius::succeed(1L);
  for (long k = 0; k < stages; ++k) d.add_callback(add{k});
  return d;
}

mobius::deferred_ends<long> pending_chain() {
  auto ends = mobius::make_deferred<long>();
  for (long k = 0; k < stages; ++k) ends.deferred.add_callback(add{k});
  return ends;
}

// --- the table ---------------------------------------------------------------------------------

void print_table(std::map<std::string, figures>& seen) {
  const char* const columns[] = {"deferred", "hand", "future", "std", "Twisted"};
  std::printf("%-28s%10s%10s%10s%10s%10s\n", "nanoseconds of a chain", "deferred", "by hand", "future per",
              "std::", "Twisted");
  std::printf("%-28s%10s%10s%10s%10s\n", "", "", "(1)", "stage", "future");
  const std::pair<const char*, const char*> rows[] = {{"ready", "ready, 10 callbacks"},
                                                      {"pending", "create, 10 callbacks, fire"},
                                                      {"awaited", "await of a pending one"},
                                                      {"failed", "failure, 10 errbacks"}};
  for (const auto& [row, title] : rows) {
    std::printf("%-28s", title);
    for (const char* column : columns) {
      const auto at = seen.find(row + std::string("/") + column);
      if (at == seen.end()) {
        std::printf("%10s", "-");
      } else {
        std::printf("%10.1f", at->second.ns);
      }
    }
    std::printf("\n");
  }
  std::printf(
      "(1) std::function, a vector of them, a task that does not wait, a vector of std::function\n\n");
}

void print_json(const std::map<std::string, figures>& seen) {
  for (const auto& [name, found] : seen) {
    const auto slash = name.find('/');
    std::printf("{\"row\": \"%s\", \"program\": \"%s\", \"ns\": %.2f, \"allocations\": %.4f}\n",
                name.substr(0, slash).c_str(), name.substr(slash + 1).c_str(), found.ns, found.mallocs);
  }
}

class limits {
 public:
  void at_most(const char* what, double value, double figure) {
    line(what, value, "at most", figure, value <= figure);
  }
  void at_least(const char* what, double value, double figure) {
    line(what, value, "at least", figure, value >= figure);
  }
  int missed() const { return missed_; }

 private:
  void line(const char* what, double value, const char* how, double figure, bool met) {
    missed_ += met ? 0 : 1;
    std::printf("%-64s%9.3f  %s %g: %s\n", what, value, how, figure, met ? "met" : "MISSED");
  }

  int missed_ = 0;
};

int judge(std::map<std::string, figures>& seen) {
  limits l;
  const auto of = [&](const char* a, const char* b) { return seen.at(a).ns / seen.at(b).ns; };
  l.at_most("ready: a stage / the same lambda through std::function", of("ready/deferred", "ready/hand"), 1);
  l.at_most("ready: mallocs", seen.at("ready/deferred").mallocs, 0.001);
  l.at_most("ready: blocks of the pool", blocks_of(ready_chain), 0);
  l.at_most("create + 10 + fire / a vector of std::function", of("pending/deferred", "pending/hand"), 0.65);
  l.at_most("create + 10 + fire: mallocs", seen.at("pending/deferred").mallocs, 0.001);
  l.at_most("create + 10: blocks of the pool", blocks_of(pending_chain), 1);
  if (seen.contains("pending/Twisted")) {
    l.at_least("create + 10 + fire: times as fast as Twisted", of("pending/Twisted", "pending/deferred"),
               150);
  } else {
    std::printf("Twisted is not installed (Debian: python3-twisted): no figure\n");
  }
  l.at_most("await of a pending deferred / of a bare task", of("awaited/deferred", "awaited/hand"), 2);
  l.at_most("await of a pending deferred: mallocs", seen.at("awaited/deferred").mallocs, 0.001);
  auto ends = mobius::make_deferred<long>();
  l.at_most("a coroutine that returns a deferred and awaits one: blocks",
            blocks_of([&] { return await_it(std::move(ends.deferred)); }), 1);
  ends.resolver(1L);
  l.at_most("failure through 10 errbacks / the value path", of("failed/deferred", "pending/deferred"), 3);
  l.at_most("failure through 10 errbacks: throws", seen.at("failed/deferred").throws, 0);
  return l.missed();
}

}  // namespace

int main(int argc, char** argv) {
  const bool check = argc == 2 && std::strcmp(argv[1], "--check") == 0;
  const bool json = argc == 2 && std::strcmp(argv[1], "--json") == 0;
  if (argc > 1 && !check && !json) {
    std::fprintf(stderr, "usage: %s [--check | --json]\n", argv[0]);
    return 2;
  }
  std::string words[] = {argv[0], "--benchmark_repetitions=15", "--benchmark_enable_random_interleaving=true",
                         "--benchmark_report_aggregates_only=true", "--benchmark_min_time=0.03"};
  std::vector<char*> options;
  for (std::string& word : words) options.push_back(word.data());
  int count = static_cast<int>(options.size());
  options.push_back(nullptr);
  benchmark::Initialize(&count, options.data());
  benchmark::RegisterBenchmark("ready/deferred", run<ready_deferred>);
  benchmark::RegisterBenchmark("ready/hand", run<ready_function>);
  benchmark::RegisterBenchmark("ready/future", run<ready_future>);
  benchmark::RegisterBenchmark("pending/deferred", run<pending_deferred>);
  benchmark::RegisterBenchmark("pending/hand", run<pending_vector>);
  benchmark::RegisterBenchmark("pending/future", run<pending_future>);
  benchmark::RegisterBenchmark("pending/std", run<pending_std>);
  benchmark::RegisterBenchmark("awaited/deferred", run<await_pending>);
  benchmark::RegisterBenchmark("awaited/hand", run<await_task>);
  benchmark::RegisterBenchmark("failed/deferred", run<failure_deferred>);
  benchmark::RegisterBenchmark("failed/hand", run<failure_vector>);
  benchmark::RegisterBenchmark("failed/future", run<failure_future>);
  benchmark::RegisterBenchmark("failed/std", run<failure_std>);
  keeper reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  add_twisted(reporter.seen);
  if (json) return print_json(reporter.seen), 0;
  print_table(reporter.seen);
  return judge(reporter.seen) != 0 && check ? 1 : 0;
}
