#pragma once
// The callback face: protocols, factories, transports, endpoints.

#include "endpoint.hpp"
#include "factory.hpp"
#include "port.hpp"
#include "producer.hpp"
#include "protocol.hpp"
#include "reasons.hpp"
#include "stream_transport.hpp"
#include "transport.hpp"
