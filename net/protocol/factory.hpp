#pragma once
// `factory`: makes the protocols of a listening port or of a client (Twisted's Factory).

#include <concepts>
#include <cstddef>
#include <memory>
#include <tuple>
#include <utility>

#include "protocol.hpp"

namespace mobius::net {

/// Makes a protocol for each connection, and keeps what they share. Held by std::shared_ptr: a port and
/// the protocols keep it alive. One factory may serve any number of ports and clients.
///
///     struct room : mobius::net::factory {
///       std::shared_ptr<protocol> build_protocol(const socket_address& peer) override {
///         return std::make_shared<member>(*this, peer);
///       }
///       std::set<member*> members;
///     };
class factory : public std::enable_shared_from_this<factory> {
 public:
  factory() noexcept = default;
  factory(const factory&) = delete;
  factory& operator=(const factory&) = delete;
  virtual ~factory() = default;

  /// A factory that makes `P(args...)` for each connection, from copies of `args`:
  ///
  ///     auto f = mobius::net::factory::for_protocol<echo>();
  template <std::derived_from<protocol> P, class... Args>
  static std::shared_ptr<factory> for_protocol(Args... args);

  /// Makes the protocol of a connection to `peer`, and calls `set_factory` of it, or gives null: then
  /// the connection is closed at once. What it throws is reported and closes the connection; a
  /// client's connect fails with it.
  virtual std::shared_ptr<protocol> build_protocol(const socket_address& peer) = 0;

  /// Called when its first port or connector begins, which fails with what this throws.
  virtual void start_factory() {}
  /// Called when the last has ended; what it throws is reported.
  virtual void stop_factory() {}

  /// A port or connector of it begins.
  void do_start() {
    if (ports_ == 0) start_factory();
    ++ports_;
  }
  /// A port or connector of it ends; ignored if there is none.
  void do_stop() {
    if (ports_ == 0) return;
    --ports_;
    if (ports_ == 0) stop_factory();
  }
  /// Ports and connectors that have begun and not ended.
  std::size_t ports() const noexcept { return ports_; }

 private:
  std::size_t ports_ = 0;
};

namespace detail {

template <class P, class... Args>
class protocol_factory final : public factory {
 public:
  explicit protocol_factory(Args... args) : args_(std::move(args)...) {}
  std::shared_ptr<protocol> build_protocol(const socket_address&) override {
    auto p = std::apply([](const Args&... args) { return std::make_shared<P>(args...); }, args_);
    p->set_factory(shared_from_this());
    return p;
  }

 private:
  std::tuple<Args...> args_;
};

}  // namespace detail

template <std::derived_from<protocol> P, class... Args>
std::shared_ptr<factory> factory::for_protocol(Args... args) {
  return std::make_shared<detail::protocol_factory<P, Args...>>(std::move(args)...);
}

}  // namespace mobius::net
