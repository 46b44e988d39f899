#pragma once
// The clock of these tests.

#include <mobius/deferred/timing/test_clock.hpp>

using fake_clock = mobius::test_clock;
