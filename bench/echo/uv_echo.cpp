// Echo over TCP with libuv. Fast options: one read buffer for all connections (libuv reads and calls back
// before it reads again), uv_try_write first, so that a request is made only for what the socket does not
// take at once, TCP_NODELAY.
#include <uv.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>

#include "server_main.hpp"

namespace {

struct server {
  uv_loop_t* loop;
  bench::server_stats& stats;
  bench::open_connections& open;
  uv_tcp_t listener{};
  uv_signal_t terminate{};
  std::array<char, 64 * 1024> buffer{};
};

struct connection {
  server& owner;
  uv_tcp_t handle{};
};

/// What the socket did not take at once.
struct rest {
  uv_write_t request{};
  std::string bytes;
  connection& peer;
};

connection& connection_of(uv_handle_t* handle) { return *static_cast<connection*>(handle->data); }
connection& connection_of(uv_stream_t* handle) { return *static_cast<connection*>(handle->data); }

void check(const char* what, int result) {
  if (result == 0) return;
  std::fprintf(stderr, "%s: %s\n", what, uv_strerror(result));
  std::exit(1);
}

void close(connection& peer) {
  auto* handle = reinterpret_cast<uv_handle_t*>(&peer.handle);
  if (uv_is_closing(handle) != 0) return;
  uv_close(handle, [](uv_handle_t* closed) {
    const std::unique_ptr<connection> ended(&connection_of(closed));
    if (ended->owner.open.closed()) uv_stop(ended->owner.loop);
  });
}

void on_rest_written(uv_write_t* request, int status) {
  const std::unique_ptr<rest> written(static_cast<rest*>(request->data));
  if (status < 0) return close(written->peer);
  written->peer.owner.stats.echoed(written->bytes.size());
}

void write(connection& peer, const char* data, std::size_t size) {
  auto* stream = reinterpret_cast<uv_stream_t*>(&peer.handle);
  uv_buf_t whole = uv_buf_init(const_cast<char*>(data), static_cast<unsigned>(size));
  const int tried = uv_try_write(stream, &whole, 1);
  if (tried < 0 && tried != UV_EAGAIN) return close(peer);
  const auto done = tried < 0 ? std::size_t{0} : static_cast<std::size_t>(tried);
  peer.owner.stats.echoed(done);
  if (done == size) return;
  auto* left = new rest{{}, std::string(data + done, size - done), peer};
  left->request.data = left;
  const uv_buf_t tail = uv_buf_init(left->bytes.data(), static_cast<unsigned>(left->bytes.size()));
  check("uv_write", uv_write(&left->request, stream, &tail, 1, on_rest_written));
}

void on_allocate(uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
  auto& shared = connection_of(handle).owner.buffer;
  *buffer = uv_buf_init(shared.data(), static_cast<unsigned>(shared.size()));
}

void on_read(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
  connection& peer = connection_of(stream);
  if (count < 0) return close(peer);
  if (count > 0) write(peer, buffer->base, static_cast<std::size_t>(count));
}

void on_connection(uv_stream_t* listener, int status) {
  check("listen", status);
  server& s = *static_cast<server*>(listener->data);
  auto* peer = new connection{s};
  peer->handle.data = peer;
  check("uv_tcp_init", uv_tcp_init(s.loop, &peer->handle));
  auto* stream = reinterpret_cast<uv_stream_t*>(&peer->handle);
  check("uv_accept", uv_accept(listener, stream));
  check("uv_tcp_nodelay", uv_tcp_nodelay(&peer->handle, 1));
  s.open.opened();
  check("uv_read_start", uv_read_start(stream, on_allocate, on_read));
}

unsigned listen(server& s, std::uint16_t port) {
  sockaddr_in address{};
  check("uv_ip4_addr", uv_ip4_addr("127.0.0.1", port, &address));
  check("uv_tcp_init", uv_tcp_init(s.loop, &s.listener));
  s.listener.data = &s;
  check("uv_tcp_bind", uv_tcp_bind(&s.listener, reinterpret_cast<sockaddr*>(&address), 0));
  check("uv_listen", uv_listen(reinterpret_cast<uv_stream_t*>(&s.listener), 4096, on_connection));
  int length = sizeof address;
  check("uv_tcp_getsockname",
        uv_tcp_getsockname(&s.listener, reinterpret_cast<sockaddr*>(&address), &length));
  return ntohs(address.sin_port);
}

}  // namespace

int main(int argc, char** argv) {
  const bench::server_options options = bench::parse_server_options(argc, argv);
  bench::one_thread_only(options);
  bench::open_connections open(options);
  bench::server_stats stats("libuv", options);
  server s{uv_default_loop(), stats, open};
  check("uv_signal_init", uv_signal_init(s.loop, &s.terminate));
  check("uv_signal_start",
        uv_signal_start(
            &s.terminate, [](uv_signal_t* signal, int) { uv_stop(signal->loop); }, SIGTERM));
  bench::print_port(listen(s, options.port));
  uv_run(s.loop, UV_RUN_DEFAULT);
  stats.print();
}
