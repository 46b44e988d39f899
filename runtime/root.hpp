#pragma once
// Detached work: chains of frames that no coroutine awaits (background tasks, coroutines that
// return a deferred). Each is entered in its reactor's list, which cancels and joins it at
// shutdown.

#include "context.hpp"

namespace mobius::detail {

/// The head of a chain of frames: its context, and its place in the reactor's list.
class root {
 public:
  /// Enters the list of this thread's reactor, if there is one.
  root() noexcept : root(this_thread.roots) {}
  /// Enters `list`; none if null.
  explicit root(root* list) noexcept {
    if (!list) return;
    previous_ = list;
    next_ = list->next_;
    previous_->next_ = this;
    next_->previous_ = this;
  }
  root(const root&) = delete;
  root& operator=(const root&) = delete;
  ~root() {
    previous_->next_ = next_;
    next_->previous_ = previous_;
  }

  /// Its neighbour in the list; the list's head when this is the last.
  root* next() const noexcept { return next_; }
  /// True if it stands in no list, or is a list without entries.
  bool alone() const noexcept { return next_ == this; }

  context ctx;

 private:
  root* previous_ = this;
  root* next_ = this;
};

}  // namespace mobius::detail
