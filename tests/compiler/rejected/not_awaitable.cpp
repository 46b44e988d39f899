// The error names what is missing instead of a page of template parameters.
#include <mobius/runtime/task.hpp>

mobius::task<> subject() { co_await 1; }
