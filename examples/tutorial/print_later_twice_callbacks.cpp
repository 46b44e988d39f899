// Prints a message twice after a second: two callbacks, of which the first passes the message on.
#include <iostream>
#include <mobius/deferred.hpp>
#include <string>

using namespace std::chrono_literals;

std::string print_and_passthrough(std::string mesg) {
  std::cout << mesg << std::endl;
  return mesg;
}

void print_later_twice(std::string mesg) {
  auto [d, fire] = mobius::make_deferred<std::string>();
  d.add_callback(print_and_passthrough);
  d.add_callback(print_and_passthrough);
  mobius::call_later(1s, fire, std::move(mesg));
}

int main() {
  mobius::reactor reactor;
  print_later_twice("The future is now!");
  reactor.run();
}
