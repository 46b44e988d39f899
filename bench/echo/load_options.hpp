// The command line of echo_load:
//
// echo_load --port N [--connections 64] [--active N] [--size 64] [--depth 1] [--warmup 10000]
//           [--messages 100000] [--time-limit 30]
//
// With --active only so many of the connections, evenly spread, send; the others stay open and silent.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "server_stats.hpp"

namespace bench {

/// What echo_load is to do. The constructor reads the command line; what is wrong there ends the program with
/// a text on stderr.
struct load_options {
  load_options(int argc, char** argv);

  std::uint64_t port = 0;
  std::uint64_t connections = 64;
  std::uint64_t active = 0;  ///< of the connections, 0: all
  std::uint64_t size = 64;
  std::uint64_t depth = 1;
  std::uint64_t warmup = 10'000;
  std::uint64_t messages = 100'000;
  std::uint64_t time_limit = 30;

 private:
  std::uint64_t* find(std::string_view name);
};

inline std::uint64_t* load_options::find(std::string_view name) {
  struct entry {
    std::string_view name;
    std::uint64_t* value;
  };
  const std::array<entry, 8> all{{{"--port", &port},
                                  {"--connections", &connections},
                                  {"--active", &active},
                                  {"--size", &size},
                                  {"--depth", &depth},
                                  {"--warmup", &warmup},
                                  {"--messages", &messages},
                                  {"--time-limit", &time_limit}}};
  for (const entry& e : all) {
    if (e.name == name) return e.value;
  }
  return nullptr;
}

inline load_options::load_options(int argc, char** argv) {
  for (int i = 1; i < argc; i += 2) {
    std::uint64_t* value = find(argv[i]);
    if (!value) {
      std::fprintf(stderr, "echo_load does not know the option %s\n", argv[i]);
      std::exit(2);
    }
    *value = parse_number(argv[i], argv[i + 1]);
  }
  if (active == 0) active = connections;
  if (port != 0 && port <= 0xffff && active <= connections && connections != 0 && size != 0 && depth != 0)
    return;
  std::fputs(
      "echo_load needs a --port, connections, size and depth above 0, and active at most connections\n",
      stderr);
  std::exit(2);
}

}  // namespace bench
