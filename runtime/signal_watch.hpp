#pragma once
// SIGINT and SIGTERM end a run. The handler only notes the signal and wakes the loop.

#include <array>
#include <csignal>
#include <memory>

#include "inbox.hpp"

namespace mobius::detail {

/// Handles SIGINT and SIGTERM, each where its disposition was the default one, while it exists.
/// Signals belong to the process: the first reactor to run takes them, others do not.
class signal_watch {
 public:
  explicit signal_watch(std::shared_ptr<inbox> wakes);
  signal_watch(const signal_watch&) = delete;
  signal_watch& operator=(const signal_watch&) = delete;
  ~signal_watch();

  /// The signal that has arrived, once; 0 if none has. After it the default dispositions are back,
  /// so that a second one ends the process.
  int take() noexcept;
  /// Gives the dispositions back.
  void restore() noexcept;

 private:
  static constexpr std::array watched{SIGINT, SIGTERM};

  std::shared_ptr<inbox> wakes_;
  bool owner_ = false;
  std::array<bool, watched.size()> installed_{};
};

}  // namespace mobius::detail
