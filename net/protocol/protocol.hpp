#pragma once
// `protocol`: what happens on one connection, as callbacks (Twisted's Protocol).

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "../../runtime/buffer_pool.hpp"
#include "../../runtime/failure.hpp"
#include "transport.hpp"

namespace mobius::net {

class factory;

/// Handles one connection: derive from it and override what you want to know. One object serves one
/// connection. The callbacks come from the reactor's loop, never inside a call of the transport, in
/// this order: `connection_made`, then `data_received` and the half-close ones, last and exactly once
/// `connection_lost`. One callback has returned before the next begins. What a callback throws closes the
/// connection, with it as the reason; what `connection_lost` throws goes to the unhandled hook.
///
/// The connection keeps the protocol alive until it has ended; the protocol keeps the transport, as a
/// shell, as long as it lives. Everything may be done in every callback: closing, aborting, dropping the
/// last reference to the protocol, connecting anew.
///
///     struct echo : mobius::net::protocol {
///       void data_received(std::string_view data) override { transport().write(data); }
///     };
class protocol {
 public:
  protocol() noexcept = default;
  protocol(const protocol&) = delete;
  protocol& operator=(const protocol&) = delete;
  virtual ~protocol() = default;

  /// Called by a transport: gives the protocol its connection and calls `connection_made`.
  virtual void make_connection(net::transport& t);
  /// The connection is there: a server has accepted it, a client's connect has succeeded. What is written
  /// here leaves when it returns. A client's connect fails with what this throws.
  virtual void connection_made() {}
  /// Bytes have come, cut anyhow; at most 64 KiB, at least one. The view is valid during the call.
  /// `transport().pause_producing()` holds back the next ones.
  virtual void data_received(std::string_view) {}
  /// The same with the buffer that they came in, which the protocol may keep or pass on to `write`
  /// without a copy; by default it calls `data_received`. Hold few and not for long, as all connections
  /// share them.
  virtual void lease_received(lease data) { data_received(data.text()); }
  /// The connection has ended, whoever ended it: the last callback. What is written from here on is
  /// ignored; `get_peer` still answers. `reason` holds `connection_done`,
  /// `connection_aborted`, `connection_taken`, the std::system_error of the stream, or what a callback
  /// threw.
  virtual void connection_lost(const failure& reason) { static_cast<void>(reason); }

  /// Whether the end of the peer's sending is told by `read_connection_lost` and leaves the connection
  /// open; otherwise what was written is sent, and it closes.
  virtual bool half_closeable() const noexcept { return false; }
  /// The peer sends no more. The protocol closes the connection when it is done.
  virtual void read_connection_lost() { transport().lose_connection(); }
  /// `lose_write_connection` has sent everything, and the peer has been told. Only if `half_closeable`.
  virtual void write_connection_lost() {}

  /// A name for logs: by default that of the type.
  virtual std::string log_prefix() const;

  /// Its connection; throws std::logic_error before `make_connection`.
  net::transport& transport() const {
    if (!transport_) [[unlikely]]
      throw_no_transport();
    return *transport_;
  }
  /// True from `make_connection` to the end of the connection.
  bool connected() const noexcept { return transport_ && transport_->connected(); }
  /// Who built it; null if nobody did.
  net::factory* factory() const noexcept { return factory_.get(); }
  /// The same as what it is known to be.
  template <class F>
  F& factory_as() const {
    return static_cast<F&>(*factory_);
  }
  /// Called by a factory.
  void set_factory(std::shared_ptr<net::factory> f) noexcept { factory_ = std::move(f); }

 private:
  [[noreturn]] static void throw_no_transport();

  transport_ref transport_;
  std::shared_ptr<net::factory> factory_;
};

}  // namespace mobius::net
