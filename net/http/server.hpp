#pragma once
// The server: requests in, a coroutine for each, responses out.

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "../../runtime/task.hpp"
#include "../tcp.hpp"
#include "limits.hpp"
#include "message.hpp"

namespace mobius::http {

/// How a server is made.
struct server_options {
  /// What a client may cost.
  server_limits limits;
};

namespace detail {
struct site;
}

/// An HTTP/1.1 server. Its handler gets each request with the whole body, and returns the
/// response; it may take its time, and handlers of different connections overlap.
///
///     mobius::task<http::response> hello(http::request& asked) {
///       co_return http::response::text(200, "hello " + std::string(asked.path()) + "\n");
///     }
///     int main() {
///       http::server site(hello);
///       mobius::run(site.listen("127.0.0.1", 8080));
///     }
///
/// A connection is kept open where the client allows it. Pipelined requests are answered in order,
/// one at a time; what is ready together leaves in one send. Limits and deadlines are on by
/// default. A message that is not exactly HTTP/1.1 (RFC 9112) is answered with the error's status
/// and the connection closed: nothing behind it is read as a request.
///
/// What a handler throws becomes a 500 without details, and goes to the unhandled hook; so does a
/// response that must not be sent. The request and all views from it are valid until the handler
/// has answered. TRACE and CONNECT are answered by the server itself.
///
/// One server serves one reactor; dropping it aborts its connections.
class server {
 public:
  /// What answers requests. The server keeps it, so a lambda coroutine may use its captures.
  using handler = std::function<task<response>(request&)>;

  /// A server that answers with `f(request&)`, which returns a task<response>.
  template <class F>
  requires(!std::same_as<std::remove_cvref_t<F>, server>) explicit server(F f, server_options options = {})
      : server(handler(checked(std::move(f))), std::move(options)) {}
  /// A server that answers with `f`.
  explicit server(handler f, server_options options = {});
  server(server&&) noexcept = default;
  server& operator=(server&& other) noexcept {
    site_.swap(other.site_);
    return *this;
  }
  ~server();

  /// Serves the connections of a listener, which must live until then, until `stop`; ends when the
  /// last connection has ended. May overlap for several listeners. Cancel: stops accepting and
  /// aborts all connections of the server. Throws what `accept` throws.
  ///
  ///     mobius::net::tcp_listener port("127.0.0.1", 0);
  ///     co_await site.serve(port);
  task<> serve(net::tcp_listener& listener);
  /// The same for a listener that it keeps.
  task<> serve(net::tcp_listener&& listener);
  /// Listens on an address, a literal such as "127.0.0.1" or "::", and serves it. Throws what making
  /// a `tcp_listener` throws.
  task<> listen(std::string address, std::uint16_t port, net::listen_options options = {});

  /// Stops in order: the listeners close, idle connections too, and requests that have begun are
  /// answered with "Connection: close". What still runs after `grace` is aborted. Ends when the last
  /// connection has ended; cancel ends only the wait. Not to be awaited in a handler, which would
  /// wait for itself.
  task<> stop(std::chrono::nanoseconds grace = std::chrono::seconds(30));

  /// How many connections there are.
  std::size_t connections() const noexcept;

 private:
  template <class F>
  static F&& checked(F&& f) {
    static_assert(std::is_invocable_r_v<task<response>, F&, request&>,
                  "a handler is called with (http::request&) and returns mobius::task<http::response>");
    return std::forward<F>(f);
  }

  std::shared_ptr<detail::site> site_;
};

}  // namespace mobius::http
