#pragma once
// `line_receiver` and `line_only_receiver`: text protocols.

#include <cstddef>
#include <string>
#include <string_view>

#include "framed_receiver.hpp"

namespace mobius::net {

/// Receives lines that end in a delimiter (Twisted's LineOnlyReceiver). An unfinished line is kept, up to
/// `max_length` bytes, in time linear in its length however it is cut. Once the connection is closing
/// no further line is delivered.
///
///     struct greeter : mobius::net::line_only_receiver {
///       void line_received(std::string_view name) override { send_line("hello, " + std::string(name)); }
///     };
class line_only_receiver : public framed_receiver {
 public:
  /// CRLF and 16384 bytes are Twisted's.
  explicit line_only_receiver(std::string delimiter = "\r\n", std::size_t max_length = 16384);

  /// A line, without its delimiter; the view is valid during the call.
  virtual void line_received(std::string_view line) = 0;
  /// A line is longer than `max_length`. `line` is what there is of it, and all that has come behind it.
  /// By default the connection is closed; otherwise the next line begins behind it.
  virtual void line_length_exceeded(std::string_view line);

  /// Sends a line and the delimiter; the bytes are copied, else as `transport::write`.
  void send_line(std::string_view line);
  /// What ends a line.
  const std::string& delimiter() const noexcept { return delimiter_; }
  /// Changes it, from the next line on. Throws std::invalid_argument if it is empty.
  void set_delimiter(std::string d);
  /// The longest line that is taken, without the delimiter.
  std::size_t max_length() const noexcept { return max_length_; }
  /// Changes it, from the next line on.
  void set_max_length(std::size_t bytes) noexcept { max_length_ = bytes; }

 protected:
  bool take_message(std::string_view& rest, std::size_t seen) override;

 private:
  std::string delimiter_;
  std::size_t max_length_;
};

/// The same, and at any time raw bytes instead (Twisted's LineReceiver).
///
///     void line_received(std::string_view line) override {
///       if (line.empty()) set_raw_mode();  // the body follows the head
///     }
///     void raw_data_received(std::string_view data) override { body += data; }
class line_receiver : public line_only_receiver {
 public:
  using line_only_receiver::line_only_receiver;

  /// Bytes in raw mode, cut anyhow.
  virtual void raw_data_received(std::string_view) {}
  /// From here on bytes are given to `raw_data_received`, what has come already included.
  void set_raw_mode() noexcept { raw_ = true; }
  /// From here on there are lines again. `extra`, which `raw_data_received` was given and does not want,
  /// comes first; without a copy if it is the end of what it was given.
  void set_line_mode(std::string_view extra = {});
  /// Takes out what has come and was not delivered.
  std::string clear_line_buffer() { return take_rest(); }
  /// True in raw mode.
  bool raw_mode() const noexcept { return raw_; }

 protected:
  bool take_message(std::string_view& rest, std::size_t seen) override;

 private:
  bool raw_ = false;
};

}  // namespace mobius::net
