#pragma once
// `netstring_receiver`: strings as `5:hello,` (D. J. Bernstein's netstrings).

#include <cstddef>
#include <string_view>

#include "framed_receiver.hpp"

namespace mobius::net {

/// Receives netstrings (Twisted's NetstringReceiver). It is strict: a length is digits without leading
/// zeros, a colon follows it and a comma the string. A peer that breaks that, or announces more than
/// `max_length` bytes, is disconnected, and `broken_peer` is true from then on.
///
///     struct repeater : mobius::net::netstring_receiver {
///       void string_received(std::string_view text) override { send_string(text); }
///     };
class netstring_receiver : public framed_receiver {
 public:
  /// A string; the view is valid during the call.
  virtual void string_received(std::string_view text) = 0;

  /// Sends a string; its bytes are copied, else as `transport::write`.
  void send_string(std::string_view text);
  /// True once the peer has sent what is no netstring.
  bool broken_peer() const noexcept { return broken_; }
  /// The longest string that is taken; 99999 bytes, as in Twisted.
  std::size_t max_length() const noexcept { return max_length_; }
  /// Changes it.
  void set_max_length(std::size_t bytes) noexcept { max_length_ = bytes; }

 protected:
  bool take_message(std::string_view& rest, std::size_t seen) override;

 private:
  bool refuse(std::string_view& rest);

  std::size_t max_length_ = 99999;
  bool broken_ = false;
};

}  // namespace mobius::net
