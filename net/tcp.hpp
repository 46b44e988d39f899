#pragma once
// TCP: streams, listeners, and connecting.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "../runtime/task.hpp"
#include "address.hpp"
#include "options.hpp"
#include "socket_listener.hpp"
#include "socket_stream.hpp"

namespace mobius::net {

/// A connected TCP stream; everything it does stands in `socket_stream`.
class tcp_stream : public socket_stream {
 public:
  /// No stream; it can be assigned to, tested and destroyed.
  tcp_stream() noexcept = default;
  /// Takes over a connected socket, for the current reactor.
  static tcp_stream adopt(int fd) { return {fd, socket_address::peer_of(fd)}; }

  /// Whether small writes leave at once (TCP_NODELAY), as they do by default.
  void set_no_delay(bool on) { set(option::no_delay{on}); }

 private:
  friend class detail::stream_accept_awaiter<tcp_stream>;
  friend task<tcp_stream> connect(socket_address, connect_options);
  using socket_stream::socket_stream;
};

/// A listening TCP socket; everything it does stands in `socket_listener`.
class tcp_listener : public socket_listener<tcp_stream> {
 public:
  /// No listener.
  tcp_listener() noexcept = default;
  /// Listens on an address; port 0 lets the kernel choose one. Throws std::system_error naming the
  /// address ("listen on 127.0.0.1:80: Address already in use").
  explicit tcp_listener(const socket_address& address, const listen_options& options = {});
  /// The same for a literal such as "127.0.0.1" or "::"; throws std::invalid_argument for a name.
  tcp_listener(std::string_view literal, std::uint16_t port, const listen_options& options = {});
  /// Takes over a listening socket, for the current reactor.
  static tcp_listener adopt(int fd, std::size_t max_connections = 0);

 private:
  using socket_listener::socket_listener;
};

/// Connects to an address. Cancel: ends the attempt. Throws std::system_error naming the address
/// ("connect 10.0.0.1:80: Connection refused").
task<tcp_stream> connect(socket_address address, connect_options options = {});

/// Connects to one of `addresses`; `name` is what they are called in errors. They are tried in their
/// order, IPv6 and IPv4 by turns, each 250 ms after the one before or as soon as that has failed; the
/// first to answer wins and the others are dropped (RFC 8305, happy eyeballs). Cancel at any point
/// ends all attempts. When all fail, throws std::system_error with the last one's code, whose text
/// names each address and why.
task<tcp_stream> connect(std::vector<socket_address> addresses, std::string name,
                         connect_options options = {});

/// Looks `host` up (literals short-cut) and connects to its addresses as above. Cancel at any point
/// ends it. Throws what the look-up throws, or as above.
///
///     auto stream = co_await mobius::net::connect("localhost", 8080);
task<tcp_stream> connect(std::string host, std::uint16_t port, connect_options options = {});

}  // namespace mobius::net
