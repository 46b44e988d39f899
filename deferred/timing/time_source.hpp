#pragma once
// What all code about time is written against: the reactor, or a clock that a test moves.

#include <chrono>
#include <concepts>
#include <cstdint>
#include <stdexcept>
#include <utility>

namespace mobius {

/// The handle to a call that is due later. `cancel`, `reset` and `delay` say false if it is no longer
/// due.
template <class C>
concept scheduled_call = std::default_initializable<C> && std::copyable<C> &&
    requires(C& call, std::chrono::nanoseconds time) {
  { call.active() } -> std::same_as<bool>;
  { call.cancelled() } -> std::same_as<bool>;
  { call.cancel() } -> std::same_as<bool>;
  { call.reset(time) } -> std::same_as<bool>;
  { call.delay(time) } -> std::same_as<bool>;
  { call.time() } -> std::same_as<std::chrono::steady_clock::time_point>;
};

/// A monotonic clock that can call a function later: `reactor`, `test_clock`. `call_later(delay, f)`
/// never calls inside itself; calls come in order of time, equal times in the order they were asked
/// for.
template <class S>
concept time_source = requires(S& source, std::chrono::nanoseconds delay) {
  { source.now() } -> std::same_as<std::chrono::steady_clock::time_point>;
  {
    source.call_later(delay, [] {})
    } -> scheduled_call;
};

/// What a time source's call_later returns.
template <time_source Source>
using scheduled_call_t = decltype(std::declval<Source&>().call_later(std::chrono::nanoseconds(), [] {}));

/// Thrown by a `strict_call` that was cancelled before (Twisted's AlreadyCancelled).
class call_already_cancelled final : public std::logic_error {
 public:
  call_already_cancelled()
      : std::logic_error(
            "this delayed call was cancelled before; ask active() first, or use the plain handle") {}
};

/// Thrown by a `strict_call` that was made before (Twisted's AlreadyCalled).
class call_already_made final : public std::logic_error {
 public:
  call_already_made()
      : std::logic_error("this delayed call was made before; ask active() first, or use the plain handle") {}
};

/// A scheduled call whose misuse throws, as that of Twisted's DelayedCall does (R156):
/// `strict_call call = reactor.call_later(1s, f);`
template <scheduled_call Call>
class strict_call {
 public:
  strict_call(Call call) noexcept : call_(std::move(call)) {}

  /// True until it was made or cancelled.
  bool active() const noexcept { return call_.active(); }
  /// When it is due.
  std::chrono::steady_clock::time_point time() const noexcept { return call_.time(); }
  /// Takes it back and drops the function. Throws `call_already_cancelled` or `call_already_made`.
  void cancel() { check(call_.cancel()); }
  /// Moves it to `after` from now. Throws as `cancel` does.
  void reset(std::chrono::nanoseconds after) { check(call_.reset(after)); }
  /// Moves it by `more`, which may be negative. Throws as `cancel` does.
  void delay(std::chrono::nanoseconds more) { check(call_.delay(more)); }

 private:
  void check(bool done) const {
    if (done) return;
    if (call_.cancelled()) throw call_already_cancelled();
    throw call_already_made();
  }

  Call call_;
};

/// A scheduled call that is taken back when this ends: `scoped_call call = reactor.call_later(1s, f);`
template <scheduled_call Call>
class scoped_call {
 public:
  scoped_call(Call call) noexcept : call_(std::move(call)) {}
  scoped_call(scoped_call&& other) noexcept : call_(std::exchange(other.call_, Call())) {}
  scoped_call& operator=(scoped_call&& other) noexcept {
    std::swap(call_, other.call_);
    return *this;
  }
  ~scoped_call() { call_.cancel(); }

  /// The call.
  Call* operator->() noexcept { return &call_; }
  /// Lets it come whatever becomes of this.
  Call release() noexcept { return std::exchange(call_, Call()); }

 private:
  Call call_;
};

}  // namespace mobius
