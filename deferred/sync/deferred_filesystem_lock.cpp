#include "deferred_filesystem_lock.hpp"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <system_error>

#include "../../runtime/timeout.hpp"

namespace mobius {

namespace {

constexpr std::chrono::seconds between_tries{1};

[[noreturn]] void throw_errno(const char* call, const std::string& path, const char* remedy) {
  throw std::system_error(errno, std::generic_category(),
                          std::string(call) + " " + path + " (" + remedy + ")");
}

// The process that the link names, or 0 if it does not name one; nothing if there is no link.
std::optional<pid_t> holder(const std::string& path) {
  std::array<char, 32> text{};
  const ssize_t length = ::readlink(path.c_str(), text.data(), text.size());
  if (length < 0) {
    if (errno == ENOENT) return std::nullopt;
    throw_errno("readlink", path, "the lock must be a symbolic link that nothing else makes");
  }
  pid_t pid = 0;
  std::from_chars(text.data(), text.data() + length, pid);
  return pid;
}

bool is_alive(pid_t pid) { return pid > 0 && (::kill(pid, 0) == 0 || errno != ESRCH); }

}  // namespace

filesystem_lock::~filesystem_lock() {
  if (locked_) ::unlink(path_.c_str());
}

bool filesystem_lock::lock() {
  if (locked_) return false;
  bool clean = true;
  const std::string self = std::to_string(::getpid());
  for (;;) {
    if (::symlink(self.c_str(), path_.c_str()) == 0) break;
    if (errno != EEXIST) throw_errno("symlink", path_, "its directory must exist and be writable");
    const auto pid = holder(path_);
    if (!pid) continue;  // it was given up meanwhile
    if (is_alive(*pid)) return false;
    if (::unlink(path_.c_str()) != 0 && errno != ENOENT) {
      throw_errno("unlink", path_, "its holder has died; its directory must be writable to take it over");
    }
    clean = false;
  }
  locked_ = true;
  clean_ = clean;
  return true;
}

void filesystem_lock::unlock() {
  if (!locked_) throw std::logic_error("filesystem_lock " + path_ + ": unlock without lock; lock it first");
  locked_ = false;
  if (::unlink(path_.c_str()) != 0) throw_errno("unlink", path_, "somebody else has removed the lock");
}

deferred_filesystem_lock::~deferred_filesystem_lock() { forget_calls(); }

deferred<void> deferred_filesystem_lock::defer_until_locked(std::optional<std::chrono::nanoseconds> timeout,
                                                            std::source_location where) {
  if (waiting_) return fail<void>(already_trying_to_lock(path()), where);
  auto [d, fire] = make_deferred<void>(where);
  detail::set_canceller(d, [self = std::weak_ptr(self_)] {
    if (const auto alive = self.lock()) (*alive)->end_waiting(&cancelled_failure);
  });
  waiting_ = std::move(fire);
  attempt();
  if (waiting_ && timeout) {
    stop_timeout_ = later_(*timeout, [this, limit = *timeout] {
      stop_timeout_ = {};
      end_waiting([limit] { return detail::timed_out_failure(limit); });
    });
  }
  return std::move(d);
}

void deferred_filesystem_lock::attempt() {
  stop_trying_ = {};
  try {
    if (!lock()) {
      stop_trying_ = later_(between_tries, [this] { attempt(); });
      return;
    }
  } catch (...) {
    const failure error;
    forget_calls();
    const auto fire = *std::exchange(waiting_, std::nullopt);
    return fire.errback(error);
  }
  forget_calls();
  const auto fire = *std::exchange(waiting_, std::nullopt);
  fire();
}

void deferred_filesystem_lock::end_waiting(const std::function<failure()>& reason) noexcept {
  forget_calls();
  const auto fire = *std::exchange(waiting_, std::nullopt);
  try {
    if (lock()) {
      fire();
    } else {
      fire.errback(reason());
    }
  } catch (...) {
    fire.errback(failure());
  }
}

void deferred_filesystem_lock::forget_calls() noexcept {
  if (stop_trying_) std::exchange(stop_trying_, {})();
  if (stop_timeout_) std::exchange(stop_timeout_, {})();
}

}  // namespace mobius
