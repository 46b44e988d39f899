#pragma once
// The line of those who wait for something: what every primitive in this folder is made of.
//
// Order. Waiters stand first in, first out. What becomes free passes *straight* to the oldest one,
// inside the call that freed it: nobody who comes later can take it first. A coroutine that was
// granted something goes on in its turn of the ready queue; other entries (a deferred's) do what
// their `granted` does at once, inside that call.
//
// Cancel. A waiter that is cancelled takes itself out of the line. One that was granted something
// first keeps it: the result wins, nothing is lost.
//
// Nothing is allocated: an entry lives in the frame of the coroutine that waits.

#include <coroutine>
#include <cstddef>
#include <source_location>
#include <tuple>
#include <type_traits>
#include <utility>

#include "../awaitable.hpp"
#include "../context.hpp"

namespace mobius::detail {

/// A place in a line, or, as its head, both of its ends.
struct wait_link {
  wait_link* behind;
  wait_link* ahead = nullptr;  // null for an entry that stands in no line
};

/// One who waits; it stands in at most one line.
class wait_entry : private wait_link {
 public:
  using function = void (*)(wait_entry* self) noexcept;

  wait_entry() noexcept = default;
  wait_entry(const wait_entry&) = delete;
  wait_entry& operator=(const wait_entry&) = delete;
  ~wait_entry() { unlink(); }

  /// Takes it out of its line; false if it stands in none.
  bool unlink() noexcept {
    if (!ahead) return false;
    behind->ahead = ahead;
    ahead->behind = behind;
    ahead = nullptr;
    return true;
  }

  /// Notes that it stands in no line, as it knows: then its destructor need not look.
  void left() noexcept { ahead = nullptr; }

  /// Called with the entry out of the line, when it got what it waited for.
  function granted;

 private:
  friend class wait_queue;
};

/// The line.
class wait_queue {
 public:
  wait_queue() noexcept = default;
  wait_queue(const wait_queue&) = delete;
  wait_queue& operator=(const wait_queue&) = delete;
  /// Lets go of who still waits: they wait until they are cancelled.
  ~wait_queue() {
    while (!empty()) front().unlink();
  }

  bool empty() const noexcept { return head_.ahead == &head_; }
  /// The oldest entry; there must be one.
  wait_entry& front() const noexcept { return *static_cast<wait_entry*>(head_.ahead); }
  void push(wait_entry& e) noexcept {
    e.behind = head_.behind;
    e.ahead = &head_;
    head_.behind->ahead = &e;
    head_.behind = &e;
  }

  /// Grants the oldest entry what it waits for; there must be one.
  void grant_front() noexcept {
    wait_entry& e = front();
    head_.ahead = e.ahead;
    e.ahead->behind = &head_;
    e.ahead = nullptr;
    e.granted(&e);
  }
  /// Grants all that stand in line now, oldest first.
  void grant_all() noexcept {
    while (!empty()) grant_front();
  }
  /// Grants one of them.
  static void grant(wait_entry& e) noexcept {
    e.unlink();
    e.granted(&e);
  }

 private:
  wait_link head_{&head_, &head_};
};

/// Waits for a `Case`, which is a wait_entry that has
///   `static constexpr const char* name`;
///   `bool begin()`: takes what is free, or says false;
///   `void enqueue()`: stands in line, after begin() said false;
///   `void withdrawn()`: the wait that began was given up, and the entry is out of the line;
///   `take()`: gives the result.
template <class Case>
class queued_awaiter final : public waiter, public Case {
 public:
  using value_type = decltype(std::declval<Case&>().take());

  template <class... Args>
  explicit queued_awaiter(Args&&... args) : Case(std::forward<Args>(args)...) {}

  // Always inline: most awaits of a line end here, and the calls would be a tenth of what one costs.
  template <class Promise>
  [[gnu::always_inline]] bool await_suspend(std::coroutine_handle<Promise> h,
                                            std::source_location where = std::source_location::current()) {
    return suspend(h, context_of(h), where);
  }
  [[gnu::always_inline]] bool suspend(std::coroutine_handle<> h, context* ctx,
                                      const std::source_location& where) {
    // What is there need not be waited for: only a cancelled chain is told of more than that.
    const bool asked = ctx && ctx->mark() != cancel_mark::none;
    if (!asked && Case::begin()) return false;
    prepare(leaf_kind);
    if (asked) [[unlikely]]
      return arrive(h, ctx, where) == gate::queued;
    begin_wait(h, ctx, where);
    Case::granted = &queued_awaiter::on_granted;
    Case::enqueue();
    return true;
  }
  value_type await_resume() {
    if (stopped_at_end()) throw cancelled();
    return Case::take();
  }
  result<value_type> outcome() {
    if (stopped_at_end()) return cancelled_failure();
    try {
      if constexpr (std::is_void_v<value_type>) {
        Case::take();
        return {};
      } else {
        return Case::take();
      }
    } catch (...) {
      return failure();
    }
  }

 private:
  static const leaf_type leaf_kind;

  // Only a chain that it has entered can have stopped it.
  bool stopped_at_end() noexcept {
    Case::left();
    if (!ctx_) return false;
    leave();
    return was_stopped();
  }
  static void on_granted(wait_entry* e) noexcept {
    auto& self = static_cast<queued_awaiter&>(static_cast<Case&>(*e));
    self.state_ = state::done;
    self.wake();
  }
  static bool cancel(leaf* l) noexcept {
    auto& self = *static_cast<queued_awaiter*>(l);
    if (self.state_ != state::waiting) return false;
    self.stop();
    self.wake();
    if (self.unlink()) self.withdrawn();  // else what it waited for is gone
    return true;
  }
};

template <class Case>
const leaf_type queued_awaiter<Case>::leaf_kind{Case::name, &queued_awaiter::cancel};

/// The awaitable of a `Case` made from `args`.
template <class Case, class... Args>
class [[nodiscard("co_await it")]] wait_operation {
 public:
  using case_type = Case;
  static constexpr std::size_t arity = sizeof...(Args);

  explicit wait_operation(Args... args) : args_(std::forward<Args>(args)...) {}
  queued_awaiter<Case> operator co_await()&& {
    return std::apply([](auto&... args) { return queued_awaiter<Case>(static_cast<Args&&>(args)...); },
                      args_);
  }
  /// What a Case is made from.
  std::tuple<Args...>& arguments() noexcept { return args_; }

 private:
  std::tuple<Args...> args_;
};

}  // namespace mobius::detail
