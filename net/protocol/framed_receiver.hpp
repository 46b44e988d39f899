#pragma once
// `framed_receiver`: what the protocols of lines and strings have in common: they take messages off
// the front of what has come, keep the unfinished rest, and can pause in the middle of a packet.

#include <cstddef>
#include <string>
#include <string_view>

#include "protocol.hpp"

namespace mobius::net {

/// Base of the receivers. What comes is looked at where it lies; only an unfinished rest is copied,
/// once, so that a message costs time linear in its size however it is cut.
///
/// It is a push producer, so that one that writes to another connection what it receives can be held back
/// by that: `other.register_producer(*this, producer_kind::push)`.
class framed_receiver : public protocol, public producer {
 public:
  /// Delivers nothing more, also not from the packet at hand, until `resume_producing`. To be called
  /// here, not at the transport, which knows nothing of what is half delivered.
  void pause_producing() override;
  /// Delivers what is there already, then goes on reading.
  void resume_producing() override;
  /// As a producer: closes its own connection.
  void stop_producing() override { transport().lose_connection(); }
  /// True between the two.
  bool paused() const noexcept { return paused_; }

  /// See the base class.
  void data_received(std::string_view data) override;

 protected:
  /// Takes one message off the front of `rest` and delivers it; false if it is not complete. `seen`
  /// bytes at the front were there the last time, when it was not.
  virtual bool take_message(std::string_view& rest, std::size_t seen) = 0;
  /// Takes out everything that has come and not been delivered.
  std::string take_rest();
  /// Puts bytes in front of what comes next, and delivers them unless somebody does already.
  void put_back(std::string_view data);
  /// Has what is there looked at from its beginning, as the rules for it have changed.
  void look_again() noexcept { seen_ = 0; }

 private:
  bool delivers() const noexcept { return !paused_ && !transport().disconnecting(); }
  void parse(std::string_view& rest);
  void parse_kept();

  std::string kept_;                 // comes behind what is being parsed: a rest, or what came while paused
  std::string_view* now_ = nullptr;  // what is being parsed
  std::size_t seen_ = 0;             // bytes at the front that are no whole message
  bool paused_ = false;
};

}  // namespace mobius::net
