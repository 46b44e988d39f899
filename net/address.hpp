#pragma once
// Where a socket is: an IPv4 or IPv6 address with a port, or the name of a unix socket.

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mobius::net {

/// An IPv4 or IPv6 address and a port, or the name of a unix socket.
class socket_address {
 public:
  /// No address.
  socket_address() noexcept : storage_{} {}
  /// An address that the kernel gave.
  socket_address(const sockaddr* address, socklen_t size) noexcept;

  /// Reads a literal such as "127.0.0.1", "::1" or "fe80::1%eth0"; empty if it is none. Names are
  /// not looked up, and the old forms "127.1" and "2130706433" are not accepted.
  static std::optional<socket_address> parse(std::string_view literal, std::uint16_t port);
  /// The unix socket at a path, or, if `name` begins with '@', the abstract one of that name, which
  /// is taken as it is, zero bytes included (unix(7)). Throws std::invalid_argument for an empty name
  /// and one that is too long (107 bytes).
  static socket_address unix_socket(std::string_view name);
  /// The address that `fd` is bound to.
  static socket_address local_of(int fd) noexcept;
  /// The address that `fd` is connected to.
  static socket_address peer_of(int fd) noexcept;

  /// AF_INET, AF_INET6, AF_UNIX, or AF_UNSPEC for no address.
  int family() const noexcept { return storage_.generic.sa_family; }
  /// The port; 0 for a unix socket.
  std::uint16_t port() const noexcept;
  /// The same address with another port.
  socket_address with_port(std::uint16_t port) const noexcept;
  /// The address without the port: "127.0.0.1", "::1".
  std::string host() const;
  /// The name of a unix socket as the kernel has it: a path, an abstract name behind a zero byte, or
  /// nothing for one without a name.
  std::string_view unix_name() const noexcept;
  /// "127.0.0.1:80", "[::1]:80", "unix:/run/x", "unix:@name".
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
    sockaddr_un local;
  } storage_;
  std::uint8_t name_size_ = 0;  // of a unix socket: bytes of sun_path, without a closing zero
};

/// "host:port", with brackets round an IPv6 literal: for messages.
std::string host_and_port(std::string_view host, std::uint16_t port);

}  // namespace mobius::net
