#pragma once
// Everything about deferreds: Twisted-style chains of callbacks that coroutines can await.

#include "chain.hpp"
#include "coroutine.hpp"
#include "helpers.hpp"
#include "resolver.hpp"
#include "time.hpp"
