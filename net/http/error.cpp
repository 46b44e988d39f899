#include "error.hpp"

#include <algorithm>

#include "text.hpp"

namespace mobius::http {

namespace {

// A password must not travel into logs by way of an error text.
std::string without_user_info(std::string_view url) {
  const auto slashes = url.find("//");
  const auto begin = slashes == std::string_view::npos ? 0 : slashes + 2;
  const auto end = std::min(url.find_first_of("/?#", begin), url.size());
  const auto at = url.substr(0, end).rfind('@');
  if (at == std::string_view::npos || at < begin) return std::string(url);
  return std::string(url.substr(0, begin)) + "***" + std::string(url.substr(at));
}

}  // namespace

invalid_url::invalid_url(std::string_view url, std::string_view why)
    : error("invalid URL " + detail::quoted(without_user_info(url)) + ": " + std::string(why) +
            "; a URL looks like http://example.org:8080/path?query"),
      url_(without_user_info(url)) {}

tls_unavailable::tls_unavailable(std::string_view url)
    : error("request " + std::string(url) +
            ": this build of mobius has no TLS yet, so https cannot be fetched; use an http URL") {}

invalid_header::invalid_header(std::string_view name, std::string_view why)
    : error("invalid header " + detail::quoted(name) + ": " + std::string(why)), name_(name) {}

status_error::status_error(std::string_view url, int status, std::string reason, std::string body)
    : error("request " + std::string(url) + ": the server answered " + std::to_string(status) +
            (reason.empty() ? "" : " ") + reason),
      status_(status),
      reason_(std::move(reason)),
      body_(std::move(body)) {}

std::string_view phase_name(phase which) noexcept {
  switch (which) {
    case phase::resolve:
      return "resolve";
    case phase::connect:
      return "connect";
    case phase::request:
      return "send the request";
    case phase::response_head:
      return "wait for the response";
    case phase::response_body:
      return "read the body";
  }
  return "unknown phase";
}

exchange_timed_out::exchange_timed_out(std::string_view url, phase which, std::string_view limit)
    : error("request " + std::string(url) + ": time limit of " + std::string(limit) +
            " passed while trying to " + std::string(phase_name(which))),
      where_(which) {}

}  // namespace mobius::http
