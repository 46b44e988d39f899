#pragma once
// A clock that a test moves by hand, as Twisted's: `advance` moves the time first and then makes
// the calls that are due, in order, those added meanwhile included.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

class fake_clock {
  using function = std::function<void()>;

 public:
  /// A call; its function is empty once it was made or taken back.
  class call {
   public:
    call() = default;
    bool cancel() {
      if (!function_ || !*function_) return false;
      const function dropped = std::exchange(*function_, nullptr);
      return true;
    }

   private:
    friend class fake_clock;
    std::shared_ptr<function> function_;
  };

  fake_clock() = default;
  fake_clock(const fake_clock&) = delete;
  fake_clock& operator=(const fake_clock&) = delete;
  ~fake_clock() { clear(); }

  template <class F>
  call call_later(std::chrono::nanoseconds delay, F f) {
    call made;
    made.function_ = std::make_shared<function>(std::move(f));
    calls_.emplace(now_ + delay.count(), made);
    return made;
  }

  void advance(std::chrono::nanoseconds by) {
    now_ += by.count();
    while (!calls_.empty() && calls_.begin()->first <= now_) {
      const call due = calls_.extract(calls_.begin()).mapped();
      if (const function f = std::exchange(*due.function_, nullptr)) f();
    }
  }

  /// How many calls are due later.
  std::size_t pending() const {
    return static_cast<std::size_t>(
        std::count_if(calls_.begin(), calls_.end(), [](const auto& c) { return bool(*c.second.function_); }));
  }

  /// Takes back what is due later.
  void clear() {
    while (!calls_.empty()) calls_.extract(calls_.begin()).mapped().cancel();
  }

 private:
  std::int64_t now_ = 0;
  std::multimap<std::int64_t, call> calls_;
};
