#pragma once
// Who makes bytes and can be asked to wait: Twisted's producers.

namespace mobius::net {

/// Something that writes to a transport and obeys it. A *push* producer writes of its own accord and
/// stops between `pause_producing` and `resume_producing`; a *pull* producer writes once at each
/// `resume_producing`. Register it with `transport::register_producer`.
class producer {
 public:
  /// Write no more until `resume_producing`: the consumer has enough.
  virtual void pause_producing() = 0;
  /// Go on writing (push), or write one piece (pull).
  virtual void resume_producing() = 0;
  /// Stop for good: the consumer is gone.
  virtual void stop_producing() = 0;

 protected:
  ~producer() = default;
};

/// How a producer works; see `producer`.
enum class producer_kind : bool { pull, push };

}  // namespace mobius::net
