// The rows of styles.cpp in which things flow.
#pragma once

#include <mobius/runtime.hpp>

namespace bench {

inline constexpr long stages = 10;

/// A thousand items through ten stages that wait for them, by queues without a limit.
mobius::task<> pipeline_callbacks();
mobius::task<> pipeline_awaits();
mobius::task<> pipeline_tasks();

/// A thousand that wait are cancelled.
mobius::task<> cancel_callbacks();
mobius::task<> cancel_awaits();
mobius::task<> cancel_tasks();

}  // namespace bench
