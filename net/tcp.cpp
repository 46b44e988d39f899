#include "tcp.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "../runtime/scope.hpp"
#include "../runtime/sync/event.hpp"
#include "../runtime/timeout.hpp"
#include "connect_socket.hpp"
#include "name_resolver.hpp"

namespace mobius::net {

namespace {

using detail::descriptor;

[[noreturn]] void fail(int error, const std::string& call) {
  throw std::system_error(error, std::generic_category(), call);
}

}  // namespace

// --- one attempt -------------------------------------------------------------------------------

namespace detail {

descriptor make_socket(int family, const std::string& call) {
  descriptor fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) fail(errno, call + ": socket");
  return fd;
}

const core::leaf_type connect_awaiter::leaf_kind{"connect", &op::cancel};

result<void> connect_awaiter::outcome() {
  leave();
  if (was_stopped()) return cancelled_failure();
  if (result_ < 0) return system_failure(-result_, "connect " + address_.to_string());
  return {};
}

}  // namespace detail

task<tcp_stream> connect(socket_address address, connect_options options) {
  const std::string call = "connect " + address.to_string();
  descriptor fd = detail::make_socket(address.family(), call);
  detail::apply_tcp_options(fd.get(), options, call);
  if (options.bind.family() != AF_UNSPEC && ::bind(fd.get(), options.bind.data(), options.bind.size()) != 0) {
    fail(errno, call + ": bind to " + options.bind.to_string());
  }
  co_await detail::connect_operation(fd.get(), address);
  co_return tcp_stream(fd.release(), address);
}

// --- happy eyeballs ----------------------------------------------------------------------------

namespace {

// The families by turns, beginning with the one that the resolver put first (RFC 8305, section 4).
std::vector<socket_address> by_turns(const std::vector<socket_address>& addresses) {
  std::vector<socket_address> first, second, out;
  for (const socket_address& a : addresses)
    (a.family() == addresses.front().family() ? first : second).push_back(a);
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) out.push_back(first[i]);
    if (i < second.size()) out.push_back(second[i]);
  }
  return out;
}

struct contest {
  std::vector<socket_address> addresses;
  connect_options options;
  std::vector<std::error_code> errors;
  std::optional<tcp_stream> winner;
  std::size_t running = 0;
  event ended{event_reset::automatic};
};

task<> try_one(contest& c, std::size_t i) {
  result<tcp_stream> attempt = co_await as_result(connect(c.addresses[i], c.options));
  if (attempt) {
    if (!c.winner) c.winner.emplace(std::move(*attempt));
  } else if (const auto* error = attempt.error().get_if<std::system_error>()) {
    c.errors[i] = error->code();
  } else {
    attempt.error().rethrow();
  }
  --c.running;
  c.ended.set();
}

task<> try_all(scope& s, contest& c) {
  for (std::size_t i = 0; i < c.addresses.size() && !c.winner; ++i) {
    ++c.running;
    s.start(try_one, std::ref(c), i);
    if (i + 1 == c.addresses.size()) break;
    result<void> next = co_await as_result(timeout(c.options.attempt_delay, c.ended.wait()));
    if (!next && !next.error().check<timed_out>()) next.error().rethrow();
  }
  while (!c.winner && c.running != 0) co_await c.ended.wait();
  s.cancel();
}

[[noreturn]] void report_all(const contest& c, const std::string& name) {
  std::string tried;
  std::error_code last = std::make_error_code(std::errc::address_not_available);
  for (std::size_t i = 0; i < c.addresses.size(); ++i) {
    last = c.errors[i];
    tried += (tried.empty() ? "" : ", ") + c.addresses[i].host() + " (" + last.message() + ")";
  }
  throw std::system_error(last, "connect " + name + ": tried " + (tried.empty() ? "no address" : tried));
}

}  // namespace

task<tcp_stream> connect(std::vector<socket_address> addresses, std::string name, connect_options options) {
  if (const int family = options.bind.family(); family != AF_UNSPEC)
    std::erase_if(addresses, [family](const socket_address& a) { return a.family() != family; });
  if (addresses.size() == 1) co_return co_await connect(addresses.front(), options);
  contest c{by_turns(addresses), options, std::vector<std::error_code>(addresses.size()), {}};
  auto body = [&c](scope& s) { return try_all(s, c); };
  co_await with_scope(body);
  if (!c.winner) report_all(c, name);
  co_return std::move(*c.winner);
}

task<tcp_stream> connect(std::string host, std::uint16_t port, connect_options options) {
  std::vector<socket_address> addresses = co_await resolve(host, port);
  co_return co_await connect(std::move(addresses), host_and_port(host, port), options);
}

// --- tcp_listener ------------------------------------------------------------------------------

namespace {

int listening_socket(const socket_address& address, const listen_options& options) {
  const std::string call = "listen on " + address.to_string();
  descriptor fd = detail::make_socket(address.family(), call);
  detail::apply_option(fd.get(), option::raw{SOL_SOCKET, SO_REUSEADDR, 1}, call);
  if (options.reuse_port) detail::apply_option(fd.get(), option::reuse_port{}, call);
  if (options.v6only) detail::apply_option(fd.get(), option::v6only{*options.v6only}, call);
  detail::apply_option(fd.get(), options.defer_accept, call);
  detail::apply_tcp_options(fd.get(), options, call);  // accepted sockets inherit them
  if (::bind(fd.get(), address.data(), address.size()) != 0) {
    const int error = errno;
    fail(error, error == EADDRINUSE ? call + " (another program has this port; choose another, or 0)" : call);
  }
  if (::listen(fd.get(), options.backlog) != 0) fail(errno, call);
  return fd.release();
}

detail::listener_state* make_listener(int socket, std::size_t max_connections) {
  descriptor fd(socket);
  auto* state = new detail::listener_state(reactor::current(), fd.get(), max_connections);
  fd.release();
  return state;
}

socket_address parse_literal(std::string_view literal, std::uint16_t port) {
  if (const auto address = socket_address::parse(literal, port)) return *address;
  throw std::invalid_argument("tcp_listener: '" + std::string(literal) +
                              "' is no IP address; write one such as 127.0.0.1 or :: for all");
}

}  // namespace

tcp_listener::tcp_listener(const socket_address& address, const listen_options& options)
    : socket_listener(make_listener(listening_socket(address, options), options.max_connections)) {}

tcp_listener::tcp_listener(std::string_view literal, std::uint16_t port, const listen_options& options)
    : tcp_listener(parse_literal(literal, port), options) {}

tcp_listener tcp_listener::adopt(int fd, std::size_t max_connections) {
  return tcp_listener(make_listener(fd, max_connections));
}

}  // namespace mobius::net
