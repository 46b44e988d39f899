// Counts a program's allocations, memory mappings and io_uring_enter calls from outside, by taking the
// place of the C library's functions. Preload it (LD_PRELOAD=libcount_alloc.so) or link it in;
// call_counts.hpp says what is counted. Calls that libc or liburing make inside themselves do not pass here.
#include <liburing.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdlib>

#include "call_counts.hpp"

// glibc's own names for what is replaced here: no dlsym, which would allocate before it can answer.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* block, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
void __libc_free(void* block);
}

namespace {

using counter = std::atomic<std::uint64_t>;
constinit counter allocations{0};
constinit counter frees{0};
constinit counter mappings{0};
constinit counter enters{0};
constinit counter sqes{0};

void count(counter& which) { which.fetch_add(1, std::memory_order_relaxed); }

std::uint64_t value(const counter& which) { return which.load(std::memory_order_relaxed); }

int counted_enter(unsigned fd, unsigned to_submit, unsigned wait_for, unsigned flags, void* argument,
                  std::size_t argument_size) {
  count(enters);
  const long result = syscall(SYS_io_uring_enter, fd, to_submit, wait_for, flags, argument, argument_size);
  if (result > 0) sqes.fetch_add(static_cast<std::uint64_t>(result), std::memory_order_relaxed);
  return result < 0 ? -errno : static_cast<int>(result);
}

}  // namespace

extern "C" {

mobius_bench_call_counts mobius_bench_read_call_counts() {
  return {value(allocations), value(frees), value(mappings), value(enters), value(sqes)};
}

void* malloc(std::size_t size) noexcept {
  count(allocations);
  return __libc_malloc(size);
}

void* calloc(std::size_t number, std::size_t size) noexcept {
  count(allocations);
  return __libc_calloc(number, size);
}

void* realloc(void* block, std::size_t size) noexcept {
  count(allocations);
  return __libc_realloc(block, size);
}

void* memalign(std::size_t alignment, std::size_t size) noexcept {
  count(allocations);
  return __libc_memalign(alignment, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept { return memalign(alignment, size); }

int posix_memalign(void** result, std::size_t alignment, std::size_t size) noexcept {
  void* block = memalign(alignment, size);
  if (block == nullptr) return ENOMEM;
  *result = block;
  return 0;
}

void free(void* block) noexcept {
  if (block == nullptr) return;
  count(frees);
  __libc_free(block);
}

void* mmap(void* address, std::size_t length, int protection, int flags, int fd, off_t offset) noexcept {
  count(mappings);
  return reinterpret_cast<void*>(syscall(SYS_mmap, address, length, protection, flags, fd, offset));
}

void* mmap64(void* address, std::size_t length, int protection, int flags, int fd, off_t offset) noexcept {
  return mmap(address, length, protection, flags, fd, offset);
}

void* mremap(void* address, std::size_t old_size, std::size_t new_size, int flags, ...) noexcept {
  va_list arguments;
  va_start(arguments, flags);
  void* wanted = (flags & MREMAP_FIXED) != 0 ? va_arg(arguments, void*) : nullptr;
  va_end(arguments);
  count(mappings);
  return reinterpret_cast<void*>(syscall(SYS_mremap, address, old_size, new_size, flags, wanted));
}

int io_uring_enter(unsigned fd, unsigned to_submit, unsigned wait_for, unsigned flags, sigset_t* mask) {
  return counted_enter(fd, to_submit, wait_for, flags, mask, _NSIG / 8);
}

int io_uring_enter2(unsigned fd, unsigned to_submit, unsigned wait_for, unsigned flags, sigset_t* argument,
                    std::size_t size) {
  return counted_enter(fd, to_submit, wait_for, flags, argument, size);
}

}  // extern "C"
