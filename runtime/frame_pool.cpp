#include "frame_pool.hpp"

#include <cstdlib>
#include <new>

namespace mobius::detail {

thread_local constinit frame_pool this_pool{};

namespace {

// Frees what the lists hold when the thread ends. The pool itself has no destructor, so that
// reaching it costs no guard; whatever is freed after this goes straight to free().
struct pool_closer {
  ~pool_closer() {
    frame_pool& pool = this_pool;
    pool.closed = true;
    for (free_block*& list : pool.lists) {
      while (free_block* block = list) {
        list = block->next;
        std::free(block);
      }
    }
  }
};

}  // namespace

void* allocate_block(std::size_t bytes) {
  thread_local pool_closer closer;
  static_cast<void>(&closer);
  if (long* left = this_pool.allowance; left && (*left)-- <= 0) throw std::bad_alloc();
  if (void* block = std::malloc(bytes)) return block;
  throw std::bad_alloc();
}

void free_block_slow(void* block) noexcept { std::free(block); }

}  // namespace mobius::detail
