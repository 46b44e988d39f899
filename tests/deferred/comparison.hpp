#pragma once
// A program run on mobius beside the trace that Twisted gave for it.

#include <string>
#include <vector>

#include "interpreter.hpp"
#include "program.hpp"

namespace dtl {

/// What a program gave, and what it should have given, in a form in which they are equal.
struct verdict {
  std::string got;
  std::string wanted;
  /// The number of the deliberate difference that the program shows, or null.
  const char* difference = nullptr;
  /// How many coroutines have awaited a chain in place of callbacks.
  int awaiting = 0;
  /// Frames and blocks that it left behind.
  std::size_t leaked = 0;

  bool right() const { return got == wanted && leaked == 0; }
};

/// True if a verdict is wrong only in that failures are reported sooner: Twisted waits for its
/// collector (D3).
bool reports_sooner(const verdict& v);

verdict run_beside(const program& p, interpreter::style stages);

/// Why a program cannot be compared, or empty: names that are used after they were handed over need
/// handles that are shared (D1).
std::string reason_to_leave_out(const program& p);

}  // namespace dtl
