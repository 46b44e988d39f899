#pragma once
// What the compiler tests share: objects whose lifetimes are counted, awaitables that really
// suspend, and the table entry of a form. The forms are coroutines of mobius' own task type,
// because what a compiler does to a coroutine depends on the layout of its promise.

#include <coroutine>
#include <mobius/runtime/task.hpp>
#include <set>
#include <span>
#include <utility>

namespace compiler_test {

using mobius::task;

/// Every live `tracked`, by address, and what went wrong with them.
struct ledger {
  std::set<const void*> live;
  int destroyed_twice = 0;
};

inline ledger& book() {
  static ledger instance;
  return instance;
}

/// An object that is entered in the ledger for as long as it lives.
class tracked {
 public:
  tracked(int value = 1) : value_(value) { book().live.insert(this); }
  tracked(const tracked& other) : value_(other.value_) { book().live.insert(this); }
  tracked(tracked&& other) noexcept : value_(std::exchange(other.value_, 0)) { book().live.insert(this); }
  tracked& operator=(const tracked&) = default;
  tracked& operator=(tracked&&) = default;
  ~tracked() {
    if (book().live.erase(this) == 0) ++book().destroyed_twice;
  }
  int value() const { return value_; }

 private:
  int value_;
};

/// The coroutine that waits to be resumed by the test, if one does.
inline std::coroutine_handle<>& paused() {
  static std::coroutine_handle<> handle;
  return handle;
}

/// Immovable, like the awaiter of every op.
class pause_awaiter {
 public:
  pause_awaiter() = default;
  pause_awaiter(const pause_awaiter&) = delete;
  pause_awaiter& operator=(const pause_awaiter&) = delete;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> h) noexcept { paused() = h; }
  void await_resume() const noexcept {}
};

/// Suspends until the test resumes or destroys the coroutine.
struct pause {
  pause_awaiter operator co_await() const noexcept { return {}; }
};

inline task<> step() { co_await pause(); }

inline task<bool> yes() {
  co_await step();
  co_return true;
}

inline task<int> number(int n) {
  co_await step();
  co_return n;
}

inline task<tracked> make(int n) {
  co_await step();
  co_return tracked(n);
}

/// One way of writing an await, as a coroutine that returns true when all values were right.
struct form {
  const char* text;
  const char* bug;  // the compiler bug that g++ 12 shows here; empty for forms that must work
  task<bool> (*body)();
};

/// Forms that must work with every compiler: the library and its users may write them.
std::span<const form> safe_forms();

/// Forms that g++ 12 breaks: only reported, so that a compiler that heals one shows.
std::span<const form> broken_forms();

}  // namespace compiler_test
