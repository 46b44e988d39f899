// Echo over TCP with mobius, in coroutines. Default: `receive()`, which hands out the buffer that the kernel
// has filled. With --read-some: `read_some` into memory of the connection's own. With --threads N, so many
// reactors share the port.
#include <cstddef>
#include <memory>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "raw_socket.hpp"
#include "server_main.hpp"

namespace {

constexpr std::size_t buffer_size = 64 * 1024;

/// One reactor's part.
struct server {
  bench::stats_share stats;
  bench::open_connections& open;
  mobius::net::tcp_listener listener;
  bool read_some;

  void leave() {
    if (open.closed()) listener.close();
  }
};

mobius::task<> echo_leases(server& s, mobius::net::tcp_stream& stream) {
  while (mobius::lease data = co_await stream.receive()) {
    co_await stream.write_all(data);
    s.stats.echoed(data.size());
  }
}

mobius::task<> echo_copies(server& s, mobius::net::tcp_stream& stream) {
  const auto memory = std::make_unique_for_overwrite<std::byte[]>(buffer_size);
  const std::span<std::byte> buffer(memory.get(), buffer_size);
  while (const std::size_t count = co_await stream.read_some(buffer)) {
    co_await stream.write_all(buffer.first(count));
    s.stats.echoed(count);
  }
}

mobius::task<> echo(server& s, mobius::net::tcp_stream stream) {
  mobius::task<> all = s.read_some ? echo_copies(s, stream) : echo_leases(s, stream);
  try {
    co_await std::move(all);
  } catch (const std::system_error&) {
  }
  s.leave();
}

mobius::task<> serve(server& s) {
  try {
    while (true) {
      mobius::net::tcp_stream stream = co_await s.listener.accept();
      s.open.opened();
      mobius::background(echo(s, std::move(stream)));
    }
  } catch (const std::system_error&) {
  }
}

}  // namespace

int main(int argc, char** argv) {
  bench::server_options options = bench::parse_server_options(argc, argv);
  const bool read_some = options.rest == std::vector<std::string_view>{"--read-some"};
  if (!read_some && !options.rest.empty()) {
    std::fputs("mobius_echo has one option of its own, --read-some\n", stderr);
    return 2;
  }
  bench::open_connections open(options);
  bench::work_counts last;
  const auto work = [&last] {
    if (const mobius::reactor* reactor = mobius::reactor::current_or_null()) {
      const auto now = reactor->stats();
      last = {now.enters, now.submissions, now.completions};
    }
    return last;
  };
  bench::server_stats stats("mobius", options, work);
  // Bound before any thread starts, so that no connection meets a port with half of its sockets.
  std::vector<int> listeners;
  while (listeners.size() < options.threads) listeners.push_back(bench::listen_on_loopback(options.port));
  bench::print_port(options.port);
  bench::serve_in_threads(listeners, stats, [&](int listener) {
    mobius::reactor reactor;
    server s{{stats, options}, open, mobius::net::tcp_listener::adopt(listener), read_some};
    try {
      reactor.run(serve(s));
    } catch (const mobius::cancelled&) {
    }
    if (options.threads == 1) work();  // for a measurement that ends here, after the reactor
  });
}
