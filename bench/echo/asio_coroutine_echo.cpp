// Echo over TCP with Asio's coroutines, built for epoll and again for io_uring (ASIO_HAS_IO_URING). Fast
// options: no locks (ASIO_DISABLE_THREADS, a context of one thread), awaitables and sockets of the context's
// own executor type (no type erasure), one buffer a connection, Asio's recycling of frames, TCP_NODELAY, and
// error codes instead of exceptions (as_tuple).
#include <asio.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <cstddef>
#include <memory>
#include <utility>

#include "server_main.hpp"

namespace {

using asio::ip::tcp;
using executor = asio::io_context::executor_type;
constexpr std::size_t buffer_size = 64 * 1024;
using socket_type = asio::basic_stream_socket<tcp, executor>;
using acceptor_type = asio::basic_socket_acceptor<tcp, executor>;
constexpr auto use_task = asio::experimental::as_tuple(asio::use_awaitable_t<executor>{});

struct server {
  asio::io_context& context;
  acceptor_type acceptor;
  bench::server_stats& stats;
  bench::open_connections& open;
};

asio::awaitable<void, executor> echo(server& s, socket_type socket) {
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(buffer_size);
  while (true) {
    const auto [read_error, count] =
        co_await socket.async_read_some(asio::buffer(buffer.get(), buffer_size), use_task);
    if (read_error) break;
    const auto [write_error, written] =
        co_await asio::async_write(socket, asio::buffer(buffer.get(), count), use_task);
    if (write_error) break;
    s.stats.echoed(written);
  }
  if (s.open.closed()) s.context.stop();
}

asio::awaitable<void, executor> serve(server& s) {
  while (true) {
    auto [error, socket] = co_await s.acceptor.async_accept(s.context, use_task);
    if (error) co_return;
    socket.set_option(tcp::no_delay(true));
    s.open.opened();
    asio::co_spawn(s.context, echo(s, std::move(socket)), asio::detached);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const bench::server_options options = bench::parse_server_options(argc, argv);
  bench::one_thread_only(options);
  asio::io_context context(1);
  const tcp::endpoint address(asio::ip::address_v4::loopback(), options.port);
  bench::open_connections open(options);
  bench::server_stats stats("Asio coroutines", options);
  server s{context, acceptor_type(context, address), stats, open};
  asio::basic_signal_set<executor> signals(context, SIGTERM);
  signals.async_wait([&](std::error_code, int) { context.stop(); });
  bench::print_port(s.acceptor.local_endpoint().port());
  asio::co_spawn(context, serve(s), asio::detached);
  context.run();
  stats.print();
}
