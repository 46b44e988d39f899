#include "core.hpp"

#include <coroutine>
#include <cstring>
#include <string>

#include "await.hpp"
#include "debug.hpp"

namespace mobius::detail {

namespace {

thread_local constinit core* graves = nullptr;
thread_local constinit bool digging = false;

// The failure as it is, with where its deferred was made and where it came up.
void report(const failure& f, const std::source_location& made, const std::source_location& fired,
            const std::string& traces) noexcept try {
  const auto trail = f.trail();
  const std::source_location& failed = trail.empty() ? fired : trail.front();
  std::string where = "a deferred";
  if (made.line() != 0) where += " made at " + to_string(made);
  if (failed.line() != 0) where += (made.line() != 0 ? ", failed at " : " failed at ") + to_string(failed);
  report_unhandled(f, where + traces);
} catch (...) {
  report_unhandled(f, "a deferred");
}

// The core that waits for `inner` takes its result and is returned, marked as running, with the
// reference that it was held by.
core* hand_over(core* inner) noexcept {
  core* outer = std::exchange(inner->outer, nullptr);
  inner->reset(core::continued);
  outer->clear();
  take_result(outer, inner);
  outer->reset(core::waiting);
  outer->set(core::running);  // what the kept stage's destructor adds is queued
  outer->inner = nullptr;
  stage* kept = std::exchange(outer->kept, nullptr);
  if (kept && kept->type->destroy) kept->type->destroy(kept, outer);
  release(inner);
  return outer;
}

// Gives the outcome of a chain without stages to who waits for it.
core* end_waiting(core* c) noexcept {
  if (c->has(core::continued)) return hand_over(c);
  taker* awaiter = std::exchange(c->awaiter, nullptr);
  return awaiter ? awaiter->end(awaiter, c) : nullptr;
}

void discard_front(core* c) noexcept {
  stage* s = c->front();
  c->pop(s, s->type->size);
  if (s->type->destroy) s->type->destroy(s, c);
}

// The stages from now on; returns the core to go on with, or null.
core* run_stages(core* c) noexcept {
  while (!c->empty()) {
    stage* s = c->front();
    if (!(s->type->wants & static_cast<std::uint8_t>(c->result))) {
      discard_front(c);
    } else if (s->type->run(s, c)) {
      return nullptr;
    }
  }
  return c->has(core::awaited) ? end_waiting(c) : nullptr;
}

// After a drain, or instead of one if the core is paused.
void settle(core* c) noexcept {
  c->reset(core::running);
  if (c->grown()) [[unlikely]]
    c->rewind();
  if (c->result == kind::error && !c->has(core::consumed)) [[unlikely]]
    abandon(c);
  release(c);
}

// Who waits for a core holds it, so there is nobody any more.
void destroy_contents(core* c) noexcept {
  if (!c->has(core::fired) && c->stop) c->stop->act(c->stop, c, step::discard);
  while (!c->empty()) discard_front(c);
  c->free_last_block();
  c->clear();
  release_weak(c);
}

// Nothing that its end would set free.
bool holds_nothing(core* c) noexcept {
  return c->empty() && !c->grown() && (c->has(core::fired) || !c->stop) &&
         (c->result == kind::none || (c->result == kind::value && !c->ops->destroy));
}

#ifndef NDEBUG
// Looks only a few steps ahead: cycles are short, honest chains may be long.
bool waits_for(const core* c, const core* wanted) noexcept {
  for (int step = 0; step < 64 && c->has(core::waiting); ++step) {
    c = c->inner;
    if (c == wanted) return true;
  }
  return false;
}
#endif

}  // namespace

void core::make_room(std::size_t size) {
  rewind();
  if (!has_room(size)) grow();
}

void drain(core* c) noexcept {
  do {
    c->set(core::running);
    core* next = run_stages(c);
    settle(c);
    c = next;
    if (c && c->paused) {
      settle(c);
      return;
    }
  } while (c);
}

void bury(core* c) noexcept {
  if (holds_nothing(c)) return release_weak(c);
  c->next_grave = graves;
  graves = c;
  if (digging) return;
  digging = true;
  while (core* dead = graves) {
    graves = dead->next_grave;
    destroy_contents(dead);
  }
  digging = false;
}

void release_weak(core* c) noexcept {
  if (--c->weak != 0) return;
  if (c->has(core::traced)) forget_traces(c);
  if (c->has(core::coroutine)) {
    std::coroutine_handle<>::from_address(static_cast<coroutine_core*>(c)->frame).destroy();
    return;
  }
  const std::size_t size = core_block + c->extra * frame_pool::granule;
  c->~core();
  free_frame(c, size);
}

void abandon(core* c) noexcept {
  constexpr std::uint16_t relevant = core::fired | core::consumed | core::running | core::waiting;
  if (c->result != kind::error || (c->flags & relevant) != core::fired) return;
  const failure lost = std::move(c->error());
  c->clear();
  if (c->has(core::stopped) && lost.check<cancelled>()) return;
  report(lost, c->created, c->fired_at, c->has(core::traced) ? traces_of(c) : std::string());
}

void report_dropped(const failure& f) noexcept { report(f, {}, {}, {}); }

void fire_error(core* c, failure&& f, const std::source_location& where) {
  if (c->has(core::fired)) return refuse(c, where);
  c->put_error(std::move(f));
  fired_now(c, where);
}

void refuse(core* c, const std::source_location& where) {
  if (!c->has(core::swallow)) throw already_called(c->created, c->fired_at, where, traces_of(c));
  c->reset(core::swallow);
}

void drop_canceller(core* c) noexcept {
  canceller* stop = std::exchange(c->stop, nullptr);
  if (!c->has(core::cancelling)) stop->act(stop, c, step::discard);
}

void break_abandoned(core* c) noexcept { fire_error(c, make_failure<broken_deferred>(c->created), {}); }

void abandoned_by_resolvers(core* c) noexcept {
  if (c->has(core::awaited)) break_if_abandoned(c);
}

namespace {

// Holds a core as one who may fire it.
struct temporary_resolver {
  explicit temporary_resolver(core* c) noexcept : held(c) { add_resolver(c); }
  temporary_resolver(const temporary_resolver&) = delete;
  temporary_resolver& operator=(const temporary_resolver&) = delete;
  ~temporary_resolver() { drop_resolver(held); }
  core* held;
};

// Keeps the canceller alive while it is called, also when it fires.
struct canceller_call {
  explicit canceller_call(core* c) noexcept : target(c), stop(c->stop) { c->set(core::cancelling); }
  canceller_call(const canceller_call&) = delete;
  canceller_call& operator=(const canceller_call&) = delete;
  ~canceller_call() {
    target->reset(core::cancelling);
    if (target->has(core::fired)) stop->act(stop, target, step::discard);
  }
  core* target;
  canceller* stop;
};

// Keeps the callbacks of a coroutine's deferred back while what it awaits is being cancelled: they
// come when all of that has been told, as in Twisted.
class held_back {
 public:
  explicit held_back(core* c) noexcept : core_(c) {
    if (!c) return;
    hold(c);
    ++c->paused;
    consumed_ = c->has(core::consumed);
    c->set(core::consumed);  // a failure is not given up before its errbacks could see it
  }
  held_back(const held_back&) = delete;
  held_back& operator=(const held_back&) = delete;
  ~held_back() {
    if (!core_) return;
    if (!consumed_) core_->reset(core::consumed);
    if (--core_->paused == 0) start(core_);
    release(core_);
  }

