// What every echo server of the bench has in common: its options, and a measurement that it takes of itself
// without any message from outside. The server counts the bytes it has echoed; after `--warmup` messages of
// `--size` bytes it takes a first snapshot, `--messages` later a second, and prints the difference as one
// line of JSON when it ends. Between the snapshots the measurement costs an addition and a comparison.
//
// A server prints "port N" first (flushed), serves 127.0.0.1, and as its last line what `print` writes:
//   {"server": text, "complete": true when both snapshots were taken, "messages": M,
//    "cpu_ns": CPU time of the whole process, all threads, "wall_ns": time between the snapshots,
//    "enters": io_uring_enter calls or null, "sqes": or null, "cqes": or null,
//    "allocations": malloc family or null, "frees": or null, "mappings": mmap family or null,
//    "page_faults": N, "switches": voluntary context switches, "preemptions": involuntary ones,
//    "heap_growth": bytes of malloc, pools included, that were in use at the second snapshot and not at the
//    first}
// Null means that nobody counted: allocations need the preloaded counter (count_alloc.cpp); enters and SQEs
// come from the server's own counts or, failing that, from the same counter.
//
// A server looks like this:
//   auto options = bench::parse_server_options(argc, argv);
//   bench::server_stats stats("name", options, [&] { return bench::work_counts{...}; });  // or no third
//   std::printf("port %u\n", port); std::fflush(stdout);
//   ... stats.echoed(n) when n bytes have been handed back to the peer ...
//   ... ends when its last connection has closed (options.exit_after_close) or at SIGTERM ...
//   stats.print();
#pragma once

#include <malloc.h>
#include <sys/resource.h>

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <limits>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "call_counts.hpp"
#include "work_counts.hpp"

namespace bench {

/// `--port N --size BYTES --warmup N --messages N --threads N --exit-after-close`; the rest is in `rest`.
struct server_options {
  std::uint16_t port = 0;  ///< 0: the kernel chooses
  std::uint64_t size = 64;
  std::uint64_t warmup = 10'000;
  std::uint64_t messages = 100'000;
  unsigned threads = 1;  ///< a server that cannot have several says so and ends
  bool exit_after_close = false;
  std::vector<std::string_view> rest;
};

/// Reads the common options. A missing or malformed number ends the program with a text on stderr.
server_options parse_server_options(int argc, char** argv);

/// A number from the command line; ends the program unless all of `text` is one.
std::uint64_t parse_number(std::string_view option, const char* text);

/// Nanoseconds of `clock`.
std::uint64_t clock_ns(clockid_t clock);

/// The measurement of one server process.
class server_stats {
 public:
  /// `work` reads the server's own counts and is called at the two snapshots only; empty: not counted, and
  /// it is not called where several threads work.
  server_stats(std::string name, const server_options& options, std::function<work_counts()> work = {});

  /// Call it when `bytes` have been handed back to the peer.
  void echoed(std::size_t bytes) {
    bytes_ += bytes;
    if (bytes_ >= next_mark_) [[unlikely]]
      mark();
  }

  /// The same for several threads, which tell of many messages at a time; see `stats_share`.
  void echoed_together(std::uint64_t bytes) {
    const std::scoped_lock lock(together_);
    echoed(bytes);
  }

  /// Writes the line of JSON to stdout. Without a second snapshot it takes one now and says so.
  void print();

 private:
  struct snapshot {
    std::uint64_t cpu = 0;
    std::uint64_t wall = 0;
    std::uint64_t bytes = 0;
    work_counts work;
    mobius_bench_call_counts calls{};
    rusage usage{};
    std::size_t heap = 0;
  };
  static constexpr std::uint64_t never = std::numeric_limits<std::uint64_t>::max();

  snapshot take() const;
  void mark();

  std::string name_;
  std::mutex together_;
  server_options options_;
  std::function<work_counts()> work_;
  std::uint64_t bytes_ = 0;
  std::uint64_t next_mark_;
  int marks_ = 0;
  snapshot start_;
  snapshot end_;
};

/// One thread's part in a measurement; with one thread alone it costs nothing more.
class stats_share {
 public:
  /// Messages that a thread of several tells of together.
  static constexpr std::uint64_t together = 32;

  stats_share(server_stats& all, const server_options& options)
      : all_(all), batch_(options.threads > 1 ? together * options.size : 0) {}

  /// Call it when `bytes` have been handed back to the peer.
  void echoed(std::size_t bytes) {
    if (batch_ == 0) return all_.echoed(bytes);
    pending_ += bytes;
    if (pending_ >= batch_) all_.echoed_together(std::exchange(pending_, 0));
  }

