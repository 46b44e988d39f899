#pragma once
// Why a connection ended, as `protocol::connection_lost` is told.

#include <exception>

namespace mobius::net {

/// The connection ended in order: the peer closed it, or `lose_connection` has sent everything.
class connection_done final : public std::exception {
 public:
  const char* what() const noexcept override { return "the connection was closed in order"; }
};

/// `abort_connection` was called, or the deadline of a `lose_connection` has passed.
class connection_aborted final : public std::exception {
 public:
  const char* what() const noexcept override { return "the connection was aborted here"; }
};

/// The stream was taken out of its protocol by `take_stream`; the connection lives on.
class connection_taken final : public std::exception {
 public:
  const char* what() const noexcept override { return "the stream was taken out of its protocol"; }
};

/// The factory had no protocol for a connection that a client had made.
class no_protocol final : public std::exception {
 public:
  const char* what() const noexcept override { return "the factory built no protocol for the connection"; }
};

}  // namespace mobius::net
