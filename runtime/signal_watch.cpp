#include "signal_watch.hpp"

#include <atomic>
#include <utility>

namespace mobius::detail {

namespace {

// What a handler may touch: lock-free atomics of the process.
std::atomic<inbox*> woken_inbox{nullptr};
std::atomic<int> pending_signal{0};

extern "C" void note_signal(int number) {
  pending_signal.store(number, std::memory_order_relaxed);
  if (inbox* target = woken_inbox.load(std::memory_order_acquire)) target->wake();
}

}  // namespace

signal_watch::signal_watch(std::shared_ptr<inbox> wakes) : wakes_(std::move(wakes)) {
  inbox* none = nullptr;
  owner_ = woken_inbox.compare_exchange_strong(none, wakes_.get());
  if (!owner_) return;
  pending_signal.store(0, std::memory_order_relaxed);
  for (std::size_t i = 0; i < watched.size(); ++i) {
    struct sigaction now {};
    sigaction(watched[i], nullptr, &now);
    if (now.sa_handler != SIG_DFL) continue;
    struct sigaction ours {};
    ours.sa_handler = note_signal;
    sigemptyset(&ours.sa_mask);
    installed_[i] = sigaction(watched[i], &ours, nullptr) == 0;
  }
}

signal_watch::~signal_watch() {
  restore();
  if (owner_) woken_inbox.store(nullptr, std::memory_order_release);
}

int signal_watch::take() noexcept {
  if (!owner_) return 0;
  const int number = pending_signal.exchange(0, std::memory_order_relaxed);
  if (number != 0) restore();
  return number;
}

void signal_watch::restore() noexcept {
  for (std::size_t i = 0; i < watched.size(); ++i) {
    if (std::exchange(installed_[i], false)) std::signal(watched[i], SIG_DFL);
  }
}

}  // namespace mobius::detail
