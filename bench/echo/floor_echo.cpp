// The floor for echo over TCP: raw liburing, one thread, nothing of mobius. What an echo costs here is the
// kernel's price plus a few dozen nanoseconds, and the other servers are measured in multiples of it.
//
// Default: multishot receive into a ring of provided 16 KiB buffers, sent back straight from the buffer
// received, which returns to the ring when its send completes. With --single: one receive at a time into a
// 64 KiB buffer of the connection's own, which wins for large messages. The script takes the better of the
// two in each row. Further options: --buffers N (a power of two, 256).
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <memory>
#include <vector>

#include "raw_ring.hpp"
#include "server_stats.hpp"

namespace {

constexpr std::size_t ring_buffer_size = 16 * 1024;
constexpr std::size_t own_buffer_size = 64 * 1024;
constexpr int none = -1;

volatile std::sig_atomic_t stopped = 0;

/// user_data is a connection's address plus one of these, or `accepting` alone.
enum event : std::uint64_t { accepting = 0, received = 1, sent = 2, event_bits = 3 };

struct connection {
  int fd = -1;
  bool receiving = false;
  bool ended = false;  // the last receive saw the end or an error
  int first = none;    // buffers to send back, in order; the first is being sent
  int last = none;
  std::size_t position = 0;  // sent so far of the first
  std::size_t length = 0;    // received in own_buffer
  bool more = false;         // and the socket held more
  bool sending = false;
  std::unique_ptr<std::byte[]> own_buffer;
};

/// The provided-buffer ring. Buffers given back are published once per turn.
class buffer_ring {
 public:
  buffer_ring(bench::raw_ring& ring, unsigned count);
  std::byte* at(int id) { return memory_.get() + static_cast<std::size_t>(id) * ring_buffer_size; }
  void give_back(int id);
  void publish();
  void taken() { --free_; }
  unsigned available() const { return free_; }
  unsigned size() const { return count_; }

 private:
  unsigned count_;
  unsigned free_ = 0;
  int unpublished_ = 0;
  std::unique_ptr<std::byte[]> memory_;
  std::unique_ptr<void, void (*)(void*)> entries_;
  io_uring_buf_ring* shared_;
};

class echo_server {
 public:
  echo_server(const bench::server_options& options, bool single, unsigned buffers);
  unsigned port() const { return port_; }
  void run();
  void print() { stats_.print(); }

 private:
  void listen(std::uint16_t port);
  void accept();
  void receive(connection& peer, bool wait_first);
  void send(connection& peer);
  void handle(const io_uring_cqe& cqe);
  void on_accept(const io_uring_cqe& cqe);
  void on_buffer(connection& peer, const io_uring_cqe& cqe);
  void on_own(connection& peer, const io_uring_cqe& cqe);
  void on_sent(connection& peer, int result);
  void next_send(connection& peer);
  void abandon(connection& peer);
  void close_when_done(connection& peer);
  void feed_starved();

  bench::raw_ring ring_{1024, 8192};
  bench::server_stats stats_;
  buffer_ring buffers_;
  std::vector<int> next_;             // of each buffer: the one after it in its connection's chain
  std::vector<std::size_t> lengths_;  // of each buffer: bytes received in it
  std::vector<connection*> starved_;  // their receive ended for want of a buffer
  bool single_;
  bool exit_after_close_;
  int listener_ = -1;
  unsigned port_ = 0;
  unsigned open_ = 0;
  bool served_ = false;
};

buffer_ring::buffer_ring(bench::raw_ring& ring, unsigned count)
    : count_(count),
      memory_(
          new std::byte[count * ring_buffer_size]{}),  // zeroed: no page fault is left for the measurement
      entries_(std::aligned_alloc(4096, (count * sizeof(io_uring_buf) + 4095) / 4096 * 4096), std::free),
      shared_(static_cast<io_uring_buf_ring*>(entries_.get())) {
  std::memset(entries_.get(), 0, count * sizeof(io_uring_buf));
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uintptr_t>(shared_);
  registration.ring_entries = count;
  const int error = io_uring_register_buf_ring(ring.native(), &registration, 0);
  if (error < 0) bench::die("io_uring_register(PBUF_RING)", -error);
  for (unsigned id = 0; id < count; ++id) give_back(static_cast<int>(id));
  publish();
}

void buffer_ring::give_back(int id) {
  io_uring_buf_ring_add(shared_, at(id), ring_buffer_size, static_cast<unsigned short>(id),
                        static_cast<int>(count_ - 1), unpublished_);
  ++unpublished_;
}

void buffer_ring::publish() {
  if (unpublished_ == 0) return;
  io_uring_buf_ring_advance(shared_, unpublished_);
  free_ += static_cast<unsigned>(unpublished_);
  unpublished_ = 0;
}

echo_server::echo_server(const bench::server_options& options, bool single, unsigned buffers)
    : stats_(single ? "floor_echo --single" : "floor_echo", options, [this] { return ring_.counts(); }),
      buffers_(ring_, buffers),
      next_(buffers, none),
      lengths_(buffers, 0),
      single_(single),
      exit_after_close_(options.exit_after_close) {
  listen(options.port);
  accept();
}

void echo_server::listen(std::uint16_t port) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener_ < 0) bench::die("socket", errno);
  const int on = 1;
  setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(listener_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // accepted sockets inherit it
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t length = sizeof address;
  if (bind(listener_, generic, length) != 0) bench::die("bind 127.0.0.1", errno);
  if (::listen(listener_, 4096) != 0) bench::die("listen", errno);
  getsockname(listener_, generic, &length);
  port_ = ntohs(address.sin_port);
}

