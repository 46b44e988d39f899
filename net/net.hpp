#pragma once
// All of the network folder but HTTP.

#include "address.hpp"
#include "buffered.hpp"
#include "deadlines.hpp"
#include "name_resolver.hpp"
#include "options.hpp"
#include "protocol/protocols.hpp"
#include "stream.hpp"
#include "stream_io.hpp"
#include "tcp.hpp"
#include "unix.hpp"
