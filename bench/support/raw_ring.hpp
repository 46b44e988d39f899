// A bare io_uring for the floor programs and the load generator: the best setup of Linux 6.1 and later,
// one enter per turn, nothing between the caller and the kernel. Bench programs share it so that a floor
// differs from its neighbours only in what it measures. It is no part of the library.
#pragma once

#include <liburing.h>

#include <cerrno>
#include <cstdint>

#include "work_counts.hpp"

namespace bench {

/// One ring for one thread. Every failure ends the program: there is nothing to measure without it.
class raw_ring {
 public:
  raw_ring(unsigned sq_entries, unsigned cq_entries);
  ~raw_ring() { io_uring_queue_exit(&ring_); }
  raw_ring(const raw_ring&) = delete;
  raw_ring& operator=(const raw_ring&) = delete;

  /// A free entry; submits what is pending when the queue is full.
  io_uring_sqe* sqe();

  /// Submits everything pending and waits for `wait_for` completions. A signal ends the wait early.
  void enter(unsigned wait_for);

  /// Calls `handle(const io_uring_cqe&)` for each completion that is there, then gives them all back.
  template <class Handler>
  void reap(Handler&& handle);

  const work_counts& counts() const { return counts_; }
  io_uring* native() { return &ring_; }

 private:
  int submit(unsigned wait_for, unsigned flags);

  io_uring ring_{};
  unsigned enter_flags_ = 0;
  work_counts counts_;
};

inline raw_ring::raw_ring(unsigned sq_entries, unsigned cq_entries) {
  io_uring_params params{};
  params.cq_entries = cq_entries;
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
                 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_R_DISABLED;
  if (const int error = io_uring_queue_init_params(sq_entries, &ring_, &params); error < 0) {
    die("io_uring_setup (the bench needs Linux 6.1 or later and io_uring allowed)", -error);
  }
  io_uring_ring_dontfork(&ring_);
  // liburing.so 2.3 declares io_uring_enable_rings but does not export it.
  const int enabled =
      io_uring_register(static_cast<unsigned>(ring_.ring_fd), IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
  if (enabled < 0) die("io_uring_register(ENABLE_RINGS)", -enabled);
  if (io_uring_register_ring_fd(&ring_) == 1) enter_flags_ = IORING_ENTER_REGISTERED_RING;
}

inline int raw_ring::submit(unsigned wait_for, unsigned flags) {
  io_uring_sq& sq = ring_.sq;
  if (sq.sqe_head != sq.sqe_tail) {
    sq.sqe_head = sq.sqe_tail;
    io_uring_smp_store_release(sq.ktail, sq.sqe_tail);
  }
  const unsigned pending = sq.sqe_tail - io_uring_smp_load_acquire(sq.khead);
  ++counts_.enters;
  const int submitted = io_uring_enter(static_cast<unsigned>(ring_.enter_ring_fd), pending, wait_for,
                                       flags | enter_flags_, nullptr);
  if (submitted > 0) counts_.sqes += static_cast<std::uint64_t>(submitted);
  return submitted;
}

inline io_uring_sqe* raw_ring::sqe() {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  if (entry != nullptr) return entry;
  if (const int submitted = submit(0, 0); submitted < 0) die("io_uring_enter", -submitted);
  return io_uring_get_sqe(&ring_);
}

inline void raw_ring::enter(unsigned wait_for) {
  const int submitted = submit(wait_for, IORING_ENTER_GETEVENTS);
  if (submitted >= 0 || submitted == -EINTR || submitted == -EAGAIN || submitted == -EBUSY) return;
  die("io_uring_enter", -submitted);
}

template <class Handler>
void raw_ring::reap(Handler&& handle) {
  unsigned head = 0;
  unsigned count = 0;
  io_uring_cqe* cqe = nullptr;
  io_uring_for_each_cqe(&ring_, head, cqe) {
    ++count;
    handle(*cqe);
  }
  io_uring_cq_advance(&ring_, count);
  counts_.cqes += count;
}

}  // namespace bench
