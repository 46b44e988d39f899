// The other floor for echo over TCP: raw liburing, one receive at a time into a 64 KiB buffer of the
// connection's own. It wins for large messages; the harness takes the better of the two in each row.
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <memory>

#include "raw_ring.hpp"
#include "raw_socket.hpp"
#include "server_main.hpp"

namespace {

constexpr std::size_t buffer_size = 64 * 1024;

/// user_data is a connection's address plus one of these, or `accepting` alone.
enum event : std::uint64_t { accepting = 0, received = 1, sent = 2, event_bits = 3 };

struct connection {
  int fd = -1;
  std::size_t length = 0;    // received in the buffer
  std::size_t position = 0;  // sent of it
  bool more = false;         // the socket held more than was received
  // Zeroed: no page fault is left for the measurement.
  std::unique_ptr<std::byte[]> buffer{new std::byte[buffer_size]{}};
};

class echo_server {
 public:
  echo_server(const bench::server_options& options, std::uint16_t& port);
  void run();
  void print() { stats_.print(); }

 private:
  void accept();
  void receive(connection& peer, bool wait_first);
  void send(connection& peer);
  void handle(const io_uring_cqe& cqe);
  void on_accept(const io_uring_cqe& cqe);
  void on_received(connection& peer, const io_uring_cqe& cqe);
  void on_sent(connection& peer, int result);
  void close(connection& peer);

  bench::raw_ring ring_{1024, 8192};
  bench::server_stats stats_;
  bench::open_connections open_;
  int listener_;
  bool done_ = false;
};

echo_server::echo_server(const bench::server_options& options, std::uint16_t& port)
    : stats_("floor single", options, [this] { return ring_.counts(); }),
      open_(options),
      listener_(bench::listen_on_loopback(port)) {
  accept();
}

void echo_server::run() {
  while (!done_ && !bench::stop_requested.load(std::memory_order_relaxed)) {
    ring_.enter(1);
    ring_.reap([this](const io_uring_cqe& cqe) { handle(cqe); });
  }
}

void echo_server::handle(const io_uring_cqe& cqe) {
  if (cqe.user_data == accepting) return on_accept(cqe);
  auto& peer = *reinterpret_cast<connection*>(cqe.user_data & ~std::uint64_t{event_bits});
  if ((cqe.user_data & event_bits) == sent) return on_sent(peer, cqe.res);
  on_received(peer, cqe);
}

void echo_server::accept() {
  io_uring_sqe* sqe = ring_.sqe();
  io_uring_prep_multishot_accept(sqe, listener_, nullptr, nullptr, SOCK_CLOEXEC);
  sqe->user_data = accepting;
}

void echo_server::on_accept(const io_uring_cqe& cqe) {
  if ((cqe.flags & IORING_CQE_F_MORE) == 0) accept();
  if (cqe.res < 0) bench::die("accept", -cqe.res);
  auto* peer = new connection;
  peer->fd = cqe.res;
  open_.opened();
  receive(*peer, false);
}

void echo_server::receive(connection& peer, bool wait_first) {
  io_uring_sqe* sqe = ring_.sqe();
  io_uring_prep_recv(sqe, peer.fd, peer.buffer.get(), buffer_size, 0);
  if (wait_first) sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
  sqe->user_data = reinterpret_cast<std::uint64_t>(&peer) | received;
}

void echo_server::on_received(connection& peer, const io_uring_cqe& cqe) {
  if (cqe.res <= 0) return close(peer);
  peer.length = static_cast<std::size_t>(cqe.res);
  peer.position = 0;
  peer.more = (cqe.flags & IORING_CQE_F_SOCK_NONEMPTY) != 0;
  send(peer);
}

void echo_server::send(connection& peer) {
  io_uring_sqe* sqe = ring_.sqe();
  io_uring_prep_send(sqe, peer.fd, peer.buffer.get() + peer.position, peer.length - peer.position,
                     MSG_WAITALL | MSG_NOSIGNAL);
  sqe->user_data = reinterpret_cast<std::uint64_t>(&peer) | sent;
}

void echo_server::on_sent(connection& peer, int result) {
  if (result < 0) return close(peer);
  stats_.echoed(static_cast<std::size_t>(result));
  peer.position += static_cast<std::size_t>(result);
  if (peer.position < peer.length) return send(peer);
  // Waiting first saves a futile look: the answer has just gone out, and nothing else was waiting.
  receive(peer, !peer.more);
}

void echo_server::close(connection& peer) {
  ::close(peer.fd);
  delete &peer;
  if (open_.closed()) done_ = true;
}

}  // namespace

int main(int argc, char** argv) {
  bench::server_options options = bench::parse_server_options(argc, argv);
  bench::one_thread_only(options);
  bench::stop_at_sigterm();
  echo_server server(options, options.port);
  bench::print_port(options.port);
  server.run();
  server.print();
  _exit(0);
}
