#pragma once
// All of the runtime.

#include "awaitable.hpp"
#include "combine.hpp"
#include "failure.hpp"
#include "poll.hpp"
#include "reactor.hpp"
#include "result.hpp"
#include "task.hpp"
#include "thread_pool.hpp"
#include "timeout.hpp"
