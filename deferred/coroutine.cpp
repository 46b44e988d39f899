#include "coroutine.hpp"

namespace mobius::detail {

void throw_failure(failure& f, const std::source_location& where, const context* ctx) {
  if (f.check<cancelled>()) throw cancelled();
  note_place(f, where);
  // An exception has no trail: whoever catches this one finds it in the coroutine that it ends, or,
  // if no deferred heads that, in the resumption.
  if (coroutine_core* c = coroutine_of(ctx)) {
    c->note(f);
  } else if (this_resumption) {
    this_resumption->thrown = f;
  }
  f.rethrow();
}

failure uncaught(coroutine_core* c) noexcept {
  const failure now;
  if (c->has(core::noted) && c->error().exception() == now.exception()) return c->error();
  const std::source_location& at = c->work.ctx.where();
  return caught(nullptr, at.line() != 0 ? at : c->created);
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
