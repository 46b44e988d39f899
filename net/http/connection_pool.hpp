#pragma once
// The connections of a client that wait for their next exchange. Private to the library.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "../../runtime/reactor.hpp"
#include "../../runtime/timer_wheel.hpp"
#include "../tcp.hpp"
#include "limits.hpp"

namespace mobius::http::detail {

/// Keeps connections by origin, not too many and not too long: a server closes what has been idle for
/// some time, and a request that is just on its way then is lost. `run` does not wait for its timer.
class connection_pool : private mobius::detail::timer {
 public:
  connection_pool(reactor& r, const client_limits& limits) noexcept;
  ~connection_pool();

  /// The connection that was used last, as the server has seen it alive last; empty if there is none.
  net::tcp_stream take(std::string_view origin);
  /// Keeps a connection on which nothing is under way. The oldest ones make room for it.
  void put(std::string origin, net::tcp_stream stream);
  /// Closes all.
  void clear() noexcept;
  /// How many there are.
  std::size_t size() const noexcept { return kept_.size(); }

 private:
  struct entry {
    std::string origin;
    net::tcp_stream stream;
    std::int64_t until;
  };

  static void expire(timer* t) noexcept;
  void arm() noexcept;
  void make_room(std::string_view origin);

  reactor& reactor_;
  std::size_t most_;
  std::size_t most_of_origin_;
  std::chrono::nanoseconds idle_;
  std::vector<entry> kept_;  // the oldest first
};

}  // namespace mobius::http::detail
