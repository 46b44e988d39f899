// Ours beside Twisted's own echo, lines, netstrings and 32-bit strings, in both roles.
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>
#include <string>
#include <vector>

#include "kit.hpp"
#include "support/catch.hpp"
#include "twisted_process.hpp"

using namespace std::chrono_literals;
using namespace mobius::net;
using mobius::task;
using mobius::testing::world;

namespace {

constexpr mobius::testing::run_options real_time{.virtual_time = false};

std::vector<std::string> messages() {
  std::vector<std::string> all;
  int i = 0;
  for (const std::size_t n : {0U, 1U, 2U, 10U, 255U, 1000U, 16000U, 99U, 16384U, 5U}) {
    std::string text;
    for (std::size_t k = 0; k < n; ++k)
      text += static_cast<char>((static_cast<std::size_t>(i) * 7 + k) % 26 + 97);
    all.push_back(text);
    ++i;
  }
  return all;
}

// --- servers ---

struct echo : protocol {
  void lease_received(mobius::lease data) override { transport().write(std::move(data)); }
};
struct line_echo : line_receiver {
  void line_received(std::string_view line) override { send_line(line); }
};
template <class Base>
struct string_echo : Base {
  void string_received(std::string_view text) override { this->send_string(text); }
};

std::shared_ptr<factory> server_of(const std::string& kind) {
  if (kind == "echo") return factory::for_protocol<echo>();
  if (kind == "lines") return factory::for_protocol<line_echo>();
  if (kind == "int32") return factory::for_protocol<string_echo<int32_string_receiver>>();
  return factory::for_protocol<string_echo<netstring_receiver>>();
}

// --- clients: each message after the answer to the one before ---

template <class Base>
struct client : Base {
  void connection_made() override { next(); }
  void answer(std::string_view text) {
    had += text;
    if (had.size() < all[at].size()) return;
    right += had == all[at] ? 1 : 0;
    had.clear();
    ++at;
    next();
  }
  void next() {
    if constexpr (std::is_same_v<Base, protocol>) {
      for (; at < all.size() && all[at].empty(); ++at) ++right;
    }
    if (at == all.size()) {
      this->transport().lose_connection();
    } else if constexpr (std::is_same_v<Base, protocol>) {
      this->transport().write(all[at]);
    } else if constexpr (std::derived_from<Base, line_receiver>) {
      this->send_line(all[at]);
    } else {
      this->send_string(all[at]);
    }
  }
  std::vector<std::string> all = messages();
  std::string had;
  std::size_t at = 0;
  std::size_t right = 0;
};
struct echo_client : client<protocol> {
  void data_received(std::string_view data) override { answer(data); }
};
struct line_client : client<line_receiver> {
  void line_received(std::string_view line) override { answer(line); }
};
template <class Base>
struct string_client : client<Base> {
  void string_received(std::string_view text) override { this->answer(text); }
};

template <class P>
task<std::size_t> ask(std::uint16_t port) {
  tcp_client_endpoint endpoint("127.0.0.1", port);
  auto p = co_await connect_protocol(endpoint, std::make_shared<P>());
  co_await mobius::timeout(20s, when_lost(p->transport()));
  co_return p->right;
}

task<std::size_t> ask(std::string kind, std::uint16_t port) {
  if (kind == "echo") co_return co_await ask<echo_client>(port);
  if (kind == "lines") co_return co_await ask<line_client>(port);
  if (kind == "int32") co_return co_await ask<string_client<int32_string_receiver>>(port);
  co_return co_await ask<string_client<netstring_receiver>>(port);
}

}  // namespace

TEST_CASE("our clients speak with Twisted's servers") {
  const std::string kind = GENERATE("echo", "lines", "netstrings", "int32");
  INFO(kind);
  test::twisted peer({"server", kind});
  const std::string said = peer.line();
  REQUIRE(said.starts_with("port "));
  const auto port = static_cast<std::uint16_t>(std::stoi(said.substr(5)));
  mobius::testing::run(
      [&](world&) -> task<> {
        const std::size_t right = co_await ask(kind, port);
        CHECK(right == messages().size());
      },
      real_time);
  CHECK(peer.end() == 0);
}

TEST_CASE("Twisted's clients speak with our servers") {
  const std::string kind = GENERATE("echo", "lines", "netstrings", "int32");
  INFO(kind);
  mobius::testing::run(
      [&](world&) -> task<> {
        auto f = server_of(kind);
        listening_port port = listen(tcp_listener("127.0.0.1", 0), f);
        std::string said;
        int status = -1;
        const std::string number = std::to_string(port.get_host().port());
        auto run_peer = [&] {
          test::twisted peer({"client", kind, number});
          said = peer.line();
          status = peer.end();
        };
        co_await mobius::offload(run_peer);
        CHECK(said == "ok 10");
        CHECK(status == 0);
        co_await port.stop_listening();
      },
      real_time);
}

TEST_CASE("our clients speak with our servers") {
  const std::string kind = GENERATE("echo", "lines", "netstrings", "int32");
  INFO(kind);
  mobius::testing::run([&](world&) -> task<> {
    listening_port port = listen(tcp_listener("127.0.0.1", 0), server_of(kind));
    const std::size_t right = co_await ask(kind, port.get_host().port());
    CHECK(right == messages().size());
    co_await port.stop_listening();
  });
}
