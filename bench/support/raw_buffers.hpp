// A ring of provided buffers for the floor programs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "raw_ring.hpp"

namespace bench {

/// The provided-buffer ring. Buffers given back are published once per turn.
class buffer_ring {
 public:
  static constexpr std::size_t bytes_each = 16 * 1024;

  buffer_ring(raw_ring& ring, unsigned count);
  std::byte* at(int id) { return memory_.get() + static_cast<std::size_t>(id) * bytes_each; }
  void give_back(int id);
  void publish();
  void taken() { --free_; }
  unsigned available() const { return free_; }
  unsigned size() const { return count_; }

 private:
  unsigned count_;
  unsigned free_ = 0;
  int unpublished_ = 0;
  std::unique_ptr<std::byte[]> memory_;
  std::unique_ptr<void, void (*)(void*)> entries_;
  io_uring_buf_ring* shared_;
};

inline buffer_ring::buffer_ring(raw_ring& ring, unsigned count)
    : count_(count),
      memory_(new std::byte[count * bytes_each]{}),  // zeroed: no page fault is left for the measurement
      entries_(std::aligned_alloc(4096, (count * sizeof(io_uring_buf) + 4095) / 4096 * 4096), std::free),
      shared_(static_cast<io_uring_buf_ring*>(entries_.get())) {
  std::memset(entries_.get(), 0, count * sizeof(io_uring_buf));
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uintptr_t>(shared_);
  registration.ring_entries = count;
  const int error = io_uring_register_buf_ring(ring.native(), &registration, 0);
  if (error < 0) die("io_uring_register(PBUF_RING)", -error);
  for (unsigned id = 0; id < count; ++id) give_back(static_cast<int>(id));
  publish();
}

inline void buffer_ring::give_back(int id) {
  io_uring_buf_ring_add(shared_, at(id), bytes_each, static_cast<unsigned short>(id),
                        static_cast<int>(count_ - 1), unpublished_);
  ++unpublished_;
}

inline void buffer_ring::publish() {
  if (unpublished_ == 0) return;
  io_uring_buf_ring_advance(shared_, unpublished_);
  free_ += static_cast<unsigned>(unpublished_);
  unpublished_ = 0;
}

}  // namespace bench
