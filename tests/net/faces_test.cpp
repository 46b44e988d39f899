// One table of behaviours, for servers of either face, over every kind of stream. The far end is bare, and
// what it sees is what is checked.
#include <array>
#include <cerrno>
#include <chrono>
#include <map>
#include <memory>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/runtime/buffer_pool.hpp>
#include <mobius/runtime/testing/memory_stream.hpp>
#include <mobius/testing.hpp>
#include <sstream>
#include <string>

#include "net/peers.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using namespace mobius::net;
using mobius::lease;
using mobius::task;
using mobius::testing::world;
using test::kind;
using test::peers;

namespace {

enum class behaviour {
  echoes,              // gives every byte back, and ends after the peer's end
  answers_and_closes,  // sends much at once, and closes in order
  answers_at_the_end,  // says how much has come when the peer has ended its sending
  ends_first,          // ends its own sending, and receives on
  aborts,              // resets at the first byte
  sees_a_reset,        // is told of the peer's reset, and by whom
  has_a_deadline,      // ends a silent connection
  sips,                // makes the peer wait between pieces
};
constexpr std::array every_behaviour{
    behaviour::echoes, behaviour::answers_and_closes, behaviour::answers_at_the_end, behaviour::ends_first,
    behaviour::aborts, behaviour::sees_a_reset,       behaviour::has_a_deadline,     behaviour::sips};

enum class face { coroutines, callbacks };

struct notes {
  std::size_t received = 0;
  std::string error;  // empty: the connection ended in order
  bool ended = false;
};

const std::string much = test::pattern(1'000'000);

// An end of the kit's pair in memory, with short reads and writes.
class memory_end {
 public:
  explicit memory_end(mobius::testing::memory_stream s) noexcept : inner_(std::move(s)) {}

  task<lease> receive() {
    auto own = std::make_unique<mobius::detail::spare_buffer>();
    const std::size_t size = co_await inner_.read_some(std::span(own->bytes));
    if (size == 0) co_return lease();
    std::byte* bytes = own->bytes;
    co_return lease(*own.release(), bytes, static_cast<std::uint32_t>(size));
  }
  auto read_some(std::span<std::byte> to) { return inner_.read_some(to); }
  task<> write_all(const_buffer bytes) { return inner_.write_all(bytes.bytes()); }
  task<> write_all(std::span<const const_buffer> list) {
    for (const const_buffer& bytes : list) co_await inner_.write_all(bytes.bytes());
  }
  task<> close() {
    inner_.close();
    co_return;
  }
  void abort() noexcept { inner_.reset(ECONNRESET); }
  void shutdown_write() noexcept { inner_.shutdown_write(); }
  void shutdown_read() noexcept {}
  socket_address peer_address() const { return {}; }
  socket_address local_address() const { return {}; }
  std::string_view application_protocol() const noexcept { return {}; }
  explicit operator bool() const noexcept { return true; }

 private:
  mobius::testing::memory_stream inner_;
};
static_assert(stream<memory_end>);

// --- in coroutines ---

template <stream S>
task<> receive_all(notes& n, S& s) {
  while (lease data = co_await s.receive()) n.received += data.size();
}

template <stream S>
task<> behave(behaviour b, notes& n, S s) {
  switch (b) {
    case behaviour::echoes:
      while (lease data = co_await s.receive()) {
        n.received += data.size();
        co_await s.write_all(data);
      }
      co_return;
    case behaviour::answers_and_closes:
      co_await s.write_all(much);
      co_await s.close();
      co_return;
    case behaviour::answers_at_the_end:
      co_await receive_all(n, s);
      co_await s.write_all(std::to_string(n.received));
      co_return;
    case behaviour::ends_first:
      co_await s.write_all("bye");
      s.shutdown_write();
      co_await receive_all(n, s);
      co_return;
    case behaviour::aborts: {
      lease first = co_await s.receive();
      n.received = first.size();
      s.abort();
      co_return;
    }
    case behaviour::sees_a_reset:
      co_await receive_all(n, s);
      co_return;
    case behaviour::has_a_deadline: {
      auto r = co_await mobius::as_result(mobius::timeout(20ms, s.receive()));
      CHECK(r.error().template check<mobius::timed_out>());
      co_return;
    }
    case behaviour::sips:
      while (lease data = co_await s.receive()) {
        n.received += data.size();
        co_await mobius::yield();
      }
      co_return;
  }
}

template <stream S>
task<> run_coroutine(behaviour b, notes& n, S s) {
  auto ended = co_await mobius::as_result(behave(b, n, std::move(s)));
  if (!ended) n.error = ended.error().what();
  n.ended = true;
}

// --- in callbacks ---

struct behaving final : timeout_mixin<protocol> {
  behaving(behaviour b, notes& into) noexcept : what(b), n(into) {}

