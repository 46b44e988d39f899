#include "blocking_call.hpp"

namespace mobius::detail {

void blocking_calls::stop() noexcept {
  stopped_ = true;
  while (!waiting_.alone()) {
    auto* call = static_cast<blocking_call_base*>(waiting_.next());
    call->fail_with(make_failure<reactor_ended>());
  }
}

}  // namespace mobius::detail
