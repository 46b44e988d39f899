#include "unix.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "connect_socket.hpp"

namespace mobius::net {

namespace {

using detail::descriptor;

[[noreturn]] void fail(int error, const std::string& call) {
  throw std::system_error(error, std::generic_category(), call);
}

bool is_path(const socket_address& a) noexcept {
  return !a.unix_name().empty() && a.unix_name().front() != '\0';
}

// A socket's file that nobody listens on: connecting is refused at once.
bool is_stale(const socket_address& address) {
  struct stat s {};
  const std::string path(address.unix_name());
  if (lstat(path.c_str(), &s) != 0 || !S_ISSOCK(s.st_mode)) return false;
  const descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (probe.get() < 0) return false;
  return ::connect(probe.get(), address.data(), address.size()) != 0 && errno == ECONNREFUSED;
}

void bind_to(const descriptor& fd, const socket_address& address, bool replace_stale,
             const std::string& call) {
  if (::bind(fd.get(), address.data(), address.size()) == 0) return;
  int error = errno;
  if (error == EADDRINUSE && replace_stale && is_path(address) && is_stale(address)) {
    ::unlink(std::string(address.unix_name()).c_str());
    if (::bind(fd.get(), address.data(), address.size()) == 0) return;
    error = errno;
  }
  if (error != EADDRINUSE) fail(error, call);
  struct stat s {};
  const bool in_the_way =
      is_path(address) && lstat(std::string(address.unix_name()).c_str(), &s) == 0 && !S_ISSOCK(s.st_mode);
  fail(error, call + (in_the_way ? " (there is a file that is no socket; remove it or choose another path)"
                                 : " (another program listens there; choose another name)"));
}

descriptor listening_socket(const socket_address& address, const unix_listen_options& options) {
  const std::string call = "listen on " + address.to_string();
  descriptor fd = detail::make_socket(AF_UNIX, call);
  // Before the file exists, so that it is never open to more than it should be; the umask takes
  // away from it, hence once more below.
  if (options.mode && fchmod(fd.get(), *options.mode) != 0) fail(errno, call + ": set its mode");
  bind_to(fd, address, options.replace_stale, call);
  if (options.mode && is_path(address) &&
      ::chmod(std::string(address.unix_name()).c_str(), *options.mode) != 0) {
    fail(errno, call + ": set its mode");
  }
  if (::listen(fd.get(), options.backlog) != 0) fail(errno, call);
  return fd;
}

detail::listener_state* make_listener(descriptor fd, std::size_t max_connections, std::string path) {
  auto* state = new detail::listener_state(reactor::current(), fd.get(), max_connections, std::move(path));
  fd.release();
  return state;
}

detail::listener_state* make_listener(const socket_address& address, const unix_listen_options& options) {
  std::string path = is_path(address) ? std::string(address.unix_name()) : std::string();
  return make_listener(listening_socket(address, options), options.max_connections, std::move(path));
}

}  // namespace

process_credentials unix_stream::peer_credentials() const {
  const detail::stream_state& s = state("peer_credentials");
  ucred out{};
  socklen_t size = sizeof out;
  if (getsockopt(s.fd(), SOL_SOCKET, SO_PEERCRED, &out, &size) != 0)
    fail(errno, s.describe("peer_credentials of"));
  return {out.pid, out.uid, out.gid};
}

unix_listener::unix_listener(std::string_view name, const unix_listen_options& options)
    : socket_listener(make_listener(socket_address::unix_socket(name), options)) {}

unix_listener unix_listener::adopt(int fd, std::size_t max_connections) {
  return unix_listener(make_listener(descriptor(fd), max_connections, {}));
}

task<unix_stream> connect_unix(std::string name) {
  const socket_address address = socket_address::unix_socket(name);
  descriptor fd = detail::make_socket(AF_UNIX, "connect " + address.to_string());
  co_await detail::connect_operation(fd.get(), address);
  co_return unix_stream(fd.release(), address);
}

std::pair<unix_stream, unix_stream> stream_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) fail(errno, "stream_pair");
  descriptor second(fds[1]);
  unix_stream a = unix_stream::adopt(fds[0]);
  return {std::move(a), unix_stream::adopt(second.release())};
}

}  // namespace mobius::net
