#pragma once
// The bridge to and from std::stop_token: `with_stop_token` lets other code's token cancel an
// await, `stoppable` gives other code a token that follows ours.

#include <coroutine>
#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <stop_token>
#include <type_traits>
#include <utility>

#include "awaitable.hpp"
#include "inbox.hpp"
#include "nested.hpp"
#include "reactor.hpp"

namespace mobius {

namespace detail {

/// Carries a stop request, which may come on any thread, to the loop. It is shared by the callback,
/// the message that may be under way, and the awaiter.
class stop_message final : public node {
 public:
  explicit stop_message(std::shared_ptr<inbox> to) : node(&stop_message::arrived), inbox_(std::move(to)) {}

  /// Any thread, once.
  void send(std::shared_ptr<stop_message> self) noexcept;

  context* target = nullptr;  // the loop's thread only

 private:
  static void arrived(node* n) noexcept;

  std::shared_ptr<inbox> inbox_;
  std::shared_ptr<stop_message> self_;  // while it is under way
};

/// What the token calls.
class stop_sender {
 public:
  explicit stop_sender(std::shared_ptr<stop_message> m) noexcept : message_(std::move(m)) {}
  void operator()() noexcept { message_->send(message_); }

 private:
  std::shared_ptr<stop_message> message_;
};

class stop_token_base : public nested {
 protected:
  explicit stop_token_base(std::stop_token token) noexcept : nested(leaf_kind), token_(std::move(token)) {}
  ~stop_token_base() { disconnect(); }

  void connect(context* ctx, const std::source_location& where);
  void disconnect() noexcept;

 private:
  static const leaf_type leaf_kind;
  static bool cancel(leaf* self) noexcept;

  std::stop_token token_;
  std::shared_ptr<stop_message> message_;
  std::optional<std::stop_callback<stop_sender>> callback_;
};

template <class A>
class stop_token_awaiter final : private stop_token_base {
 public:
  using value_type = await_result_t<A>;

  stop_token_awaiter(std::stop_token&& token, A&& a)
      : stop_token_base(std::move(token)), inner_awaiter_(get_awaiter(static_cast<A&&>(a))) {}

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  transfer await_suspend(std::coroutine_handle<Promise> h,
                         std::source_location where = std::source_location::current()) {
    return suspend(h, context_of(h), where);
  }
  transfer suspend(std::coroutine_handle<> h, context* ctx, const std::source_location& where) {
    connect(ctx, where);
    return start_awaiter(inner_awaiter_, h, &inner_, where);
  }
  value_type await_resume() { return outcome().value(); }
  result<value_type> outcome() {
    disconnect();
    result<value_type> r = outcome_of(inner_awaiter_);
    end();  // after those inside, which give back to it
    return r;
  }

 private:
  awaiter_t<A> inner_awaiter_;
};

template <class A>
class [[nodiscard("co_await it")]] stop_token_operation {
 public:
  stop_token_operation(std::stop_token token, A && a)
      : token_(std::move(token)), kept_(static_cast<A&&>(a)) {}
  stop_token_awaiter<A> operator co_await()&& {
    return stop_token_awaiter<A>(std::move(token_), static_cast<A&&>(kept_));
  }

 private:
  std::stop_token token_;
  kept_t<A> kept_;
};

class stoppable_base : public nested {
 protected:
  stoppable_base() : nested(leaf_kind) {}
  ~stoppable_base() { note_end(); }
  void connect(context* ctx, const std::source_location& where);
  /// Tells a cancel that is under way.
  void note_end() noexcept {
    if (ended_) *std::exchange(ended_, nullptr) = true;
  }

  std::stop_source source_;

 private:
  static const leaf_type leaf_kind;
  static bool cancel(leaf* self) noexcept;

  bool* ended_ = nullptr;
};

template <class F>
class stoppable_awaiter final : private stoppable_base {
  using A = std::remove_cvref_t<std::invoke_result_t<F&, std::stop_token>>;

 public:
  using value_type = await_result_t<A>;

  explicit stoppable_awaiter(F& f)
      : made_(std::invoke(f, source_.get_token())), inner_awaiter_(get_awaiter(std::move(made_))) {}

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  transfer await_suspend(std::coroutine_handle<Promise> h,
                         std::source_location where = std::source_location::current()) {
    return suspend(h, context_of(h), where);
  }
  transfer suspend(std::coroutine_handle<> h, context* ctx, const std::source_location& where) {
    connect(ctx, where);
    return start_awaiter(inner_awaiter_, h, &inner_, where);
  }
  value_type await_resume() { return outcome().value(); }
  result<value_type> outcome() {
    note_end();
    result<value_type> r = outcome_of(inner_awaiter_);
    end();  // after those inside, which give back to it
    return r;
  }

 private:
  A made_;
  awaiter_t<A> inner_awaiter_;
};

template <class F>
class [[nodiscard("co_await it")]] stoppable_operation {
 public:
  explicit stoppable_operation(F && f) : function_(static_cast<F&&>(f)) {}
  stoppable_awaiter<std::remove_reference_t<F>> operator co_await()&& {
    return stoppable_awaiter<std::remove_reference_t<F>>(function_);
  }

 private:
  F function_;
};

}  // namespace detail

/// Awaits `a`, which a stop request of `token`, made on any thread, cancels for good: then
/// `cancelled` is thrown, unless `a` yields a result all the same. Costs two allocations.
///
///     std::jthread thread([&](std::stop_token token) {
///       mobius::run(mobius::with_stop_token(token, serve()));
///     });
template <awaitable A>
detail::stop_token_operation<A&&> with_stop_token(std::stop_token token, A&& a) {
  return detail::stop_token_operation<A&&>(std::move(token), static_cast<A&&>(a));
}

/// Awaits what `f(token)` returns; the token is stopped when the awaiting chain is cancelled, which
/// also cancels that awaitable. So a function in another thread can be asked to end early. A named
/// `f` is borrowed, an unnamed one moved in (and must then be trivially destructible, see
/// `offload`). Callbacks of the token run inside the cancel. Costs one allocation.
///
///     auto work = [&](std::stop_token token) { return mobius::offload(search, token, text); };
///     auto hits = co_await mobius::stoppable(work);
template <class F>
requires std::is_invocable_v<F&, std::stop_token>
auto stoppable(F&& f) {
  static_assert(std::is_lvalue_reference_v<F> || std::is_trivially_destructible_v<std::remove_cvref_t<F>>,
                "g++ 12 destroys such a temporary function object twice (GCC PR99576): name it on the line "
                "before and pass the name");
  return detail::stoppable_operation<F>(std::forward<F>(f));
}

}  // namespace mobius
