#include "allocations.hpp"

std::size_t allocations = 0;

// glibc's own entry: this malloc only counts.
extern "C" void* __libc_malloc(std::size_t size);
extern "C" void* malloc(std::size_t size) {
  ++allocations;
  return __libc_malloc(size);
}
