#include "context.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>

namespace mobius::detail {

thread_local constinit thread_state this_thread{};

void abort_not_entered() noexcept {
  std::fputs(
      "mobius: a coroutine was resumed and did not run: this compiler miscompiles a coroutine whose body "
      "declares nothing and awaits in a condition (GCC PR106188).\n"
      "        Name the awaited value on a line of its own: `const bool ok = co_await x; if (ok) ...`\n",
      stderr);
  std::abort();
}

// The first delivery throws at once. Code that swallows it and awaits again would spin on a
// context that stays cancelled, so the later ones take a turn through the ready queue.
waiter::gate waiter::stop_on_arrival() noexcept {
  const bool again = ctx_->deliveries_ > 0 && ctx_->stopping();
  if (ctx_->deliveries_ == 99) {
    report_unhandled(make_failure<std::logic_error>(
                         "a cancelled task was told so a hundred times and still goes on awaiting; let "
                         "`mobius::cancelled` leave its loop"),
                     to_string(ctx_->where_));
  }
  stop();
  if (ctx_->mark_ == cancel_mark::once) ctx_->mark_ = cancel_mark::none;
  if (!again || !this_thread.ready) return gate::stopped;
  wake();
  return gate::queued;
}

}  // namespace mobius::detail
