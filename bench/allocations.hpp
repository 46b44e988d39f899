#pragma once
// How often this process has called malloc.

#include <cstddef>

/// Calls of malloc so far, those of operator new included.
extern std::size_t allocations;
