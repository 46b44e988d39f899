#include "address.hpp"

#include <arpa/inet.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <stdexcept>

namespace mobius::net {

namespace {

constexpr std::size_t unix_path_at = offsetof(sockaddr_un, sun_path);
constexpr std::size_t longest_unix_name = sizeof(sockaddr_un::sun_path) - 1;

}  // namespace

socket_address::socket_address(const sockaddr* address, socklen_t size) noexcept : storage_{} {
  const std::size_t used = std::min<std::size_t>(size, sizeof storage_);
  std::memcpy(&storage_, address, used);
  if (family() != AF_UNIX || used <= unix_path_at) return;
  const char* name = storage_.local.sun_path;
  const std::size_t room = used - unix_path_at;
  name_size_ = static_cast<std::uint8_t>(name[0] == '\0' ? room : strnlen(name, room));
}

socket_address socket_address::unix_socket(std::string_view name) {
  if (name.empty() || name == "@")
    throw std::invalid_argument("unix socket: the name is empty; write a path, or @name for an abstract one");
  if (name.size() > longest_unix_name) {
    throw std::invalid_argument("unix socket " + std::string(name) + ": the name has " +
                                std::to_string(name.size()) + " bytes, the kernel takes " +
                                std::to_string(longest_unix_name) + "; use a shorter or relative path");
  }
  socket_address out;
  out.storage_.local.sun_family = AF_UNIX;
  std::memcpy(out.storage_.local.sun_path, name.data(), name.size());
  if (name[0] == '@') out.storage_.local.sun_path[0] = '\0';
  if (name[0] != '@' && name.find('\0') != std::string_view::npos)
    throw std::invalid_argument("unix socket: the path contains a zero byte");
  out.name_size_ = static_cast<std::uint8_t>(name.size());
  return out;
}

std::optional<socket_address> socket_address::parse(std::string_view literal, std::uint16_t port) {
  socket_address out;
  std::string text(literal);
  if (inet_pton(AF_INET, text.c_str(), &out.storage_.v4.sin_addr) == 1) {
    out.storage_.v4.sin_family = AF_INET;
    out.storage_.v4.sin_port = htons(port);
    return out;
  }
  unsigned scope = 0;
  if (const auto percent = text.find('%'); percent != std::string::npos) {
    scope = if_nametoindex(text.c_str() + percent + 1);
    if (scope == 0) return std::nullopt;
    text.resize(percent);
  }
  out = socket_address();
  if (inet_pton(AF_INET6, text.c_str(), &out.storage_.v6.sin6_addr) != 1) return std::nullopt;
  out.storage_.v6.sin6_family = AF_INET6;
  out.storage_.v6.sin6_port = htons(port);
  out.storage_.v6.sin6_scope_id = scope;
  return out;
}

socket_address socket_address::local_of(int fd) noexcept {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
  return {reinterpret_cast<sockaddr*>(&address), size};
}

socket_address socket_address::peer_of(int fd) noexcept {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
  return {reinterpret_cast<sockaddr*>(&address), size};
}

std::uint16_t socket_address::port() const noexcept {
  if (family() == AF_INET) return ntohs(storage_.v4.sin_port);
  if (family() == AF_INET6) return ntohs(storage_.v6.sin6_port);
  return 0;
}

std::string socket_address::host() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (family() == AF_INET) return inet_ntop(AF_INET, &storage_.v4.sin_addr, text.data(), text.size());
  if (family() != AF_INET6) return "nowhere";
  std::string host = inet_ntop(AF_INET6, &storage_.v6.sin6_addr, text.data(), text.size());
  if (storage_.v6.sin6_scope_id != 0) {
    std::array<char, IF_NAMESIZE> name{};
    if (if_indextoname(storage_.v6.sin6_scope_id, name.data())) host += "%" + std::string(name.data());
  }
  return host;
}

socket_address socket_address::with_port(std::uint16_t port) const noexcept {
  socket_address out = *this;
  if (family() == AF_INET) out.storage_.v4.sin_port = htons(port);
  if (family() == AF_INET6) out.storage_.v6.sin6_port = htons(port);
  return out;
}

std::string_view socket_address::unix_name() const noexcept {
  return {storage_.local.sun_path, family() == AF_UNIX ? name_size_ : std::size_t{0}};
}

std::string socket_address::to_string() const {
  if (family() != AF_UNIX) return host_and_port(host(), port());
  if (name_size_ == 0) return "unix:(unnamed)";
  std::string name(unix_name());
  if (name[0] == '\0') name[0] = '@';
  return "unix:" + name;
}

socklen_t socket_address::size() const noexcept {
  if (family() == AF_UNIX) {
    // A path is followed by its zero; an abstract name is exactly as long as it is.
    const bool path = name_size_ != 0 && storage_.local.sun_path[0] != '\0';
    return static_cast<socklen_t>(unix_path_at + name_size_ + (path ? 1U : 0U));
  }
  return family() == AF_INET6 ? sizeof storage_.v6 : sizeof storage_.v4;
}

bool operator==(const socket_address& a, const socket_address& b) noexcept {
  if (a.family() != b.family()) return false;
  if (a.family() == AF_UNIX) return a.unix_name() == b.unix_name();
  return a.port() == b.port() && a.host() == b.host();
}

std::string host_and_port(std::string_view host, std::uint16_t port) {
  const bool bracketed = host.find(':') != std::string_view::npos;
  std::string text = bracketed ? "[" + std::string(host) + "]" : std::string(host);
  return text + ":" + std::to_string(port);
}

}  // namespace mobius::net
