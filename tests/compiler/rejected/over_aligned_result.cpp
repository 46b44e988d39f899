// No compiler here aligns a coroutine frame beyond 16 bytes.
#include <mobius/runtime/task.hpp>

struct alignas(64) cache_line {
  char bytes[64];
};

mobius::task<cache_line> subject() { co_return cache_line(); }
