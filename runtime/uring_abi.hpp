#pragma once
// io_uring constants newer than the headers of liburing 2.3 and of Debian 12's kernel headers.
// They have names of their own: the originals are enumerators, which #ifdef cannot see.

#include <liburing.h>

#include <cstddef>
#include <cstdint>

namespace mobius::detail::abi {

inline constexpr std::uint32_t feature_no_iowait = 1U << 17;  // Linux 6.15
inline constexpr std::uint32_t enter_no_iowait = 1U << 7;     // Linux 6.15

// What the wait of io_uring_enter takes with IORING_ENTER_EXT_ARG; liburing 2.3 calls the third
// field `pad`.
struct getevents_arg {
  std::uint64_t sigmask;
  std::uint32_t sigmask_size;
  std::uint32_t min_wait_usec;  // Linux 6.12
  std::uint64_t timeout;
};
static_assert(sizeof(getevents_arg) == sizeof(io_uring_getevents_arg));
static_assert(offsetof(getevents_arg, timeout) == offsetof(io_uring_getevents_arg, ts));

}  // namespace mobius::detail::abi
