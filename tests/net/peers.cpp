#include "net/peers.hpp"

#include <cstdlib>
#include <iostream>
#include <random>

std::uint64_t test::seed() {
  const char* given = std::getenv("MOBIUS_SEED");
  const std::uint64_t value = given ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::cout << "MOBIUS_SEED=" << value << std::endl;
  return value;
}