 private:
  server_stats& all_;
  std::uint64_t batch_;
  std::uint64_t pending_ = 0;
};

namespace detail {

/// `, "key": value`, or null where nobody counted.
inline void print_count(const char* key, bool known, std::uint64_t value) {
  if (!known) {
    std::printf(", \"%s\": null", key);
  } else {
    std::printf(", \"%s\": %" PRIu64, key, value);
  }
}

inline std::uint64_t difference(long before, long after) {
  return static_cast<std::uint64_t>(after - before);
}

}  // namespace detail

inline std::uint64_t parse_number(std::string_view option, const char* text) {
  char* end = nullptr;
  const std::uint64_t value = text == nullptr ? 0 : std::strtoull(text, &end, 10);
  if (text != nullptr && end != text && *end == '\0' && *text != '-') return value;
  std::fprintf(stderr, "%.*s needs a number\n", static_cast<int>(option.size()), option.data());
  std::exit(2);
}

inline server_options parse_server_options(int argc, char** argv) {
  server_options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--exit-after-close") {
      options.exit_after_close = true;
    } else if (option == "--port") {
      options.port = static_cast<std::uint16_t>(parse_number(option, argv[++i]));
    } else if (option == "--size") {
      options.size = parse_number(option, argv[++i]);
    } else if (option == "--warmup") {
      options.warmup = parse_number(option, argv[++i]);
    } else if (option == "--messages") {
      options.messages = parse_number(option, argv[++i]);
    } else if (option == "--threads") {
      options.threads = static_cast<unsigned>(parse_number(option, argv[++i]));
    } else {
      options.rest.push_back(option);
    }
  }
  return options;
}

inline std::uint64_t clock_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

inline server_stats::server_stats(std::string name, const server_options& options,
                                  std::function<work_counts()> work)
    : name_(std::move(name)),
      options_(options),
      work_(options.threads == 1 ? std::move(work) : nullptr),
      next_mark_(options.warmup * options.size) {}

inline server_stats::snapshot server_stats::take() const {
  snapshot now;
  now.bytes = bytes_;
  if (work_) now.work = work_();
  if (mobius_bench_read_call_counts != nullptr) now.calls = mobius_bench_read_call_counts();
  getrusage(RUSAGE_SELF, &now.usage);
  const auto heap = mallinfo2();
  now.heap = heap.uordblks + heap.hblkhd;
  now.wall = clock_ns(CLOCK_MONOTONIC);
  now.cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  return now;
}

// Several threads tell of their messages by the batch, and the last batches are never full.
inline void server_stats::mark() {
  (marks_ == 0 ? start_ : end_) = take();
  ++marks_;
  const std::uint64_t untold = options_.threads > 1 ? 2 * stats_share::together * options_.threads : 0;
  const std::uint64_t wanted = options_.messages > untold ? options_.messages - untold : 1;
  next_mark_ = marks_ == 1 ? bytes_ + wanted * options_.size : never;
}

inline void server_stats::print() {
  const bool complete = marks_ == 2;
  if (!complete) end_ = take();
  const bool called = mobius_bench_read_call_counts != nullptr;
  const bool worked = static_cast<bool>(work_);
  const auto& [before, after] = std::pair<const snapshot&, const snapshot&>(start_, end_);
  const std::uint64_t enters =
      worked ? after.work.enters - before.work.enters : after.calls.enters - before.calls.enters;
  const std::uint64_t sqes =
      worked ? after.work.sqes - before.work.sqes : after.calls.sqes - before.calls.sqes;
  std::printf("{\"server\": \"%s\", \"complete\": %s", name_.c_str(), complete ? "true" : "false");
  detail::print_count("messages", true, (after.bytes - before.bytes) / options_.size);
  detail::print_count("cpu_ns", true, after.cpu - before.cpu);
  detail::print_count("wall_ns", true, after.wall - before.wall);
  detail::print_count("enters", worked || called, enters);
  detail::print_count("sqes", worked || called, sqes);
  detail::print_count("cqes", worked, after.work.cqes - before.work.cqes);
  detail::print_count("allocations", called, after.calls.allocations - before.calls.allocations);
  detail::print_count("frees", called, after.calls.frees - before.calls.frees);
  detail::print_count("mappings", called, after.calls.mappings - before.calls.mappings);
  detail::print_count("page_faults", true, detail::difference(before.usage.ru_minflt, after.usage.ru_minflt));
  detail::print_count("switches", true, detail::difference(before.usage.ru_nvcsw, after.usage.ru_nvcsw));
  detail::print_count("preemptions", true, detail::difference(before.usage.ru_nivcsw, after.usage.ru_nivcsw));
  std::printf(", \"heap_growth\": %" PRId64,
              static_cast<std::int64_t>(after.heap) - static_cast<std::int64_t>(before.heap));
  std::printf("}\n");
  std::fflush(stdout);
}

}  // namespace bench
