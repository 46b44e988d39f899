#pragma once
// The bytes that a transport has been given and not yet sent: a list of pooled pieces. Small writes
// are put together, large ones are taken over where they are.

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <variant>

#include "../../runtime/buffer_pool.hpp"
#include "../../runtime/frame_pool.hpp"
#include "../stream.hpp"

namespace mobius::net::detail {

namespace core = mobius::detail;

/// A piece of output; its bytes lie behind it, or in a lease or string that it holds.
class send_piece {
 public:
  send_piece(const send_piece&) = delete;
  send_piece& operator=(const send_piece&) = delete;

  /// One with room for `size` bytes, or somewhat more for those that follow.
  static send_piece* make(std::size_t size);
  /// One that holds a lease or string.
  template <class Held>
  static send_piece* holding(Held&& held) {
    auto* piece = new (core::allocate_frame(sizeof(send_piece))) send_piece(sizeof(send_piece));
    auto& kept = piece->held_.template emplace<std::remove_cvref_t<Held>>(std::forward<Held>(held));
    const auto bytes = const_buffer(kept).bytes();
    piece->data_ = bytes.data();
    piece->size_ = bytes.size();
    return piece;
  }
  /// Ends it.
  void free() noexcept {
    const std::size_t block = block_;
    this->~send_piece();
    core::free_frame(this, block);
  }

  /// Adds as many of the bytes as there is room for; gives how many.
  std::size_t append(std::span<const std::byte> bytes) noexcept;
  /// Its bytes.
  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }

  send_piece* next = nullptr;

 private:
  explicit send_piece(std::size_t block) noexcept : block_(block) {}
  ~send_piece() = default;

  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t room_ = 0;
  std::size_t block_;
  std::variant<std::monostate, lease, std::string> held_;
};

/// A list of pieces, first in first out.
class send_queue {
 public:
  send_queue() noexcept = default;
  send_queue(const send_queue&) = delete;
  send_queue& operator=(const send_queue&) = delete;
  ~send_queue() { clear(); }

  bool empty() const noexcept { return first_ == nullptr; }
  /// Adds a copy.
  void append(std::span<const std::byte> bytes);
  /// Adds a piece.
  void push(send_piece* piece) noexcept {
    (first_ ? last_->next : first_) = piece;
    last_ = piece;
  }
  /// Takes the first piece out; there must be one.
  send_piece* pop() noexcept {
    send_piece* piece = std::exchange(first_, first_->next);
    piece->next = nullptr;
    return piece;
  }
  void clear() noexcept {
    while (first_) pop()->free();
  }

 private:
  send_piece* first_ = nullptr;
  send_piece* last_ = nullptr;
};

}  // namespace mobius::net::detail
