#pragma once
// How the value of a deferred is kept: in place if it is small and its move cannot throw, else in
// a pooled box, so that handing it over is always a few instructions that cannot fail.

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "../runtime/frame_pool.hpp"
#include "../runtime/result.hpp"

namespace mobius::detail {

inline constexpr std::size_t slot_size = 40;

/// What may be done to a value whose type is no longer known.
struct value_ops {
  void (*destroy)(void* slot) noexcept;             // null: nothing to do
  void (*relocate)(void* to, void* from) noexcept;  // null: copy the bytes
};

template <class S>
inline constexpr bool kept_in_place = sizeof(S) <= slot_size &&
                                      alignof(S) <= alignof(void*) && std::is_nothrow_move_constructible_v<S>;

/// Access to a value of type `S` in raw storage of `cell<S>::size` bytes.
template <class S>
struct cell {
  static constexpr bool boxed = !kept_in_place<S>;
  static constexpr std::size_t size = boxed ? sizeof(void*) : sizeof(S);
  static constexpr bool trivial = !boxed && std::is_trivially_copyable_v<S>;

  static S& get(void* slot) noexcept {
    if constexpr (boxed) {
      return **static_cast<S**>(slot);
    } else {
      return *std::launder(static_cast<S*>(slot));
    }
  }

  template <class... Args>
  static void make(void* slot, Args&&... args) {
    if constexpr (boxed) {
      void* box = allocate_frame(sizeof(S));
      try {
        new (box) S(std::forward<Args>(args)...);
      } catch (...) {
        free_frame(box, sizeof(S));
        throw;
      }
      *static_cast<void**>(slot) = box;
    } else {
      new (slot) S(std::forward<Args>(args)...);
    }
  }

  /// Moves the value; what is left in `from` needs no destroy.
  static void relocate(void* to, void* from) noexcept {
    if constexpr (boxed) {
      *static_cast<void**>(to) = *static_cast<void**>(from);
    } else {
      S& value = get(from);
      new (to) S(std::move(value));
      value.~S();  // NOLINT(bugprone-use-after-move): what was moved from is destroyed
    }
  }

  static void destroy(void* slot) noexcept {
    S& value = get(slot);
    value.~S();
    if constexpr (boxed) free_frame(&value, sizeof(S));
  }
};

template <class S>
inline constexpr value_ops ops_of{
    cell<S>::boxed || !std::is_trivially_destructible_v<S> ? &cell<S>::destroy : nullptr,
    cell<S>::boxed || cell<S>::trivial ? nullptr : &cell<S>::relocate};

/// A stored value as a callback gets it: an rvalue, the referred object, or nothing for void.
template <class T>
decltype(auto) as_argument(stored_t<T>& value) noexcept {
  if constexpr (std::is_reference_v<T>) {
    return static_cast<T>(*value);
  } else {
    return std::move(value);
  }
}

}  // namespace mobius::detail
