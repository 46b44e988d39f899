#pragma once
// The stages of a chain, laid one behind the other: first behind their core, and when that is full
// in further blocks of the pool, each entered by a jump from the one before.
//
//   core | stage | stage | ... | jump      block: | stage | stage | ...
//          ^ next: runs first    |                ^               ^ end: the next one goes here
//                                +----------------+
//
// A stage is its type, where it was added, and its closure: 24 bytes with a capture of 8.

#include <cstddef>
#include <cstdint>
#include <new>
#include <source_location>
#include <utility>

#include "../runtime/frame_pool.hpp"

namespace mobius::detail {

struct core;
struct stage;

/// What all stages of one kind have in common.
struct stage_type {
  static constexpr std::uint8_t on_value = 1;
  static constexpr std::uint8_t on_failure = 2;
  static constexpr std::uint8_t on_both = on_value | on_failure;

  /// Takes the stage, which is the first, out of the list, runs it and destroys it. True: its core
  /// waits now, and keeps the stage until that ends.
  bool (*run)(stage*, core*) noexcept;
  /// Destroys it unrun; null if there is nothing to do.
  void (*destroy)(stage*, core*) noexcept;
  std::uint16_t size;  // as far as this the next one lies
  std::uint8_t wants;  // which results it runs on
};

/// One slot of a chain.
struct stage {
  explicit stage(const stage_type& t) noexcept : type(&t) {}
  stage(const stage&) = delete;
  stage& operator=(const stage&) = delete;

  const stage_type* type;
};

/// A stage that a user added, and where.
struct placed_stage : stage {
  placed_stage(const stage_type& t, const std::source_location& site) noexcept : stage(t), where(site) {}

  std::source_location where;
};

/// The stages that have not begun to run.
class stage_list {
 public:
  static constexpr std::size_t unit = alignof(void*);
  static constexpr std::size_t block = 512;  // what is taken from the pool when the room is used up
  static constexpr std::size_t largest = 256;

  static constexpr std::size_t rounded(std::size_t bytes) noexcept {
    return (bytes + unit - 1) & ~(unit - 1);
  }

  stage_list(const stage_list&) = delete;
  stage_list& operator=(const stage_list&) = delete;

  bool empty() const noexcept { return next_ == end_; }
  /// True if it has left home.
  bool grown() const noexcept { return grown_; }

  /// The one that is to run first.
  stage* front() const noexcept { return std::launder(reinterpret_cast<stage*>(next_)); }
  /// Takes that one out, `s`, of this size; it stays where it is.
  void pop(stage* s, std::size_t size) noexcept { next_ = reinterpret_cast<std::byte*>(s) + size; }

  /// Calls `f` for each that a user added.
  template <class F>
  void for_each(F f) const {
    const std::byte* at = next_;
    while (at != end_) {
      const auto* s = std::launder(reinterpret_cast<const stage*>(at));
      if (s->type == &jump_type) {
        at = static_cast<const jump*>(s)->to;
      } else {
        f(static_cast<const placed_stage&>(*s));
        at += s->type->size;
      }
    }
  }

 protected:
  /// True if there is room for a stage of `size` bytes.
  bool has_room(std::size_t size) const noexcept { return room_ >= size; }
  /// Makes an `S` at the end, where there is room.
  template <class S, class... Args>
  void put(Args&&... args) {
    constexpr std::size_t size = rounded(sizeof(S));
    new (static_cast<void*>(end_)) S(std::forward<Args>(args)...);
    end_ += size;
    room_ = static_cast<std::uint16_t>(room_ - size);
  }
  /// Goes on in a new block, with room for any stage. Throws std::bad_alloc.
  void grow();

  /// `home`: `bytes` that lie behind the core.
  stage_list(std::byte* home, std::size_t bytes) noexcept
      : next_(home), end_(home), room_(static_cast<std::uint16_t>(bytes - sizeof(jump))) {}
  ~stage_list() = default;

  /// Memory at home in front of the first stage, or null if there is a stage or too little room.
  void* take_front(std::size_t bytes) noexcept {
    const std::size_t size = rounded(bytes);
    if (!empty() || grown_ || room_ < size) return nullptr;
    void* taken = end_;
    next_ = end_ += size;
    room_ = static_cast<std::uint16_t>(room_ - size);
    return taken;
  }

  /// Begins anew at home; the list must be empty, and nothing of what was in it in use.
  void rewind(std::byte* home, std::size_t bytes) noexcept {
    free_last_block();
    next_ = end_ = home;
    room_ = static_cast<std::uint16_t>(bytes - sizeof(jump));
  }
  /// Gives the block back in which an empty list ended, if that was not home.
  void free_last_block() noexcept {
    if (grown_) [[unlikely]]
      free_frame(std::exchange(end_, nullptr) + room_ + sizeof(jump) - block, block);
    grown_ = false;
  }

 private:
  // Behind the last stage of a block that has a successor. It counts as a stage for every result.
  struct jump : stage {
    explicit jump(std::byte* target) noexcept : stage(jump_type), to(target) {}
    std::byte* to;
  };
  // What a block begins with: the block before, null if that is home.
  struct block_head {
    std::byte* before;
  };
  static const stage_type jump_type;

  static bool follow(stage* s, core* c) noexcept;
  static void pass(stage* s, core* c) noexcept;

  std::byte* next_;
  std::byte* end_;
  std::uint16_t room_;  // behind `end_`, without that for a jump
  bool grown_ = false;  // the list does not end at home
};

}  // namespace mobius::detail