  bool half_closeable() const noexcept override {
    return what == behaviour::answers_at_the_end || what == behaviour::ends_first;
  }
  void connection_made() override {
    if (what == behaviour::has_a_deadline) set_timeout(20ms);
    if (what == behaviour::ends_first) {
      transport().write("bye");
      transport().lose_write_connection();
    }
    if (what == behaviour::answers_and_closes) {
      transport().write(much);
      transport().lose_connection();
    }
  }
  void lease_received(lease data) override {
    n.received += data.size();
    if (what == behaviour::aborts) transport().abort_connection();
    if (what == behaviour::echoes) transport().write(std::move(data));
    if (what != behaviour::sips) return;
    transport().pause_producing();
    mobius::reactor::current().call_soon([t = transport_ref(transport())] { t->resume_producing(); });
  }
  void read_connection_lost() override {
    if (what == behaviour::answers_at_the_end) transport().write(std::to_string(n.received));
    transport().lose_connection();
  }
  void connection_lost(const mobius::failure& reason) override {
    if (!reason.check<connection_done, connection_aborted>()) n.error = reason.what();
    n.ended = true;
  }

  behaviour what;
  notes& n;
};

// --- the bare end ---

// `resets`: whether the end of one side by a reset is told to the other.
template <stream S>
task<> check(behaviour b, bool resets, const notes& n, S far) {
  switch (b) {
    case behaviour::echoes: {
      auto both = mobius::when_all(test::send_and_finish(far, much), test::read_all(far));
      auto [x, back] = co_await std::move(both);
      static_cast<void>(x);
      CHECK((back == much));
      break;
    }
    case behaviour::answers_and_closes: {
      const std::string all = co_await test::read_all(far);
      CHECK((all == much));
      break;
    }
    case behaviour::answers_at_the_end: {
      co_await test::send_and_finish(far, much);
      const std::string answer = co_await test::read_all(far);
      CHECK(answer == std::to_string(much.size()));
      break;
    }
    case behaviour::ends_first: {
      const std::string bye = co_await test::read_all(far);
      CHECK(bye == "bye");
      co_await test::send_and_finish(far, much);
      break;
    }
    case behaviour::aborts: {
      co_await far.write_all("x");
      auto end = co_await mobius::as_result(test::read_all(far));
      if (resets) CHECK(end.error().what().find("Connection reset by peer") != std::string::npos);
      if (!resets) CHECK(end.value().empty());
      break;
    }
    case behaviour::sees_a_reset:
      co_await far.write_all("x");
      while (n.received == 0) co_await mobius::yield();
      far.abort();
      break;
    case behaviour::has_a_deadline: {
      const std::string nothing = co_await test::read_all(far);
      CHECK(nothing.empty());
      break;
    }
    case behaviour::sips:
      co_await test::send_and_finish(far, much);
      break;
  }
  while (!n.ended) co_await mobius::yield();
  if (b == behaviour::echoes || b == behaviour::ends_first || b == behaviour::sips)
    CHECK(n.received == much.size());
  if (b == behaviour::sees_a_reset && resets) {
    if constexpr (std::same_as<S, socket_stream>) CHECK(n.error.starts_with("read from "));
    CHECK(n.error.ends_with(": Connection reset by peer"));
  } else {
    CHECK(n.error.empty());
  }
}

template <stream S>
task<> one_cell(behaviour b, face f, bool resets, S server, S client) {
  notes n;
  if (f == face::callbacks) {
    start_protocol(std::make_shared<behaving>(b, n), std::move(server));
    co_await check(b, resets, n, std::move(client));
    co_await test::settle(3);
    co_return;
  }
  auto both =
      mobius::when_all(run_coroutine(b, n, std::move(server)), check(b, resets, n, std::move(client)));
  co_await std::move(both);
}

task<> over_sockets(behaviour b, face f, kind k) {
  peers p = co_await test::connected_peers(k);
  const bool tcp = k == kind::tcp4 || k == kind::tcp6;
  co_await one_cell(b, f, tcp, std::move(p.server), std::move(p.client));
}

task<> over_memory(behaviour b, face f, std::uint64_t seed) {
  mobius::testing::stream_pair p({.longest_read = 5000, .longest_write = 3000, .seed = seed});
  co_await one_cell(b, f, true, memory_end(std::move(p.near)), memory_end(std::move(p.far)));
}

}  // namespace

TEST_CASE("each behaviour is the same over every kind of stream and in both faces") {
  std::map<std::string, int> cells;
  for (const behaviour b : every_behaviour) {
    for (const kind k : test::every_kind) {
      for (const face f : {face::coroutines, face::callbacks}) {
        std::ostringstream cell;
        cell << "behaviour " << static_cast<int>(b) << " over " << k
             << (f == face::callbacks ? " in callbacks" : " in coroutines");
        INFO(cell.str());
        auto body = [&](world&) -> task<> { co_await mobius::timeout(30s, over_sockets(b, f, k)); };
        mobius::testing::run(body, {.virtual_time = false});
        ++cells[cell.str()];
      }
    }
  }
  CHECK(cells.size() == every_behaviour.size() * test::every_kind.size() * 2);
}

TEST_CASE("each behaviour is the same in memory, cut into short reads and writes, and in both faces") {
  const std::uint64_t seed = test::seed();
  for (const behaviour b : every_behaviour) {
    for (const face f : {face::coroutines, face::callbacks}) {
      INFO("behaviour " << static_cast<int>(b)
                        << (f == face::callbacks ? " in callbacks" : " in coroutines"));
      auto body = [&](world&) -> task<> { co_await mobius::timeout(30s, over_memory(b, f, seed)); };
      mobius::testing::run(body, {.virtual_time = false});
    }
  }
}
