// Echo over TCP with mobius, as a chain of deferreds per message: receive, then write what came, then again.
#include <cstddef>
#include <memory>
#include <mobius/deferred.hpp>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <utility>

#include "server_main.hpp"

namespace {

struct server {
  bench::server_stats& stats;
  bench::open_connections& open;
  mobius::net::tcp_listener listener;
};

/// One connection; it deletes itself when the stream has ended.
class session {
 public:
  session(server& s, mobius::net::tcp_stream stream) : server_(s), stream_(std::move(stream)) {}

  void next() {
    mobius::to_deferred(stream_.receive())
        .add_callback([this](mobius::lease data) {
          ended_ = !data;
          return stream_.write_all(std::move(data));
        })
        .add_callback([this](const mobius::lease& data) {
          if (ended_) return end();
          server_.stats.echoed(data.size());
          next();
        })
        .add_errback([this](const mobius::failure&) { end(); });
  }

 private:
  void end() {
    server& s = server_;
    delete this;
    if (s.open.closed()) s.listener.close();
  }

  server& server_;
  mobius::net::tcp_stream stream_;
  bool ended_ = false;
};

void accept(server& s) {
  mobius::to_deferred(s.listener.accept())
      .add_callback([&s](mobius::net::tcp_stream stream) {
        s.open.opened();
        auto* connection = new session(s, std::move(stream));
        connection->next();
        accept(s);
      })
      .add_errback([](const mobius::failure&) {});
}

}  // namespace

int main(int argc, char** argv) {
  const bench::server_options options = bench::parse_server_options(argc, argv);
  bench::one_thread_only(options);
  mobius::reactor reactor;
  bench::open_connections open(options);
  bench::server_stats stats("mobius deferred", options, [&] {
    const auto now = reactor.stats();
    return bench::work_counts{now.enters, now.submissions, now.completions};
  });
  server s{stats, open, mobius::net::tcp_listener("127.0.0.1", options.port)};
  bench::print_port(s.listener.local_address().port());
  accept(s);
  reactor.run();
  stats.print();
}
