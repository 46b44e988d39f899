#pragma once
// What a reactor is made with, and what it tells of itself.

#include <chrono>
#include <cstdint>
#include <stdexcept>

namespace mobius {

class reactor;

/// A clock for tests, in place of the monotonic one. It jumps to the next timer when nothing is
/// ready and no kernel operation, offloaded call or child is outstanding, except those marked
/// idle; otherwise a test moves it with `advance`.
class virtual_clock {
 public:
  /// The time that the reactor sees.
  std::chrono::steady_clock::time_point now() const noexcept { return now_; }
  /// Moves the time forward; what became due runs in the reactor's next turn.
  void advance(std::chrono::nanoseconds by) noexcept { now_ += by; }
  /// Whether it jumps by itself; on by default.
  bool jumps = true;

 private:
  friend class reactor;
  std::chrono::steady_clock::time_point now_{std::chrono::seconds(1)};
};

/// How a reactor is made.
struct reactor_options {
  /// Size of the submission queue; halved as often as needed where memory is locked down.
  unsigned submission_entries = 1024;
  /// Size of the completion queue; large, as it also sizes the kernel's table for cancels.
  unsigned completion_entries = 8192;
  /// Whether SIGINT and SIGTERM end `run` (they do so only where their disposition is default).
  bool signals = true;
  /// A clock for tests; it must outlive the reactor.
  virtual_clock* clock = nullptr;
  /// How many threads `offload` may use at most.
  unsigned max_threads = 16;
};

/// What a reactor has done so far.
struct reactor_stats {
  std::uint64_t turns;        // times round the loop
  std::uint64_t enters;       // system calls made
  std::uint64_t submissions;  // operations given to the kernel, cancels included
  std::uint64_t completions;  // results taken from it
};

/// Thrown by `run(task)` under a virtual clock when the task waits for what nothing can bring about.
class deadlock : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

}  // namespace mobius
