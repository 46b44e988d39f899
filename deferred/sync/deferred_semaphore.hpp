#pragma once
// `deferred_semaphore`: a number of holders at a time, by deferreds (Twisted's DeferredSemaphore).

#include <cstddef>
#include <stdexcept>

#include "deferred_lock.hpp"

namespace mobius {

/// `limit` tokens, handed out first in, first out, in the way of a `deferred_lock`.
///
///     mobius::deferred_semaphore downloads(10);
///     for (const auto& url : urls) downloads.run(http::get_page, url);
class deferred_semaphore {
 public:
  /// A semaphore with `limit` free tokens; throws std::invalid_argument for 0 (R144).
  explicit deferred_semaphore(std::size_t limit) : limit_(limit), tokens_(limit) {
    if (limit == 0) {
      throw std::invalid_argument("deferred_semaphore: a limit of 0 lets nobody in; give at least 1");
    }
  }
  deferred_semaphore(const deferred_semaphore&) = delete;
  deferred_semaphore& operator=(const deferred_semaphore&) = delete;

  /// Fires with the semaphore when a token is held: at once if one is free. A cancel leaves the
  /// line; once acquired, it does nothing.
  deferred<deferred_semaphore&> acquire(std::source_location where = std::source_location::current()) {
    if (tokens_ != 0) {
      --tokens_;
      return detail::succeed_with(*this);
    }
    auto [d, entry] = detail::stand_in_line<deferred_semaphore&>(line_, where);
    entry->give(this);
    return std::move(d);
  }
  /// The same with a guard, which gives the token back at its end.
  deferred<deferred_guard<deferred_semaphore>> scoped(
      std::source_location where = std::source_location::current()) {
    return acquire(where).add_callback(
        [](deferred_semaphore& held) { return deferred_guard<deferred_semaphore>(held); });
  }
  /// Hands a token to the next in line, whose callbacks run inside this call, or takes it back.
  /// Throws `deferred_misuse` if no token is out.
  void release() {
    if (tokens_ == limit_) {
      throw deferred_misuse("deferred_semaphore::release: no token is held; release once for each acquire");
    }
    if (line_.empty()) {
      ++tokens_;
    } else {
      line_.hand_over();
    }
  }
  /// As `deferred_lock::run`.
  template <class F, class... Args>
  auto run(F f, Args... args) {
    return detail::run_holding(acquire(), std::move(f), std::move(args)...);
  }
  /// How many tokens there are.
  std::size_t limit() const noexcept { return limit_; }
  /// How many are free.
  std::size_t tokens() const noexcept { return tokens_; }
  /// How many wait for one.
  std::size_t waiting() const noexcept { return line_.size(); }

 private:
  detail::deferred_line line_;
  std::size_t limit_;
  std::size_t tokens_;
};

}  // namespace mobius
