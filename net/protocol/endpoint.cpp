#include "endpoint.hpp"

#include "../../deferred/deferred.hpp"
#include "../../runtime/timeout.hpp"
#include "../tcp.hpp"

namespace mobius::net {

namespace {

using protocol_ptr = std::shared_ptr<protocol>;

// Counts a connection among what keeps its factory started.
class factory_use final : public connection_observer {
 public:
  explicit factory_use(std::shared_ptr<factory> f) : factory_(std::move(f)) { factory_->do_start(); }
  factory_use(const factory_use&) = delete;
  factory_use& operator=(const factory_use&) = delete;
  ~factory_use() {
    try {
      factory_->do_stop();
    } catch (...) {
      report_unhandled(failure(), "stop_factory of a factory");
    }
  }
  void connection_ended(const failure&) noexcept override { const std::unique_ptr<factory_use> self(this); }

 private:
  std::shared_ptr<factory> factory_;
};

bool in_order(const failure& reason) noexcept {
  return reason.check<connection_done, connection_aborted, connection_taken>();
}

template <class Connect>
deferred<protocol_ptr> connect_with(Connect connecting, std::string where, std::chrono::nanoseconds limit,
                                    std::shared_ptr<factory> f) {
  auto use = std::make_unique<factory_use>(f);
  auto connected = co_await as_result(timeout(limit, std::move(connecting)));
  if (!connected && connected.error().template check<timed_out>())
    throw timed_out("connect " + where + ": timed out after " + mobius::detail::to_text(limit));
  auto s = std::move(connected).value();
  protocol_ptr p = f->build_protocol(s.peer_address());
  if (!p) throw no_protocol();
  const transport_ref t = start_protocol(p, std::move(s));
  t->observe(*use.release());
  if (const failure* reason = t->lost_reason(); reason && !in_order(*reason)) reason->rethrow();
  co_return p;
}

}  // namespace

tcp_client_endpoint::tcp_client_endpoint(std::string host, std::uint16_t port,
                                         std::chrono::nanoseconds timeout, connect_options options)
    : host_(std::move(host)), port_(port), timeout_(timeout), options_(options) {}

deferred<protocol_ptr> tcp_client_endpoint::connect(std::shared_ptr<factory> f) {
  return connect_with(net::connect(host_, port_, options_), describe(), timeout_, std::move(f));
}

std::string tcp_client_endpoint::describe() const { return host_and_port(host_, port_); }

unix_client_endpoint::unix_client_endpoint(std::string name, std::chrono::nanoseconds timeout)
    : name_(std::move(name)), timeout_(timeout) {}

deferred<protocol_ptr> unix_client_endpoint::connect(std::shared_ptr<factory> f) {
  return connect_with(connect_unix(name_), describe(), timeout_, std::move(f));
}

std::string unix_client_endpoint::describe() const { return "unix:" + name_; }

tcp_server_endpoint::tcp_server_endpoint(socket_address address, listen_options options)
    : address_(address), options_(options) {}

deferred<listening_port> tcp_server_endpoint::listen(std::shared_ptr<factory> f) {
  return maybe_deferred([&] { return net::listen(tcp_listener(address_, options_), std::move(f)); });
}

std::string tcp_server_endpoint::describe() const { return address_.to_string(); }

unix_server_endpoint::unix_server_endpoint(std::string name, unix_listen_options options)
    : name_(std::move(name)), options_(options) {}

deferred<listening_port> unix_server_endpoint::listen(std::shared_ptr<factory> f) {
  return maybe_deferred([&] { return net::listen(unix_listener(name_, options_), std::move(f)); });
}

std::string unix_server_endpoint::describe() const { return "unix:" + name_; }

}  // namespace mobius::net
