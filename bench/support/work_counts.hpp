// What every program of the bench needs: counts of a loop's work, and an end with a text.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace bench {

/// What a loop asked of the kernel so far.
struct work_counts {
  std::uint64_t enters = 0;  ///< calls of io_uring_enter
  std::uint64_t sqes = 0;    ///< entries submitted
  std::uint64_t cqes = 0;    ///< completions reaped
};

/// Ends the program with "what: reason" on stderr.
[[noreturn]] inline void die(const char* what, int error) {
  std::fprintf(stderr, "%s: %s\n", what, std::strerror(error));
  std::exit(1);
}

}  // namespace bench
