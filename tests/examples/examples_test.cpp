#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "child.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using lines = std::vector<std::string>;
using test::child;

namespace {

const std::string tutorial = TUTORIAL_DIR "/";
const std::string examples = EXAMPLES_DIR "/";

lines both_styles(const std::string& program) { return {program + "_callbacks", program + "_coroutine"}; }

std::uint16_t announced_port(child& server, const std::string& before) {
  const auto at = server.output().find(before);
  return static_cast<std::uint16_t>(std::strtoul(server.output().c_str() + at + before.size(), nullptr, 10));
}

/// Another name for the library of hanging look-ups: LD_PRELOAD ends a path at a space, and the build
/// may lie in a folder that has one.
class preloadable {
 public:
  preloadable() {
    if (!mkdtemp(folder_)) throw std::system_error(errno, std::generic_category(), "mkdtemp");
    std::filesystem::create_symlink(SLOW_LOOKUP, path());
  }
  preloadable(const preloadable&) = delete;
  preloadable& operator=(const preloadable&) = delete;
  ~preloadable() { std::filesystem::remove_all(folder_); }
  std::string path() const { return std::string(folder_) + "/lookup.so"; }

 private:
  char folder_[32] = "/tmp/mobius_lookup_XXXXXX";
};

/// One connection, one message, everything that comes back until the peer closes or `enough` is there.
std::string ask(std::uint16_t port, const std::string& message, const std::string& enough) {
  auto body = [](std::uint16_t p, const std::string& m, const std::string& e) -> mobius::task<std::string> {
    auto stream = co_await mobius::net::connect("127.0.0.1", p);
    co_await stream.write_all(m);
    std::string answer;
    while (answer.find(e) == std::string::npos) {
      mobius::lease part = co_await stream.receive();
      if (part.empty()) break;
      answer += part.text();
    }
    co_return answer;
  };
  mobius::reactor reactor({.signals = false});
  return reactor.run(mobius::timeout(10s, body(port, message, enough)));
}

}  // namespace

TEST_CASE("print_later prints the message once, after a second, in both styles") {
  for (const std::string& program : both_styles("print_later")) {
    INFO(program);
    child run(tutorial + program);
    run.finish();
    CHECK(run.exit_status() == 0);
    CHECK(run.lines() == lines{"The future is now!"});
    CHECK(run.lifetime() >= 1s);
  }
}

TEST_CASE("print_later_twice prints the message twice, after a second, in both styles") {
  for (const std::string& program : both_styles("print_later_twice")) {
    INFO(program);
    child run(tutorial + program);
    run.finish();
    CHECK(run.exit_status() == 0);
    CHECK(run.lines() == lines{"The future is now!", "The future is now!"});
    CHECK(run.lifetime() >= 1s);
  }
}

TEST_CASE("blocking_input reports the bad URL first and five pages in order of completion, in both styles") {
  for (const std::string& program : both_styles("blocking_input")) {
    INFO(program);
    child run(tutorial + program);
    run.finish();
    CHECK(run.exit_status() == 0);
    lines said = run.lines();
    REQUIRE(said.size() == 6);
    CHECK(said[0] == "Failed to download `a_bad_url`.");
    // The site's pages are named after their delays, and are asked for in another order.
    for (std::size_t i = 1; i < said.size(); ++i) {
      CHECK(said[i].find("Successfully downloaded `http://127.0.0.1:") == 0);
    }
    const auto delay = [](const std::string& line) {
      return std::atoi(line.substr(line.rfind('/') + 1).c_str());
    };
    CHECK(std::is_sorted(said.begin() + 1, said.end(),
                         [&](const std::string& a, const std::string& b) { return delay(a) < delay(b); }));
    CHECK(run.lifetime() >= 1s);
  }
}

