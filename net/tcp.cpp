#include "tcp.hpp"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "name_resolver.hpp"

namespace mobius::net {

namespace {

// A descriptor that closes itself.
class descriptor {
 public:
  explicit descriptor(int fd) noexcept : fd_(fd) {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

[[noreturn]] void fail(int error, const std::string& call) {
  throw std::system_error(error, std::generic_category(), call);
}

descriptor make_socket(int family, const std::string& call) {
  const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail(errno, call + ": socket");
  return descriptor(fd);
}

void set_option(int fd, int level, int name, int value, const std::string& call) {
  if (setsockopt(fd, level, name, &value, sizeof value) != 0) fail(errno, call);
}

int listening_socket(const socket_address& address, const listen_options& options) {
  const std::string call = "listen on " + address.to_string();
  descriptor fd = make_socket(address.family(), call);
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1, call);
  if (options.reuse_port) set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1, call);
  // Accepted sockets inherit it.
  if (options.no_delay) set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1, call);
  if (::bind(fd.get(), address.data(), address.size()) != 0) {
    const int error = errno;
    fail(error, error == EADDRINUSE ? call + " (another program has this port; choose another, or 0)" : call);
  }
  if (::listen(fd.get(), options.backlog) != 0) fail(errno, call);
  return fd.release();
}

socket_address parse_literal(std::string_view literal, std::uint16_t port) {
  if (const auto address = socket_address::parse(literal, port)) return *address;
  throw std::invalid_argument("tcp_listener: '" + std::string(literal) +
                              "' is no IP address; write one such as 127.0.0.1 or :: for all");
}

// The awaiter of one attempt to connect; it owns the socket.
class connect_awaiter final : public mobius::detail::op {
 public:
  connect_awaiter(int fd, const socket_address& address) noexcept
      : op(leaf_kind), fd_(fd), address_(address) {}

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h,
                     std::source_location where = std::source_location::current()) {
    return submit(h, mobius::detail::context_of(h), where,
                  {.opcode = IORING_OP_CONNECT,
                   .fd = fd_,
                   .address = reinterpret_cast<std::uint64_t>(address_.data()),
                   .offset = address_.size()});
  }
  void await_resume() {
    leave();
    if (was_stopped()) throw cancelled();
    if (result_ < 0) fail(-result_, "connect " + address_.to_string());
  }

 private:
  static const mobius::detail::leaf_type leaf_kind;

  int fd_;
  socket_address address_;
};

const mobius::detail::leaf_type connect_awaiter::leaf_kind{"connect", &op::cancel};

class connect_operation {
 public:
  connect_operation(int fd, const socket_address& address) noexcept : fd_(fd), address_(address) {}
  connect_awaiter operator co_await() const noexcept { return {fd_, address_}; }

 private:
  int fd_;
  socket_address address_;
};

}  // namespace

// --- tcp_stream --------------------------------------------------------------------------------

tcp_stream::tcp_stream(int fd, const socket_address& peer) {
  descriptor owned(fd);
  state_ = new detail::stream_state(reactor::current(), fd, peer);
  owned.release();
}

detail::stream_state& tcp_stream::state(const char* call) const {
  if (state_) return *state_;
  throw std::logic_error(std::string(call) +
                         ": this tcp_stream holds no stream; it was closed or moved from");
}

void tcp_stream::shutdown_write() {
  const detail::stream_state& s = state("shutdown_write");
  if (::shutdown(s.fd(), SHUT_WR) != 0) fail(errno, s.describe("shutdown_write of"));
}

void tcp_stream::set_no_delay(bool on) {
  const detail::stream_state& s = state("set_no_delay");
  set_option(s.fd(), IPPROTO_TCP, TCP_NODELAY, on ? 1 : 0, s.describe("set_no_delay of"));
}

// --- tcp_listener ------------------------------------------------------------------------------

tcp_listener::tcp_listener(const socket_address& address, listen_options options) {
  descriptor fd(listening_socket(address, options));
  state_ = new detail::listener_state(reactor::current(), fd.get());
  fd.release();
}

tcp_listener::tcp_listener(std::string_view literal, std::uint16_t port, listen_options options)
    : tcp_listener(parse_literal(literal, port), options) {}

detail::listener_state& tcp_listener::state() const {
  if (state_) return *state_;
  throw std::logic_error("tcp_listener: it holds no socket; it was closed or moved from");
}

result<tcp_stream> detail::stream_accept_awaiter::outcome() {
  result<int> fd = accepted();
  if (!fd) return std::move(fd.error());
  return tcp_stream::adopt(*fd);
}

// --- connect -----------------------------------------------------------------------------------

task<tcp_stream> connect(socket_address address) {
  const std::string call = "connect " + address.to_string();
  descriptor fd = make_socket(address.family(), call);
  set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1, call);
  co_await connect_operation(fd.get(), address);
  co_return tcp_stream::adopt(fd.release());
}

task<tcp_stream> connect(std::vector<socket_address> addresses, std::string name) {
  std::string tried;
  std::error_code last = std::make_error_code(std::errc::address_not_available);
  for (const socket_address& address : addresses) {
    result<tcp_stream> attempt = co_await as_result(connect(address));
    if (attempt) co_return std::move(*attempt);
    const auto* error = attempt.error().get_if<std::system_error>();
    if (!error || addresses.size() == 1) attempt.error().rethrow();
    last = error->code();
    tried += (tried.empty() ? "" : ", ") + address.host() + " (" + last.message() + ")";
  }
  throw std::system_error(last, "connect " + name + ": tried " + (tried.empty() ? "no address" : tried));
}

task<tcp_stream> connect(std::string host, std::uint16_t port) {
  std::vector<socket_address> addresses = co_await resolve(host, port);
  co_return co_await connect(std::move(addresses), host_and_port(host, port));
}

}  // namespace mobius::net