 private:
  core* core_;
  bool consumed_ = false;
};

// What a cancel of `c` is to stop now: the end of its chain of waits. Null if there is nothing.
// `coroutine` becomes the last one on the way there.
core* innermost(core* c, core*& coroutine) noexcept {
  for (;;) {
    if (c->has(core::waiting)) {
      c = c->inner;
    } else if (c->has(core::fired)) {
      return nullptr;
    } else if (c->has(core::coroutine)) {
      context& ctx = static_cast<coroutine_core*>(c)->work.ctx;
      const leaf* at = ctx.waiting();
      if (!at || at->type != &deferred_awaiter_base::type) {
        ctx.cancel_once();
        return nullptr;
      }
      coroutine = c;
      c = static_cast<const deferred_awaiter_base*>(at)->waited();
    } else {
      return c;
    }
  }
}

}  // namespace

void cancel(core* c) {
  core* coroutine = nullptr;
  c = innermost(c, coroutine);
  if (!c || c->has(core::cancelling | core::asked)) return;
  const held_back coroutine_held(coroutine);
  const temporary_resolver hold_it(c);
  if (!c->stop) {
    c->set(core::swallow);
    return fire_error(c, cancelled_failure(), {});
  }
  cancel_reply reply;
  {
    const canceller_call call(c);
    reply = call.stop->act(call.stop, c, step::run);
  }
  if (c->has(core::fired)) return;
  if (reply == cancel_reply::done) fire_error(c, cancelled_failure(), {});
  if (reply == cancel_reply::later) c->set(core::asked);
}

void cancel_quietly(core* c) noexcept try { cancel(c); } catch (...) {
  report(failure(), c->created, {}, {});
}

void cancel_frail(core* c) noexcept {
  c->set(core::stopped);
  cancel_quietly(c);
}

bool link(core* outer, core* inner) noexcept {
  if (inner->has(core::unentered)) [[unlikely]]
    abort_not_entered();
  bool misuse = outer == inner;
#ifndef NDEBUG
  misuse = misuse || waits_for(inner, outer);
#endif
  if (misuse) {
    outer->clear();
    outer->put_error(make_failure<deferred_misuse>("a deferred was made to wait for itself"));
    drop_consumer(inner);
    return false;
  }
  break_if_abandoned(inner);
  if (inner->idle()) {
    outer->clear();
    take_result(outer, inner);
    drop_consumer(inner);
    return false;
  }
  outer->inner = inner;
  outer->set(core::waiting);
  inner->set(core::awaited | core::continued);
  inner->outer = hold(outer);
  return true;
}

void take_result(core* to, core* from) noexcept {
  if (from->result == kind::error) {
    if (from->has(core::stopped)) to->set(core::stopped);
    to->put_error(std::move(from->error()));
    from->clear();
    return;
  }
  to->ops = from->ops;
  if (to->ops->relocate) {
    to->ops->relocate(to->slot, from->slot);
  } else {
    std::memcpy(to->slot, from->slot, slot_size);
  }
  to->result = std::exchange(from->result, kind::none);
}

failure caught(const failure* incoming, const std::source_location& where) noexcept {
  failure now;
  const resumption* mine = this_resumption;
  if (incoming && incoming->exception() == now.exception()) {
    now = *incoming;
  } else if (mine && mine->thrown && mine->thrown->exception() == now.exception()) {
    now = *mine->thrown;
  }
  note_place(now, where);
  return now;
}

void note_place(failure& f, const std::source_location& where) noexcept {
  const auto trail = f.trail();
  const bool known = !trail.empty() && trail.back().line() == where.line() &&
                     std::strcmp(trail.back().file_name(), where.file_name()) == 0;
  if (where.line() != 0 && !known) f.passed(where);
}

}  // namespace mobius::detail
