#include "socket_stream.hpp"

#include <stdexcept>
#include <string>

#include "descriptor.hpp"

namespace mobius::net {

socket_stream::socket_stream(int fd, const socket_address& peer, detail::stream_counter* counter) {
  detail::descriptor owned(fd);
  state_ = new detail::stream_state(reactor::current(), fd, peer, counter);
  owned.release();
}

detail::stream_state& socket_stream::state(const char* call) const {
  if (state_) return *state_;
  throw std::logic_error(std::string(call) + ": this stream is empty; it was closed or moved from");
}

}  // namespace mobius::net
