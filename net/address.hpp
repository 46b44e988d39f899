#pragma once
// Where a socket is: an IPv4 or IPv6 address with a port.

#include <netinet/in.h>
#include <sys/socket.h>

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mobius::net {

/// An IPv4 or IPv6 address and a port.
class socket_address {
 public:
  /// No address.
  socket_address() noexcept : storage_{} {}
  /// An address that the kernel gave.
  socket_address(const sockaddr* address, socklen_t size) noexcept;

  /// Reads a literal such as "127.0.0.1", "::1" or "fe80::1%eth0"; empty if it is none. Names are
  /// not looked up, and the old forms "127.1" and "2130706433" are not accepted.
  static std::optional<socket_address> parse(std::string_view literal, std::uint16_t port);
  /// The address that `fd` is bound to.
  static socket_address local_of(int fd) noexcept;
  /// The address that `fd` is connected to.
  static socket_address peer_of(int fd) noexcept;

  /// AF_INET, AF_INET6, or AF_UNSPEC for no address.
  int family() const noexcept { return storage_.generic.sa_family; }
  /// The port.
  std::uint16_t port() const noexcept;
  /// The address without the port: "127.0.0.1", "::1".
  std::string host() const;
  /// "127.0.0.1:80", "[::1]:80".
  std::string to_string() const;

  /// For system calls.
  const sockaddr* data() const noexcept { return &storage_.generic; }
  /// For system calls.
  socklen_t size() const noexcept;

  friend bool operator==(const socket_address& a, const socket_address& b) noexcept;

 private:
  union {
    sockaddr generic;
    sockaddr_in v4;
    sockaddr_in6 v6;
  } storage_;
};

/// "host:port", with brackets round an IPv6 literal: for messages.
std::string host_and_port(std::string_view host, std::uint16_t port);

}  // namespace mobius::net
