// The load for the echo servers: a closed loop from one thread. Each of N connections keeps `depth` messages
// on the way; every echo is answered by the next message, and every byte that returns is checked.
// load_options.hpp has its options. The first `warmup` echoes are not measured, the next `messages` are, and
// one more window of active connections x depth messages keeps the load full until the measured ones are
// back. It prints one line of JSON: the messages, its own CPU time, the wall time, and the latency's p50,
// p99, p99.9 and maximum in ns. Latency runs from the turn that queued a message to the turn that saw the
// last byte of its echo. A wrong byte, a closed connection or the time limit ends it with a text on stderr
// and status 1.
#include <sys/time.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <memory>
#include <vector>

#include "histogram.hpp"
#include "load_options.hpp"
#include "pattern.hpp"
#include "raw_ring.hpp"
#include "raw_socket.hpp"
#include "server_stats.hpp"

namespace {

volatile std::sig_atomic_t late = 0;

struct connection {
  int fd = -1;
  bool sending = false;
  std::uint64_t origin = 0;  // where in the pattern its stream begins
  std::uint64_t queued = 0;  // bytes of the messages issued so far
  std::uint64_t sent = 0;
  std::uint64_t checked = 0;           // bytes that came back right
  std::vector<std::uint64_t> started;  // by message number modulo depth
  std::unique_ptr<std::byte[]> buffer;
};

class load {
 public:
  explicit load(const bench::load_options& options);
  void run();
  void print() const;

 private:
  void issue(connection& peer, std::uint64_t messages);
  void send(connection& peer);
  void receive(connection& peer);
  void on_sent(connection& peer, int result);
  void on_received(connection& peer, int result);
  void finish_messages(connection& peer, std::uint64_t before);
  void mark(std::uint64_t& cpu, std::uint64_t& wall);
  [[noreturn]] void fail(const connection& peer, const char* what) const;

