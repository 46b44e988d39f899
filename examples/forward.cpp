// Passes connections on to another address, both ways: forward <port> <host> <port there>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <string>

#include "port.hpp"

using mobius::net::tcp_listener;
using mobius::net::tcp_stream;

struct destination {
  std::string host;
  std::uint16_t port;
};

// When one side has ended its sending, so does the other side here; the way back goes on.
mobius::task<> one_way(tcp_stream& from, tcp_stream& to) {
  co_await mobius::net::copy(from, to);
  to.shutdown_write();
}

mobius::task<> forward(tcp_stream client, destination to) try {
  tcp_stream server = co_await mobius::net::connect(to.host, to.port);
  auto both = mobius::when_all(one_way(client, server), one_way(server, client));
  co_await std::move(both);
} catch (const std::system_error& error) {
  std::cerr << error.what() << '\n';
}

mobius::task<> serve(tcp_listener listener, destination to) {
  while (true) {
    tcp_stream client = co_await listener.accept();
    mobius::background(forward(std::move(client), to));
  }
}

int main(int argc, char** argv) try {
  if (argc != 4) {
    std::cerr << "usage: forward <port> <host> <port there>\n";
    return EXIT_FAILURE;
  }
  const destination to{argv[2], port_from(argv[3])};
  mobius::reactor reactor;
  tcp_listener listener("127.0.0.1", port_from(argv[1]), {.max_connections = 1000});
  std::cout << "forwarding from " << listener.local_address().to_string() << std::endl;
  reactor.run(serve(std::move(listener), to));
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return EXIT_FAILURE;
}
