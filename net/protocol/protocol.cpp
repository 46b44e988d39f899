#include "protocol.hpp"

#include <cxxabi.h>

#include <cstdlib>
#include <typeinfo>

#include "factory.hpp"

namespace mobius::net {

void protocol::make_connection(net::transport& t) {
  transport_ = transport_ref(t);
  connection_made();
}

std::string protocol::log_prefix() const {
  const char* name = typeid(*this).name();
  const std::unique_ptr<char, void (*)(void*)> readable(abi::__cxa_demangle(name, nullptr, nullptr, nullptr),
                                                        &std::free);
  return readable ? readable.get() : name;
}

void protocol::throw_no_transport() {
  throw std::logic_error(
      "protocol::transport: this protocol has no connection yet; use it from connection_made on");
}

}  // namespace mobius::net
