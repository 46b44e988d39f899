#pragma once
// `shared_deferred<T>`: one outcome for many readers.

#include <memory>
#include <optional>
#include <vector>

#include "helpers.hpp"

namespace mobius {

namespace detail {

/// What a reader of a shared deferred gets.
template <class T>
using reader_t = std::conditional_t<std::is_void_v<T>, void, std::add_lvalue_reference_t<const T>>;

/// What the copies of a shared deferred have in common.
template <class T>
struct shared_state {
  shared_state() = default;
  shared_state(const shared_state&) = delete;
  shared_state& operator=(const shared_state&) = delete;
  ~shared_state() {
    if (outcome && !*outcome && !seen) report_dropped(outcome->error());
  }

  void settle(result<T> r);
  result<reader_t<T>> view() const;

  std::optional<result<T>> outcome;
  std::vector<resolver<reader_t<T>>> readers;
  cancel_handle source;
  bool seen = false;  // somebody has asked for it
};

template <class T>
class shared_awaiter;

}  // namespace detail

/// A deferred with many readers, each of which gets `const T&`. Copyable; all copies are the same
/// outcome. Each reader has a chain of its own, so none changes what another sees:
///
///     mobius::shared_deferred<page> page(http::get_page(url));
///     page.add_callback(show);
///     const mobius::page& p = co_await page;
///
/// The value lives as long as a copy of it, or a reader that waits. Cancelling one reader stops that
/// reader only; `cancel` asks the operation itself. A failure goes to every reader; one that no
/// reader ever asked for is reported when the last copy goes.
template <class T>
class shared_deferred {
  static_assert(!std::is_reference_v<T>, "mobius: share the object itself, not a reference to it");

 public:
  /// The type of the value.
  using value_type = T;
  /// What a reader gets.
  using reader_type = detail::reader_t<T>;

  /// An empty one; it can be assigned to, tested and destroyed.
  shared_deferred() noexcept = default;
  /// Shares the outcome of `d`.
  shared_deferred(deferred<T> d) : state_(std::make_shared<detail::shared_state<T>>()) {
    if (!d.ready()) {
      detail::core* c = detail::handle_of(d).promote();
      state_->source = cancel_handle(d);
      c->set(detail::core::awaited);
      detail::break_if_abandoned(c);
    }
    std::move(d).add_both([s = state_](result<T> r) { s->settle(std::move(r)); });
  }

  /// Shares the outcome of a task or other awaitable, which is started.
  template <detail::other_awaitable A>
  requires std::same_as<await_result_t<A>, T>
  explicit shared_deferred(A a) : shared_deferred(to_deferred(std::move(a))) {}

  /// A new reader, as a deferred: ready at once if the outcome is there; else those that wait fire in
  /// the order in which they were made. Keep a copy of this as long as the reference is used.
  deferred<reader_type> reader(std::source_location where = std::source_location::current()) const {
    if (!state_) throw no_deferred("this shared_deferred is empty");
    state_->seen = true;
    if (state_->outcome) return from_result<reader_type>(state_->view());
    auto ends = make_deferred<reader_type>(where);
    state_->readers.push_back(std::move(ends.resolver));
    return std::move(ends.deferred);
  }
  /// Adds `f(const T&)` to a new reader and returns its chain.
  template <class F>
  auto add_callback(F f, std::source_location where = std::source_location::current()) const {
    return reader(where).add_callback(std::move(f), where);
  }
  /// Waits for the outcome: the value, or the failure, thrown.
  detail::shared_awaiter<T> operator co_await() const { return detail::shared_awaiter<T>(reader(), state_); }

  /// True unless it is empty.
  explicit operator bool() const noexcept { return state_ != nullptr; }
  /// True if the outcome is there.
  bool ready() const noexcept { return state_ && state_->outcome; }
  /// The value, or null if it is not there.
  const detail::stored_t<T>* value_if() const noexcept requires(!std::is_void_v<T>) {
    return ready() && *state_->outcome ? &**state_->outcome : nullptr;
  }
  /// The failure, or null. Who asks has seen it.
  const failure* failure_if() const noexcept {
    if (!ready() || *state_->outcome) return nullptr;
    state_->seen = true;
    return &state_->outcome->error();
  }
  /// Asks the operation to stop, for all readers.
  void cancel() const {
    if (state_) state_->source.cancel();
  }

 private:
  std::shared_ptr<detail::shared_state<T>> state_;
};

template <class T>
shared_deferred(deferred<T>) -> shared_deferred<T>;
template <detail::other_awaitable A>
shared_deferred(A) -> shared_deferred<await_result_t<A>>;

namespace detail {

template <class T>
void shared_state<T>::settle(result<T> r) {
  outcome.emplace(std::move(r));
  // Nobody waits for what nobody can fire any more: that is no error (R13).
  if (!*outcome && !seen && outcome->error().template check<broken_deferred>()) seen = true;
  const auto waiting = std::exchange(readers, {});
  for (const resolver<reader_t<T>>& reader : waiting) {
    if (reader.fired()) continue;  // cancelled
    if (!*outcome) {
      reader.errback(outcome->error());
    } else if constexpr (std::is_void_v<T>) {
      reader();
    } else {
      reader(std::as_const(**outcome));
    }
  }
}

template <class T>
result<reader_t<T>> shared_state<T>::view() const {
  if (!*outcome) return outcome->error();
  if constexpr (std::is_void_v<T>) {
    return {};
  } else {
    return result<reader_t<T>>(std::as_const(**outcome));
  }
}

/// Waits for a reader of its own, and keeps the value alive to the end of the expression.
template <class T>
class shared_awaiter {
 public:
  shared_awaiter(deferred<reader_t<T>> reader, std::shared_ptr<shared_state<T>> state) noexcept
      : state_(std::move(state)), reader_(std::move(reader)), inner_(handle_of(reader_)) {}
  shared_awaiter(const shared_awaiter&) = delete;
  shared_awaiter& operator=(const shared_awaiter&) = delete;

  bool await_ready() const noexcept { return inner_.await_ready(); }
  template <class Promise>
  transfer await_suspend(std::coroutine_handle<Promise> h,
                         std::source_location site = std::source_location::current()) {
    return inner_.suspend(h, context_of(h), site);
  }
  transfer suspend(std::coroutine_handle<> h, context* ctx, const std::source_location& site) {
    return inner_.suspend(h, ctx, site);
  }
  reader_t<T> await_resume() { return inner_.await_resume(); }
  result<reader_t<T>> outcome() { return inner_.outcome(); }

 private:
  std::shared_ptr<shared_state<T>> state_;
  deferred<reader_t<T>> reader_;
  deferred_awaiter<reader_t<T>> inner_;
};

}  // namespace detail
}  // namespace mobius
