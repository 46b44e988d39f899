#pragma once
// Socket options as types. A stream takes them with `set`; `connect_options` and `listen_options`
// hold those that have to be there from the start.

#include <chrono>
#include <optional>
#include <string>

#include "address.hpp"

namespace mobius::net {

namespace option {

/// Small writes leave at once (TCP_NODELAY). On by default in all of our TCP streams.
struct no_delay {
  static constexpr const char* name = "no_delay";
  bool on = true;
  /// Sets it on a socket; gives 0 or an errno value.
  int apply(int fd) const noexcept;
};

/// A silent connection is probed after `idle`, then each `interval`; after `probes` without an answer
/// it fails with ETIMEDOUT (SO_KEEPALIVE and tcp(7)'s three numbers, whole seconds).
struct keepalive {
  static constexpr const char* name = "keepalive";
  std::chrono::seconds idle{60};
  std::chrono::seconds interval{10};
  int probes = 6;
  /// Sets it on a socket; gives 0 or an errno value.
  int apply(int fd) const noexcept;
};

/// Bytes that the peer has not acknowledged for so long end the connection with ETIMEDOUT
/// (TCP_USER_TIMEOUT).
struct user_timeout {
  static constexpr const char* name = "user_timeout";
  std::chrono::milliseconds after;
  /// Sets it on a socket; gives 0 or an errno value.
  int apply(int fd) const noexcept;
};

/// How many bytes the kernel keeps for sending (SO_SNDBUF); it doubles the number, and stops
/// adjusting it by itself.
struct send_buffer {
  static constexpr const char* name = "send_buffer";
  int bytes;
  /// Sets it on a socket; gives 0 or an errno value.
  int apply(int fd) const noexcept;
};

/// The same for receiving (SO_RCVBUF). For TCP it counts only if set before connecting or listening.
struct receive_buffer {
  static constexpr const char* name = "receive_buffer";
  int bytes;
  /// Sets it on a socket; gives 0 or an errno value.
  int apply(int fd) const noexcept;
};

/// A connection is accepted when its first bytes have come, or after about this time without
/// (TCP_DEFER_ACCEPT). For listeners.
struct defer_accept {
  static constexpr const char* name = "defer_accept";
  std::chrono::seconds within{1};
  /// Sets it on a socket; gives 0 or an errno value.
  int apply(int fd) const noexcept;
};

/// Several sockets, one per reactor, may share a port (SO_REUSEPORT). Before binding.
struct reuse_port {
  static constexpr const char* name = "reuse_port";
  bool on = true;
  /// Sets it on a socket; gives 0 or an errno value.
  int apply(int fd) const noexcept;
};

/// An IPv6 listener does not take IPv4 connections too (IPV6_V6ONLY). Before binding.
struct v6only {
  static constexpr const char* name = "v6only";
  bool on = true;
  /// Sets it on a socket; gives 0 or an errno value.
  int apply(int fd) const noexcept;
};

/// Any integer option of setsockopt(2).
struct raw {
  static constexpr const char* name = "raw option";
  int level;
  int option;
  int value;
  /// Sets it on a socket; gives 0 or an errno value.
  int apply(int fd) const noexcept;
};

}  // namespace option

/// How a TCP connection is made. Trivially destructible, so that it may be written in the same
/// expression as a co_await.
struct connect_options {
  /// Small writes leave at once.
  bool no_delay = true;
  /// Probes on a silent connection.
  std::optional<option::keepalive> keepalive = {};
  /// How long sent bytes may stay unacknowledged.
  std::optional<option::user_timeout> user_timeout = {};
  /// The kernel's buffers.
  std::optional<option::send_buffer> send_buffer = {};
  /// The kernel's buffers.
  std::optional<option::receive_buffer> receive_buffer = {};
  /// The address to connect from; port 0 lets the kernel choose. Addresses of its family only are tried.
  socket_address bind = {};
  /// When the next address is tried, while those before have not answered (RFC 8305, section 5).
  std::chrono::milliseconds attempt_delay{250};
  /// Called with each socket before it connects, for all that has no type here; throws to refuse.
  void (*prepare)(int fd) = nullptr;
};

/// How a TCP listener is made.
struct listen_options {
  /// How many connections the kernel keeps for us; it has a limit of its own (net.core.somaxconn).
  int backlog = 4096;
  /// Several listeners, one per reactor, may share the port (SO_REUSEPORT).
  bool reuse_port = false;
  /// Small writes of accepted streams leave at once.
  bool no_delay = true;
  /// How many connections may be open at a time; past it `accept` waits until one has ended, and
  /// clients wait in the backlog. 0: no limit.
  std::size_t max_connections = 0;
  /// Whether an IPv6 listener leaves IPv4 alone; without a value the system decides, which mostly
  /// means that "::" takes both.
  std::optional<bool> v6only = {};
  /// Accept a connection only when its first bytes are there.
  std::optional<option::defer_accept> defer_accept = {};
  /// For accepted streams: probes on a silent connection.
  std::optional<option::keepalive> keepalive = {};
  /// For accepted streams: how long sent bytes may stay unacknowledged.
  std::optional<option::user_timeout> user_timeout = {};
  /// For accepted streams: the kernel's buffers.
  std::optional<option::send_buffer> send_buffer = {};
  /// For accepted streams: the kernel's buffers.
  std::optional<option::receive_buffer> receive_buffer = {};
  /// Called with the socket before it is bound, for all that has no type here; throws to refuse.
  void (*prepare)(int fd) = nullptr;
};

namespace detail {

[[noreturn]] void throw_option_error(int error, const std::string& call, const char* option);

/// Applies an option; throws std::system_error "`call`: set keepalive: ...".
template <class Option>
void apply_option(int fd, const Option& o, const std::string& call) {
  if (const int error = o.apply(fd); error != 0) throw_option_error(error, call, Option::name);
}
template <class Option>
void apply_option(int fd, const std::optional<Option>& o, const std::string& call) {
  if (o) apply_option(fd, *o, call);
}

/// What connections and listeners have in common.
template <class Options>
void apply_tcp_options(int fd, const Options& o, const std::string& call) {
  if (o.no_delay) apply_option(fd, option::no_delay{}, call);
  apply_option(fd, o.keepalive, call);
  apply_option(fd, o.user_timeout, call);
  apply_option(fd, o.send_buffer, call);
  apply_option(fd, o.receive_buffer, call);
  if (o.prepare) o.prepare(fd);
}

}  // namespace detail
}  // namespace mobius::net
