#pragma once
// Unix sockets: streams, listeners, connecting, and pairs.

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "../runtime/task.hpp"
#include "socket_listener.hpp"
#include "socket_stream.hpp"

namespace mobius::net {

/// Who is at the other end of a unix socket.
struct process_credentials {
  pid_t pid;
  uid_t user;
  gid_t group;
};

/// A connected unix stream; everything else it does stands in `socket_stream`.
class unix_stream : public socket_stream {
 public:
  /// No stream; it can be assigned to, tested and destroyed.
  unix_stream() noexcept = default;
  /// Takes over a connected socket, for the current reactor.
  static unix_stream adopt(int fd) { return {fd, socket_address::peer_of(fd)}; }

  /// The process that connected or listened, as it was then (SO_PEERCRED).
  process_credentials peer_credentials() const;

 private:
  friend class detail::stream_accept_awaiter<unix_stream>;
  friend task<unix_stream> connect_unix(std::string);
  using socket_stream::socket_stream;
};

/// How a unix listener is made.
struct unix_listen_options {
  /// How many connections the kernel keeps for us.
  int backlog = 4096;
  /// Permissions of the socket's file, whatever the umask: who may write to it may connect.
  std::optional<mode_t> mode = {};
  /// A file left over from a listener that has ended is replaced. One that is listened on never is.
  bool replace_stale = true;
  /// How many connections may be open at a time; 0: no limit. See `listen_options`.
  std::size_t max_connections = 0;
};

/// A listening unix socket; everything it does stands in `socket_listener`. It removes its file at
/// its end, unless that is another's by then.
class unix_listener : public socket_listener<unix_stream> {
 public:
  /// No listener.
  unix_listener() noexcept = default;
  /// Listens at a path, or at the abstract name behind an '@'. Throws std::system_error naming the
  /// path ("listen on unix:/run/x (another program listens there): Address already in use"), and
  /// std::invalid_argument for a name that is empty or too long.
  explicit unix_listener(std::string_view name, const unix_listen_options& options = {});
  /// Takes over a listening socket, for the current reactor; its file stays.
  static unix_listener adopt(int fd, std::size_t max_connections = 0);

 private:
  using socket_listener::socket_listener;
};

/// Connects to a path, or to the abstract name behind an '@'. It waits while the listener's backlog
/// is full. Cancel: ends the attempt. Throws std::system_error naming the path.
///
///     auto stream = co_await mobius::net::connect_unix("/run/x");
task<unix_stream> connect_unix(std::string name);

/// Two streams that are connected to each other.
std::pair<unix_stream, unix_stream> stream_pair();

}  // namespace mobius::net
