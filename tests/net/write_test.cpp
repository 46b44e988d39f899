// Writing: gathered, owned, queued, files, half-close, abort.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <mobius/deferred/coroutine.hpp>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>
#include <random>
#include <vector>

#include "net/peers.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::lease;
using mobius::task;
using mobius::net::const_buffer;
using mobius::net::socket_stream;
using mobius::net::write_interrupted;
using mobius::testing::world;
using test::connected_peers;
using test::kind;
using test::peers;

namespace {

constexpr mobius::testing::run_options real_time{.virtual_time = false};

// A file with this content, open for reading, that has no name any more.
class content_file {
 public:
  explicit content_file(const std::string& text) {
    const std::string path = test::socket_path();
    std::ofstream(path, std::ios::binary) << text;
    fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    unlink(path.c_str());
  }
  content_file(const content_file&) = delete;
  content_file& operator=(const content_file&) = delete;
  ~content_file() { close(fd_); }
  int fd() const noexcept { return fd_; }

 private:
  int fd_;
};

}  // namespace

TEST_CASE("a list of buffers leaves as one, whole, empty ones and many included") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  const std::uint64_t seed = test::seed();
  mobius::testing::run([k, seed](world&) -> task<> {
    peers p = co_await connected_peers(k);
    std::mt19937_64 random(seed);
    std::vector<std::string> texts;
    for (int i = 0; i < 100; ++i) {
      const std::size_t size = random() % 4 == 0 ? 0 : random() % 60'000;
      texts.push_back(test::pattern(size));
    }
    std::vector<const_buffer> list(texts.begin(), texts.end());
    std::string all;
    for (const std::string& t : texts) all += t;
    auto both = mobius::when_all(p.client.write_all(std::span<const const_buffer>(list)),
                                 p.client.write_all("end"), test::read_exactly(p.server, all.size() + 3));
    auto [x, y, got] = co_await std::move(both);
    CHECK(got == all + "end");
    co_await p.client.write_all(std::span<const const_buffer>());
  });
}

TEST_CASE("a part of a buffer that is not const is written as it stands") {
  mobius::testing::run([](world&) -> task<> {
    peers p = co_await connected_peers(kind::tcp4);
    std::vector<std::byte> bytes(10, std::byte{'b'});
    std::vector<char> chars(10, 'c');
    co_await p.client.write_all(std::span(bytes).first(3));
    co_await p.client.write_all(std::span(chars).last<2>());
    const std::string got = co_await test::read_exactly(p.server, 5);
    CHECK(got == "bbbcc");
  });
}

TEST_CASE("a write may own its buffer, gives it back, and so may become a deferred") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run([k](world&) -> task<> {
    peers p = co_await connected_peers(k);
    std::string text = test::pattern(100'000);
    const std::string same = text;
    auto both = mobius::when_all(mobius::to_deferred(p.client.write_all(std::move(text))),
                                 test::read_exactly(p.server, same.size()));
    auto [back, got] = co_await std::move(both);
    CHECK(back == same);
    CHECK(got == same);
    std::vector<char> ten(10, 'x');
    co_await p.client.write_all(std::move(ten));
    lease data = co_await p.server.receive();
    CHECK(data.text() == "xxxxxxxxxx");
    auto echoed = mobius::to_deferred(p.server.write_all(std::move(data)));
    lease echo = co_await p.client.receive();
    CHECK(echo.text() == "xxxxxxxxxx");
    lease given_back = co_await std::move(echoed);
    CHECK(given_back.size() == 10);
  });
}

TEST_CASE("a shutdown of the writing waits for the writes that have begun, and refuses later ones") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run([k](world&) -> task<> {
    peers p = co_await connected_peers(k);
    const std::string text = test::pattern(5'000'000);
    auto late = [](socket_stream& s) -> task<std::string> {
      s.shutdown_write();
      s.shutdown_write();
      auto r = co_await mobius::as_result(s.write_all("too late"));
      co_return r ? "no error" : r.error().what();
    };
    auto all = mobius::when_all(p.client.write_all(text), p.client.write_all("queued"), late(p.client),
                                test::read_all(p.server));
    auto [x, y, error, got] = co_await std::move(all);
    CHECK(got == text + "queued");
    CHECK(error.find("shutdown_write was called before: Broken pipe") != std::string::npos);
    co_await p.server.write_all("back");
    lease back = co_await p.client.receive();
    CHECK(back.text() == "back");
  });
}

