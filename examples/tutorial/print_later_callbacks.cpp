// Prints a message after a second: a callback.
#include <iostream>
#include <mobius/deferred.hpp>
#include <string>

using namespace std::chrono_literals;

void print(const std::string& mesg) { std::cout << mesg << std::endl; }

int main() {
  mobius::reactor reactor;
  mobius::defer_later(1s, print, "The future is now!");
  reactor.run();
}
