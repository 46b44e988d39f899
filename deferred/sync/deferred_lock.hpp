#pragma once
// `deferred_lock`: one holder at a time, by deferreds (Twisted's DeferredLock).

#include <tuple>
#include <type_traits>
#include <utility>

#include "../helpers.hpp"
#include "deferred_line.hpp"

namespace mobius {

/// Holds a `deferred_lock` or one token of a `deferred_semaphore`, and releases it when it ends.
template <class Lock>
class [[nodiscard("it is held as long as this lives")]] deferred_guard {
 public:
  /// Holds nothing.
  deferred_guard() noexcept = default;
  /// Takes over what was acquired.
  explicit deferred_guard(Lock & lock) noexcept : lock_(&lock) {}
  deferred_guard(deferred_guard && other) noexcept : lock_(std::exchange(other.lock_, nullptr)) {}
  deferred_guard& operator=(deferred_guard&& other) noexcept {
    deferred_guard(std::move(other)).swap(*this);
    return *this;
  }
  ~deferred_guard() {
    if (!lock_) return;
    try {
      release();
    } catch (...) {
      report_unhandled(failure(), "a guard of a deferred_lock or deferred_semaphore");
    }
  }

  /// True if it holds something.
  explicit operator bool() const noexcept { return lock_ != nullptr; }
  /// Releases now.
  void release() {
    if (lock_) std::exchange(lock_, nullptr)->release();
  }
  /// Exchanges two guards.
  void swap(deferred_guard & other) noexcept { std::swap(lock_, other.lock_); }

 private:
  Lock* lock_ = nullptr;
};

namespace detail {

/// Holds what was acquired while what `f(args...)` returns runs to its end; passes its outcome on. The
/// release comes before the caller sees the outcome (R142).
template <class Lock, class F, class... Args>
auto run_holding(deferred<Lock&> acquired, F f, Args... args) {
  return std::move(acquired).add_callback(
      [f = std::move(f), bound = std::tuple<Args...>(std::move(args)...)](Lock& held) mutable {
        auto call = [&] {
          return std::apply([&](Args&... a) { return maybe_deferred(std::move(f), std::move(a)...); }, bound);
        };
        auto outcome = call();
        using T = typename decltype(outcome)::value_type;
        return std::move(outcome).add_both([&held](result<T> r) {
          held.release();
          return r;
        });
      });
}

}  // namespace detail

/// Mutual exclusion by deferreds: first in, first out. Unlike `mutex`, it is handed to the next in
/// line *inside* `release`, whose callbacks run then and there (nested up to 64 deep, from there on
/// in a loop). Not recursive. It must outlive its holders; who still waits when it is destroyed gets
/// `broken_deferred`. Belongs to one thread.
///
///     lock.run(write_record, record).add_callback(...);      // callbacks
///     auto guard = co_await lock.scoped();                   // coroutines
class deferred_lock {
 public:
  /// A free lock.
  deferred_lock() = default;
  deferred_lock(const deferred_lock&) = delete;
  deferred_lock& operator=(const deferred_lock&) = delete;

  /// Fires with the lock when it is held: at once if it is free. A cancel leaves the line; once
  /// acquired, it does nothing, and the lock stays held (R139, R141).
  deferred<deferred_lock&> acquire(std::source_location where = std::source_location::current()) {
    if (!std::exchange(locked_, true)) return detail::succeed_with(*this);
    auto [d, entry] = detail::stand_in_line<deferred_lock&>(line_, where);
    entry->give(this);
    return std::move(d);
  }
  /// The same with a guard, which releases the lock at its end, also by an exception (R143).
  deferred<deferred_guard<deferred_lock>> scoped(
      std::source_location where = std::source_location::current()) {
    return acquire(where).add_callback(
        [](deferred_lock& held) { return deferred_guard<deferred_lock>(held); });
  }
  /// Hands it to the next in line, whose callbacks run inside this call, or frees it. Throws
  /// `deferred_misuse` if nobody holds it (R140).
  void release() {
    if (!locked_) {
      throw deferred_misuse("deferred_lock::release: nobody holds the lock; release once for each acquire");
    }
    if (line_.empty()) {
      locked_ = false;
    } else {
      line_.hand_over();
    }
  }
  /// Acquires, calls `f(args...)`, waits for what it returned, and releases; fires with that
  /// outcome. `f` and the arguments live until then. A cancel before the lock was acquired leaves
  /// the line; after that it goes to what `f` returned (R142).
  template <class F, class... Args>
  auto run(F f, Args... args) {
    return detail::run_holding(acquire(), std::move(f), std::move(args)...);
  }
  /// True while somebody holds it.
  bool locked() const noexcept { return locked_; }
  /// How many wait for it.
  std::size_t waiting() const noexcept { return line_.size(); }

 private:
  detail::deferred_line line_;
  bool locked_ = false;
};

}  // namespace mobius
