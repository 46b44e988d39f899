#include "task.hpp"

#include <stdexcept>

namespace mobius::detail {

void throw_empty_task() {
  throw std::logic_error("co_await of an empty task: it was moved from or awaited before");
}

void throw_generator_busy() {
  throw std::logic_error("generator: its next value is awaited already; one await at a time");
}

}  // namespace mobius::detail
