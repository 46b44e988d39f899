// Prints a message after a second: a coroutine.
#include <iostream>
#include <mobius/runtime.hpp>
#include <string>

using namespace std::chrono_literals;

mobius::task<> print_later(std::string mesg) {
  co_await mobius::sleep(1s);
  std::cout << mesg << std::endl;
}

int main() { mobius::run(print_later("The future is now!")); }
