// Echo over TCP with mobius, in protocol callbacks.
#include <memory>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>

#include "server_main.hpp"

namespace {

struct server {
  bench::server_stats& stats;
  bench::open_connections& open;
  mobius::net::listening_port port;
};

class echo final : public mobius::net::protocol {
 public:
  explicit echo(server* s) noexcept : server_(*s) {}
  void connection_made() override {
    server_.open.opened();
    // Receives no more than it can send: the coroutines do so by themselves.
    transport().register_producer(transport(), mobius::net::producer_kind::push);
  }
  void lease_received(mobius::lease data) override {
    server_.stats.echoed(data.size());
    transport().write(std::move(data));
  }
  void connection_lost(const mobius::failure&) override {
    if (server_.open.closed()) server_.port = {};
  }

 private:
  server& server_;
};

}  // namespace

int main(int argc, char** argv) {
  const bench::server_options options = bench::parse_server_options(argc, argv);
  bench::one_thread_only(options);
  mobius::reactor reactor;
  bench::server_stats stats("mobius protocol", options, [&] {
    const auto now = reactor.stats();
    return bench::work_counts{now.enters, now.submissions, now.completions};
  });
  bench::open_connections open(options);
  server s{stats, open, {}};
  s.port = mobius::net::listen(mobius::net::tcp_listener("127.0.0.1", options.port),
                               mobius::net::factory::for_protocol<echo>(&s));
  bench::print_port(s.port.get_host().port());
  reactor.run();
  stats.print();
}
