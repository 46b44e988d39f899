// What connections and messages cost, in bytes and allocations and never in time: every malloc of this
// program is counted, and every byte that is searched or moved (counted_memory.c).
#include <malloc.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/runtime/buffer_pool.hpp>
#include <mobius/testing.hpp>
#include <string>
#include <vector>

#include "net/peers.hpp"
#include "net/protocol/kit.hpp"
#include "support/catch.hpp"

extern "C" {
extern std::size_t allocations;
extern std::size_t bytes_looked_at;
extern std::size_t bytes_moved;
}

using mobius::lease;
using mobius::task;
using namespace mobius::net;
using mobius::testing::world;
using test::kind;
using test::peers;

namespace {

// What has been handed out: of malloc, which the pool of blocks takes its own from as well.
std::size_t heap() {
  const auto now = mallinfo2();
  return now.uordblks + now.hblkhd;
}

enum class face { coroutines, callbacks };

std::ostream& operator<<(std::ostream& out, face f) {
  return out << (f == face::coroutines ? "coroutines" : "callbacks");
}

task<> echo(socket_stream stream) {
  try {
    while (lease data = co_await stream.receive()) co_await stream.write_all(data);
  } catch (const std::system_error&) {
  }
}

struct echo_protocol final : protocol {
  void lease_received(lease data) override { transport().write(std::move(data)); }
};

void serve(face f, socket_stream s) {
  if (f == face::callbacks) {
    start_protocol(std::make_shared<echo_protocol>(), std::move(s));
  } else {
    mobius::background(echo(std::move(s)));
  }
}

// A connection that a server of ours has at one end and only a descriptor at the other.
class bare_peer {
 public:
  explicit bare_peer(face f) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
    fd_ = ends[0];
    serve(f, unix_stream::adopt(ends[1]));
  }
  bare_peer(bare_peer&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  bare_peer& operator=(bare_peer&&) = delete;
  ~bare_peer() {
    if (fd_ >= 0) ::close(fd_);
  }

  void send(const std::string& text) const {
    if (::send(fd_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) std::abort();
  }
  // Takes what has come back; gives how much.
  std::size_t take() const {
    std::array<char, 65536> room;
    const ssize_t n = ::recv(fd_, room.data(), room.size(), MSG_DONTWAIT);
    return n > 0 ? static_cast<std::size_t>(n) : 0;
  }

 private:
  int fd_ = -1;
};

task<> one_round(const bare_peer& peer, const std::string& text) {
  peer.send(text);
  for (std::size_t back = 0; back < text.size();) {
    co_await mobius::yield();
    back += peer.take();
  }
}

}  // namespace

TEST_CASE("an idle connection costs at most 1 KiB in coroutines and 700 bytes in callbacks, and no buffer") {
  const face f = GENERATE(face::coroutines, face::callbacks);
  INFO(f);
  constexpr std::size_t count = 400;
  mobius::testing::run([f](world& w) -> task<> {
    std::vector<bare_peer> all;
    all.reserve(count);
    const std::string hello = "hello";
    {
      const bare_peer warm(f);  // what is made once for all
      co_await one_round(warm, hello);
    }
    co_await test::settle();
    const auto before = heap();
    for (std::size_t i = 0; i < count; ++i) {
      all.emplace_back(f);
      co_await one_round(all.back(), hello);
    }
    co_await test::settle();
    const std::size_t each = (heap() - before) / count;
    INFO("each costs " << each);
    CHECK(each <= (f == face::coroutines ? 1024 : 700));
    CHECK(each > 100);  // it is measured
    CHECK(w.reactor.service<mobius::detail::buffers>().small().held() == 0);
    all.clear();
    co_await test::settle();
  });
}

TEST_CASE("a message allocates nothing, small or large, in either face") {
  const face f = GENERATE(face::coroutines, face::callbacks);
  const std::size_t size = GENERATE(64U, 16384U, 60000U);
  INFO(f << ", " << size << " bytes");
  mobius::testing::run([f, size](world&) -> task<> {
    const bare_peer peer(f);
    const std::string text = test::pattern(size);
    for (int i = 0; i < 100; ++i) co_await one_round(peer, text);
    const auto before = allocations;
    const auto heap_before = heap();
    for (int i = 0; i < 1000; ++i) co_await one_round(peer, text);
    CHECK(allocations == before);
    CHECK(heap() == heap_before);
  });
}

TEST_CASE("many writes of one turn allocate nothing once there were as many before") {
  mobius::testing::run([](world&) -> task<> {
    peers p = co_await test::connected_peers(kind::pair);
    const transport_ref t = start_protocol(std::make_shared<test::recorder>(), std::move(p.client));
    std::vector<char> room(65536);
    auto round = [&]() -> task<> {
      for (int i = 0; i < 500; ++i)
        t->write(
            "a hundred bytes or so, of which there are many in a turn, and each "
            "is copied into what is there already");
      std::size_t left = t->unsent();
      while (left != 0) left -= co_await p.server.read_some(std::span(room));
    };
    for (int i = 0; i < 20; ++i) co_await round();
    const auto before = allocations;
    const auto heap_before = heap();
    for (int i = 0; i < 200; ++i) co_await round();
    CHECK(allocations == before);
    CHECK(heap() == heap_before);
    t->abort_connection();
  });
}

TEST_CASE("what is written in small pieces is moved once") {
  mobius::testing::run([](world&) -> task<> {
    std::string wire;
    auto p = std::make_shared<test::recorder>();
    const transport_ref t = test::fake_transport::over(p);
    const std::string piece = test::pattern(90);
    constexpr std::size_t count = 20'000;
    const auto before = bytes_moved;
    for (std::size_t i = 0; i < count; ++i) t->write(piece);
    CHECK(t->unsent() == count * piece.size());
    CHECK(bytes_moved - before < 2 * count * piece.size());
    t->abort_connection();
    co_return;
  });
}

namespace {

template <class Base>
struct lines_of : Base {
  void line_received(std::string_view line) override { size = line.size(); }
  void send(std::string_view text) { this->send_line(text); }
  std::size_t size = 0;
};
template <class Base>
struct strings_of : Base {
  void string_received(std::string_view text) override { size = text.size(); }
  void send(std::string_view text) { this->send_string(text); }
  std::size_t size = 0;
};

}  // namespace

TEMPLATE_TEST_CASE("of a message that comes byte by byte each byte is searched and moved a few times at most",
                   "", lines_of<line_only_receiver>, lines_of<line_receiver>,
                   strings_of<int32_string_receiver>, strings_of<netstring_receiver>) {
  mobius::testing::run([](world&) -> task<> {
    // If each byte had all before it looked at or moved again, this would be 5 * 10^11 bytes.
    constexpr std::size_t size = 1'000'000;
    const std::string text(size, 'x');
    std::string wire;
    auto sender = std::make_shared<TestType>();
    const transport_ref out = test::fake_transport::over(sender, &wire);
    sender->send(text);
    out->lose_connection();
    co_await mobius::yield();
    auto receiver = std::make_shared<TestType>();
    receiver->set_max_length(size);
    const transport_ref in = test::fake_transport::over(receiver);
    const auto looked_before = bytes_looked_at;
    const auto moved_before = bytes_moved;
    for (const char& c : wire) receiver->data_received({&c, 1});
    CHECK(receiver->size == size);
    CHECK(bytes_looked_at - looked_before <= 3 * size);
    CHECK(bytes_moved - moved_before <= 4 * size);  // a string that grows moves what it has
    if (std::derived_from<TestType, line_only_receiver>) CHECK(bytes_looked_at - looked_before >= size);
    in->lose_connection();
  });
}

TEST_CASE(
    "of a message that comes byte by byte read_until searches and moves each byte a few times at most") {
  mobius::testing::run([](world&) -> task<> {
    constexpr std::size_t size = 20'000;
    peers p = co_await test::connected_peers(kind::pair);
    auto write = [](socket_stream& out, const std::string& text) -> task<> {
      for (const char& c : text) {
        co_await out.write_all(std::string_view(&c, 1));
        co_await mobius::yield();
      }
    };
    auto read = [](socket_stream& in) -> task<std::size_t> {
      buffered_reader reader(in);
      auto line = co_await reader.read_until("\r\n", size);
      co_return line->size();
    };
    const std::string text = std::string(size, 'x') + "\r\n";
    const auto looked_before = bytes_looked_at;
    const auto moved_before = bytes_moved;
    auto both = mobius::when_all(write(p.client, text), read(p.server));
    auto [x, got] = co_await std::move(both);
    static_cast<void>(x);
    CHECK(got == size);
    const auto looked = bytes_looked_at - looked_before;
    CHECK(looked >= size);
    CHECK(looked <= 3 * size);
    // The loop itself moves some bytes at each of its turns.
    CHECK(bytes_moved - moved_before <= 400 * size);
  });
}

TEST_CASE("the parts of a connection do not grow unnoticed") {
  CHECK(sizeof(detail::stream_state) <= 320);
  CHECK(sizeof(detail::stream_transport<tcp_stream>) <= 320);
  CHECK(sizeof(protocol) <= 48);
}
