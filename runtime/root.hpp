#pragma once
// Detached work: chains of frames that no coroutine awaits (background tasks, coroutines that
// return a deferred). Each is entered in its reactor's list, which cancels and joins it at
// shutdown.

#include "context.hpp"
#include "list_link.hpp"

namespace mobius::detail {

/// The head of a chain of frames: its context, and its place in the reactor's list.
class root : public list_link {
 public:
  /// Enters the list of this thread's reactor, if there is one.
  root() noexcept {
    if (list_link* list = this_thread.roots) link_before(*list);
  }

  context ctx;
};

}  // namespace mobius::detail
