#pragma once
// `client_factory` and `connector`: clients as Twisted first had them, and
// `reconnecting_client_factory`. New programs are better served by `client_service`.

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "../../deferred/helpers.hpp"
#include "../../runtime/reactor.hpp"
#include "endpoint.hpp"
#include "factory.hpp"

namespace mobius::net {

class connector;

/// A factory that is told what becomes of its connections (Twisted's ClientFactory). What these functions
/// throw goes to the unhandled hook, save that of `started_connecting`, which `connector::connect` throws.
///
///     struct stubborn : mobius::net::client_factory {
///       std::shared_ptr<protocol> build_protocol(const socket_address&) override { ... }
///       void client_connection_lost(connector& c, const failure&) override { c.connect(); }
///     };
class client_factory : public factory {
 public:
  /// A connector begins to connect.
  virtual void started_connecting(connector&) {}
  /// It could not. Calling `connector::connect` here tries again.
  virtual void client_connection_failed(connector&, const failure&) {}
  /// The connection has ended; called after the protocol's own `connection_lost`. Calling
  /// `connector::connect` here connects again.
  virtual void client_connection_lost(connector&, const failure&) {}
};

/// Makes the connections of a `client_factory` to an endpoint, one at a time (Twisted's IConnector). The
/// attempt or connection under way keeps it alive.
class connector final : public std::enable_shared_from_this<connector>, private connection_observer {
 public:
  /// What it is doing.
  enum class status { disconnected, connecting, connected };

  connector(std::shared_ptr<client_endpoint> endpoint, std::shared_ptr<client_factory> f) noexcept
      : endpoint_(std::move(endpoint)), factory_(std::move(f)) {}
  connector(const connector&) = delete;
  connector& operator=(const connector&) = delete;

  /// Begins to connect. Throws std::logic_error unless it is disconnected, and what `start_factory` and
  /// `started_connecting` throw: it is disconnected then.
  void connect();
  /// Ends the attempt, or closes the connection in order.
  void disconnect();
  /// Ends the attempt, which fails with `cancelled`. Throws std::logic_error if there is none.
  void stop_connecting();
  /// Where it connects to, for messages.
  std::string get_destination() const { return endpoint_->describe(); }
  /// See `status`.
  status state() const noexcept { return state_; }

 private:
  void connection_ended(const failure& reason) noexcept override;
  void finished(result<std::shared_ptr<protocol>> outcome);
  template <class F>
  void over(F tell);

  std::shared_ptr<client_endpoint> endpoint_;
  std::shared_ptr<client_factory> factory_;
  status state_ = status::disconnected;
  std::optional<cancel_handle> attempt_;
  transport_ref transport_;
  std::shared_ptr<connector> self_;  // while something is under way
  bool started_ = false;
};

/// Begins to connect a client to an endpoint.
std::shared_ptr<connector> connect_client(std::shared_ptr<client_endpoint> endpoint,
                                          std::shared_ptr<client_factory> f);

/// How long a client that reconnects waits. The numbers are Twisted's.
struct reconnect_delays {
  /// What the first wait is computed from: it is `initial * factor`.
  std::chrono::duration<double> initial{1.0};
  /// The longest.
  std::chrono::duration<double> longest{3600.0};
  /// What each wait is of the one before.
  double factor = 2.7182818284590451;
  /// The standard deviation of a wait, as a part of it; 0: none.
  double jitter = 0.119626565582;
  /// How many times it tries again without a `reset_delay`; no value: for ever.
  std::optional<unsigned> max_retries = {};
};

/// A client that connects again, each time after a longer wait (Twisted's ReconnectingClientFactory).
/// Derive from it; `build_protocol` should call `reset_delay`.
///
///     struct uplink : mobius::net::reconnecting_client_factory {
///       std::shared_ptr<protocol> build_protocol(const socket_address&) override {
///         reset_delay();
///         return std::make_shared<session>();
///       }
///     };
///     auto c = connect_client(client_from_string("tcp:hub:4000"), std::make_shared<uplink>());
class reconnecting_client_factory : public client_factory {
 public:
  explicit reconnecting_client_factory(reconnect_delays delays = {}) noexcept
      : delays_(delays), delay_(delays.initial) {}
  ~reconnecting_client_factory() override { timer_.cancel(); }

  /// See the base class.
  void client_connection_failed(connector& c, const failure&) override { retry(c); }
  /// See the base class.
  void client_connection_lost(connector& c, const failure&) override { retry(c); }

  /// Connects again after the next wait, unless it is stopped or has tried often enough.
  void retry(connector& c);
  /// The next wait is the first again: call it when a connection is good.
  void reset_delay() noexcept;
  /// Connects no more, also not after the wait under way. An attempt or connection goes on.
  void stop_trying();
  /// Undoes `stop_trying`, for what happens from now on.
  void continue_trying() noexcept { trying_ = true; }
  /// How often it has tried again since the last `reset_delay`.
  unsigned retries() const noexcept { return retries_; }
  /// The wait that is under way, or was last.
  std::chrono::duration<double> delay() const noexcept { return delay_; }

 private:
  reconnect_delays delays_;
  std::chrono::duration<double> delay_;
  unsigned retries_ = 0;
  bool trying_ = true;
  delayed_call timer_;
};

}  // namespace mobius::net
