// A listening socket on loopback, for the servers that are written without a library.
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

}  // namespace bench
