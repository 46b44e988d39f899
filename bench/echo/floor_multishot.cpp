// A floor for echo over TCP: raw liburing, one thread, nothing of mobius. What an echo costs here is the
// kernel's price plus a few dozen nanoseconds, and the other servers are measured in multiples of it.
// Multishot receive into a ring of provided 16 KiB buffers, sent back straight from the buffer received,
// which returns to the ring when its send completes. With --threads N, so many rings share the port.
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <vector>

#include "raw_buffers.hpp"
#include "raw_socket.hpp"
#include "server_main.hpp"

namespace {

constexpr int none = -1;
constexpr unsigned buffers = 256;

/// user_data is a connection's address plus one of these, or `accepting` alone.
enum event : std::uint64_t { accepting = 0, received = 1, sent = 2, event_bits = 3 };

struct connection {
  int fd = -1;
  bool receiving = false, sending = false;
  bool ended = false;             // the last receive saw the end or an error
  int first = none, last = none;  // buffers to send back, in order; the first is being sent
  std::size_t position = 0;       // sent so far of the first
};

class echo_server {
 public:
  echo_server(bench::server_stats& stats, const bench::server_options& options, bench::open_connections& open,
              int listener);
  void run();
  const bench::work_counts& counts() const { return ring_.counts(); }

 private:
  void accept();
  void receive(connection& peer, bool wait_first);
  void send(connection& peer);
  void handle(const io_uring_cqe& cqe);
  void on_accept(const io_uring_cqe& cqe);
  void on_received(connection& peer, const io_uring_cqe& cqe);
  void on_sent(connection& peer, int result);
  void drop_first(connection& peer);
  void abandon(connection& peer);
  void close_when_done(connection& peer);
  void feed_starved();

  bench::raw_ring ring_{1024, 8192};
  bench::buffer_ring buffers_{ring_, buffers};
  bench::stats_share stats_;
  bench::open_connections& open_;
  std::array<int, buffers> next_{};             // of each buffer: the one after it in its connection's chain
  std::array<std::size_t, buffers> lengths_{};  // of each buffer: bytes received in it
  std::vector<connection*> starved_;            // their receive ended for want of a buffer
  int listener_;
  bool done_ = false;
};

echo_server::echo_server(bench::server_stats& stats, const bench::server_options& options,
                         bench::open_connections& open, int listener)
    : stats_(stats, options), open_(open), listener_(listener) {
  accept();
}

void echo_server::run() {
  while (!done_ && !bench::stop_requested.load(std::memory_order_relaxed)) {
    ring_.enter(1);
    ring_.reap([this](const io_uring_cqe& cqe) { handle(cqe); });
    buffers_.publish();
    if (!starved_.empty()) [[unlikely]]
      feed_starved();
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
  io_uring_prep_recv_multishot(sqe, peer.fd, nullptr, 0, 0);
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = 0;
  if (wait_first) sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
  sqe->user_data = reinterpret_cast<std::uint64_t>(&peer) | received;
  peer.receiving = true;
}

void echo_server::on_received(connection& peer, const io_uring_cqe& cqe) {
  if ((cqe.flags & IORING_CQE_F_BUFFER) != 0) {
    const int id = static_cast<int>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
    const auto index = static_cast<std::size_t>(id);
    buffers_.taken();
    if (cqe.res <= 0) {
      buffers_.give_back(id);
    } else {
      lengths_[index] = static_cast<std::size_t>(cqe.res);
      next_[index] = none;
      (peer.first == none ? peer.first : next_[static_cast<std::size_t>(peer.last)]) = id;
      peer.last = id;
      if (!peer.sending) send(peer);
    }
  }
  if ((cqe.flags & IORING_CQE_F_MORE) != 0) return;
  peer.receiving = false;
  if (cqe.res == -ENOBUFS) return starved_.push_back(&peer);
  if (cqe.res > 0) return receive(peer, false);
  peer.ended = true;
  close_when_done(peer);
}

// Only one send of a connection is in flight at any time: two could interleave after a partial write.
void echo_server::send(connection& peer) {
  const std::size_t left = lengths_[static_cast<std::size_t>(peer.first)] - peer.position;
  io_uring_sqe* sqe = ring_.sqe();
  io_uring_prep_send(sqe, peer.fd, buffers_.at(peer.first) + peer.position, left, MSG_WAITALL | MSG_NOSIGNAL);
  sqe->user_data = reinterpret_cast<std::uint64_t>(&peer) | sent;
  peer.sending = true;
}

void echo_server::on_sent(connection& peer, int result) {
  peer.sending = false;
  if (result < 0) return abandon(peer);
  stats_.echoed(static_cast<std::size_t>(result));
  peer.position += static_cast<std::size_t>(result);
  if (peer.position < lengths_[static_cast<std::size_t>(peer.first)]) return send(peer);
  drop_first(peer);
  if (peer.first != none) return send(peer);
  close_when_done(peer);
}

void echo_server::drop_first(connection& peer) {
  const int id = peer.first;
  peer.first = next_[static_cast<std::size_t>(id)];
  peer.position = 0;
  buffers_.give_back(id);
}

// The peer no longer takes data: what is queued for it is dropped, and its receive ends by the shutdown.
void echo_server::abandon(connection& peer) {
  while (peer.first != none) drop_first(peer);
  shutdown(peer.fd, SHUT_RDWR);
  close_when_done(peer);
}

void echo_server::close_when_done(connection& peer) {
  if (!peer.ended || peer.receiving || peer.sending) return;
  close(peer.fd);
  delete &peer;
  if (open_.closed()) done_ = true;
}

// A receive armed while no buffer is free fails at once: wait for an eighth of them, and for data as well.
void echo_server::feed_starved() {
  const std::size_t fit = buffers_.available() < buffers_.size() / 8 ? 0 : buffers_.available();
  std::size_t armed = 0;
  for (; armed < starved_.size() && armed < fit; ++armed) receive(*starved_[armed], true);
  starved_.erase(starved_.begin(), starved_.begin() + static_cast<std::ptrdiff_t>(armed));
}

}  // namespace

int main(int argc, char** argv) {
  bench::server_options options = bench::parse_server_options(argc, argv);
  bench::stop_at_sigterm();
  bench::open_connections open(options);
  static thread_local echo_server* here = nullptr;
  bench::server_stats stats("floor multishot", options, [] { return here->counts(); });
  // Bound before any thread starts, so that no connection meets a port with half of its sockets.
  std::vector<int> listeners;
  while (listeners.size() < options.threads) listeners.push_back(bench::listen_on_loopback(options.port));
  bench::print_port(options.port);
  bench::serve_in_threads(listeners, stats, [&](int listener) {
    echo_server server(stats, options, open, listener);
    here = &server;
    server.run();
  });
}
