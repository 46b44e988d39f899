// g++ 12: "array used as initializer" (its testsuite has it as co-await-initlist).
#include <initializer_list>
#include <mobius/runtime/task.hpp>
#include <vector>

mobius::task<int> number() { co_return 1; }

mobius::task<int> subject() {
  const std::vector<int> items{co_await number(), co_await number()};  // GCC testsuite: co-await-initlist
  co_return items[0];
}
