#pragma once
// The client: one exchange per connection.

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

}  // namespace mobius::http
