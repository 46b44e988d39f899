#pragma once
// `client_service`: keeps one connection to an endpoint, for as long as it runs.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "../../deferred/chain.hpp"
#include "endpoint.hpp"
#include "factory.hpp"

namespace mobius::net {

/// How long to wait after so many failures in a row (1 at the first).
using retry_policy = std::function<std::chrono::nanoseconds(unsigned failures)>;

/// `initial * factor^failures`, at most `longest`, and up to `jitter` at random on top. The numbers are
/// Twisted's.
retry_policy backoff_policy(std::chrono::nanoseconds initial = std::chrono::seconds(1),
                            std::chrono::nanoseconds longest = std::chrono::seconds(60), double factor = 1.5,
                            std::chrono::nanoseconds jitter = std::chrono::seconds(1));

/// How a `client_service` works.
struct client_service_options {
  /// The waits between attempts.
  retry_policy retry = backoff_policy();
  /// Called with each new connection, to log in and the like; it is given to `when_connected` only when
  /// this has ended. If it fails, the connection is closed and counts as failed.
  std::function<deferred<void>(protocol&)> prepare = {};
};

/// Keeps a connection to an endpoint: connects, waits longer after each failure, connects again when
/// the connection ends (Twisted's ClientService). Dropping it stops it, without waiting.
///
///     client_service service(client_from_string("tcp:db:5432"), factory::for_protocol<query>());
///     service.start_service();
///     std::shared_ptr<protocol> db = co_await service.when_connected();
class client_service {
 public:
  client_service(std::shared_ptr<client_endpoint> endpoint, std::shared_ptr<factory> f,
                 client_service_options options = {});
  client_service(client_service&&) noexcept = default;
  client_service& operator=(client_service&& other) noexcept;
  ~client_service();

  /// Begins, or, if a stop is going on, begins again after it. Nothing if it runs.
  void start_service();
  /// Ends the attempt or wait under way, or closes the connection in order. The deferred ends when the
  /// connection has. Who waits in `when_connected` gets `cancelled`.
  deferred<void> stop_service();
  /// The protocol of the connection, at once or when there is one. A cancel ends the wait and leaves the
  /// service alone. It fails after that many attempts
  /// in a row (those before the call do not count), with the last one's failure, or with `cancelled` when
  /// the service stops or does not run.
  deferred<std::shared_ptr<protocol>> when_connected(std::optional<unsigned> fail_after = std::nullopt);
  /// True from `start_service` to `stop_service`.
  bool running() const noexcept;

 private:
  class state;
  std::shared_ptr<state> state_;
};

}  // namespace mobius::net
