#pragma once
// Two ends of a connection on loopback, for tests.

#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <string>
#include <utility>

namespace test {

struct peers {
  mobius::net::tcp_stream client;
  mobius::net::tcp_stream server;
};

inline mobius::task<peers> connected_peers() {
  mobius::net::tcp_listener listener("127.0.0.1", 0);
  auto both =
      mobius::when_all(mobius::net::connect("127.0.0.1", listener.local_address().port()), listener.accept());
  auto [client, server] = co_await std::move(both);
  peers out{std::move(client), std::move(server)};
  co_return out;
}

/// Reads to the end of the stream.
inline mobius::task<std::string> read_all(mobius::net::tcp_stream& stream) {
  std::string all;
  while (mobius::lease part = co_await stream.receive()) all += part.text();
  co_return all;
}

/// Reads exactly `size` bytes, or to the end.
inline mobius::task<std::string> read_exactly(mobius::net::tcp_stream& stream, std::size_t size) {
  std::string all(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const std::size_t part = co_await stream.read_some(std::span(all).subspan(done));
    if (part == 0) break;
    done += part;
  }
  all.resize(done);
  co_return all;
}

inline std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
  return text;
}

/// Lets the kernel's completions come in.
inline mobius::task<> settle(int turns = 20) {
  for (int i = 0; i < turns; ++i) co_await mobius::yield();
}

}  // namespace test
