#pragma once
// A server of ours to talk to, and what a client of it needs.

#include <cstdint>
#include <memory>
#include <mobius/http.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "peer.hpp"

namespace site {

namespace http = mobius::http;
using http::request;
using http::response;
using mobius::task;

inline std::string get(std::string_view path, std::string_view lines = "") {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n" + std::string(lines) + "\r\n";
}

inline task<response> echo(request& asked) {
  std::string text(http::method_name(asked.method()));
  text.append(" ").append(asked.path()).append(" [").append(asked.body()).append("]\n");
  co_return response::text(200, std::move(text));
}

// A server that is being served, on a port of its own.
struct served {
  explicit served(http::server::handler handler, http::server_options options = {})
      : listener("127.0.0.1", 0), port(listener.local_address().port()), site(std::move(handler), options) {
    mobius::background(site.serve(listener));
  }
  mobius::net::tcp_listener listener;
  std::uint16_t port;
  http::server site;
};

// What a client has received so far, while it does other things.
struct received {
  std::string text;
  bool ended = false;
};

inline task<> collect_into(mobius::net::tcp_stream& stream, std::shared_ptr<received> into) {
  for (;;) {
    auto data = co_await mobius::as_result(stream.receive());
    if (!data || data->empty()) break;
    into->text += data->text();
  }
  into->ended = true;
}

inline std::shared_ptr<received> collect(mobius::net::tcp_stream& stream) {
  auto into = std::make_shared<received>();
  mobius::background(collect_into(stream, into));
  return into;
}

inline bool is_refusal(const std::string& answer, int status) {
  return answer.starts_with("HTTP/1.1 " + std::to_string(status) + " ") &&
         peer::count(answer, "HTTP/1.") == 1 && answer.find("\r\nConnection: close\r\n") != std::string::npos;
}

}  // namespace site
