#pragma once
// The io_uring instance of a reactor: set-up with its fallbacks, submission, and the one place
// where the kernel is entered and completions are copied out (the seam where tests inject faults).

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "uring_abi.hpp"

namespace mobius::detail {

/// What an operation asks of the kernel: the fields of a submission entry that ours use.
struct request {
  std::uint8_t opcode;
  std::int32_t fd = -1;
  std::uint64_t address = 0;
  std::uint32_t length = 0;
  std::uint64_t offset = 0;
  std::uint32_t op_flags = 0;
  std::uint16_t priority = 0;    // for sockets: multishot and poll-first flags
  std::uint8_t entry_flags = 0;  // IOSQE_*
  std::uint16_t buffer_group = 0;
};

/// One completion, copied out of the ring.
struct completion {
  std::uint64_t user_data;
  std::int32_t result;
  std::uint32_t flags;
};

/// What a test may change at the seam.
struct ring_faults {
  /// Called before each enter; a negative errno is returned in place of entering.
  std::function<int(unsigned to_submit, unsigned wait)> on_enter;
  /// Called with each completion before the reactor sees it; it may be rewritten.
  std::function<void(completion&)> on_reap;
};

/// Counters of a ring, plain numbers of its own thread.
struct ring_counters {
  std::uint64_t enters = 0;
  std::uint64_t submissions = 0;
  std::uint64_t completions = 0;
  std::uint64_t overflows = 0;
};

class ring {
 public:
  /// Sets the ring up: the best flags that this kernel knows, then smaller sizes if memory is
  /// short. Throws std::system_error whose text says what refused it and what to do.
  ring(unsigned submission_entries, unsigned completion_entries);
  ring(const ring&) = delete;
  ring& operator=(const ring&) = delete;
  ~ring();

  /// Makes the calling thread the one that submits, if none is yet. Throws std::logic_error in any
  /// other thread: a ring belongs to one.
  void enable();
  /// True unless the ring belongs to another thread.
  bool usable_here() const noexcept;

  /// Writes a submission entry; false if the queue is full.
  bool prepare(const request& r, std::uint64_t user_data) noexcept;
  /// Entries written and not yet taken by the kernel.
  unsigned unsubmitted() const noexcept;

  /// Submits what is prepared, and waits until `wait` completions are there or `timeout` is over.
  /// Returns a negative errno, or what the kernel took.
  int enter(unsigned wait, std::optional<std::chrono::nanoseconds> timeout);

  /// Copies out at most `room` completions; returns how many.
  unsigned reap(completion* out, unsigned room) noexcept;
  /// True if the kernel holds completions back until the next enter.
  bool has_deferred() const noexcept;

  /// The ring itself, for registrations.
  io_uring& raw() noexcept { return ring_; }
  /// The set-up flags that the kernel accepted.
  unsigned flags() const noexcept { return ring_.flags; }
  /// The counters so far.
  const ring_counters& counters() const noexcept { return counters_; }
  /// Installs faults; null takes them out.
  void inject(ring_faults* faults) noexcept { faults_ = faults; }

 private:
  io_uring ring_{};
  unsigned enter_flags_ = 0;
  bool enabled_ = false;
  std::uint64_t owner_ = 0;  // the thread that enabled it
  bool registered_ = false;
  ring_faults* faults_ = nullptr;
  ring_counters counters_;
};

/// The text for a ring that was refused with `error`: the cause, as far as it can be seen from
/// here, and the remedy.
std::string ring_refusal(int error, unsigned entries);

}  // namespace mobius::detail
