#include "coroutine.hpp"

namespace mobius::detail {

void throw_failure(const failure& f) {
  if (f.check<cancelled>()) throw cancelled();
  // An exception has no trail: whoever catches this one during the resumption finds it here.
  if (this_resumption) this_resumption->thrown = f;
  f.rethrow();
}

// A drain that has resumed this coroutine, or a task that it awaits, goes on with its core when the
// resumption returns; in that way a chain of coroutines ends in a loop.
void finish_coroutine(coroutine_core* c) noexcept {
  const context* ctx = &c->work.ctx;
  resumption* mine = this_resumption;
  const bool continues = mine && mine->ctx == ctx;
  if (ctx->stopping() || (continues && mine->stopped)) c->set(core::stopped);
  c->work.~root();
  c->set(core::fired);
  if (continues) {
    mine->ctx = nullptr;
    mine->next = c;
    return;
  }
  if (c->paused == 0) return drain(c);
  if (c->result == kind::error) abandon(c);
  release(c);
}

}  // namespace mobius::detail