void echo_server::run() {
  while (stopped == 0 && (open_ > 0 || !served_ || !exit_after_close_)) {
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
  if (single_) return on_own(peer, cqe);
  on_buffer(peer, cqe);
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
  if (single_) peer->own_buffer.reset(new std::byte[own_buffer_size]{});
  ++open_;
  served_ = true;
  receive(*peer, false);
}

void echo_server::receive(connection& peer, bool wait_first) {
  io_uring_sqe* sqe = ring_.sqe();
  if (single_) {
    io_uring_prep_recv(sqe, peer.fd, peer.own_buffer.get(), own_buffer_size, 0);
  } else {
    io_uring_prep_recv_multishot(sqe, peer.fd, nullptr, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
  }
  if (wait_first) sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
  sqe->user_data = reinterpret_cast<std::uint64_t>(&peer) | received;
  peer.receiving = true;
}

void echo_server::on_buffer(connection& peer, const io_uring_cqe& cqe) {
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

void echo_server::on_own(connection& peer, const io_uring_cqe& cqe) {
  peer.receiving = false;
  if (cqe.res <= 0) {
    peer.ended = true;
    return close_when_done(peer);
  }
  peer.length = static_cast<std::size_t>(cqe.res);
  peer.more = (cqe.flags & IORING_CQE_F_SOCK_NONEMPTY) != 0;
  send(peer);
}

// Only one send of a connection is in flight at any time: two could interleave after a partial write.
void echo_server::send(connection& peer) {
  const std::byte* data = single_ ? peer.own_buffer.get() : buffers_.at(peer.first);
  const std::size_t length = single_ ? peer.length : lengths_[static_cast<std::size_t>(peer.first)];
  io_uring_sqe* sqe = ring_.sqe();
  io_uring_prep_send(sqe, peer.fd, data + peer.position, length - peer.position, MSG_WAITALL | MSG_NOSIGNAL);
  sqe->user_data = reinterpret_cast<std::uint64_t>(&peer) | sent;
  peer.sending = true;
}

void echo_server::on_sent(connection& peer, int result) {
  peer.sending = false;
  if (result < 0) return abandon(peer);
  const auto done = static_cast<std::size_t>(result);
  const std::size_t length = single_ ? peer.length : lengths_[static_cast<std::size_t>(peer.first)];
  stats_.echoed(done);
  peer.position += done;
  if (peer.position < length) return send(peer);
  peer.position = 0;
  next_send(peer);
}

void echo_server::next_send(connection& peer) {
  // Waiting first saves a futile look: the answer has just gone out, and nothing else was waiting.
  if (single_) return receive(peer, !peer.more);
  const int id = peer.first;
  peer.first = next_[static_cast<std::size_t>(id)];
  buffers_.give_back(id);
  if (peer.first != none) return send(peer);
  close_when_done(peer);
}

// The peer no longer takes data: what is queued for it is dropped, and its receive ends by the shutdown.
void echo_server::abandon(connection& peer) {
  while (peer.first != none) {
    const int id = peer.first;
    peer.first = next_[static_cast<std::size_t>(id)];
    buffers_.give_back(id);
  }
  peer.position = 0;
  shutdown(peer.fd, SHUT_RDWR);
  if (single_) peer.ended = true;
  close_when_done(peer);
}

void echo_server::close_when_done(connection& peer) {
  if (!peer.ended || peer.receiving || peer.sending) return;
  close(peer.fd);
  delete &peer;
  --open_;
}

// A receive armed while the buffer ring is empty fails at once, so it waits for an eighth of the buffers,
// and POLL_FIRST makes it wait for data as well.
void echo_server::feed_starved() {
  const std::size_t fit = buffers_.available() < buffers_.size() / 8 ? 0 : buffers_.available();
  std::size_t armed = 0;
  for (; armed < starved_.size() && armed < fit; ++armed) receive(*starved_[armed], true);
  starved_.erase(starved_.begin(), starved_.begin() + static_cast<std::ptrdiff_t>(armed));
}

void on_terminate(int) { stopped = 1; }

}  // namespace

int main(int argc, char** argv) {
  const bench::server_options options = bench::parse_server_options(argc, argv);
  bool single = false;
  unsigned buffers = 256;
  for (std::size_t i = 0; i < options.rest.size(); ++i) {
    if (options.rest[i] == "--single") {
      single = true;
    } else if (options.rest[i] == "--buffers" && i + 1 < options.rest.size()) {
      buffers = static_cast<unsigned>(bench::parse_number("--buffers", options.rest[++i].data()));
    } else {
      std::fprintf(stderr, "floor_echo does not know the option %s\n", options.rest[i].data());
      return 2;
    }
  }
  struct sigaction action {};
  action.sa_handler = on_terminate;
  sigaction(SIGTERM, &action, nullptr);
  echo_server server(options, single, buffers);
  std::printf("port %u\n", server.port());
  std::fflush(stdout);
  server.run();
  server.print();
  std::fflush(stdout);
  // After a signal the kernel may still be writing into buffers: the end of the process releases both.
  if (stopped != 0) _exit(0);
}
