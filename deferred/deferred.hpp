#pragma once
// Everything about deferreds: Twisted-style chains of callbacks that coroutines can await.

#include "chain.hpp"
#include "coroutine.hpp"
#include "debug.hpp"
#include "dump.hpp"
#include "helpers.hpp"
#include "list.hpp"
#include "resolver.hpp"
#include "shared.hpp"
#include "sync/deferred_lock.hpp"
#include "sync/deferred_queue.hpp"
#include "sync/deferred_semaphore.hpp"
#include "time.hpp"
#include "timing/looping_call.hpp"
#include "timing/test_clock.hpp"
#include "timing/time_source.hpp"
