// Echo over TCP with Asio's callbacks. Fast options: no locks (ASIO_DISABLE_THREADS, a context of one
// thread), sockets of the context's own executor type (no type erasure), one buffer a connection, the
// recycling allocator that Asio gives to handlers by itself, TCP_NODELAY.
#include <array>
#include <asio.hpp>
#include <cstddef>
#include <memory>
#include <utility>

#include "server_main.hpp"

namespace {

using asio::ip::tcp;
using executor = asio::io_context::executor_type;
using socket_type = asio::basic_stream_socket<tcp, executor>;
using acceptor_type = asio::basic_socket_acceptor<tcp, executor>;

struct server {
  asio::io_context& context;
  acceptor_type acceptor;
  bench::server_stats& stats;
  bench::open_connections& open;
};

class session {
 public:
  session(server& s, socket_type socket) : server_(s), socket_(std::move(socket)) {}

  void read() {
    socket_.async_read_some(asio::buffer(buffer_), [this](std::error_code error, std::size_t count) {
      if (error) return end();
      write(count);
    });
  }

 private:
  void write(std::size_t count) {
    asio::async_write(socket_, asio::buffer(buffer_.data(), count),
                      [this](std::error_code error, std::size_t written) {
                        if (error) return end();
                        server_.stats.echoed(written);
                        read();
                      });
  }

  void end() {
    server& s = server_;
    delete this;
    if (s.open.closed()) s.context.stop();
  }

  server& server_;
  socket_type socket_;
  std::array<std::byte, 64 * 1024> buffer_;
};

void accept(server& s) {
  s.acceptor.async_accept(s.context, [&s](std::error_code error, socket_type socket) {
    if (error) return;
    socket.set_option(tcp::no_delay(true));
    s.open.opened();
    auto* connection = new session(s, std::move(socket));
    connection->read();
    accept(s);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const bench::server_options options = bench::parse_server_options(argc, argv);
  bench::one_thread_only(options);
  asio::io_context context(1);
  const tcp::endpoint address(asio::ip::address_v4::loopback(), options.port);
  bench::open_connections open(options);
  bench::server_stats stats("Asio callbacks", options);
  server s{context, acceptor_type(context, address), stats, open};
  asio::basic_signal_set<executor> signals(context, SIGTERM);
  signals.async_wait([&](std::error_code, int) { context.stop(); });
  bench::print_port(s.acceptor.local_endpoint().port());
  accept(s);
  context.run();
  stats.print();
}
