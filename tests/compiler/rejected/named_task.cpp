// A named task must be moved into its await, which shows that it can be awaited only once.
#include <mobius/runtime/task.hpp>

mobius::task<int> number() { co_return 1; }

mobius::task<int> subject() {
  auto t = number();
  co_return co_await t;
}
