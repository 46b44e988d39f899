// Prints a message twice after a second: a coroutine that calls another.
#include <iostream>
#include <mobius/runtime.hpp>
#include <string>

using namespace std::chrono_literals;

std::string print_and_passthrough(std::string mesg) {
  std::cout << mesg << std::endl;
  return mesg;
}

mobius::task<> print_later_twice(std::string mesg) {
  co_await mobius::sleep(1s);
  mesg = print_and_passthrough(std::move(mesg));
  mesg = print_and_passthrough(std::move(mesg));
}

int main() { mobius::run(print_later_twice("The future is now!")); }
