#pragma once
// Debugging: the stacks of where deferreds were made and fired.

#include <string>

#include "core.hpp"

namespace mobius {

/// Makes every deferred that this thread makes from now on note the stack of its creation and of
/// its first firing; both stand in the text of `already_called` and in the report of an unhandled
/// failure (Twisted's setDebugging). Off by default: the places alone, which are always kept, cost
/// nothing. It may be switched at any time. Names of functions need the linker option -rdynamic.
void set_debugging(bool on) noexcept;
/// True if it is on.
bool debugging() noexcept;

namespace detail {

/// The noted stacks of a core as text, one frame a line; empty if there are none.
std::string traces_of(const core* c);

}  // namespace detail
}  // namespace mobius
