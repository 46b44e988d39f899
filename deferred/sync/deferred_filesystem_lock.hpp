#pragma once
// `deferred_filesystem_lock`: one holder at a time among processes (Twisted's
// DeferredFilesystemLock).

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "../../runtime/reactor.hpp"
#include "../helpers.hpp"
#include "../timing/time_source.hpp"

namespace mobius {

/// What a second `defer_until_locked` fails with while the first one waits.
class already_trying_to_lock final : public std::logic_error {
 public:
  explicit already_trying_to_lock(const std::string& path)
      : std::logic_error("deferred_filesystem_lock " + path +
                         ": an earlier defer_until_locked still waits; wait for that one") {}
};

/// A lock in the file system: a symbolic link at `path` to the number of the process that holds it.
/// A link left behind by a process that has died is taken over. The calls block for as long as the
/// file system takes.
class filesystem_lock {
 public:
  explicit filesystem_lock(std::string path) : path_(std::move(path)) {}
  filesystem_lock(const filesystem_lock&) = delete;
  filesystem_lock& operator=(const filesystem_lock&) = delete;
  /// Gives it up if it is held.
  ~filesystem_lock();

  /// Takes it; false if another process, or another object of this one, holds it. Throws
  /// std::system_error where the path cannot be written.
  bool lock();
  /// Gives it up. Throws std::logic_error if this object does not hold it, std::system_error where
  /// the link cannot be removed.
  void unlock();
  /// True while this object holds it.
  bool locked() const noexcept { return locked_; }
  /// False if the last `lock` took it over from a process that had died.
  bool clean() const noexcept { return clean_; }
  /// Where the link is.
  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
  bool locked_ = false;
  bool clean_ = true;
};

/// A `filesystem_lock` that can be waited for, by trying each second. Belongs to one thread.
///
///     mobius::deferred_filesystem_lock lock("/run/lock/indexer");
///     co_await lock.defer_until_locked(1min);
class deferred_filesystem_lock : public filesystem_lock {
 public:
  /// One that waits by this thread's reactor.
  explicit deferred_filesystem_lock(std::string path)
      : deferred_filesystem_lock(reactor::current(), std::move(path)) {}
  /// One that waits by a time source, which must outlive it.
  template <time_source Source>
  deferred_filesystem_lock(Source& source, std::string path)
      : filesystem_lock(std::move(path)),
        later_([&source](std::chrono::nanoseconds delay, std::function<void()> f) {
          auto call = source.call_later(delay, std::move(f));
          return std::function<void()>([call]() mutable { call.cancel(); });
        }) {}
  /// Who waits gets `broken_deferred`.
  ~deferred_filesystem_lock();

  /// Fires when the lock is held: tried at once and then each second. After `timeout`, and on a
  /// cancel, it is tried one last time; if that fails, so does the deferred, with `timed_out` or
  /// `cancelled` (R151). Fails with `already_trying_to_lock` while an earlier one waits (R150), and
  /// with what `lock` throws.
  deferred<void> defer_until_locked(std::optional<std::chrono::nanoseconds> timeout = std::nullopt,
                                    std::source_location where = std::source_location::current());

 private:
  void attempt();
  void end_waiting(const std::function<failure()>& reason) noexcept;
  void forget_calls() noexcept;

  std::function<std::function<void()>(std::chrono::nanoseconds, std::function<void()>)> later_;
  std::function<void()> stop_trying_;
  std::function<void()> stop_timeout_;
  std::optional<resolver<void>> waiting_;
  std::shared_ptr<deferred_filesystem_lock*> self_ = std::make_shared<deferred_filesystem_lock*>(this);
};

}  // namespace mobius
