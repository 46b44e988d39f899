// What bench/count_alloc.cpp counts, and how a program asks for it. The counter is preloaded
// (LD_PRELOAD) or linked in; without it the weak symbol below is null.
#pragma once

#include <cstdint>

/// Totals of the process so far. `operator new` ends in malloc, so it is among the allocations.
struct mobius_bench_call_counts {
  std::uint64_t allocations;  ///< malloc, calloc, realloc, aligned_alloc, posix_memalign, memalign
  std::uint64_t frees;        ///< free of something
  std::uint64_t mappings;     ///< mmap and mremap
  std::uint64_t enters;       ///< io_uring_enter and io_uring_enter2, where a program calls them itself
  std::uint64_t sqes;         ///< entries those calls submitted
};

extern "C" __attribute__((weak)) mobius_bench_call_counts mobius_bench_read_call_counts();
