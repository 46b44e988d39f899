#pragma once
// `blocking_call_from_thread`: another thread calls into the reactor and waits for the outcome
// (Twisted's blockingCallFromThread).

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "../../runtime/list_link.hpp"
#include "../../runtime/reactor.hpp"
#include "../helpers.hpp"

namespace mobius {

/// What a blocking call throws when the reactor ends before there is an outcome.
class reactor_ended final : public std::runtime_error {
 public:
  reactor_ended()
      : std::runtime_error(
            "blocking_call_from_thread: the reactor has ended; join the threads that call it "
            "before it is destroyed") {}
};

namespace detail {

/// A call whose outcome a thread waits for. As a list entry it belongs to the reactor's thread.
class blocking_call_base : public list_link {
 public:
  blocking_call_base() = default;
  blocking_call_base(const blocking_call_base&) = delete;
  blocking_call_base& operator=(const blocking_call_base&) = delete;
  virtual ~blocking_call_base() = default;
  virtual void fail_with(failure f) = 0;
};

/// Those of a reactor, which it fails at its shutdown.
class blocking_calls {
 public:
  explicit blocking_calls(reactor&) noexcept {}
  blocking_calls(const blocking_calls&) = delete;
  blocking_calls& operator=(const blocking_calls&) = delete;

  /// Enters one; false if the reactor is at its end.
  bool enter(blocking_call_base& c) noexcept {
    if (!stopped_) c.link_before(waiting_);
    return !stopped_;
  }
  void stop() noexcept;

 private:
  list_link waiting_;
  bool stopped_ = false;
};

template <class T>
class blocking_call final : public blocking_call_base {
 public:
  void end(result<T>&& r) {
    unlink();
    const std::lock_guard lock(mutex_);
    if (outcome_) return;
    outcome_.emplace(std::move(r));
    ended_.notify_one();
  }
  void fail_with(failure f) override { end(result<T>(std::move(f))); }
  T wait() {
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [this] { return outcome_.has_value(); });
    return std::move(*outcome_).value();
  }

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  std::optional<result<T>> outcome_;
};

/// Fails the call if what it waits for is thrown away unfired.
template <class T>
class blocking_call_end {
 public:
  explicit blocking_call_end(std::shared_ptr<blocking_call<T>> call) noexcept : call_(std::move(call)) {}
  blocking_call_end(blocking_call_end&&) noexcept = default;
  blocking_call_end& operator=(blocking_call_end&&) = delete;
  ~blocking_call_end() {
    if (call_) call_->fail_with(make_failure<broken_deferred>(std::source_location()));
  }
  void operator()(result<T> r) { std::exchange(call_, nullptr)->end(std::move(r)); }
  blocking_call_base& call() noexcept { return *call_; }

 private:
  std::shared_ptr<blocking_call<T>> call_;
};

}  // namespace detail

/// Calls `f(args...)` in the thread of `r` and blocks this thread until what it returned, a value,
/// deferred or task, has ended; gives its value or throws its error (R200). Throws `reactor_ended`
/// if the reactor is destroyed first, and std::logic_error in the reactor's own thread, which would wait for
/// itself. `r` must exist when the call begins.
template <class F, class... Args>
auto blocking_call_from_thread(reactor& r, F f, Args... args) {
  using T = typename decltype(maybe_deferred(std::move(f), std::move(args)...))::value_type;
  if (reactor::current_or_null() == &r) {
    throw std::logic_error(
        "blocking_call_from_thread: this is the reactor's own thread, which would wait for itself; call the "
        "function, or await it");
  }
  const auto call = std::make_shared<detail::blocking_call<T>>();
  auto start = [end = detail::blocking_call_end<T>(call), &r, f = std::move(f),
                bound = std::tuple<Args...>(std::move(args)...)]() mutable {
    if (!r.service<detail::blocking_calls>().enter(end.call())) return end(make_failure<reactor_ended>());
    auto begin = [&](Args&... a) { return maybe_deferred(std::move(f), std::move(a)...); };
    std::apply(begin, bound).add_both(std::move(end));
  };
  if (!r.post(std::move(start))) throw reactor_ended();
  return call->wait();
}

}  // namespace mobius
