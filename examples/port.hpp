// The port in a program's arguments.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>

/// What `text` says, or an error that tells what to write instead.
inline std::uint16_t port_from(const char* text) {
  std::uint16_t port = 0;
  const char* end = text + std::strlen(text);
  const auto [read, error] = std::from_chars(text, end, port);
  if (error == std::errc() && read == end) return port;
  throw std::invalid_argument("'" + std::string(text) + "' is no port: give a number from 0 to 65535");
}
