#pragma once
// `generator<T>`: a coroutine that gives many values and may await between them.
//
//   created --next()--> running --co_yield--> holding a value --next()--> running ... --> ended

#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <source_location>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "task.hpp"

namespace mobius {

template <class T>
class generator;

namespace detail {

/// What `next` gives: an optional value, or, for a reference, a pointer that may be null.
template <class T>
using next_t = std::conditional_t<std::is_reference_v<T>, std::add_pointer_t<T>, std::optional<T>>;

[[noreturn]] void throw_generator_busy();

template <class T>
class generator_promise final : public task_promise_base {
  using stored = std::remove_reference_t<T>;

  // The way back to who awaits is that of a task's end.
  struct yield_awaiter : final_awaiter {
    explicit yield_awaiter(generator_promise& p) noexcept : promise(p) {}
    void await_resume() const {
      this_thread.entering = nullptr;
      promise.held_ = {};
      if (promise.closing_) throw cancelled();
    }
    generator_promise& promise;
  };

 public:
  generator<T> get_return_object() noexcept;
  yield_awaiter yield_value(stored& value) noexcept requires std::is_reference_v<T> {
    held_ = std::addressof(value);
    running_ = false;
    return yield_awaiter(*this);
  }
  template <class U>
  requires(!std::is_reference_v<T> && std::is_constructible_v<T, U>) yield_awaiter yield_value(U&& value) {
    held_.emplace(std::forward<U>(value));
    running_ = false;
    return yield_awaiter(*this);
  }
  void return_void() noexcept { held_ = {}; }
  void unhandled_exception() noexcept {
    held_ = {};
    slot_.set_exception();
    failed_ = true;
  }

  /// What it holds; throws its error, once.
  next_t<T> take() {
    if (failed_) {
      failed_ = false;
      slot_.take();
    }
    return std::exchange(held_, {});
  }
  /// The same without a throw.
  result<next_t<T>> take_result() {
    if (failed_) {
      failed_ = false;
      return std::move(slot_.take_result().error());
    }
    return take();
  }
  /// Makes the co_yield at which it stands throw.
  void close() {
    check_at_rest();
    closing_ = true;
  }
  /// Notes that it is about to run; false if it was closed before it ever did.
  bool begin() {
    check_at_rest();
    begun_ = begun_ || !closing_;
    running_ = begun_;
    return begun_;
  }
  bool begun() const noexcept { return begun_; }

 private:
  void check_at_rest() const {
    if (running_) throw_generator_busy();
  }

  next_t<T> held_{};
  outcome_slot<void> slot_;
  bool failed_ = false;
  bool closing_ = false;
  bool begun_ = false;
  bool running_ = false;  // somebody awaits its next value
};

template <class T>
class next_awaiter {
  using handle = std::coroutine_handle<generator_promise<T>>;

 public:
  explicit next_awaiter(handle h) noexcept : generator_(h) {}
  next_awaiter(const next_awaiter&) = delete;
  next_awaiter& operator=(const next_awaiter&) = delete;

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  transfer await_suspend(std::coroutine_handle<Promise> h) {
    return start(h, context_of(h));
  }
  transfer suspend(std::coroutine_handle<> h, context* ctx, const std::source_location&) {
    return start(h, ctx);
  }
  next_t<T> await_resume() { return generator_ ? generator_.promise().take() : next_t<T>(); }
  result<next_t<T>> outcome() {
    if (!generator_) return next_t<T>();
    return generator_.promise().take_result();
  }

 private:
  transfer start(std::coroutine_handle<> h, context* ctx) {
    if (!generator_ || generator_.done() || !generator_.promise().begin()) return go_on(h);
    return generator_.promise().start(generator_, h, ctx);
  }

  handle generator_;
};

template <class T>
class [[nodiscard("co_await it")]] next_operation {
 public:
  explicit next_operation(std::coroutine_handle<generator_promise<T>> h) noexcept : generator_(h) {}
  next_awaiter<T> operator co_await() const noexcept { return next_awaiter<T>(generator_); }

 private:
  std::coroutine_handle<generator_promise<T>> generator_;
};

}  // namespace detail

/// A lazy sequence: its body runs on the chain of who awaits `next`, up to the next co_yield. It
/// inherits that chain's cancellation each time; co_yield itself is no cancellation point.
///
///     mobius::generator<int> ticks() {
///       for (int i = 0;; ++i) {
///         co_await mobius::sleep(1s);
///         co_yield i;
///       }
///     }
///     auto g = ticks();
///     while (auto i = co_await g.next()) std::cout << *i;
///
/// Errors: an exception that leaves the body is thrown by the `next` that ran it; after that, and
/// after the end, `next` gives an empty result. Destroying it between two values destroys its locals;
/// clean-up that must await is done by `close`. It must not be destroyed while `next` is awaited.
/// `T` may be a reference: `next` then gives a pointer.
template <class T>
class [[nodiscard]] generator {
 public:
  /// What its coroutine frame holds.
  using promise_type = detail::generator_promise<T>;
  /// The type of the values.
  using value_type = T;

  /// An empty sequence.
  generator() noexcept = default;
  generator(generator&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  generator& operator=(generator&& other) noexcept {
    generator taken(std::move(other));
    std::swap(handle_, taken.handle_);
    return *this;
  }
  ~generator() {
    if (handle_) handle_.destroy();
  }

  /// Waits for the next value: an optional, empty at the end. One await at a time; a second one throws
  /// std::logic_error.
  detail::next_operation<T> next() noexcept { return detail::next_operation<T>(handle_); }

  /// Ends it early: the co_yield at which it stands throws `cancelled`, and the body may await
  /// its clean-up (after the handler, as C++ has no await in one). Completes when the body has ended;
  /// throws its error if that is another, and std::logic_error if it yields again.
  task<> close();

 private:
  friend class detail::generator_promise<T>;
  explicit generator(std::coroutine_handle<promise_type> h) noexcept : handle_(h) {}

  std::coroutine_handle<promise_type> handle_;
};

namespace detail {

template <class T>
generator<T> generator_promise<T>::get_return_object() noexcept {
  static_assert(alignof(generator_promise) <= 16);
  return generator<T>(std::coroutine_handle<generator_promise>::from_promise(*this));
}

/// Lets a generator end.
template <class T>
task<> close_generator(std::coroutine_handle<generator_promise<T>> h) {
  if (!h || h.done()) co_return;
  h.promise().close();
  if (!h.promise().begun()) co_return;
  auto rest = next_operation<T>(h);
  auto last = co_await outcome_operation<next_operation<T>>(rest);
  if (!last && !last.error().template check<cancelled>()) last.error().rethrow();
  if (!h.done()) throw std::logic_error("generator::close: the generator has yielded a value after it");
}

}  // namespace detail

template <class T>
task<> generator<T>::close() {
  return detail::close_generator(handle_);
}

}  // namespace mobius
