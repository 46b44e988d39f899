// The echo server of mobius, in coroutines: what is measured against floor_echo.

#include <cstddef>
#include <cstdio>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <string_view>
#include <vector>

#include "server_stats.hpp"

namespace {

struct server {
  bench::server_stats& stats;
  const bench::server_options& options;
  mobius::net::tcp_listener& listener;
  int open = 0;

  void leave() {
    if (--open == 0 && options.exit_after_close) listener.close();
  }
};

mobius::task<> echo(server& s, mobius::net::tcp_stream stream) {
  try {
    while (mobius::lease data = co_await stream.receive()) {
      co_await stream.write_all(data);
      s.stats.echoed(data.size());
    }
  } catch (const std::system_error&) {
  }
  s.leave();
}

mobius::task<> serve(server& s) {
  try {
    while (true) {
      mobius::net::tcp_stream stream = co_await s.listener.accept();
      ++s.open;
      mobius::background(echo(s, std::move(stream)));
    }
  } catch (const std::system_error&) {
  }
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::parse_server_options(argc, argv);
  mobius::reactor reactor;
  mobius::net::tcp_listener listener("127.0.0.1", options.port);
  bench::server_stats stats("mobius", options, [&] {
    const auto now = reactor.stats();
    return bench::work_counts{now.enters, now.submissions, now.completions};
  });
  std::printf("port %u\n", listener.local_address().port());
  std::fflush(stdout);
  server s{stats, options, listener};
  try {
    reactor.run(serve(s));
  } catch (const mobius::cancelled&) {
  }
  stats.print();
}
