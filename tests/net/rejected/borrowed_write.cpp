// A deferred may outlive what a borrowing write refers to.
#include <mobius/deferred.hpp>
#include <mobius/net.hpp>

mobius::deferred<void> wrong(mobius::net::tcp_stream& stream) {
  const std::string text = "gone when this returns";
  return mobius::to_deferred(stream.write_all(text));
}
