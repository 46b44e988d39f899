#pragma once
// `test_clock`: a time source that a test moves by hand (Twisted's task.Clock).

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <type_traits>
#include <utility>
#include <vector>

#include "../../runtime/delayed_call.hpp"
#include "time_source.hpp"

namespace mobius {

class test_clock;

namespace detail {

struct clock_entry : list_link {};  // in the list of all calls of a clock
struct due_entry : list_link {};    // in the list of those that `advance` is about to make

/// The shared block of a call: the clock holds one reference while it is due, each handle one more.
class test_call_block : public timer, public clock_entry, public due_entry {
 public:
  /// Calls the function if told to, and destroys it.
  using function_end = void (*)(test_call_block*, bool call);
  static constexpr bool call_throws = true;
  template <class F, class Tuple>
  static void make_call(F& f, Tuple& args) {
    call_once_with(f, args);
  }

  test_call_block(test_clock& owner, function_end f, std::size_t size) noexcept
      : timer(&test_call_block::fire_timer), owner_(&owner), end_(f), size_(size) {}

  bool active() const noexcept { return state_ == state::due; }
  bool cancelled() const noexcept { return state_ == state::cancelled; }
  std::int64_t due_at() const noexcept { return due_at_; }
  bool cancel() noexcept;
  void move_to(std::int64_t at) noexcept;
  void call();
  std::int64_t now() const noexcept;

  void retain() noexcept { ++references_; }
  void release() noexcept {
    if (--references_ == 0) free_frame(this, size_);
  }

 private:
  enum class state : std::uint8_t { due, called, cancelled };
  static void fire_timer(timer* t) noexcept;

  test_clock* owner_;
  function_end end_;
  std::size_t size_;
  std::int64_t due_at_ = 0;
  std::uint32_t references_ = 1;
  state state_ = state::due;
};

}  // namespace detail

/// A handle to a call made by `test_clock::call_later`; as `delayed_call`. It may outlive the clock.
class test_call : public detail::call_handle<detail::test_call_block> {
 public:
  /// A handle to nothing.
  test_call() noexcept = default;

  /// Moves it to `after` from now, earlier or later; false if it is no longer active.
  bool reset(std::chrono::nanoseconds after) noexcept;
  /// Moves it by `more`, which may be negative; false if it is no longer active.
  bool delay(std::chrono::nanoseconds more) noexcept;

 private:
  friend class test_clock;
  using call_handle::call_handle;
};

/// A clock for tests of callback code, on the reactor's timer wheel but without a reactor. It begins
/// at 0 and stands still until `advance`. Of calls due at the same time the one asked for first comes
/// first; a call that was moved counts as asked for when it was moved.
///
///     mobius::test_clock clock;
///     auto d = mobius::defer_later(clock, 5s);
///     clock.advance(5s);
class test_clock {
 public:
  /// A clock at 0.
  test_clock() noexcept : wheel_(0) {}
  test_clock(const test_clock&) = delete;
  test_clock& operator=(const test_clock&) = delete;
  ~test_clock() { clear(); }

  /// The time.
  std::chrono::steady_clock::time_point now() const noexcept {
    return std::chrono::steady_clock::time_point(elapsed());
  }
  /// The time since it was made.
  std::chrono::nanoseconds elapsed() const noexcept { return std::chrono::nanoseconds(now_); }

  /// Calls `f(args...)` in the `advance` that reaches `after` from now; less than 0 counts as 0.
  template <class F, class... Args>
  test_call call_later(std::chrono::nanoseconds after, F&& f, Args&&... args) {
    detail::check_callback<std::decay_t<F>, std::decay_t<Args>...>();
    using function = detail::timed_function<detail::test_call_block, std::decay_t<F>, std::decay_t<Args>...>;
    static_assert(alignof(function) <= 16, "functions given to a clock are stored aligned to 16 bytes");
    auto* block = function::make(*this, std::forward<F>(f), std::forward<Args>(args)...);
    add(*block, after);
    return test_call(block);
  }

  /// Moves the time first, and then makes the calls that are due, in order of time; one that is
  /// added by them and is due already, as with a delay of 0, is made too (R154, R163). What a call
  /// throws is thrown here, and leaves the rest for the next `advance` (R155). Throws
  /// std::invalid_argument for less than 0.
  void advance(std::chrono::nanoseconds by);
  /// Advances by each of these in turn.
  void pump(std::initializer_list<std::chrono::nanoseconds> steps) {
    for (const auto by : steps) advance(by);
  }
  /// Advances by each of a range of times in turn.
  template <class Range>
  void pump(const Range& steps) {
    for (const auto& by : steps) advance(by);
  }

  /// The calls that are due later, in the order in which they were added (Twisted's getDelayedCalls).
  std::vector<test_call> delayed_calls() const;
  /// How many calls are due later.
  std::size_t pending() const noexcept { return pending_; }
  /// Takes back what is due later.
  void clear() noexcept;

 private:
  friend class detail::test_call_block;
  void add(detail::test_call_block& block, std::chrono::nanoseconds after) noexcept;
  void make_due(detail::test_call_block& block) noexcept;

  detail::timer_wheel wheel_;
  detail::list_link calls_;
  detail::list_link due_;
  std::int64_t now_ = 0;
  std::int64_t latest_due_ = 0;  // of those in `due_`, while it is not empty
  std::size_t pending_ = 0;
};

}  // namespace mobius
