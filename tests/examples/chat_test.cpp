// Both chat rooms, which speak the same protocol.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <string>

#include "child.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::task;
using mobius::net::tcp_stream;
using test::child;

namespace {

/// Someone in the room, who reads line by line.
class guest {
 public:
  explicit guest(tcp_stream s) : stream_(std::move(s)) {}

  task<> say(std::string lines) { co_await stream_.write_all(std::move(lines)); }
  task<> leave() { co_await stream_.close(); }
  task<std::string> hear() {
    while (heard_.find('\n') == std::string::npos) {
      mobius::lease more = co_await stream_.receive();
      if (more.empty()) co_return "(end)";
      heard_ += more.text();
    }
    const std::string line = heard_.substr(0, heard_.find('\n'));
    heard_.erase(0, line.size() + 1);
    co_return line;
  }

 private:
  tcp_stream stream_;
  std::string heard_;
};

task<> conversation(std::uint16_t port) {
  guest ada(co_await mobius::net::connect("127.0.0.1", port));
  co_await ada.say("\n");
  std::string heard = co_await ada.hear();
  CHECK(heard == "a name, please");
  co_await ada.say("ada\n");
  guest bob(co_await mobius::net::connect("127.0.0.1", port));
  co_await bob.say("bob\nhello");
  heard = co_await ada.hear();
  CHECK(heard == "* bob is here");
  co_await bob.say(", all\nhow are you?\n");
  heard = co_await ada.hear();
  CHECK(heard == "<bob> hello, all");
  heard = co_await ada.hear();
  CHECK(heard == "<bob> how are you?");
  co_await ada.say("well\n");
  heard = co_await bob.hear();
  CHECK(heard == "<ada> well");
  guest cyd(co_await mobius::net::connect("127.0.0.1", port));
  co_await cyd.say("cyd\n");
  heard = co_await ada.hear();
  CHECK(heard == "* cyd is here");
  heard = co_await bob.hear();
  CHECK(heard == "* cyd is here");
  co_await bob.leave();
  heard = co_await cyd.hear();
  CHECK(heard == "* bob has left");
  heard = co_await ada.hear();
  CHECK(heard == "* bob has left");
  co_await cyd.say(std::string(20'000, 'x'));
  heard = co_await cyd.hear();
  CHECK(heard == "(end)");
  heard = co_await ada.hear();
  CHECK(heard == "* cyd has left");
}

}  // namespace

TEST_CASE("the chat room passes lines on, tells who comes and goes, and ends who sends too long a line") {
  const std::string style = GENERATE("callbacks", "coroutine");
  INFO(style);
  child server(EXAMPLES_DIR "/chat_" + style, {"0"});
  REQUIRE(server.wait_for("\n"));
  const std::string& said = server.output();
  const auto port = static_cast<std::uint16_t>(std::atoi(said.c_str() + said.rfind(':') + 1));
  mobius::reactor reactor({.signals = false});
  reactor.run(mobius::timeout(20s, conversation(port)));
  server.signal(SIGTERM);
  server.finish();
  CHECK(server.ending_signal() == SIGTERM);
  CHECK(server.lines().size() == 1);
}
