// What the client programs of the bench share: `--url BASE --requests N --connections N`, and the
// measurement. A program asks for the twenty pages below BASE in turn, as many at once as it has connections,
// checks every answer, and prints one line of JSON.
#pragma once

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "call_counts.hpp"
#include "server_stats.hpp"

namespace bench {

/// What is asked for, how far it has come, and what it took.
class client_run {
 public:
  client_run(int argc, char** argv) {
    for (int i = 1; i + 1 < argc; i += 2) {
      const std::string_view option = argv[i];
      if (option == "--url") base_ = argv[i + 1];
      if (option == "--requests") requests_ = parse_number(option, argv[i + 1]);
      if (option == "--connections") connections_ = parse_number(option, argv[i + 1]);
    }
    for (int page = 0; page < 20; ++page) {
      const std::string number = {static_cast<char>('0' + page / 10), static_cast<char>('0' + page % 10)};
      urls_.push_back(base_ + "/page/" + number);
      bodies_.push_back("Hello, page " + number);
    }
    begin_ = now();
  }

  std::uint64_t connections() const { return connections_; }
  /// True as long as another request is to be made; each call counts one.
  bool more() { return asked_ < requests_ && ++asked_ != 0; }
  /// The page of the request that was counted last, and a page's URL.
  std::size_t page() const { return asked_ % urls_.size(); }
  const std::string& url(std::size_t page) const { return urls_[page]; }
  /// Ends the program unless that is the page's text.
  void check(std::size_t page, std::string_view text) {
    ++answered_;
    if (text == bodies_[page]) return;
    std::fprintf(stderr, "%s gave '%.*s'\n", urls_[page].c_str(), static_cast<int>(text.size()), text.data());
    std::exit(1);
  }
  /// The line of JSON.
  void print() const {
    const auto end = now();
    std::printf("{\"requests\": %" PRIu64 ", \"cpu_ns\": %" PRIu64 ", \"wall_ns\": %" PRIu64
                ", \"allocations\": ",
                answered_, end.cpu - begin_.cpu, end.wall - begin_.wall);
    if (mobius_bench_read_call_counts == nullptr) {
      std::puts("null}");
    } else {
      std::printf("%" PRIu64 "}\n", end.allocations - begin_.allocations);
    }
    std::fflush(stdout);
  }

 private:
  struct moment {
    std::uint64_t cpu;
    std::uint64_t wall;
    std::uint64_t allocations;
  };
  static moment now() {
    const bool counted = mobius_bench_read_call_counts != nullptr;
    return {clock_ns(CLOCK_PROCESS_CPUTIME_ID), clock_ns(CLOCK_MONOTONIC),
            counted ? mobius_bench_read_call_counts().allocations : 0};
  }

  std::string base_ = "http://127.0.0.1:80";
  std::uint64_t requests_ = 10'000;
  std::uint64_t connections_ = 64;
  std::uint64_t asked_ = 0;
  std::uint64_t answered_ = 0;
  std::vector<std::string> urls_;
  std::vector<std::string> bodies_;
  moment begin_;
};

}  // namespace bench
