#pragma once
// Endpoints: where to connect to or listen, as values that programs pass round, and as strings
// that users write (Twisted's clientFromString and serverFromString).

#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "../../deferred/chain.hpp"
#include "../options.hpp"
#include "../unix.hpp"
#include "factory.hpp"
#include "port.hpp"

namespace mobius::net {

/// Somewhere to connect to.
class client_endpoint {
 public:
  client_endpoint() noexcept = default;
  client_endpoint(const client_endpoint&) = delete;
  client_endpoint& operator=(const client_endpoint&) = delete;
  virtual ~client_endpoint() = default;

  /// Connects, and gives the connection to a protocol that `f` builds; the deferred has it after its
  /// `connection_made`. A cancel ends the attempt, whatever it is at, and fails the deferred with
  /// `cancelled`. It fails with what connecting throws ("connect 10.0.0.1:80: Connection refused"), with
  /// `timed_out` ("connect db:5432: timed out after 30 s"), with what `build_protocol` or `connection_made`
  /// throws, or with `no_protocol`. Attempts may overlap. The factory is started meanwhile and until the
  /// connection has ended.
  ///
  ///     auto endpoint = client_from_string("tcp:example.com:7");
  ///     auto p = co_await endpoint->connect(factory::for_protocol<echo_client>());
  virtual deferred<std::shared_ptr<protocol>> connect(std::shared_ptr<factory> f) = 0;
  /// What it is called in messages.
  virtual std::string describe() const = 0;
};

/// Somewhere to listen.
class server_endpoint {
 public:
  server_endpoint() noexcept = default;
  server_endpoint(const server_endpoint&) = delete;
  server_endpoint& operator=(const server_endpoint&) = delete;
  virtual ~server_endpoint() = default;

  /// Listens, and gives each connection to a protocol that `f` builds. The deferred is ready at once;
  /// it fails with what the listener throws ("listen on 127.0.0.1:80 (...): Permission denied").
  ///
  ///     auto endpoint = server_from_string("tcp:8007:interface=127.0.0.1");
  ///     listening_port port = co_await endpoint->listen(factory::for_protocol<echo>());
  virtual deferred<listening_port> listen(std::shared_ptr<factory> f) = 0;
  /// What it is called in messages.
  virtual std::string describe() const = 0;
};

/// A host, by name or literal, and a port; see `net::connect`.
class tcp_client_endpoint final : public client_endpoint {
 public:
  tcp_client_endpoint(std::string host, std::uint16_t port,
                      std::chrono::nanoseconds timeout = std::chrono::seconds(30),
                      connect_options options = {});
  /// See the base class.
  deferred<std::shared_ptr<protocol>> connect(std::shared_ptr<factory> f) override;
  /// See the base class.
  std::string describe() const override;

 private:
  std::string host_;
  std::uint16_t port_;
  std::chrono::nanoseconds timeout_;
  connect_options options_;
};

/// The path of a unix socket, or '@' and its abstract name.
class unix_client_endpoint final : public client_endpoint {
 public:
  explicit unix_client_endpoint(std::string name,
                                std::chrono::nanoseconds timeout = std::chrono::seconds(30));
  /// See the base class.
  deferred<std::shared_ptr<protocol>> connect(std::shared_ptr<factory> f) override;
  /// See the base class.
  std::string describe() const override;

 private:
  std::string name_;
  std::chrono::nanoseconds timeout_;
};

/// An address and port of ours.
class tcp_server_endpoint final : public server_endpoint {
 public:
  explicit tcp_server_endpoint(socket_address address, listen_options options = {});
  /// See the base class.
  deferred<listening_port> listen(std::shared_ptr<factory> f) override;
  /// See the base class.
  std::string describe() const override;

 private:
  socket_address address_;
  listen_options options_;
};

/// The path of a unix socket, or '@' and its abstract name.
class unix_server_endpoint final : public server_endpoint {
 public:
  explicit unix_server_endpoint(std::string name, unix_listen_options options = {});
  /// See the base class.
  deferred<listening_port> listen(std::shared_ptr<factory> f) override;
  /// See the base class.
  std::string describe() const override;

 private:
  std::string name_;
  unix_listen_options options_;
};

/// Thrown for an endpoint's string that is not understood; the text says what is wrong with it.
class endpoint_error : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

/// The endpoint that a string means:
///
///     tcp:HOST:PORT[:timeout=SECONDS][:bindAddress=ADDRESS]     tcp:host=HOST:port=PORT...
///     unix:PATH[:timeout=SECONDS]                               unix:path=PATH...
///
/// A backslash before ':', '=' or '\' makes it an ordinary character (an IPv6 literal is
/// `tcp:\:\:1:80`). Throws `endpoint_error`.
std::shared_ptr<client_endpoint> client_from_string(std::string_view description);

/// The endpoint that a string means:
///
///     tcp:PORT[:interface=ADDRESS][:backlog=NUMBER]             tcp6:PORT...
///     unix:PATH[:mode=OCTAL][:backlog=NUMBER][:lockfile=0|1]
///
/// All interfaces without `interface`. With `lockfile=0` a socket file that nobody listens on is not
/// replaced. Else as `client_from_string`.
std::shared_ptr<server_endpoint> server_from_string(std::string_view description);

/// Puts the backslashes in that make `text` one argument of an endpoint's string.
std::string quote_argument(std::string_view text);

/// Connects a protocol that is there already; the deferred has it after its `connection_made`. Cancel and
/// errors as `client_endpoint::connect`.
///
///     auto p = co_await connect_protocol(*endpoint, std::make_shared<asking>("who is there?"));
template <std::derived_from<protocol> P>
deferred<std::shared_ptr<P>> connect_protocol(client_endpoint& endpoint, std::shared_ptr<P> p);

namespace detail {

class single_protocol_factory final : public factory {
 public:
  explicit single_protocol_factory(std::shared_ptr<protocol> p) noexcept : protocol_(std::move(p)) {}
  std::shared_ptr<protocol> build_protocol(const socket_address&) override { return std::move(protocol_); }

 private:
  std::shared_ptr<protocol> protocol_;
};

}  // namespace detail

template <std::derived_from<protocol> P>
deferred<std::shared_ptr<P>> connect_protocol(client_endpoint& endpoint, std::shared_ptr<P> p) {
  return endpoint.connect(std::make_shared<detail::single_protocol_factory>(p))
      .add_callback([p](const std::shared_ptr<protocol>&) { return p; });
}

}  // namespace mobius::net
