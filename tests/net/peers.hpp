#pragma once
// Two ends of a connection on this machine, of each kind of stream, for tests.

#include <unistd.h>

#include <array>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <ostream>
#include <string>
#include <utility>

namespace test {

/// The kinds of streams that the same tests run over.
enum class kind { tcp4, tcp6, unix_path, unix_abstract, pair };

inline constexpr std::array every_kind{kind::tcp4, kind::tcp6, kind::unix_path, kind::unix_abstract,
                                       kind::pair};

inline std::ostream& operator<<(std::ostream& out, kind k) {
  return out << std::array{"tcp4", "tcp6", "unix_path", "unix_abstract", "pair"}.at(
             static_cast<std::size_t>(k));
}

struct peers {
  mobius::net::socket_stream client;
  mobius::net::socket_stream server;
};

/// A path for a unix socket that no other test uses.
inline std::string socket_path() {
  static int number = 0;
  return "/tmp/mobius_net_test_" + std::to_string(getpid()) + "_" + std::to_string(++number);
}

inline mobius::task<peers> tcp_peers(const char* loopback) {
  mobius::net::tcp_listener listener(loopback, 0);
  auto both =
      mobius::when_all(mobius::net::connect(loopback, listener.local_address().port()), listener.accept());
  auto [client, server] = co_await std::move(both);
  peers out{std::move(client), std::move(server)};
  co_return out;
}

inline mobius::task<peers> unix_peers(std::string name) {
  mobius::net::unix_listener listener(name);
  auto both = mobius::when_all(mobius::net::connect_unix(name), listener.accept());
  auto [client, server] = co_await std::move(both);
  peers out{std::move(client), std::move(server)};
  co_return out;
}

inline mobius::task<peers> connected_peers(kind k = kind::tcp4) {
  if (k == kind::tcp4) co_return co_await tcp_peers("127.0.0.1");
  if (k == kind::tcp6) co_return co_await tcp_peers("::1");
  if (k == kind::unix_path) co_return co_await unix_peers(socket_path());
  if (k == kind::unix_abstract) co_return co_await unix_peers("@" + socket_path());
  auto [client, server] = mobius::net::stream_pair();
  peers out{std::move(client), std::move(server)};
  co_return out;
}

/// Reads to the end of the stream.
template <mobius::net::stream S>
mobius::task<std::string> read_all(S& stream) {
  std::string all;
  while (mobius::lease part = co_await stream.receive()) all += part.text();
  co_return all;
}

/// Reads exactly `size` bytes, or to the end.
template <mobius::net::stream S>
mobius::task<std::string> read_exactly(S& stream, std::size_t size) {
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

/// Writes all of it, and then ends its side.
template <mobius::net::stream S>
mobius::task<> send_and_finish(S& stream, const std::string& text) {
  co_await stream.write_all(text);
  stream.shutdown_write();
}

inline std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
  return text;
}

/// Lets the kernel's completions come in.
inline mobius::task<> settle(int turns = 30) {
  for (int i = 0; i < turns; ++i) co_await mobius::yield();
}

/// The seed of a random test, printed; MOBIUS_SEED repeats it.
std::uint64_t seed();

}  // namespace test
