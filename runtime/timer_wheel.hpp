#pragma once
// Timers: a hierarchical wheel of 64-way levels over nanoseconds, with intrusive entries. Adding
// and cancelling cost the same at any number of timers. Timers fire never early, in the order of
// their deadlines, equal deadlines in the order they were added, across any jump of the clock.
//
// A timer stands at the level of the highest 6-bit digit in which its deadline differs from the
// wheel's position, in the slot of that digit. As the position enters a slot, the slot's timers
// move to lower levels (keeping their order); at level 0 a slot is one exact deadline. So timers
// with equal deadlines always share a slot, and the lowest level that holds any is the next due.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace mobius::detail {

/// An entry of the wheel; it lives in what waits for it.
struct timer {
  using function = void (*)(timer*) noexcept;

  explicit timer(function f) noexcept : fire(f) {}
  timer(const timer&) = delete;
  timer& operator=(const timer&) = delete;

  timer* previous = nullptr;
  timer* next = nullptr;
  std::int64_t deadline = idle;  // nanoseconds of the reactor's clock
  function fire;                 // called once, with the timer out of the wheel

  static constexpr std::int64_t idle = -1;
  bool armed() const noexcept { return deadline != idle; }
};

class timer_wheel {
 public:
  /// A wheel whose clock stands at `now`.
  explicit timer_wheel(std::int64_t now) noexcept : position_(now) {}
  timer_wheel(const timer_wheel&) = delete;
  timer_wheel& operator=(const timer_wheel&) = delete;

  /// Arms an idle timer; a deadline in the past is due at once.
  void add(timer& t, std::int64_t deadline) noexcept;
  /// Disarms a timer; no effect on an idle one.
  void cancel(timer& t) noexcept;
  /// Fires all that is due at `now`, in order.
  void advance(std::int64_t now) noexcept;

  /// A time at which it is worth calling advance(): the next deadline, or earlier if timers were
  /// cancelled. Empty without timers.
  std::optional<std::int64_t> next_deadline() const noexcept;
  /// How many timers are armed.
  std::size_t size() const noexcept { return size_; }

 private:
  static constexpr unsigned bits = 6;
  static constexpr unsigned slots = 1U << bits;
  static constexpr unsigned levels = (63 + bits - 1) / bits;

  struct slot {
    timer* first = nullptr;
    timer* last = nullptr;
    std::int64_t earliest = 0;  // exact while nothing is cancelled, never late
  };
  struct place {
    unsigned level;
    unsigned index;
  };

  place place_of(std::int64_t deadline) const noexcept;
  void insert(timer& t) noexcept;
  void unlink(timer& t, place where) noexcept;
  void fire_slot(slot& due) noexcept;
  void cascade(place where) noexcept;

  std::int64_t position_;
  std::size_t size_ = 0;
  std::uint32_t used_levels_ = 0;             // bit k: level k holds timers
  std::array<std::uint64_t, levels> used_{};  // bit i: slot i of that level does
  std::array<std::array<slot, slots>, levels> wheel_{};
};

}  // namespace mobius::detail
