// Sockets on loopback, for the programs that are written without a library.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>

#include "work_counts.hpp"

namespace bench {

/// Listens on 127.0.0.1; port 0 lets the kernel choose, and `port` is then the chosen one. Several sockets
/// may share a port. Accepted sockets inherit TCP_NODELAY. Ends the program where it cannot.
inline int listen_on_loopback(std::uint16_t& port, int type = SOCK_STREAM | SOCK_CLOEXEC) {
  const int listener = socket(AF_INET, type, 0);
  if (listener < 0) die("socket", errno);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t length = sizeof address;
  if (bind(listener, generic, length) != 0) die("bind 127.0.0.1", errno);
  if (listen(listener, 4096) != 0) die("listen", errno);
  getsockname(listener, generic, &length);
  port = ntohs(address.sin_port);
  return listener;
}

/// Connects to 127.0.0.1. Its own address is 127.0.0.1 to 127.0.0.8, by `index` in turn: one alone has only
/// 28 000 ports to give. Ends the program where it cannot.
inline int connected_socket(std::uint16_t port, std::uint64_t index) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket (raise the limit of open files: ulimit -n)", errno);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + static_cast<std::uint32_t>(index % 8));
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) die("bind", errno);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    die("connect 127.0.0.1", errno);
  return fd;
}

}  // namespace bench
