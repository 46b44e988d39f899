// Sends back what it is sent, to any number of clients: echo_server [port]
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>

#include "port.hpp"

using mobius::net::tcp_listener;
using mobius::net::tcp_stream;

mobius::task<> echo(tcp_stream stream) {
  while (mobius::lease data = co_await stream.receive()) co_await stream.write_all(data);
}

mobius::task<> serve(tcp_listener listener) {
  while (true) {
    tcp_stream client = co_await listener.accept();
    mobius::background(echo(std::move(client)));
  }
}

int main(int argc, char** argv) try {
  const std::uint16_t port = argc > 1 ? port_from(argv[1]) : 8007;
  mobius::reactor reactor;
  tcp_listener listener("127.0.0.1", port);
  std::cout << "echo server on " << listener.local_address().to_string() << std::endl;
  reactor.run(serve(std::move(listener)));
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return EXIT_FAILURE;
}
