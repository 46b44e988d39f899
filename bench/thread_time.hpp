#pragma once
// Timing by the processor time of the calling thread: nothing that is measured so waits, and other programs
// are none of its business.

#include <cstddef>
#include <ctime>

/// Nanoseconds that this thread has run.
inline double thread_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

/// Nanoseconds for each of the `count` operations that `f` does.
template <class F>
double timed(std::size_t count, F&& f) {
  const double begin = thread_ns();
  f();
  return (thread_ns() - begin) / static_cast<double>(count);
}
