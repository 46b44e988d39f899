#pragma once
// Operations of the kernel: one-shot ops that a coroutine waits for, and the handlers of those
// that give many results. How a completion finds its owner: user_data is an address and a tag.

#include <cerrno>
#include <coroutine>
#include <cstdint>
#include <source_location>

#include "context.hpp"
#include "reactor.hpp"
#include "ring.hpp"

namespace mobius::detail {

/// The low bits of user_data.
enum class tag : std::uint64_t {
  op = 0,       // an `op`: store the result, mark it ready
  handler = 1,  // a `completion_handler`: call it
  ignore = 2,   // the answer to a cancel
};
inline constexpr std::uint64_t tag_mask = 7;

/// What receives the completions of an operation that is not awaited directly (multishot
/// receives and accepts, queued sends, the reactor's own). `on` runs in the walk over the
/// completions: it must not run user code.
struct completion_handler {
  using function = void (*)(completion_handler* self, std::int32_t result, std::uint32_t flags) noexcept;

  explicit completion_handler(function f) noexcept : on(f) {}
  completion_handler(const completion_handler&) = delete;
  completion_handler& operator=(const completion_handler&) = delete;

  function on;
  bool idle = false;  // a virtual clock does not wait for it
};

inline std::uint64_t user_data_of(const completion_handler& h) noexcept {
  return reinterpret_cast<std::uint64_t>(&h) | static_cast<std::uint64_t>(tag::handler);
}

/// Base of the awaiter of a one-shot operation. It lives in the frame of the waiting coroutine
/// until the operation's own completion, whatever is asked meanwhile: a cancel only requests.
class op : public waiter {
 public:
  op(const op&) = delete;
  op& operator=(const op&) = delete;

  /// Called by the reactor with the operation's completion.
  void complete(std::int32_t result) noexcept {
    result_ = result;
    const bool cancel_won = cancel_asked_ && (result == -ECANCELED || result == -EINTR);
    if (cancel_won) {
      stop();
    } else {
      state_ = state::done;
    }
    wake();
  }

 protected:
  explicit op(const leaf_type& t) noexcept : waiter(t) {}
  ~op() {
    if (state_ == state::waiting) [[unlikely]]
      destroyed_in_flight(type->name);
  }

  /// Hands the request to the reactor, unless the chain has been cancelled.
  bool submit(std::coroutine_handle<> h, context* ctx, const std::source_location& where, const request& r) {
    if (const gate g = arrive(h, ctx, where); g != gate::open) return g == gate::queued;
    reactor::current().start(*this, r);
    return true;
  }

  std::int32_t result_ = 0;

  static bool cancel(leaf* self) noexcept;
  [[noreturn]] static void destroyed_in_flight(const char* name) noexcept;
};

}  // namespace mobius::detail
