#include "buffer_pool.hpp"

#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <system_error>

#include "frame_pool.hpp"
#include "reactor.hpp"

#ifdef MOBIUS_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) static_cast<void>(0)
#define ASAN_UNPOISON_MEMORY_REGION(address, size) static_cast<void>(0)
#endif

namespace mobius::detail {

namespace {

void* map(std::size_t bytes) noexcept {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

}  // namespace

std::size_t buffer_pool::ring_bytes() const noexcept { return shape_.most * sizeof(io_uring_buf); }

buffer_pool::buffer_pool(reactor& r, const buffer_shape& shape)
    : buffer_owner(&buffer_pool::lease_ended), reactor_(&r), shape_(shape), entries_(shape.most) {
  ring_ = static_cast<io_uring_buf_ring*>(map(ring_bytes()));
  if (!ring_ || !grow()) {
    free_memory();
    throw std::bad_alloc();
  }
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uint64_t>(ring_);
  registration.ring_entries = shape_.most;
  registration.bgid = shape_.group;
  const int error = io_uring_register_buf_ring(&r.ring().raw(), &registration, 0);
  if (error < 0) {
    free_memory();
    throw std::system_error(-error, std::generic_category(),
                            "io_uring: registering the receive buffers (streams need Linux 6.0 or newer, and "
                            "RLIMIT_MEMLOCK of 64 KiB or more)");
  }
}

buffer_pool::~buffer_pool() { free_memory(); }

void buffer_pool::free_memory() noexcept {
  for (std::byte* chunk : chunks_) {
    ASAN_UNPOISON_MEMORY_REGION(chunk, shape_.chunk_bytes());
    munmap(chunk, shape_.chunk_bytes());
  }
  if (ring_) munmap(ring_, ring_bytes());
}

void buffer_pool::detach() noexcept {
  io_uring_unregister_buf_ring(&reactor_->ring().raw(), shape_.group);
  reactor_ = nullptr;
  release();
}

bool buffer_pool::grow() noexcept {
  if (total_ == shape_.most) return false;
  auto* chunk = static_cast<std::byte*>(map(shape_.chunk_bytes()));
  if (!chunk) return false;
  ASAN_POISON_MEMORY_REGION(chunk, shape_.chunk_bytes());
  chunks_.push_back(chunk);
  for (std::uint16_t i = 0; i < shape_.chunk_buffers(); ++i) provide(total_++);
  return true;
}

// Entry 0 of the ring overlays its tail, hence the address of the array is the ring's own.
void buffer_pool::provide(std::uint16_t id) noexcept {
  auto* slots = reinterpret_cast<io_uring_buf*>(ring_);
  io_uring_buf& slot = slots[tail_ & (shape_.most - 1)];
  slot.addr = reinterpret_cast<std::uint64_t>(data(id));
  slot.len = shape_.buffer_size();
  slot.bid = id;
  ++tail_;
  ++with_kernel_;
  std::atomic_ref(ring_->tail).store(tail_, std::memory_order_release);
}

void buffer_pool::taken([[maybe_unused]] std::uint16_t id, [[maybe_unused]] std::uint32_t size) noexcept {
  --with_kernel_;
  ASAN_UNPOISON_MEMORY_REGION(data(id), size);
}

void buffer_pool::recycle(std::uint16_t id) noexcept {
  ASAN_POISON_MEMORY_REGION(data(id), shape_.buffer_size());
  provide(id);
}

void buffer_pool::lease_ended(buffer_owner* self, std::uint16_t id) noexcept {
  auto& pool = *static_cast<buffer_pool*>(self);
  pool.recycle(id);
  pool.release();
}

buffer_pool* buffers::large() noexcept try {
  if (no_large_) return nullptr;
  if (!large_) large_ = new buffer_pool(reactor_, buffer_pool::large);
  return !large_->dry() || large_->replenish() ? large_ : nullptr;
} catch (const std::exception&) {
  no_large_ = true;
  return nullptr;
}

}  // namespace mobius::detail
