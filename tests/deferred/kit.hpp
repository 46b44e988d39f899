#pragma once
// What the tests of deferreds share.

#include <mobius/deferred/deferred.hpp>
#include <mobius/runtime/testing/testing.hpp>

#include <chrono>
#include <coroutine>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::cancel_reply;
using mobius::cancelled;
using mobius::deferred;
using mobius::failure;
using mobius::make_deferred;
using mobius::resolver;
using mobius::result;
using mobius::succeed;
using mobius::task;
using mobius::test_clock;
using mobius::testing::world;

/// What happened, in order.
using words = std::vector<std::string>;

/// A callback that writes a word down.
inline auto note(words& log, std::string word) {
  return [&log, word = std::move(word)](auto&&...) { log.push_back(word); };
}

/// The seconds of a clock at which something happened.
using seconds_list = std::vector<long>;

/// A callback that writes one down.
inline auto note_time(seconds_list& log, const test_clock& clock) {
  return [&] { log.push_back(clock.elapsed() / 1s); };
}

/// Takes the failure that a deferred has now, so that it is not reported.
template <class T>
std::optional<failure> take_failure(deferred<T>& d) {
  if (!d.failure_if()) return std::nullopt;
  const failure f = *d.failure_if();
  std::move(d).add_errback([](const failure&) {});
  return f;
}

/// The same; true if it was an `E`.
template <class E, class T>
bool failed_with(deferred<T>& d) {
  const auto f = take_failure(d);
  return f && f->template check<E>();
}
template <class E, class T>
bool failed_with(deferred<T>&& d) {
  return failed_with<E>(d);
}

/// Collects what goes to the unhandled hook.
class reports {
 public:
  reports()
      : previous_(mobius::set_unhandled_hook([this](const mobius::failure& f, std::string_view where) {
          errors.push_back(f.what());
          places.emplace_back(where);
          trails.emplace_back(f.trail().begin(), f.trail().end());
        })) {}
  reports(const reports&) = delete;
  reports& operator=(const reports&) = delete;
  ~reports() { mobius::set_unhandled_hook(std::move(previous_)); }

  std::vector<std::string> errors;
  std::vector<std::string> places;
  std::vector<std::vector<std::source_location>> trails;

 private:
  mobius::unhandled_hook previous_;
};

/// Fails the test if it ends with more frames and blocks than it began with.
class no_leak {
 public:
  no_leak() = default;
  no_leak(const no_leak&) = delete;
  no_leak& operator=(const no_leak&) = delete;
  ~no_leak() { CHECK(mobius::detail::live_frames() == before_); }

 private:
  std::size_t before_ = mobius::detail::live_frames();
};

/// A coroutine that runs at once under a context of the test's own, and may be destroyed.
class driven {
 public:
  struct promise_type : mobius::detail::promise_base {
    explicit promise_type(mobius::detail::context& c, auto&&...) { ctx = &c; }
    driven get_return_object() { return driven(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() { error = std::current_exception(); }
    template <class A>
    decltype(auto) await_transform(A&& a) {
      return mobius::detail::transform(static_cast<A&&>(a));
    }
    std::exception_ptr error;
  };

  driven(driven&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  driven& operator=(driven&&) = delete;
  ~driven() { destroy(); }

  bool done() const { return handle_.done(); }
  /// True if it ended with `cancelled`.
  bool cancelled() const {
    return done() && handle_.promise().error &&
           mobius::failure(handle_.promise().error).check<mobius::cancelled>();
  }
  void destroy() {
    if (handle_) std::exchange(handle_, nullptr).destroy();
  }

 private:
  explicit driven(std::coroutine_handle<promise_type> h) : handle_(h) {}
  std::coroutine_handle<promise_type> handle_;
};

/// Waits for a deferred in a context of the test's own.
inline driven await_deferred(mobius::detail::context&, deferred<int> d) { co_await std::move(d); }

/// Gives `value` after a time, as a coroutine of either kind.
inline deferred<int> nap(std::chrono::nanoseconds time, int value) {
  co_await mobius::sleep(time);
  co_return value;
}
inline task<int> nap_task(std::chrono::nanoseconds time, int value) {
  co_await mobius::sleep(time);
  co_return value;
}
