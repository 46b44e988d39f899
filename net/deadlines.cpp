#include "deadlines.hpp"

#include <string>

namespace mobius::net::detail {

failure deadline_passed(const char* call, const socket_address& peer, std::chrono::nanoseconds limit) {
  return make_failure<timed_out>(std::string(call) + " " + peer.to_string() + ": timed out after " +
                                 mobius::detail::to_text(limit));
}

}  // namespace mobius::net::detail
