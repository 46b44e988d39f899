#include "options.hpp"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <system_error>

namespace mobius::net {

namespace {

int set(int fd, int level, int option, int value) noexcept {
  return setsockopt(fd, level, option, &value, sizeof value) == 0 ? 0 : errno;
}

template <class Duration>
int clamped(Duration d) noexcept {
  return static_cast<int>(std::clamp<typename Duration::rep>(d.count(), 0, std::numeric_limits<int>::max()));
}

}  // namespace

namespace option {

int no_delay::apply(int fd) const noexcept { return set(fd, IPPROTO_TCP, TCP_NODELAY, on ? 1 : 0); }

int keepalive::apply(int fd) const noexcept {
  if (const int error = set(fd, SOL_SOCKET, SO_KEEPALIVE, 1); error != 0) return error;
  if (const int error = set(fd, IPPROTO_TCP, TCP_KEEPIDLE, clamped(idle)); error != 0) return error;
  if (const int error = set(fd, IPPROTO_TCP, TCP_KEEPINTVL, clamped(interval)); error != 0) return error;
  return set(fd, IPPROTO_TCP, TCP_KEEPCNT, probes);
}

int user_timeout::apply(int fd) const noexcept {
  return set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, clamped(after));
}
int send_buffer::apply(int fd) const noexcept { return set(fd, SOL_SOCKET, SO_SNDBUF, bytes); }
int receive_buffer::apply(int fd) const noexcept { return set(fd, SOL_SOCKET, SO_RCVBUF, bytes); }
int defer_accept::apply(int fd) const noexcept {
  return set(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, clamped(within));
}
int reuse_port::apply(int fd) const noexcept { return set(fd, SOL_SOCKET, SO_REUSEPORT, on ? 1 : 0); }
int v6only::apply(int fd) const noexcept { return set(fd, IPPROTO_IPV6, IPV6_V6ONLY, on ? 1 : 0); }
int raw::apply(int fd) const noexcept { return set(fd, level, option, value); }

}  // namespace option

void detail::throw_option_error(int error, const std::string& call, const char* option) {
  throw std::system_error(error, std::generic_category(), call + ": set " + option);
}

}  // namespace mobius::net
