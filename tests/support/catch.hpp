#pragma once
// Catch2 2 (Debian 12) or 3. Never put a co_await inside CHECK or REQUIRE: they name their
// argument more than once, and g++ 12 then awaits it more than once (GCC PR112360).

#ifdef MOBIUS_CATCH2_V2
#include <catch2/catch.hpp>
#else
#include <catch2/catch_all.hpp>
#endif