TEST_CASE("an abort is a reset for a TCP peer, and takes back what was not sent", "[fault-29]") {
  const kind k = GENERATE(kind::tcp4, kind::tcp6);
  INFO(k);
  mobius::testing::run([k](world&) -> task<> {
    peers p = co_await connected_peers(k);
    const std::string text(20'000'000, 'x');
    auto writer = [](socket_stream& s, const std::string& t) -> task<std::string> {
      auto r = co_await mobius::as_result(s.write_all(t));
      co_return r ? "no error" : r.error().what();
    };
    auto aborter = [](socket_stream& s) -> task<> {
      co_await test::settle();
      s.abort();
    };
    auto both = mobius::when_all(writer(p.client, text), aborter(p.client));
    auto [error, x] = co_await std::move(both);
    CHECK(error.find("interrupted after ") != std::string::npos);
    CHECK_FALSE(static_cast<bool>(p.client));
    std::string end;
    while (end.empty()) {
      auto part = co_await mobius::as_result(p.server.receive());
      if (!part) end = part.error().what();
      if (part && part->empty()) end = "an orderly end";
    }
    CHECK(end.find("Connection reset by peer") != std::string::npos);
  });
}

TEST_CASE("a cancelled write reports how many bytes it has sent, and they are what the peer gets",
          "[fault-5]") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run(
      [k](world&) -> task<> {
        peers p = co_await connected_peers(k);
        const std::string text = test::pattern(16'000'000);
        auto r = co_await mobius::as_result(mobius::timeout(20ms, p.client.write_all(text)));
        REQUIRE(r.error().check<write_interrupted>());
        const auto* error = r.error().get_if<write_interrupted>();
        CHECK(error->code() == std::errc::operation_canceled);
        auto again = co_await mobius::as_result(p.client.write_all("more"));
        CHECK_FALSE(again.has_value());
        p.client.shutdown_write();
        const std::string got = co_await test::read_all(p.server);
        CHECK(got.size() == error->transferred());
        CHECK(got == text.substr(0, got.size()));
      },
      real_time);
}

TEST_CASE("a file is sent from any place, in its turn among the writes") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run([k](world&) -> task<> {
    peers p = co_await connected_peers(k);
    const std::string text = test::pattern(3'000'000);
    const content_file file(text);
    auto all = mobius::when_all(p.client.write_all("before"), p.client.send_file(file.fd(), 1000, 2'500'000),
                                p.client.write_all("after"), test::read_exactly(p.server, 6 + 2'500'000 + 5));
    auto [x, sent, y, got] = co_await std::move(all);
    CHECK(sent == 2'500'000);
    CHECK(got == "before" + text.substr(1000, 2'500'000) + "after");
    auto rest =
        mobius::when_all(p.client.send_file(file.fd(), 2'900'000), test::read_exactly(p.server, 100'000));
    auto [to_the_end, tail] = co_await std::move(rest);
    CHECK(to_the_end == 100'000);
    CHECK(tail == text.substr(2'900'000));
    const std::uint64_t none = co_await p.client.send_file(file.fd(), 3'000'000);
    CHECK(none == 0);
  });
}

TEST_CASE("a file that cannot be read is an error that says so, and the stream goes on") {
  mobius::testing::run([](world&) -> task<> {
    peers p = co_await connected_peers();
    const int folder = open("/", O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    auto r = co_await mobius::as_result(p.client.send_file(folder));
    close(folder);
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().what().find("read of the file to send: Is a directory") != std::string::npos);
    co_await p.client.write_all("goes on");
    lease data = co_await p.server.receive();
    CHECK(data.text() == "goes on");
  });
}

TEST_CASE("sending a file can be cancelled, and then says how much has left") {
  mobius::testing::run(
      [](world&) -> task<> {
        peers p = co_await connected_peers();
        const content_file file(std::string(16'000'000, 'x'));
        auto r = co_await mobius::as_result(mobius::timeout(20ms, p.client.send_file(file.fd())));
        REQUIRE(r.error().check<write_interrupted>());
        p.client.shutdown_write();
        const std::string got = co_await test::read_all(p.server);
        CHECK(got.size() == r.error().get_if<write_interrupted>()->transferred());
      },
      real_time);
}

TEST_CASE("a gathered write that the kernel takes in small parts arrives whole", "[fault-8]") {
  const kind k = GENERATE(from_range(test::every_kind));
  INFO(k);
  mobius::testing::run([k](world&) -> task<> {
    peers p = co_await connected_peers(k);
    const std::string text = test::pattern(1'000'000);
    const std::vector<const_buffer> list{const_buffer(std::string_view(text).substr(0, 500'000)),
                                         const_buffer(std::string_view(text).substr(500'000))};
    const int size = 4096;
    setsockopt(p.client.native_handle(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    auto both = mobius::when_all(p.client.write_all(std::span<const const_buffer>(list)),
                                 test::read_exactly(p.server, text.size()));
    auto [x, got] = co_await std::move(both);
    CHECK(got == text);
  });
}
