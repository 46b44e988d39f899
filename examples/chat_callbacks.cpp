// A chat room, in callbacks: chat_callbacks [port]
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

struct member;

struct room : net::factory {
  std::shared_ptr<net::protocol> build_protocol(const net::socket_address&) override;
  void tell_all(const member* but, const std::string& line);

  std::set<member*> members;
};

struct member : net::line_only_receiver {
  explicit member(room& r) : net::line_only_receiver("\n"), here(r) {}

  void line_received(std::string_view line) override {
    if (!name.empty()) return here.tell_all(this, "<" + name + "> " + std::string(line));
    if (line.empty()) return send_line("a name, please");
    name = line;
    here.members.insert(this);
    here.tell_all(this, "* " + name + " is here");
  }
  void connection_lost(const mobius::failure&) override {
    if (here.members.erase(this) != 0) here.tell_all(this, "* " + name + " has left");
  }

  room& here;
  std::string name;
};

std::shared_ptr<net::protocol> room::build_protocol(const net::socket_address&) {
  auto p = std::make_shared<member>(*this);
  p->set_factory(shared_from_this());  // which keeps the room
  return p;
}

void room::tell_all(const member* but, const std::string& line) {
  for (member* m : members) {
    if (m == but) continue;
    // Who does not read for so long is thrown out.
    if (m->transport().unsent() > net::transport::high_water) m->transport().abort_connection();
    m->send_line(line);
  }
}

int main(int argc, char** argv) try {
  const std::uint16_t port = argc > 1 ? port_from(argv[1]) : 8008;
  mobius::reactor reactor;
  net::listening_port listening = net::listen(net::tcp_listener("127.0.0.1", port), std::make_shared<room>());
  std::cout << "chat room on " << listening.get_host().to_string() << std::endl;
  reactor.run_forever();
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return EXIT_FAILURE;
}
