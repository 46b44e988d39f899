#pragma once
// HTTP/1.1: everything public in one include.

#include "body_decoder.hpp"
#include "client.hpp"
#include "error.hpp"
#include "framing.hpp"
#include "head_scanner.hpp"
#include "headers.hpp"
#include "limits.hpp"
#include "message.hpp"
#include "request_head.hpp"
#include "request_parser.hpp"
#include "response_parser.hpp"
#include "server.hpp"
#include "url.hpp"
#include "writer.hpp"
