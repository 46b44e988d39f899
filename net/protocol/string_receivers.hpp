#pragma once
// `int8_string_receiver`, `int16_string_receiver`, `int32_string_receiver`: strings behind their
// length, a big-endian number of 1, 2 or 4 bytes.

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "framed_receiver.hpp"

namespace mobius::net {

/// Thrown for a string whose length its prefix cannot hold.
class string_too_long : public std::length_error {
 public:
  using std::length_error::length_error;
};

/// What the three have in common (Twisted's IntNStringReceiver). An unfinished string is kept, up to
/// `max_length` bytes, in time linear in its size however it is cut.
///
///     struct repeater : mobius::net::int32_string_receiver {
///       void string_received(std::string_view text) override { send_string(text); }
///     };
class int_string_receiver : public framed_receiver {
 public:
  /// A string; the view is valid during the call.
  virtual void string_received(std::string_view text) = 0;
  /// The peer has announced a string of `length` bytes, more than `max_length`. By default the connection
  /// is closed; otherwise what has come of it, and all behind that, is dropped.
  virtual void length_limit_exceeded(std::size_t length);

  /// Sends a string behind its length; its bytes are copied, else as `transport::write`. Throws
  /// `string_too_long` if the prefix cannot hold the length; then nothing is sent.
  void send_string(std::string_view text);
  /// The longest string that is taken; 99999 bytes, as in Twisted.
  std::size_t max_length() const noexcept { return max_length_; }
  /// Changes it.
  void set_max_length(std::size_t bytes) noexcept { max_length_ = bytes; }

 protected:
  explicit int_string_receiver(std::uint8_t prefix_size) noexcept : prefix_size_(prefix_size) {}
  bool take_message(std::string_view& rest, std::size_t seen) override;

 private:
  std::size_t max_length_ = 99999;
  std::uint8_t prefix_size_;
};

/// Strings of up to 255 bytes.
class int8_string_receiver : public int_string_receiver {
 public:
  int8_string_receiver() noexcept : int_string_receiver(1) {}
};

/// Strings of up to 65535 bytes.
class int16_string_receiver : public int_string_receiver {
 public:
  int16_string_receiver() noexcept : int_string_receiver(2) {}
};

/// Strings of up to 4 GiB.
class int32_string_receiver : public int_string_receiver {
 public:
  int32_string_receiver() noexcept : int_string_receiver(4) {}
};

}  // namespace mobius::net
