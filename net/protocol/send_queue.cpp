#include "send_queue.hpp"

#include <algorithm>
#include <cstring>
#include <new>

namespace mobius::net::detail {

namespace {

constexpr std::size_t largest_pooled = core::frame_pool::classes * core::frame_pool::granule;
// Copies up to this size lie in blocks of the pool, larger ones in one block of their own.
constexpr std::size_t most_in_pool = 16 * 1024;

std::size_t block_for(std::size_t size) noexcept {
  for (const std::size_t block : {std::size_t{256}, std::size_t{1024}, largest_pooled})
    if (size + sizeof(send_piece) <= block) return block;
  return size <= most_in_pool ? largest_pooled : size + sizeof(send_piece);
}

// The first piece is of the size of what it is for, so that a small answer takes a small block. Where
// one is not enough more will come, and few large pieces leave better than many small ones.
std::size_t wanted(bool first, std::size_t size) noexcept {
  return first ? size : std::max(size, largest_pooled - sizeof(send_piece));
}

}  // namespace

send_piece* send_piece::make(std::size_t size) {
  const std::size_t block = block_for(size);
  auto* piece = new (core::allocate_frame(block)) send_piece(block);
  piece->data_ = reinterpret_cast<const std::byte*>(piece + 1);
  piece->room_ = block - sizeof(send_piece);
  return piece;
}

std::size_t send_piece::append(std::span<const std::byte> bytes) noexcept {
  const std::size_t part = std::min(room_, bytes.size());
  if (part != 0) std::memcpy(const_cast<std::byte*>(data_) + size_, bytes.data(), part);
  size_ += part;
  room_ -= part;
  return part;
}

void send_queue::append(std::span<const std::byte> bytes) {
  if (first_) bytes = bytes.subspan(last_->append(bytes));
  while (!bytes.empty()) {
    push(send_piece::make(wanted(!first_, bytes.size())));
    bytes = bytes.subspan(last_->append(bytes));
  }
}

}  // namespace mobius::net::detail
