// Greets over HTTP: hello_http [port], then curl http://127.0.0.1:8080/world
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <mobius/http.hpp>
#include <mobius/runtime.hpp>
#include <string>

namespace http = mobius::http;

mobius::task<http::response> hello(http::request& request) {
  std::string name(request.path().substr(1));
  if (name.empty()) name = "world";
  co_return http::response::text(200, "hello " + name + "\n");
}

int main(int argc, char** argv) try {
  const int port = argc > 1 ? std::atoi(argv[1]) : 8080;
  mobius::reactor reactor;
  mobius::net::tcp_listener listener("127.0.0.1", static_cast<std::uint16_t>(port));
  std::cout << "hello on http://" << listener.local_address().to_string() << std::endl;
  http::server site(hello);
  reactor.run(site.serve(std::move(listener)));
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return EXIT_FAILURE;
}
