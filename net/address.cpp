#include "address.hpp"

#include <arpa/inet.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace mobius::net {

socket_address::socket_address(const sockaddr* address, socklen_t size) noexcept : storage_{} {
  std::memcpy(&storage_, address, std::min<std::size_t>(size, sizeof storage_));
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

std::string socket_address::to_string() const { return host_and_port(host(), port()); }

socklen_t socket_address::size() const noexcept {
  return family() == AF_INET6 ? sizeof storage_.v6 : sizeof storage_.v4;
}

bool operator==(const socket_address& a, const socket_address& b) noexcept {
  return a.family() == b.family() && a.port() == b.port() && a.host() == b.host();
}

std::string host_and_port(std::string_view host, std::uint16_t port) {
  const bool bracketed = host.find(':') != std::string_view::npos;
  std::string text = bracketed ? "[" + std::string(host) + "]" : std::string(host);
  return text + ":" + std::to_string(port);
}

}  // namespace mobius::net
