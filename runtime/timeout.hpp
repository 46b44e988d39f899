#pragma once
// `timeout(duration, x)`: an await with an end.

#include <chrono>
#include <coroutine>
#include <source_location>
#include <string>
#include <utility>

#include "awaitable.hpp"
#include "context.hpp"
#include "reactor.hpp"

namespace mobius {

namespace detail {

/// "5 s", "250 ms": for messages.
std::string to_text(std::chrono::nanoseconds duration);
failure timed_out_failure(std::chrono::nanoseconds limit);

/// What a timeout is apart from what it awaits: a leaf of the outer chain that owns the inner
/// chain's context, and a timer that cancels it.
class timeout_base : public leaf, public timer {
 public:
  timeout_base(const timeout_base&) = delete;
  timeout_base& operator=(const timeout_base&) = delete;

 protected:
  timeout_base(reactor& r, std::chrono::nanoseconds limit) noexcept
      : leaf{&leaf_kind}, timer(&timeout_base::expire), reactor_(r), limit_(limit) {}
  ~timeout_base() {
    reactor_.timers().cancel(*this);
    if (outer_ && outer_->waiting() == this) outer_->leave();
  }

  void begin(context* outer, const std::source_location& where) noexcept;
  void end() noexcept;
  /// True if it was this timeout's cancel that ended the inner chain.
  bool is_mine(const failure& f) const noexcept {
    return expired_ && !(outer_ && outer_->stopping()) && f.check<cancelled>();
  }

  reactor& reactor_;
  std::chrono::nanoseconds limit_;
  context inner_ctx_;

 private:
  static const leaf_type leaf_kind;
  static void expire(timer* t) noexcept;
  static bool cancel(leaf* self) noexcept;

  context* outer_ = nullptr;
  bool expired_ = false;
};

template <class A>
class timeout_awaiter final : private timeout_base {
 public:
  using value_type = await_result_t<A>;

  timeout_awaiter(reactor& r, std::chrono::nanoseconds limit, A&& a)
      : timeout_base(r, limit), inner_(get_awaiter(static_cast<A&&>(a))) {}

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  transfer await_suspend(std::coroutine_handle<Promise> h,
                         std::source_location where = std::source_location::current()) {
    return suspend(h, context_of(h), where);
  }
  transfer suspend(std::coroutine_handle<> h, context* ctx, const std::source_location& where) {
    begin(ctx, where);
    return start_awaiter(inner_, h, &inner_ctx_, where);
  }
  value_type await_resume() { return outcome().value(); }
  result<value_type> outcome() {
    result<value_type> r = outcome_of(inner_);
    end();  // after those inside, which give back to it
    if (!r && is_mine(r.error())) return timed_out_failure(limit_);
    return r;
  }

 private:
  awaiter_t<A> inner_;
};

template <class A>
class [[nodiscard("co_await it")]] timeout_operation {
 public:
  timeout_operation(reactor & r, std::chrono::nanoseconds limit, A && a)
      : reactor_(&r), limit_(limit), kept_(static_cast<A&&>(a)) {}
  timeout_awaiter<A> operator co_await()&& {
    return timeout_awaiter<A>(*reactor_, limit_, static_cast<A&&>(kept_));
  }

 private:
  reactor* reactor_;
  std::chrono::nanoseconds limit_;
  kept_t<A> kept_;
};

}  // namespace detail

template <class A>
inline constexpr bool borrows_memory<detail::timeout_operation<A>> = borrows_memory<std::remove_cvref_t<A>>;

/// Awaits `a`, but cancels it after `limit`: then `timed_out` is thrown, unless `a` yields a value
/// or another error all the same. The await ends when `a` has really ended, so the limit is to the
/// request: an operation that cannot be cancelled makes it soft. Inside, an expired timeout is a
/// cancel for good: every later cancellation point throws too.
///
///     auto page = co_await mobius::timeout(5s, http::get_page(url));
template <awaitable A>
detail::timeout_operation<A&&> timeout(std::chrono::nanoseconds limit, A&& a) {
  return detail::timeout_operation<A&&>(reactor::current(), limit, static_cast<A&&>(a));
}

}  // namespace mobius
