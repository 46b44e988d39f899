#pragma once
// The callback face: protocols, factories, transports, endpoints.

#include "client_factory.hpp"
#include "client_service.hpp"
#include "endpoint.hpp"
#include "factory.hpp"
#include "framed_receiver.hpp"
#include "line_receiver.hpp"
#include "netstring_receiver.hpp"
#include "policies.hpp"
#include "port.hpp"
#include "producer.hpp"
#include "protocol.hpp"
#include "reasons.hpp"
#include "stream_transport.hpp"
#include "string_receivers.hpp"
#include "transport.hpp"
