#pragma once
// What limits connections: `timeout_mixin`, `limit_total_connections`, `limit_connections_by_peer`, and
// the wrapper that such things are made with.

#include <chrono>
#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "../../runtime/reactor.hpp"
#include "factory.hpp"
#include "protocol.hpp"

namespace mobius::net {

/// A protocol with an idle timeout (Twisted's TimeoutMixin): derive from it instead of from `Base`.
///
///     class session : public mobius::net::timeout_mixin<mobius::net::line_receiver> {
///       void connection_made() override { set_timeout(30s); }
///       void line_received(std::string_view line) override { reset_timeout(); ... }
///     };
template <std::derived_from<protocol> Base>
class timeout_mixin : public Base {
 public:
  using Base::Base;
  ~timeout_mixin() override { timer_.cancel(); }

  /// Calls `timeout_connection` after so long; nothing turns it off. Gives what was set before.
  std::optional<std::chrono::nanoseconds> set_timeout(std::optional<std::chrono::nanoseconds> after) {
    timer_.cancel();
    if (after) timer_ = call_later(*after, [this] { expired(); });
    return std::exchange(timeout_, after);
  }
  /// Starts the time anew, if there is one.
  void reset_timeout() {
    if (timeout_ && !timer_.reset(*timeout_)) set_timeout(timeout_);
  }
  /// The time is up. By default: `lose_connection`.
  virtual void timeout_connection() { this->transport().lose_connection(); }

 private:
  void expired() {
    // Once the connection has ended there is nobody to tell.
    if (this->connected()) timeout_connection();
  }

  std::optional<std::chrono::nanoseconds> timeout_;
  delayed_call timer_;
};

/// A protocol in front of another one, which it passes everything on to (Twisted's ProtocolWrapper).
class protocol_wrapper : public protocol {
 public:
  explicit protocol_wrapper(std::shared_ptr<protocol> wrapped) noexcept : wrapped_(std::move(wrapped)) {}

  /// See the base class.
  void make_connection(net::transport& t) override;
  /// See the base class.
  void lease_received(lease data) override { wrapped_->lease_received(std::move(data)); }
  /// See the base class.
  void data_received(std::string_view data) override { wrapped_->data_received(data); }
  /// See the base class.
  void connection_lost(const failure& reason) override { wrapped_->connection_lost(reason); }
  /// See the base class.
  bool half_closeable() const noexcept override { return wrapped_->half_closeable(); }
  /// See the base class.
  void read_connection_lost() override { wrapped_->read_connection_lost(); }
  /// See the base class.
  void write_connection_lost() override { wrapped_->write_connection_lost(); }
  /// See the base class.
  std::string log_prefix() const override { return wrapped_->log_prefix(); }

  /// The protocol behind it.
  const std::shared_ptr<protocol>& wrapped() const noexcept { return wrapped_; }

 private:
  std::shared_ptr<protocol> wrapped_;
};

/// A factory in front of another one (Twisted's WrappingFactory): starts and stops with it.
class wrapping_factory : public factory {
 public:
  explicit wrapping_factory(std::shared_ptr<factory> wrapped) noexcept : wrapped_(std::move(wrapped)) {}

  /// See the base class.
  void start_factory() override { wrapped_->do_start(); }
  /// See the base class.
  void stop_factory() override { wrapped_->do_stop(); }
  /// See the base class.
  std::shared_ptr<protocol> build_protocol(const socket_address& peer) override {
    return wrapped_->build_protocol(peer);
  }
  /// The factory behind it.
  factory& wrapped() const noexcept { return *wrapped_; }

 private:
  std::shared_ptr<factory> wrapped_;
};

/// At most so many connections at a time: further ones are closed at once, or get a protocol that says
/// why, from `overflow`, which is not counted (Twisted's LimitTotalConnectionsFactory).
///
///     auto limited = std::make_shared<limit_total_connections>(f, 1000, factory::for_protocol<busy>());
///     listening_port port = listen(tcp_listener("::", 7000), limited);
class limit_total_connections : public wrapping_factory {
 public:
  limit_total_connections(std::shared_ptr<factory> wrapped, std::size_t most,
                          std::shared_ptr<factory> overflow = nullptr) noexcept
      : wrapping_factory(std::move(wrapped)), most_(most), overflow_(std::move(overflow)) {}

  /// See the base class.
  std::shared_ptr<protocol> build_protocol(const socket_address& peer) override;
  /// Connections that it has let in and that have not ended.
  std::size_t open() const noexcept { return *open_; }

 private:
  std::size_t most_;
  std::shared_ptr<factory> overflow_;
  std::shared_ptr<std::size_t> open_ = std::make_shared<std::size_t>(0);
};

/// At most so many connections at a time from one host, whatever its ports; further ones are closed at
/// once (Twisted's LimitConnectionsByPeer). All clients of a unix socket are one host.
///
///     listening_port port = listen(tcp_listener("::", 7000),
///     std::make_shared<limit_connections_by_peer>(f));
class limit_connections_by_peer : public wrapping_factory {
 public:
  /// 5 is Twisted's.
  explicit limit_connections_by_peer(std::shared_ptr<factory> wrapped, std::size_t most = 5) noexcept
      : wrapping_factory(std::move(wrapped)), most_(most) {}

  /// See the base class.
  std::shared_ptr<protocol> build_protocol(const socket_address& peer) override;
  /// Connections from this host that have not ended.
  std::size_t open(const std::string& host) const;

 private:
  using counts = std::unordered_map<std::string, std::size_t>;

  std::size_t most_;
  std::shared_ptr<counts> open_ = std::make_shared<counts>();
};

}  // namespace mobius::net
