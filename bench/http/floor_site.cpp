// The floor for HTTP: raw liburing and llhttp (strict), one thread, nothing of mobius and none of its checks.
// Multishot accept and receive into a ring of provided 16 KiB buffers; every request in a received buffer is
// answered into one string, which leaves as one send when the buffer is used up. A page is looked up by the
// path that llhttp reports; its whole response is made once a second, for the Date in it, and then copied.
// llhttp reads the header fields and obeys Connection; nobody else looks at them.
#include <llhttp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <string>
#include <utility>

#include "pages.hpp"
#include "raw_buffers.hpp"
#include "raw_socket.hpp"
#include "server_main.hpp"

namespace {

/// user_data is a connection's address plus one of these, or `accepting` alone.
enum event : std::uint64_t { accepting = 0, received = 1, sent = 2, event_bits = 3 };

struct connection {
  llhttp_t parser{};
  int fd = -1;
  bool receiving = true;
  bool sending = false;
  bool ended = false;  // nothing more is read
  std::string path;    // of the request being read
  std::string out;     // answers that are ready
  std::string flying;  // answers being sent
  std::size_t gone = 0;
};

// What llhttp's callbacks and the loop share.
bench::ready_responses pages;
bench::stats_share* stats = nullptr;

connection& owner(llhttp_t* parser) { return *static_cast<connection*>(parser->data); }

int on_url(llhttp_t* parser, const char* at, std::size_t size) {
  owner(parser).path.append(at, size);
  return 0;
}

int on_complete(llhttp_t* parser) {
  connection& peer = owner(parser);
  peer.out += pages.find(peer.path);
  peer.path.clear();
  stats->echoed(1);
  if (llhttp_should_keep_alive(parser) != 0) return 0;
  peer.ended = true;
  return -1;
}

class server {
 public:
  explicit server(int listener);
  bench::work_counts counts() const { return ring_.counts(); }
  void run();

 private:
  void accept();
  void receive(connection& peer);
  void flush(connection& peer);
  void handle(const io_uring_cqe& cqe);
  void on_accept(const io_uring_cqe& cqe);
  void on_received(connection& peer, const io_uring_cqe& cqe);
  void on_sent(connection& peer, int result);
  static void close_when_done(connection& peer);

  bench::raw_ring ring_{1024, 8192};
  bench::buffer_ring buffers_{ring_, 256};
  llhttp_settings_t settings_{};
  int listener_;
};

server::server(int listener) : listener_(listener) {
  llhttp_settings_init(&settings_);
  settings_.on_url = on_url;
  settings_.on_message_complete = on_complete;
  accept();
}

void server::run() {
  while (!bench::stop_requested.load(std::memory_order_relaxed)) {
    ring_.enter(1);
    pages.renew();
    ring_.reap([this](const io_uring_cqe& cqe) { handle(cqe); });
    buffers_.publish();
  }
}

void server::accept() {
  io_uring_sqe* sqe = ring_.sqe();
  io_uring_prep_multishot_accept(sqe, listener_, nullptr, nullptr, SOCK_CLOEXEC);
  sqe->user_data = accepting;
}

void server::receive(connection& peer) {
  io_uring_sqe* sqe = ring_.sqe();
  io_uring_prep_recv_multishot(sqe, peer.fd, nullptr, 0, 0);
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->user_data = reinterpret_cast<std::uint64_t>(&peer) | received;
}

void server::handle(const io_uring_cqe& cqe) {
  if (cqe.user_data == accepting) return on_accept(cqe);
  auto& peer = *reinterpret_cast<connection*>(cqe.user_data & ~std::uint64_t{event_bits});
  if ((cqe.user_data & event_bits) == sent) return on_sent(peer, cqe.res);
  on_received(peer, cqe);
}

void server::on_accept(const io_uring_cqe& cqe) {
  if ((cqe.flags & IORING_CQE_F_MORE) == 0) accept();
  if (cqe.res < 0) bench::die("accept", -cqe.res);
  auto* peer = new connection;
  llhttp_init(&peer->parser, HTTP_REQUEST, &settings_);
  peer->parser.data = peer;
  peer->fd = cqe.res;
  receive(*peer);
}

void server::on_received(connection& peer, const io_uring_cqe& cqe) {
  if ((cqe.flags & IORING_CQE_F_BUFFER) != 0) {
    const int id = static_cast<int>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
    const auto* bytes = reinterpret_cast<const char*>(buffers_.at(id));
    const std::size_t size = cqe.res < 0 ? 0 : static_cast<std::size_t>(cqe.res);
    if (!peer.ended && llhttp_execute(&peer.parser, bytes, size) != HPE_OK) peer.ended = true;
    buffers_.give_back(id);
    flush(peer);
  }
  if ((cqe.flags & IORING_CQE_F_MORE) != 0) return;
  if (cqe.res > 0 || cqe.res == -ENOBUFS) return receive(peer);
  peer.receiving = false;
  peer.ended = true;
  close_when_done(peer);
}

// One send at a time: what is answered meanwhile leaves together behind it.
void server::flush(connection& peer) {
  if (peer.sending) return;
  if (peer.gone == peer.flying.size()) {
    peer.flying.clear();
    peer.flying.swap(peer.out);
    peer.gone = 0;
  }
  if (peer.flying.empty()) return close_when_done(peer);
  io_uring_sqe* sqe = ring_.sqe();
  io_uring_prep_send(sqe, peer.fd, peer.flying.data() + peer.gone, peer.flying.size() - peer.gone,
                     MSG_WAITALL | MSG_NOSIGNAL);
  sqe->user_data = reinterpret_cast<std::uint64_t>(&peer) | sent;
  peer.sending = true;
}

void server::on_sent(connection& peer, int result) {
  peer.sending = false;
  if (result < 0) {
    peer.out.clear();
    peer.gone = peer.flying.size();
    peer.ended = true;
  } else {
    peer.gone += static_cast<std::size_t>(result);
  }
  flush(peer);
}

// A connection that ends by our will is shut down first: its receive sees the end and comes here again.
void server::close_when_done(connection& peer) {
  if (!peer.ended || peer.sending) return;
  if (peer.receiving) return static_cast<void>(shutdown(peer.fd, SHUT_RDWR));
  close(peer.fd);
  delete &peer;
}

}  // namespace

int main(int argc, char** argv) {
  auto options = bench::parse_server_options(argc, argv);
  bench::one_thread_only(options);
  bench::stop_at_sigterm();
  server site(bench::listen_on_loopback(options.port));
  bench::server_stats measured("floor", options, [&site] { return site.counts(); });
  bench::stats_share share(measured, options);
  stats = &share;
  bench::print_port(options.port);
  site.run();
  measured.print();
}