TEST_CASE("blocking_input takes URLs as arguments, and each failure is its own") {
  for (const std::string& program : both_styles("blocking_input")) {
    INFO(program);
    child run(tutorial + program, {"http://127.0.0.1:1/refused", "nonsense", "https://127.0.0.1/"});
    run.finish();
    CHECK(run.exit_status() == 0);
    lines said = run.lines();
    std::sort(said.begin(), said.end());
    CHECK(said == lines{"Failed to download `http://127.0.0.1:1/refused`.",
                        "Failed to download `https://127.0.0.1/`.", "Failed to download `nonsense`."});
  }
}

TEST_CASE("Ctrl-C ends every program of the tutorial at once, with the signal as its exit status") {
  for (const char* name : {"print_later", "print_later_twice", "blocking_input"}) {
    for (const std::string& program : both_styles(name)) {
      for (const int signal : {SIGINT, SIGTERM}) {
        INFO(program << " signal " << signal);
        child run(tutorial + program);
        // The handlers are in place when the loop sleeps; blocking_input says something by then.
        if (program.starts_with("blocking_input")) run.wait_for("a_bad_url");
        std::this_thread::sleep_for(200ms);
        run.signal(signal);
        run.finish();
        CHECK(run.ending_signal() == signal);
        CHECK(run.lifetime() < 950ms);
      }
    }
  }
}

TEST_CASE("Ctrl-C ends blocking_input at once during a name look-up that hangs") {
  const char* preloaded = std::getenv("LD_PRELOAD");
  const std::string before = preloaded ? std::string(preloaded) + ":" : "";
  const preloadable lookup;
  for (const std::string& program : both_styles("blocking_input")) {
    INFO(program);
    // A sanitizer's runtime wants to be the first library, and minds nothing else of a preload.
    child run(
        tutorial + program, {"http://slow.example/"},
        {"LD_PRELOAD=" + before + lookup.path(), "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0"});
    REQUIRE(run.wait_for("looking up"));
    run.signal(SIGINT);
    run.finish();
    CHECK(run.ending_signal() == SIGINT);
    CHECK(run.lifetime() < 10s);
  }
}

TEST_CASE("the echo server sends back what it is sent") {
  child server(examples + "echo_server", {"0"});
  const std::string announcement = "echo server on 127.0.0.1:";
  REQUIRE(server.wait_for("\n"));
  const std::uint16_t port = announced_port(server, announcement);
  CHECK(ask(port, "hello, echo", "echo") == "hello, echo");
  server.signal(SIGTERM);
  server.finish();
  CHECK(server.ending_signal() == SIGTERM);
}

TEST_CASE("the echo server says which port is taken") {
  child first(examples + "echo_server", {"0"});
  REQUIRE(first.wait_for("\n"));
  const auto port = std::to_string(announced_port(first, "echo server on 127.0.0.1:"));
  child second(examples + "echo_server", {port});
  second.finish();
  CHECK(second.exit_status() == 1);
  CHECK(second.output() ==
        "listen on 127.0.0.1:" + port +
            " (another program has this port; choose another, or 0): Address already in use\n");
}

TEST_CASE("an example that is given what is no port says so") {
  for (const char* program : {"echo_server", "hello_http", "chat_callbacks", "chat_coroutine"}) {
    for (const std::string text : {"http", "99999", "80x", "-1", ""}) {
      INFO(program << " '" << text << "'");
      child example(examples + program, {text});
      example.finish();
      CHECK(example.exit_status() == 1);
      CHECK(example.output() == "'" + text + "' is no port: give a number from 0 to 65535\n");
    }
  }
  child forwarder(examples + "forward", {"0", "localhost", "http"});
  forwarder.finish();
  CHECK(forwarder.output() == "'http' is no port: give a number from 0 to 65535\n");
}

TEST_CASE("hello_http greets") {
  child server(examples + "hello_http", {"0"});
  REQUIRE(server.wait_for("\n"));
  const auto colon = server.output().rfind(":");
  const auto port =
      static_cast<std::uint16_t>(std::strtoul(server.output().c_str() + colon + 1, nullptr, 10));
  const std::string answer =
      ask(port, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "\r\n\r\nHello, ");
  CHECK(answer.find("HTTP/1.1 200 OK\r\n") == 0);
  CHECK(answer.find("\r\n\r\nHello, ") != std::string::npos);
}
