#pragma once
// The client: `fetch` and `get_page` for a single exchange, `client` for many.

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "../../deferred/coroutine.hpp"
#include "../../runtime/task.hpp"
#include "headers.hpp"
#include "limits.hpp"
#include "message.hpp"
#include "url.hpp"

namespace mobius::http {

/// How a client behaves.
struct client_options {
  client_options() = default;
  /// Sizes, counts and time limits.
  client_limits limits;
  /// Sent with each request; Host, Connection and what frames a body are the library's.
  http::headers headers;
};

namespace detail {
class connection_pool;
}

/// What `fetch` gives.
struct fetched {
  /// A response and where it came from.
  fetched(http::url from, http::response what) : url(std::move(from)), response(std::move(what)) {}

  http::url url;            ///< after redirects
  http::response response;  ///< of whatever status
};

/// Gets a URL: looks the host up, connects, sends a GET and reads the response, whatever its
/// status. Redirects (301, 302, 303, 307, 308) are followed, 20 at most; Authorization and Cookie
/// are not sent to another origin. Ends when the connection is gone. Cancel: ends it in any phase.
///
/// Throws `invalid_url`, `tls_unavailable` for https, net::resolve_error, std::system_error when no
/// address could be reached, `exchange_timed_out`, `too_large`, `protocol_error`,
/// `response_never_received`, `response_truncated` (with what came), `redirect_error`.
///
///     auto page = co_await http::fetch("http://example.org/");
///     if (page.response.status == 200) ...
task<fetched> fetch(std::string url, client_options options = {});

/// Gets a page; starts at once, also before the reactor runs, and never throws at the call: a bad
/// URL has failed already when it returns. Fires with the body for the statuses 200, 201 and 202,
/// after the connection is gone; fails with `status_error` (status, reason and body) for others,
/// and with what `fetch` throws. Cancel: ends the exchange in any phase, and fires when the socket
/// is closed. At most 16 MiB, 120 s in all (Twisted's getPage, with limits).
///
///     http::get_page(url).add_callbacks<page>(report_success, report_failure);
///     auto page = co_await mobius::as_result(http::get_page(url));
deferred<std::string> get_page(std::string url, client_options options = {});

/// A client that keeps its connections: an exchange goes over one that an earlier one to the same
/// origin (host and port) has left, if there is one. Connections are kept for 15 s, 32 of an origin
/// and 256 in all; `reactor::run` does not wait for them. How many exchanges run at once is the
/// caller's to decide; each has a connection of its own.
///
/// A request that meets a kept connection just as the server closes it is sent again over a new one,
/// if not one byte of a response had come; a GET may be (RFC 9110 9.2.2). A connection is not kept
/// after an error, a cancel, a redirect with a body, or a response that its end delimits.
///
/// It serves one reactor, the current one where it is made. Dropping it closes what it keeps;
/// exchanges under way go on.
///
///     http::client web;
///     for (const std::string& url : urls) use(co_await web.get_page(url));
class client {
 public:
  /// A client with these options, for all its exchanges.
  explicit client(client_options options = {});

  /// `http::fetch` over a kept connection; ends with the response.
  task<fetched> fetch(std::string url) const;
  /// `http::get_page` over a kept connection; fires with the response.
  deferred<std::string> get_page(std::string url) const;

  /// How many connections are kept.
  std::size_t idle_connections() const noexcept;
  /// Closes them.
  void close_idle() noexcept;

 private:
  client_options options_;
  std::shared_ptr<detail::connection_pool> pool_;
};

}  // namespace mobius::http
