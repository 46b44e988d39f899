#pragma once
// The other end of a connection, byte by byte: for what no decent client or server would send.

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <mobius/net/tcp.hpp>
#include <mobius/runtime.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace peer {

using mobius::task;
using mobius::net::tcp_listener;
using mobius::net::tcp_stream;

/// Lets everything that can happen without the clock happen.
inline task<> settle() {
  for (int turn = 0; turn < 400; ++turn) co_await mobius::yield();
}

/// Connects to a port on loopback.
inline task<tcp_stream> connect(std::uint16_t port) {
  const auto address = mobius::net::socket_address::parse("127.0.0.1", port);
  tcp_stream stream = co_await mobius::net::connect(*address);
  stream.mark_idle();
  co_return stream;
}

/// Everything up to the end of the stream, also when that is a reset.
inline task<std::string> read_to_end(tcp_stream& stream) {
  std::string all;
  for (;;) {
    auto data = co_await mobius::as_result(stream.receive());
    if (!data || data->empty()) co_return all;
    all += data->text();
  }
}

/// Everything until `end` has come (or the stream has ended).
inline task<std::string> read_until(tcp_stream& stream, std::string_view end) {
  std::string all;
  while (all.find(end) == std::string::npos) {
    auto data = co_await mobius::as_result(stream.receive());
    if (!data || data->empty()) break;
    all += data->text();
  }
  co_return all;
}

/// Sends bytes and half-closes, then gives all that comes back.
inline task<std::string> talk(std::uint16_t port, std::string bytes) {
  tcp_stream stream = co_await connect(port);
  auto sent = co_await mobius::as_result(stream.write_all(bytes));
  if (sent) ::shutdown(stream.native_handle(), SHUT_WR);
  co_return co_await read_to_end(stream);
}

/// How often `part` stands in `text`.
inline std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size()))
    ++found;
  return found;
}

/// What a misbehaving server does with one connection: it reads a request head, sends its answer,
/// and closes.
class script {
 public:
  explicit script(std::string text) : answer(std::move(text)) {}
  /// After the answer it does nothing until the client has gone.
  script hanging() const {
    script other(*this);
    other.hang = true;
    return other;
  }
  /// It resets the connection instead of closing it.
  script resetting() const {
    script other(*this);
    other.reset = true;
    return other;
  }
  /// It does not wait for a request.
  script hasty() const {
    script other(*this);
    other.read_request = false;
    return other;
  }

  std::string answer;
  bool read_request = true;
  bool hang = false;
  bool reset = false;
};

/// A server that plays a script to each connection.
class server {
 public:
  explicit server(script s) : server(std::vector{std::move(s)}) {}
  /// One script after another; the last one again and again.
  explicit server(std::vector<script> scripts) : scripts_(std::move(scripts)), listener_("127.0.0.1", 0) {
    mobius::background(serve());
  }
  server(const server&) = delete;
  server& operator=(const server&) = delete;
  ~server() { listener_.close(); }

  std::uint16_t port() const { return listener_.local_address().port(); }
  std::string url(std::string_view path = "/") const {
    return "http://127.0.0.1:" + std::to_string(port()) + std::string(path);
  }
  /// The request heads that have come.
  const std::vector<std::string>& requests() const { return requests_; }
  /// Connections that have not ended.
  int open() const { return open_; }

 private:
  task<> serve() {
    for (std::size_t next = 0;; ++next) {
      auto client = co_await mobius::as_result(listener_.accept());
      if (!client) co_return;
      mobius::background(play(std::move(*client), scripts_[std::min(next, scripts_.size() - 1)]));
    }
  }
  task<> play(tcp_stream client, script what) {
    ++open_;
    client.mark_idle();
    if (what.read_request) {
      std::string request = co_await read_until(client, "\r\n\r\n");
      requests_.push_back(std::move(request));
    }
    auto sent = co_await mobius::as_result(client.write_all(what.answer));
    if (what.hang && sent) co_await read_to_end(client);
    if (what.reset) {
      constexpr ::linger at_once{1, 0};
      ::setsockopt(client.native_handle(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    --open_;
  }

  std::vector<script> scripts_;
  tcp_listener listener_;
  std::vector<std::string> requests_;
  int open_ = 0;
};

/// A port on loopback that drops attempts to connect: its queue is full and nobody accepts.
class black_hole {
 public:
  black_hole() {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 0) != 0 ||
        ::getsockname(listener_, generic, &size) != 0)
      throw std::system_error(errno, std::generic_category(), "black_hole");
    port_ = ntohs(address.sin_port);
    for (int i = 0; i < 4; ++i) {
      const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      static_cast<void>(::connect(fd, generic, size));
      waiting_.push_back(fd);
    }
  }
  black_hole(const black_hole&) = delete;
  black_hole& operator=(const black_hole&) = delete;
  ~black_hole() {
    for (int fd : waiting_) ::close(fd);
    ::close(listener_);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/"; }

 private:
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::vector<int> waiting_;
};

/// A port on loopback where nobody listens.
inline std::uint16_t closed_port() {
  const tcp_listener listener("127.0.0.1", 0);
  return listener.local_address().port();
}

}  // namespace peer
