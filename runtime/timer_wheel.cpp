#include "timer_wheel.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace mobius::detail {

timer_wheel::place timer_wheel::place_of(std::int64_t deadline) const noexcept {
  const auto difference = static_cast<std::uint64_t>(deadline ^ position_);
  const unsigned level = difference == 0 ? 0 : (static_cast<unsigned>(std::bit_width(difference)) - 1) / bits;
  const auto index = static_cast<unsigned>(static_cast<std::uint64_t>(deadline) >> (level * bits)) % slots;
  return {level, index};
}

void timer_wheel::add(timer& t, std::int64_t deadline) noexcept {
  t.deadline = std::max(deadline, position_);
  insert(t);
  ++size_;
}

void timer_wheel::insert(timer& t) noexcept {
  const place where = place_of(t.deadline);
  slot& s = wheel_[where.level][where.index];
  t.previous = s.last;
  t.next = nullptr;
  if (s.last) {
    s.last->next = &t;
    s.earliest = std::min(s.earliest, t.deadline);
  } else {
    s.first = &t;
    s.earliest = t.deadline;
    used_[where.level] |= 1ULL << where.index;
    used_levels_ |= 1U << where.level;
  }
  s.last = &t;
}

void timer_wheel::unlink(timer& t, place where) noexcept {
  slot& s = wheel_[where.level][where.index];
  (t.previous ? t.previous->next : s.first) = t.next;
  (t.next ? t.next->previous : s.last) = t.previous;
  if (s.first) return;
  used_[where.level] &= ~(1ULL << where.index);
  if (used_[where.level] == 0) used_levels_ &= ~(1U << where.level);
}

void timer_wheel::cancel(timer& t) noexcept {
  if (!t.armed()) return;
  unlink(t, place_of(t.deadline));
  t.deadline = timer::idle;
  --size_;
}

std::optional<std::int64_t> timer_wheel::next_deadline() const noexcept {
  if (used_levels_ == 0) return std::nullopt;
  const auto level = static_cast<unsigned>(std::countr_zero(used_levels_));
  const auto index = static_cast<unsigned>(std::countr_zero(used_[level]));
  return wheel_[level][index].earliest;
}

void timer_wheel::advance(std::int64_t now) noexcept {
  while (used_levels_ != 0) {
    const auto level = static_cast<unsigned>(std::countr_zero(used_levels_));
    const auto index = static_cast<unsigned>(std::countr_zero(used_[level]));
    const unsigned shift = level * bits;
    const std::int64_t above = (position_ >> shift >> bits) << shift << bits;
    const std::int64_t start = above | (static_cast<std::int64_t>(index) << shift);
    if (start > now) break;
    position_ = start;
    if (level == 0) {
      fire_slot(wheel_[0][index]);
    } else {
      cascade({level, index});
    }
  }
  position_ = std::max(position_, now);
}

void timer_wheel::fire_slot(slot& due) noexcept {
  while (timer* t = due.first) {
    unlink(*t, place_of(t->deadline));
    t->deadline = timer::idle;
    --size_;
    t->fire(t);
  }
}

void timer_wheel::cascade(place where) noexcept {
  slot& s = wheel_[where.level][where.index];
  timer* t = std::exchange(s.first, nullptr);
  s.last = nullptr;
  used_[where.level] &= ~(1ULL << where.index);
  if (used_[where.level] == 0) used_levels_ &= ~(1U << where.level);
  while (t) insert(*std::exchange(t, t->next));
}

}  // namespace mobius::detail
