// Answers every request with a greeting: hello_http [port]
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <mobius/http.hpp>
#include <string>

#include "port.hpp"

namespace http = mobius::http;

mobius::task<http::response> hello(http::request& asked) {
  if (asked.path() != "/") co_return http::response::text(404, "There is only / here.\n");
  co_return http::response::text(200, "Hello, " + std::string(asked.header("User-Agent")) + "!\n");
}

int main(int argc, char** argv) try {
  const std::uint16_t port = argc > 1 ? port_from(argv[1]) : 8008;
  mobius::reactor reactor;
  mobius::net::tcp_listener listener("127.0.0.1", port);
  std::cout << "http://" << listener.local_address().to_string() << "/" << std::endl;
  http::server site(hello);
  reactor.run(site.serve(listener));
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return EXIT_FAILURE;
}
