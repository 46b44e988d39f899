// A stream that stands before another one, as TLS will: its operations are coroutines, it makes buffers of
// its own, and it has agreed on what is spoken.
#include <algorithm>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/runtime/buffer_pool.hpp>
#include <mobius/testing.hpp>
#include <string>

#include "kit.hpp"
#include "support/catch.hpp"

using namespace mobius::net;
using mobius::lease;
using mobius::task;
using mobius::testing::world;
using test::kind;
using test::recorder;

namespace {

std::byte scrambled_byte(std::byte b) { return b ^ std::byte{0x55}; }

std::string scrambled_text(std::string text) {
  for (char& c : text) c = static_cast<char>(scrambled_byte(static_cast<std::byte>(c)));
  return text;
}

class scrambled_stream {
 public:
  explicit scrambled_stream(socket_stream s) noexcept : inner_(std::move(s)) {}

  task<lease> receive() {
    lease raw = co_await inner_.receive();
    if (raw.empty()) co_return lease();
    auto* own = new mobius::net::detail::kept_bytes(raw.bytes());
    std::transform(own->bytes.begin(), own->bytes.end(), own->bytes.begin(), scrambled_byte);
    co_return lease(*own, own->bytes.data(), static_cast<std::uint32_t>(raw.size()));
  }
  task<std::size_t> read_some(std::span<std::byte> to) {
    const std::size_t size = co_await inner_.read_some(to);
    std::transform(to.begin(), to.begin() + static_cast<std::ptrdiff_t>(size), to.begin(), scrambled_byte);
    co_return size;
  }
  task<> write_all(const_buffer bytes) {
    std::string text(reinterpret_cast<const char*>(bytes.bytes().data()), bytes.size());
    text = scrambled_text(std::move(text));
    co_await inner_.write_all(text);
  }
  task<> write_all(std::span<const const_buffer> list) {
    for (const const_buffer& bytes : list) co_await write_all(bytes);
  }
  auto close() noexcept { return inner_.close(); }
  void abort() noexcept { inner_.abort(); }
  void shutdown_write() { inner_.shutdown_write(); }
  void shutdown_read() { inner_.shutdown_read(); }
  socket_address peer_address() const { return inner_.peer_address(); }
  socket_address local_address() const { return inner_.local_address(); }
  std::string_view application_protocol() const noexcept { return "scrambled/1"; }
  explicit operator bool() const noexcept { return static_cast<bool>(inner_); }

 private:
  socket_stream inner_;
};

static_assert(stream<scrambled_stream>);

struct echo : recorder {
  void lease_received(lease data) override {
    recorder::data_received(data.text());
    transport().write(std::move(data));
  }
};

}  // namespace

TEST_CASE(
    "a protocol runs on a stream whose operations are coroutines, and knows its peer and what is spoken") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run([k](world&) -> task<> {
    test::peers p = co_await test::connected_peers(k);
    const socket_address peer = p.server.peer_address();
    auto e = std::make_shared<echo>();
    const transport_ref t = start_protocol(e, scrambled_stream(std::move(p.server)));
    CHECK(t->application_protocol() == "scrambled/1");
    CHECK(t->get_peer() == peer);
    CHECK(t->native_handle() == -1);
    const std::string text = test::pattern(1'000'000);
    const std::string sent = scrambled_text(text);
    auto both = mobius::when_all(test::send_and_finish(p.client, sent), test::read_all(p.client));
    auto [x, got] = co_await std::move(both);
    static_cast<void>(x);
    CHECK((scrambled_text(got) == text));
    CHECK((e->received == text));
    co_await test::until([&] { return e->lost; });
    CHECK(e->log->back() == test::in_order);
    CHECK(t->application_protocol().empty());
  });
}

TEST_CASE("a connection over such a stream ends at any moment, and the stream is taken out of it") {
  for (int moment = 0; moment < 24; ++moment) {
    INFO(moment);
    mobius::testing::run([moment](world&) -> task<> {
      test::peers p = co_await test::connected_peers(kind::pair);
      auto e = std::make_shared<echo>();
      const transport_ref t = start_protocol(e, scrambled_stream(std::move(p.server)));
      t->write(test::pattern(500'000));
      auto talk = [](socket_stream& s) -> task<> {
        static_cast<void>(co_await mobius::as_result(s.write_all(scrambled_text("a question"))));
        static_cast<void>(co_await mobius::as_result(test::read_all(s)));
      };
      auto end = [&]() -> task<> {
        co_await test::settle(moment / 3);
        if (moment % 3 == 0) t->abort_connection();
        if (moment % 3 == 1) t->lose_connection();
        if (moment % 3 != 2) co_return;
        taken_stream<scrambled_stream> taken = co_await take_stream<scrambled_stream>(*t);
        co_await taken.stream.write_all(const_buffer("taken"));
      };
      auto both = mobius::when_all(talk(p.client), end());
      co_await std::move(both);
      const bool lost = co_await test::until([&] { return e->lost; });
      CHECK(lost);
    });
  }
}