  const bench::load_options options_;
  std::uint64_t total_;
  std::size_t capacity_;
  bench::pattern pattern_;
  bench::raw_ring ring_{1024, 8192};
  std::vector<connection> peers_;
  bench::histogram latency_;
  std::uint64_t now_ = 0;
  std::uint64_t issued_ = 0;
  std::uint64_t finished_ = 0;
  std::uint64_t start_cpu_ = 0, start_wall_ = 0, end_cpu_ = 0, end_wall_ = 0;
};

constexpr std::size_t largest_transfer = 256 * 1024;
constexpr std::uint64_t sent_bit = 1;

load::load(const bench::load_options& options)
    : options_(options),
      total_(options.warmup + options.messages + options.active * options.depth),
      capacity_(std::min<std::size_t>(options.size * options.depth, largest_transfer)),
      pattern_(largest_transfer),
      peers_(options.connections) {
  for (connection& peer : peers_) {
    const auto index = static_cast<std::uint64_t>(&peer - peers_.data());
    peer.origin = index * 7'919;
    peer.started.resize(options_.depth);
    peer.buffer.reset(new std::byte[capacity_]{});
    peer.fd = bench::connected_socket(static_cast<std::uint16_t>(options_.port), index);
  }
}

void load::run() {
  now_ = bench::clock_ns(CLOCK_MONOTONIC);
  if (options_.warmup == 0) mark(start_cpu_, start_wall_);
  for (std::uint64_t i = 0; i < options_.active; ++i) {
    connection& peer = peers_[i * options_.connections / options_.active];
    issue(peer, options_.depth);
    receive(peer);
  }
  while (finished_ < total_) {
    if (late != 0) fail(peers_.front(), "the time limit is over");
    ring_.enter(1);
    now_ = bench::clock_ns(CLOCK_MONOTONIC);
    ring_.reap([this](const io_uring_cqe& cqe) {
      auto& peer = *reinterpret_cast<connection*>(cqe.user_data & ~sent_bit);
      if ((cqe.user_data & sent_bit) != 0) return on_sent(peer, cqe.res);
      on_received(peer, cqe.res);
    });
  }
}

void load::issue(connection& peer, std::uint64_t messages) {
  const std::uint64_t number = peer.queued / options_.size;
  const std::uint64_t count = std::min(messages, total_ - issued_);
  for (std::uint64_t i = 0; i < count; ++i) peer.started[(number + i) % options_.depth] = now_;
  peer.queued += count * options_.size;
  issued_ += count;
  if (!peer.sending && peer.sent < peer.queued) send(peer);
}

void load::send(connection& peer) {
  const auto length = std::min<std::uint64_t>(peer.queued - peer.sent, largest_transfer);
  io_uring_sqe* sqe = ring_.sqe();
  io_uring_prep_send(sqe, peer.fd, pattern_.at(peer.origin + peer.sent), length, MSG_WAITALL | MSG_NOSIGNAL);
  sqe->user_data = reinterpret_cast<std::uint64_t>(&peer) | sent_bit;
  peer.sending = true;
}

void load::on_sent(connection& peer, int result) {
  if (result <= 0) fail(peer, "the send failed");
  peer.sending = false;
  peer.sent += static_cast<std::uint64_t>(result);
  if (peer.sent < peer.queued) send(peer);
}

void load::receive(connection& peer) {
  const bool whole = options_.depth == 1 && options_.size <= capacity_;
  const std::size_t length = whole ? options_.size - peer.checked % options_.size : capacity_;
  io_uring_sqe* sqe = ring_.sqe();
  io_uring_prep_recv(sqe, peer.fd, peer.buffer.get(), length, whole ? MSG_WAITALL : 0);
  sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
  sqe->user_data = reinterpret_cast<std::uint64_t>(&peer);
}

void load::on_received(connection& peer, int result) {
  if (result == 0) fail(peer, "the server closed the connection");
  if (result < 0) fail(peer, std::strerror(-result));
  const auto length = static_cast<std::size_t>(result);
  const std::uint64_t before = peer.checked;
  if (before + length > peer.queued) fail(peer, "more came back than was sent");
  if (std::memcmp(peer.buffer.get(), pattern_.at(peer.origin + before), length) != 0) {
    fail(peer, "a byte came back different");
  }
  peer.checked += length;
  finish_messages(peer, before);
  if (finished_ < total_) receive(peer);
}

void load::finish_messages(connection& peer, std::uint64_t before) {
  const std::uint64_t first = before / options_.size;
  const std::uint64_t last = peer.checked / options_.size;
  const std::uint64_t end = options_.warmup + options_.messages;
  for (std::uint64_t number = first; number < last; ++number) {
    ++finished_;
    const std::uint64_t took = now_ - peer.started[number % options_.depth];
    if (finished_ > options_.warmup && finished_ <= end) latency_.add(took);
    if (finished_ == options_.warmup) mark(start_cpu_, start_wall_);
    if (finished_ == end) mark(end_cpu_, end_wall_);
  }
  if (last > first) issue(peer, last - first);
}

void load::mark(std::uint64_t& cpu, std::uint64_t& wall) {
  wall = bench::clock_ns(CLOCK_MONOTONIC);
  cpu = bench::clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

void load::fail(const connection& peer, const char* what) const {
  std::fprintf(stderr,
               "echo_load: connection %td at byte %" PRIu64 ", %" PRIu64 " of %" PRIu64 " echoes: %s\n",
               &peer - peers_.data(), peer.checked, finished_, total_, what);
  std::exit(1);
}

void load::print() const {
  std::printf("{\"messages\": %" PRIu64 ", \"cpu_ns\": %" PRIu64 ", \"wall_ns\": %" PRIu64
              ", \"p50_ns\": %" PRIu64 ", \"p99_ns\": %" PRIu64 ", \"p999_ns\": %" PRIu64
              ", \"max_ns\": %" PRIu64 "}\n",
              options_.messages, end_cpu_ - start_cpu_, end_wall_ - start_wall_, latency_.quantile(0.5),
              latency_.quantile(0.99), latency_.quantile(0.999), latency_.max());
}

}  // namespace

int main(int argc, char** argv) {
  const bench::load_options options(argc, argv);
  struct sigaction action {};
  action.sa_handler = [](int) { late = 1; };
  sigaction(SIGALRM, &action, nullptr);
  // Repeats, so that a wait begun just after the first one ends as well.
  const itimerval limit{{1, 0}, {static_cast<time_t>(options.time_limit), 0}};
  setitimer(ITIMER_REAL, &limit, nullptr);
  load generator(options);
  generator.run();
  generator.print();
}
