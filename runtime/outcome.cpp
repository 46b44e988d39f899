#include "outcome.hpp"

namespace mobius::detail {

void throw_outcome(std::exception_ptr* error) {
  if (!error) throw cancelled();
  std::rethrow_exception(std::move(*error));
}

}  // namespace mobius::detail
