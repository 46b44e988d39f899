#pragma once
// All of the network folder but HTTP.

#include "address.hpp"
#include "name_resolver.hpp"
#include "tcp.hpp"
