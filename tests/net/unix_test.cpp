#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>

#include "net/peers.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::lease;
using mobius::task;
using mobius::net::connect_unix;
using mobius::net::socket_address;
using mobius::net::unix_listener;
using mobius::net::unix_stream;
using mobius::testing::world;
using test::socket_path;

namespace {

constexpr mobius::testing::run_options real_time{.virtual_time = false};

bool exists(const std::string& path) {
  struct stat s {};
  return lstat(path.c_str(), &s) == 0;
}

// A socket's file without a listener, as a killed server leaves it.
void leave_stale_socket(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const socket_address address = socket_address::unix_socket(path);
  REQUIRE(bind(fd, address.data(), address.size()) == 0);
  close(fd);
}

}  // namespace

TEST_CASE("unix addresses print as they are written, abstract ones keep every byte") {
  CHECK(socket_address::unix_socket("/run/x").to_string() == "unix:/run/x");
  CHECK(socket_address::unix_socket("@name").to_string() == "unix:@name");
  const std::string odd("@a\0b", 4);
  CHECK(socket_address::unix_socket(odd).unix_name() == std::string_view("\0a\0b", 4));
  CHECK(socket_address::unix_socket("/x").family() == AF_UNIX);
  CHECK(socket_address::unix_socket("/x") == socket_address::unix_socket("/x"));
  CHECK_FALSE(socket_address::unix_socket("/x") == socket_address::unix_socket("@x"));
}

TEST_CASE("unix names that the kernel cannot take are errors that say so") {
  CHECK_THROWS_WITH(socket_address::unix_socket(""),
                    "unix socket: the name is empty; write a path, or @name for an abstract one");
  CHECK_THROWS_AS(socket_address::unix_socket("@"), std::invalid_argument);
  CHECK_NOTHROW(socket_address::unix_socket(std::string(107, 'x')));
  CHECK_THROWS_AS(socket_address::unix_socket(std::string(108, 'x')), std::invalid_argument);
  CHECK_THROWS_AS(socket_address::unix_socket(std::string("/a\0b", 4)), std::invalid_argument);
}

TEST_CASE("the longest path and abstract name work, and so does one with a zero byte in it") {
  mobius::testing::run([](world&) -> task<> {
    const std::string base = socket_path();
    for (const std::string& name :
         {base + std::string(107 - base.size(), 'x'), "@" + base + std::string(106 - base.size(), 'y'),
          "@" + base + std::string("\0\0z", 3)}) {
      test::peers p = co_await test::unix_peers(name);
      co_await p.client.write_all("hello");
      lease hello = co_await p.server.receive();
      CHECK(hello.text() == "hello");
    }
  });
}

TEST_CASE("a listener's file has the mode asked for, and goes with the listener") {
  mobius::testing::run([](world&) -> task<> {
    const std::string path = socket_path();
    const mode_t before = umask(0077);
    unix_listener listener(path, {.mode = 0666});
    umask(before);
    struct stat s {};
    REQUIRE(lstat(path.c_str(), &s) == 0);
    CHECK((s.st_mode & 0777) == 0666);
    listener.close();
    co_await test::settle();
    CHECK_FALSE(exists(path));
  });
}

TEST_CASE("a stale socket is replaced, one that is listened on is not, nor is another file") {
  mobius::testing::run([](world&) -> task<> {
    const std::string path = socket_path();
    leave_stale_socket(path);
    CHECK_THROWS_WITH(unix_listener(path, {.replace_stale = false}),
                      "listen on unix:" + path +
                          " (another program listens there; choose another name): Address already in use");
    unix_listener listener(path);
    CHECK_THROWS_WITH(unix_listener(path), Catch::Contains("another program listens there"));
    auto both = mobius::when_all(connect_unix(path), listener.accept());
    auto [client, server] = co_await std::move(both);
    CHECK(exists(path));

    const std::string file = socket_path();
    std::ofstream(file) << "precious";
    CHECK_THROWS_WITH(unix_listener(file), Catch::Contains("there is a file that is no socket"));
    CHECK(exists(file));
    unlink(file.c_str());
  });
}

TEST_CASE("a listener whose file was taken by another leaves that one's alone") {
  mobius::testing::run([](world&) -> task<> {
    const std::string path = socket_path();
    unix_listener first(path);
    unlink(path.c_str());
    unix_listener second(path);
    first.close();
    co_await test::settle();
    CHECK(exists(path));
    auto both = mobius::when_all(connect_unix(path), second.accept());
    auto [client, server] = co_await std::move(both);
    CHECK(static_cast<bool>(server));
  });
}

TEST_CASE("the peer of a unix stream has credentials: ours") {
  mobius::testing::run([](world&) -> task<> {
    unix_listener listener("@" + socket_path());
    auto both = mobius::when_all(
        connect_unix("@" + std::string(listener.local_address().unix_name().substr(1))), listener.accept());
    auto [client, server] = co_await std::move(both);
    CHECK(server.peer_credentials().pid == getpid());
    CHECK(server.peer_credentials().user == geteuid());
    CHECK(client.peer_credentials().group == getegid());
  });
}

TEST_CASE("errors of unix streams name the path, or whose client it is") {
  mobius::testing::run([](world&) -> task<> {
    const std::string path = socket_path();
    auto refused = co_await mobius::as_result(connect_unix(path));
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().what() == "connect unix:" + path + ": No such file or directory");

    unix_listener listener(path);
    auto both = mobius::when_all(connect_unix(path), listener.accept());
    auto [client, server] = co_await std::move(both);
    client.shutdown_write();
    server.shutdown_write();
    auto ours = co_await mobius::as_result(client.write_all("x"));
    auto theirs = co_await mobius::as_result(server.write_all("x"));
    CHECK(ours.error().what().find("write to unix:" + path + ": ") == 0);
    CHECK(theirs.error().what().find("write to a client of unix:" + path + ": ") == 0);
    auto [a, b] = mobius::net::stream_pair();
    a.shutdown_write();
    auto pair = co_await mobius::as_result(a.write_all("x"));
    CHECK(pair.error().what().find("write to the other end of a socket pair: ") == 0);
  });
}

TEST_CASE("connecting to a unix listener whose backlog is full waits, and can be cancelled") {
  mobius::testing::run(
      [](world&) -> task<> {
        const std::string path = socket_path();
        unix_listener full(path, {.backlog = 1});
        std::vector<unix_stream> clients;
        bool timed_out = false;
        for (int i = 0; i < 5 && !timed_out; ++i) {
          auto r = co_await mobius::as_result(mobius::timeout(30ms, connect_unix(path)));
          if (r)
            clients.push_back(std::move(*r));
          else
            timed_out = r.error().check<mobius::timed_out>();
        }
        CHECK(timed_out);
        auto late = mobius::when_all(connect_unix(path), full.accept());
        auto [client, server] = co_await std::move(late);
        CHECK(static_cast<bool>(client));
      },
      real_time);
}
