#pragma once
// Where coroutine frames and other short-lived blocks come from: thread-local free lists, one
// per multiple of 64 bytes. A block may be freed on another thread; it joins that thread's list.

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define MOBIUS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MOBIUS_ASAN 1
#endif
#endif

namespace mobius::detail {

struct free_block {
  free_block* next;
};

struct frame_pool {
  static constexpr std::size_t granule = 64;
  static constexpr std::size_t classes = 64;  // up to 4 KiB

  free_block* lists[classes + 1];
  std::size_t live;  // blocks handed out by this thread less those it took back
  bool closed;       // the thread is ending: keep nothing
  long* allowance;   // tests: how many blocks may still come from the heap; null for any number
};

// initial-exec: one load from the thread's own block instead of a call, also under -fPIC.
extern thread_local constinit frame_pool this_pool __attribute__((tls_model("initial-exec")));

void* allocate_block(std::size_t bytes);
void free_block_slow(void* block) noexcept;

/// A block of at least `size` bytes, aligned to 16; throws std::bad_alloc.
inline void* allocate_frame(std::size_t size) {
  frame_pool& pool = this_pool;
#ifndef MOBIUS_ASAN  // there every block is malloc's own, so that a use after free is seen
  const std::size_t size_class = (size + frame_pool::granule - 1) / frame_pool::granule;
  if (size_class <= frame_pool::classes) {
    if (free_block* block = pool.lists[size_class]) [[likely]] {
      pool.lists[size_class] = block->next;
      ++pool.live;
      return block;
    }
    size = size_class * frame_pool::granule;
  }
#endif
  void* block = allocate_block(size);
  ++pool.live;
  return block;
}

/// Gives back a block that was allocated with the same `size`.
inline void free_frame(void* memory, std::size_t size) noexcept {
  frame_pool& pool = this_pool;
  --pool.live;
#ifndef MOBIUS_ASAN
  const std::size_t size_class = (size + frame_pool::granule - 1) / frame_pool::granule;
  if (size_class <= frame_pool::classes && !pool.closed) [[likely]] {
    auto* block = static_cast<free_block*>(memory);
    block->next = pool.lists[size_class];
    pool.lists[size_class] = block;
    return;
  }
#else
  (void)size;
#endif
  free_block_slow(memory);
}

/// Frames and blocks that this thread has handed out and not taken back.
inline std::size_t live_frames() noexcept { return this_pool.live; }

/// What a promise inherits to have its frame pooled.
struct pooled {
  static void* operator new(std::size_t size) { return allocate_frame(size); }
  static void operator delete(void* frame, std::size_t size) noexcept { free_frame(frame, size); }
};

}  // namespace mobius::detail
