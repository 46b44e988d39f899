// Echo over TCP with plain epoll: level-triggered, one receive and one send per ready connection, one buffer
// for all of them. Only what the socket does not take at once is kept, and then nothing more is read.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <vector>

#include "raw_socket.hpp"
#include "server_main.hpp"

namespace {

struct connection {
  int fd = -1;
  std::vector<std::byte> unsent;
};

class echo_server {
 public:
  echo_server(const bench::server_options& options, std::uint16_t& port);
  void run();
  void print() { stats_.print(); }

 private:
  void accept_all();
  void read(connection& peer);
  void write_rest(connection& peer);
  void watch(connection& peer, int operation, std::uint32_t events);
  void close(connection& peer);

  bench::server_stats stats_;
  bench::open_connections open_;
  int listener_;
  int epoll_ = epoll_create1(EPOLL_CLOEXEC);
  bool done_ = false;
  std::array<std::byte, 64 * 1024> buffer_{};
};

echo_server::echo_server(const bench::server_options& options, std::uint16_t& port)
    : stats_("raw epoll", options),
      open_(options),
      listener_(bench::listen_on_loopback(port, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK)) {
  epoll_event event{};
  event.events = EPOLLIN;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event);
}

void echo_server::run() {
  std::array<epoll_event, 512> events{};
  while (!done_ && !bench::stop_requested.load(std::memory_order_relaxed)) {
    const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      auto* peer = static_cast<connection*>(event.data.ptr);
      if (peer == nullptr) {
        accept_all();
      } else if ((event.events & EPOLLOUT) != 0) {
        write_rest(*peer);
      } else {
        read(*peer);
      }
    }
  }
}

void echo_server::accept_all() {
  while (true) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && errno == EAGAIN) return;
    if (fd < 0) bench::die("accept", errno);
    auto* peer = new connection{fd, {}};
    open_.opened();
    watch(*peer, EPOLL_CTL_ADD, EPOLLIN);
  }
}

void echo_server::watch(connection& peer, int operation, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &peer;
  epoll_ctl(epoll_, operation, peer.fd, &event);
}

void echo_server::read(connection& peer) {
  const ssize_t received = recv(peer.fd, buffer_.data(), buffer_.size(), 0);
  if (received < 0 && errno == EAGAIN) return;
  if (received <= 0) return close(peer);
  const ssize_t sent = send(peer.fd, buffer_.data(), static_cast<std::size_t>(received), MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) return close(peer);
  const ssize_t done = sent < 0 ? 0 : sent;
  stats_.echoed(static_cast<std::size_t>(done));
  if (done == received) return;
  peer.unsent.assign(buffer_.data() + done, buffer_.data() + received);
  watch(peer, EPOLL_CTL_MOD, EPOLLOUT);
}

void echo_server::write_rest(connection& peer) {
  const ssize_t sent = send(peer.fd, peer.unsent.data(), peer.unsent.size(), MSG_NOSIGNAL);
  if (sent < 0 && errno == EAGAIN) return;
  if (sent < 0) return close(peer);
  stats_.echoed(static_cast<std::size_t>(sent));
  peer.unsent.erase(peer.unsent.begin(), peer.unsent.begin() + sent);
  if (peer.unsent.empty()) watch(peer, EPOLL_CTL_MOD, EPOLLIN);
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
}
