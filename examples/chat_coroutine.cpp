// A chat room, in coroutines: chat_coroutine [port]
//
// Each line that a client sends goes to all others. The first is its name:
//
//     client: ada                      all others: * ada is here
//     client: hello                    all others: <ada> hello
//     (ends)                           all others: * ada has left
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <set>
#include <string>
#include <string_view>

#include "port.hpp"

namespace net = mobius::net;

constexpr std::size_t longest_line = 16384;
constexpr std::size_t most_unsent = 64 * 1024;

struct member {
  explicit member(net::tcp_stream s) : stream(std::move(s)) {}

  net::tcp_stream stream;
  std::string name;
  std::string unsent;
  mobius::event more{mobius::event_reset::automatic};
};

struct room {
  std::set<member*> members;

  void tell_all(const member* but, const std::string& line) {
    for (member* m : members) {
      if (m == but) continue;
      // Who does not read for so long is thrown out.
      if (m->unsent.size() > most_unsent) m->stream.shutdown_read();
      m->unsent += line + "\n";
      m->more.set();
    }
  }
};

mobius::task<> send_lines(member& m) {
  while (true) {
    co_await m.more.wait();
    const std::string lines = std::exchange(m.unsent, {});
    co_await m.stream.write_all(lines);
  }
}

mobius::task<> receive_lines(room& here, member& m) {
  net::buffered_reader reader(m.stream);
  while (auto line = co_await reader.read_until("\n", longest_line)) {
    if (!m.name.empty()) {
      here.tell_all(&m, "<" + m.name + "> " + std::string(*line));
    } else if (line->empty()) {
      m.unsent += "a name, please\n";
      m.more.set();
    } else {
      m.name = *line;
      here.members.insert(&m);
      here.tell_all(&m, "* " + m.name + " is here");
    }
  }
}

mobius::task<> serve(room& here, net::tcp_stream stream) {
  member m(std::move(stream));
  auto talk = mobius::when_any(receive_lines(here, m), send_lines(m));
  auto ended = co_await mobius::as_result(std::move(talk));  // the peer's end or error: it is gone
  if (here.members.erase(&m) != 0) here.tell_all(&m, "* " + m.name + " has left");
}

mobius::task<> run(net::tcp_listener listener) {
  room here;
  auto accept_all = [&here, &listener](mobius::scope& s) -> mobius::task<> {
    while (true) {
      net::tcp_stream client = co_await listener.accept();
      s.start(serve, std::ref(here), std::move(client));
    }
  };
  co_await mobius::with_scope(accept_all);
}

int main(int argc, char** argv) try {
  const std::uint16_t port = argc > 1 ? port_from(argv[1]) : 8008;
  mobius::reactor reactor;
  net::tcp_listener listener("127.0.0.1", port);
  std::cout << "chat room on " << listener.local_address().to_string() << std::endl;
  reactor.run(run(std::move(listener)));
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return EXIT_FAILURE;
}
