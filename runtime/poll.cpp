#include "poll.hpp"

namespace mobius::detail {

const leaf_type poll_awaiter::leaf_kind{"poll", &op::cancel};

result<std::uint32_t> poll_awaiter::outcome() {
  leave();
  if (was_stopped()) return cancelled_failure();
  if (result_ < 0) return system_failure(-result_, "poll of descriptor " + std::to_string(fd_));
  return static_cast<std::uint32_t>(result_);
}

}  // namespace mobius::detail
