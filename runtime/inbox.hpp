#pragma once
// How other threads reach a reactor: a lock-free stack of nodes, and an eventfd that wakes the
// loop if it sleeps.

#include <atomic>

#include "context.hpp"

namespace mobius::detail {

/// Many producers, one consumer. It is shared, so that a thread that still works for a reactor
/// may outlive it.
class inbox {
 public:
  inbox();
  inbox(const inbox&) = delete;
  inbox& operator=(const inbox&) = delete;
  ~inbox();

  /// Hands a node over; from any thread. False, and nothing done, if the reactor has ended.
  bool push(node* n) noexcept;
  /// Makes the loop turn; from any thread and from a signal handler.
  void wake() noexcept;

  /// Moves all that has arrived to the end of `out`, oldest first. Consumer only.
  void take(node_queue& out) noexcept;
  /// Says that the loop is about to sleep; false if there is something to take. Consumer only.
  bool prepare_sleep() noexcept;
  /// Says that it no longer sleeps. Consumer only.
  void awake() noexcept { sleeping_.store(false, std::memory_order_relaxed); }
  /// Refuses all that comes after; what has arrived is moved to `out`. Consumer only.
  void close(node_queue& out) noexcept;

  /// The descriptor that becomes readable at a wake-up.
  int event_fd() const noexcept { return event_fd_; }

 private:
  static void push_reversed(node* newest, node_queue& out) noexcept;

  std::atomic<node*> newest_{nullptr};
  std::atomic<bool> sleeping_{false};
  int event_fd_;
};

}  // namespace mobius::detail
