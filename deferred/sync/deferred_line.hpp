#pragma once
// The line of those who wait for a lock, a semaphore or a queue by a deferred: the runtime's line
// of waiters, with Twisted's order of hand-over. An entry lies in the waiting deferred's own block,
// as its canceller.
//
//   in line --hand_over()--> granted: the deferred fires at once, inside the call that handed over
//      |                        |
//      | cancel                 +-- nested 64 deep: its turn is put off until the 64th returns
//      v
//   out of the line, the deferred fails with `cancelled`

#include <cstddef>
#include <optional>
#include <utility>

#include "../../runtime/sync/wait_queue.hpp"
#include "../resolver.hpp"

namespace mobius::detail {

class deferred_line;

/// How deep hand-overs may nest (each runs the next holder's callbacks) before they form a loop.
inline constexpr unsigned hand_over_depth = 64;

/// One who waits by a deferred.
class place_in_line : public canceller, public wait_entry {
 protected:
  place_in_line(canceller::function stop, wait_entry::function on_granted, deferred_line& line, core* c,
                const std::source_location& where);
  ~place_in_line() = default;

  /// Leaves the line because of a cancel. One that has been granted something fires now instead: a
  /// result wins.
  void give_up() noexcept;

  core* core_;  // held as its resolver does, until the entry is granted or withdrawn
  std::source_location where_;

 private:
  friend class deferred_line;
  deferred_line* line_;  // null when it has been destroyed
  bool put_off_ = false;
};

/// The line. Destroyed with entries in it, it breaks them: who waits gets `broken_deferred`.
class deferred_line {
 public:
  deferred_line() = default;
  deferred_line(const deferred_line&) = delete;
  deferred_line& operator=(const deferred_line&) = delete;
  ~deferred_line();

  bool empty() const noexcept { return line_.empty(); }
  /// How many stand in it.
  std::size_t size() const noexcept { return size_; }
  /// The oldest entry; there must be one.
  place_in_line& front() const noexcept { return static_cast<place_in_line&>(line_.front()); }
  /// Fires the oldest entry; there must be one.
  void hand_over() noexcept;

 private:
  friend class place_in_line;
  static void abandon(place_in_line& p) noexcept;

  wait_queue line_;
  std::size_t size_ = 0;
};

/// An entry that fires a `deferred<T>`.
template <class T>
class typed_place final : public place_in_line {
  using stored = stored_t<T>;

 public:
  typed_place(deferred_line& line, core* c, const std::source_location& where)
      : place_in_line(&typed_place::act_on, &typed_place::on_granted, line, c, where) {}

  /// What it will fire with; before it is granted.
  template <class V>
  void give(V&& value) {
    value_.emplace(std::forward<V>(value));
  }

 private:
  static void on_granted(wait_entry* e) noexcept {
    auto* self = static_cast<typed_place*>(e);
    core* c = self->core_;
    cell<stored>::make(c->slot, std::move(*self->value_));
    c->ops = &ops_of<stored>;
    c->result = kind::value;
    fired_now(c, self->where_);  // which ends the life of `self`, unless a cancel holds it
    drop_resolver(c);
  }
  static cancel_reply act_on(canceller* c, core* target, step what) {
    auto* self = static_cast<typed_place*>(c);
    if (what == step::run) {
      self->give_up();
    } else {
      self->~typed_place();
      target->deallocate(self, sizeof(typed_place));
    }
    return cancel_reply::done;
  }

  std::optional<stored> value_;
};

/// A deferred whose entry stands at the end of the line.
template <class T>
std::pair<deferred<T>, typed_place<T>*> stand_in_line(deferred_line& line,
                                                      const std::source_location& where) {
  using entry = typed_place<T>;
  static_assert(alignof(entry) <= 16);
  core* c = make_core(core::consumed, where);
  deferred<T> d = deferred_access::of_core<T>(c);
  auto* made = new (c->allocate(sizeof(entry), alignof(entry))) entry(line, c, where);
  c->stop = made;
  return {std::move(d), made};
}

/// A deferred<T&> that has `object`.
template <class T>
deferred<T&> succeed_with(T& object) {
  deferred<T&> d;
  handle_of(d).set_value(&object);
  return d;
}

}  // namespace mobius::detail
