// g++ 12 would destroy the awaited temporary twice (GCC PR99576), so tasks refuse it.
#include <coroutine>
#include <mobius/runtime/task.hpp>
#include <string>

struct operation {
  std::string name;
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  void await_resume() const noexcept {}
};

mobius::task<> subject() { co_await operation{"name"}; }  // GCC PR99576
