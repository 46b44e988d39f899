#pragma once
// `wait_limit`: the time limit of a chain that waits again and again. Private to the library.

#include <chrono>
#include <cstdint>

#include "../../runtime/context.hpp"
#include "../../runtime/reactor.hpp"
#include "../../runtime/timer_wheel.hpp"

namespace mobius::http::detail {

namespace core = mobius::detail;

/// Ends a wait that takes too long, one wait at a time. Where `timeout` arms a timer for each wait,
/// the timer here stays where it is if the next limit lies behind it, and moves on when it fires too
/// early: a connection that is busy all the time touches it once in a minute.
class wait_limit : private core::timer {
 public:
  explicit wait_limit(reactor& r) noexcept : timer(&wait_limit::expire), reactor_(r) {}
  ~wait_limit() { reactor_.timers().cancel(*this); }

  /// A wait of `chain` begins; past the limit what it waits for then is asked to end.
  void begin(core::context& chain, std::chrono::nanoseconds limit) noexcept {
    chain_ = &chain;
    expired_ = false;
    until_ = reactor_.deadline_after(limit);
    if (!armed() || deadline > until_) arm();
  }
  /// The wait has ended; true if the limit had passed, though what came just then may have won.
  bool end() noexcept {
    chain_ = nullptr;
    return expired_;
  }

 private:
  void arm() noexcept {
    reactor_.timers().cancel(*this);
    reactor_.timers().add(*this, until_);
  }
  static void expire(core::timer* t) noexcept {
    auto& self = *static_cast<wait_limit*>(t);
    if (!self.chain_) return;
    if (self.until_ > self.reactor_.now_ns()) return self.arm();
    self.expired_ = true;
    self.chain_->cancel_waiting();
  }

  reactor& reactor_;
  core::context* chain_ = nullptr;  // that waits
  std::int64_t until_ = 0;
  bool expired_ = false;
};

}  // namespace mobius::http::detail
