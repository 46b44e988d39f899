#include "scope.hpp"

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "local.hpp"

namespace mobius {

namespace {

// The scopes whose children the cancel under way has yet to tell.
thread_local constinit scope* walk = nullptr;
thread_local constinit bool walking = false;

}  // namespace

void scope::add(detail::scope_child& c) noexcept {
  c.chain.set_locals(locals_);
  if (live_++ == 0 && joiner_) joiner_->look_again();
  if (!cancelled_) {
    c.link_before(*children_.next());
    return;
  }
  // Behind those that the cancel under way has yet to tell.
  c.link_before(children_);
  c.told = true;
  c.chain.cancel();
}

void scope::ended(detail::scope_child& c, const failure* error) noexcept {
  c.unlink();
  --live_;
  if (error) note(*error, c.chain.stopping());
  if (live_ == 0 && joiner_) joiner_->finished();
}

void scope::note(const failure& error, bool told) noexcept {
  const bool was_cancelled = error.check<cancelled>();
  if (was_cancelled && told) {
    stopped_ = true;
    return;
  }
  if (!error_ || (!was_cancelled && error_->check<cancelled>())) {
    error_ = error;  // an error beats `cancelled`
  } else if (!was_cancelled) {
    report_unhandled(error, "a scope, after its first error");
  }
  cancel();
}

// A cancel may run the canceller of a deferred, and so anything: no list is walked here that such
// code could change underfoot.
void scope::cancel() noexcept {
  if (cancelled_) return;
  cancelled_ = true;
  walk_next_ = walk;
  if (walk_next_) walk_next_->walk_slot_ = &walk_next_;
  walk_slot_ = &walk;
  walk = this;
  if (walking) return;
  walking = true;
  while (walk) walk->cancel_next();
  walking = false;
}

// One step of the walk; the scope may be gone when the child has been told.
void scope::cancel_next() noexcept {
  auto* next = static_cast<detail::scope_child*>(children_.next());
  if (children_.alone() || next->told) {
    leave_walk();
    return;
  }
  next->told = true;
  next->unlink();
  next->link_before(children_);
  next->chain.cancel();
}

// Its frame is being destroyed, and this scope with it.
void scope::lose_joiner() noexcept { joiner_->scope_ = nullptr; }

void scope::destroyed_with_children() const noexcept {
  const auto& first = static_cast<const detail::scope_child*>(children_.next())->chain;
  const std::string name(detail::name_of(first));
  std::fprintf(stderr,
               "mobius: a scope was destroyed with %zu live tasks; the first%s%s waits in %s at %s.\n"
               "        A destructor cannot wait for them: use `co_await with_scope(...)`, or `co_await "
               "scope.join()` on every path.\n",
               live_, name.empty() ? "" : " ", name.c_str(),
               first.waiting() ? first.waiting()->type->name : "nothing yet",
               to_string(first.where()).c_str());
  std::abort();
}

namespace detail {

void child::promise_type::start(node* n) noexcept {
  const auto self = std::coroutine_handle<promise_type>::from_promise(*static_cast<promise_type*>(n));
  this_thread.entering = self.address();
  resume(self);
}

void child::promise_type::report(const failure* error) noexcept { scope_.ended(*this, error); }

// The function threw before it returned something to await.
void child::promise_type::unhandled_exception() noexcept {
  const failure error;
  report(&error);
}

// --- join --------------------------------------------------------------------------------------

const leaf_type scope_join::leaf_kind{"a scope", &scope_join::cancel};

bool scope_join::wait_for(scope& s) noexcept {
  if (s.live_ == 0) return false;
  state_ = state::waiting;
  scope_ = &s;
  s.joiner_ = this;
  return true;
}

// Whatever was asked of the chain, there is no way round the children.
bool scope_join::arrive_and_wait_for(scope& s, std::coroutine_handle<> h, context* ctx,
                                     const std::source_location& where) {
  if (s.joiner_) throw std::logic_error("scope::join: this scope is being joined already");
  if (s.live_ == 0) return arrive(h, ctx, where) == gate::queued;
  handle_ = h;
  ctx_ = ctx;
  wait_for(s);
  if (!ctx) return true;
  ctx->enter(*this, where);
  heed_cancel();
  return true;
}

void scope_join::heed_cancel() noexcept {
  context taken;
  taken.adopt(*ctx_);
  if (taken.mark() != cancel_mark::none) cancel(this);
}

void scope_join::finished() noexcept {
  if (state_ != state::waiting) return;  // it stands in the ready queue from the last time
  state_ = state::done;
  wake();
}

void scope_join::look_again() noexcept { run = &scope_join::resume_if_ended; }

void scope_join::resume_if_ended(node* n) noexcept {
  auto& self = *static_cast<scope_join*>(n);
  self.prepare(leaf_kind);
  if (self.scope_->live_ == 0) {
    self.run(&self);
    return;
  }
  self.state_ = state::waiting;
  if (self.ctx_) self.heed_cancel();
}

void scope_join::forget() noexcept {
  if (scope_) scope_->joiner_ = nullptr;
  scope_ = nullptr;
}

result<void> scope_join::take(scope& s) noexcept {
  forget();
  const bool stopped_now = std::exchange(s.stopped_, false) && asked_;
  if (stopped_now && !s.error_) stop();
  leave();
  if (s.error_) {
    failure error = std::move(*s.error_);
    s.error_.reset();
    return error;
  }
  if (was_stopped()) return cancelled_failure();
  return {};
}

bool scope_join::cancel(leaf* l) noexcept {
  auto& self = *static_cast<scope_join*>(l);
  if (self.state_ != state::waiting) return false;
  self.asked_ = true;
  self.scope_->cancel();
  return true;
}

// --- the hand-shake ----------------------------------------------------------------------------

const leaf_type ready_base::leaf_kind{"the start of a child", &ready_base::cancel};

ready_link& ready_handle::unanswered() const {
  if (link_ && link_->waiting_) return *link_;
  throw std::logic_error("started: this child has said already that it is ready, or has ended");
}

void ready_handle::swap(ready_handle& other) noexcept {
  std::swap(link_, other.link_);
  hold();
  other.hold();
}

void ready_handle::hold() noexcept {
  if (link_) link_->holder_ = this;
}

void ready_handle::let_go() noexcept {
  if (link_) link_->holder_ = nullptr;
}

ready_link::~ready_link() {
  if (holder_) holder_->link_ = nullptr;
  if (waiting_) waiting_->fail(std::nullopt);
}

void ready_base::succeed() noexcept {
  state_ = state::done;
  wake();
}

void ready_base::fail(std::optional<failure> error) noexcept {
  state_ = state::done;
  if (error && error->check<cancelled>() && child_->chain.stopping()) {
    stop();
  } else if (error) {
    error_ = std::move(error);
  } else {
    error_ = make_failure<std::logic_error>("start_ready: the child ended without calling `started`");
  }
  wake();
}

void ready_base::throw_if_failed() {
  leave();
  if (was_stopped()) throw cancelled();
  if (error_) error_->rethrow();
}

bool ready_base::cancel(leaf* l) noexcept {
  auto& self = *static_cast<ready_base*>(l);
  if (self.state_ != state::waiting) return false;
  self.child_->chain.cancel();
  return true;
}

}  // namespace detail
}  // namespace mobius
