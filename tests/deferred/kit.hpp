#pragma once
// What the tests of deferreds share.

#include <mobius/deferred/deferred.hpp>

#include <coroutine>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

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
