// The echo server of mobius, in protocol callbacks: what is measured against mobius_echo.

#include <cstdio>
#include <memory>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>

#include "server_stats.hpp"

namespace {

struct server {
  bench::server_stats& stats;
  const bench::server_options& options;
  mobius::net::listening_port port;
  int open = 0;
};

class echo final : public mobius::net::protocol {
 public:
  explicit echo(server* s) noexcept : server_(*s) {}
  void connection_made() override { ++server_.open; }
  void lease_received(mobius::lease data) override {
    server_.stats.echoed(data.size());
    transport().write(std::move(data));
  }
  void connection_lost(const mobius::failure&) override {
    if (--server_.open == 0 && server_.options.exit_after_close) server_.port = {};
  }

 private:
  server& server_;
};

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::parse_server_options(argc, argv);
  mobius::reactor reactor;
  bench::server_stats stats("mobius protocol", options, [&] {
    const auto now = reactor.stats();
    return bench::work_counts{now.enters, now.submissions, now.completions};
  });
  server s{stats, options, {}};
  s.port = mobius::net::listen(mobius::net::tcp_listener("127.0.0.1", options.port),
                               mobius::net::factory::for_protocol<echo>(&s));
  std::printf("port %u\n", s.port.get_host().port());
  std::fflush(stdout);
  reactor.run();
  stats.print();
}
