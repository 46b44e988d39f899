// The same below a timeout.
#include <mobius/deferred.hpp>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>

auto wrong(mobius::net::tcp_stream& stream) {
  char room[100];
  return mobius::to_deferred(
      mobius::timeout(std::chrono::seconds(1), stream.read_some(std::span<char>(room))));
}
