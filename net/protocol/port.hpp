#pragma once
// `listening_port`: a listener whose connections get protocols from a factory.

#include <chrono>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "../../deferred/resolver.hpp"
#include "../../runtime/reactor.hpp"
#include "../../runtime/task.hpp"
#include "../address.hpp"
#include "factory.hpp"
#include "stream_transport.hpp"

namespace mobius::net {

namespace detail {

/// The inside of a port; kept by its handle and by its accepting task.
class port_state {
 public:
  explicit port_state(std::shared_ptr<factory> f) : factory_(std::move(f)) { factory_->do_start(); }
  port_state(const port_state&) = delete;
  port_state& operator=(const port_state&) = delete;

  virtual void close() noexcept = 0;
  virtual const socket_address& address() const = 0;
  /// Ends when it no longer accepts.
  deferred<void> when_ended();

 protected:
  ~port_state() = default;
  /// The protocol of a new connection; null if there is to be none, which has been reported.
  std::shared_ptr<protocol> build(const socket_address& peer) noexcept;
  void ended() noexcept;

  struct end_guard {
    explicit end_guard(port_state& p) noexcept : port(p) {}
    end_guard(const end_guard&) = delete;
    end_guard& operator=(const end_guard&) = delete;
    ~end_guard() { port.ended(); }
    port_state& port;
  };

 private:
  std::shared_ptr<factory> factory_;
  std::vector<resolver<void>> waiting_;
  bool ended_ = false;
};

template <class Listener>
class port final : public port_state {
 public:
  port(Listener l, std::shared_ptr<factory> f)
      : port_state(std::move(f)), listener_(std::move(l)), address_(listener_.local_address()) {}

  void close() noexcept override {
    if (listener_) closing_.emplace(listener_.close());
  }
  const socket_address& address() const override { return address_; }

  static task<> serve(std::shared_ptr<port> self) {
    const end_guard guard(*self);
    while (self->listener_) {
      auto accepted = co_await as_result(self->listener_.accept());
      if (accepted) {
        self->begin(std::move(*accepted));
      } else if (self->listener_) {
        // Whatever it is, others may still get through; but not in a tight loop.
        report_unhandled(accepted.error(), "a listening port");
        co_await sleep(std::chrono::seconds(1));
      }
    }
    if (self->closing_) co_await *std::move(self->closing_);
  }

 private:
  // Whatever is wrong with one connection, the next ones still come.
  template <class S>
  void begin(S s) noexcept {
    try {
      if (auto p = build(s.peer_address())) start_protocol(std::move(p), std::move(s));
    } catch (...) {
      report_unhandled(failure(), "a connection of a listening port");
    }
  }

  Listener listener_;
  std::optional<decltype(std::declval<Listener&>().close())> closing_;
  socket_address address_;
};

}  // namespace detail

/// A handle to a listening port (Twisted's IListeningPort). Move-only. Dropping it stops listening, as
/// `stop_listening` does; `keep` leaves the port to the reactor. Its connections go on.
class [[nodiscard("dropping it closes the port; keep() leaves it open")]] listening_port {
 public:
  /// No port.
  listening_port() noexcept = default;
  listening_port(listening_port && other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  listening_port& operator=(listening_port&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~listening_port() {
    if (state_) state_->close();
  }

  /// Where it listens, with the port that the kernel chose. Throws std::logic_error if there is no port.
  const socket_address& get_host() const;
  /// Closes the port; this handle then holds none. The deferred ends when the kernel has let go of the
  /// socket, so that the next can listen there at once, and the factory has been told. Its connections
  /// go on. A cancel of the deferred changes nothing. Throws std::logic_error if there is no port.
  ///
  ///     co_await port.stop_listening();
  ///     port = listen(tcp_listener("127.0.0.1", 8007), std::make_shared<other_factory>());
  deferred<void> stop_listening();
  /// Listens until the reactor ends.
  void keep() noexcept { state_.reset(); }
  /// True if it holds a port.
  explicit operator bool() const noexcept { return state_ != nullptr; }

 private:
  template <class Listener>
  friend listening_port listen(Listener, std::shared_ptr<factory>);
  explicit listening_port(std::shared_ptr<detail::port_state> s) noexcept : state_(std::move(s)) {}

  std::shared_ptr<detail::port_state> state_;
};

/// Gives the connections of a listener to protocols that `f` builds. What `build_protocol` throws goes to
/// the unhandled hook, and the connection is closed.
///
///     auto port = listen(tcp_listener("127.0.0.1", 8007), factory::for_protocol<echo>());
template <class Listener>
listening_port listen(Listener l, std::shared_ptr<factory> f) {
  auto state = std::make_shared<detail::port<Listener>>(std::move(l), std::move(f));
  background(detail::port<Listener>::serve(state));
  return listening_port(std::move(state));
}

}  // namespace mobius::net
