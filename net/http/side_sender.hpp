#pragma once
// `side_sender`: sends the responses that are ready while a handler takes its time. Private to the
// library.

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>

#include "../../runtime/context.hpp"
#include "../../runtime/timeout.hpp"
#include "../protocol/callback_wait.hpp"
#include "../tcp.hpp"

namespace mobius::http::detail {

namespace core = mobius::detail;

/// A send makes progress if a piece of this size leaves within its limit.
inline constexpr std::size_t send_piece = 64 * 1024;

/// Forgets a text, and its memory too if that is much.
void reuse(std::string& text) noexcept;

/// Handlers that end at once cost nothing here but the look, once a turn, whether one of them still
/// runs; only then is what was ready before taken and sent.
class side_sender {
 public:
  /// Sends what stands in `output` when it comes to that, each piece within `limit`.
  side_sender(net::tcp_stream& stream, std::string& output, std::chrono::nanoseconds limit) noexcept
      : stream_(stream), output_(output), limit_(limit) {}
  side_sender(const side_sender&) = delete;
  side_sender& operator=(const side_sender&) = delete;

  /// A handler is called: unless `end` comes in this turn, the output goes out.
  void begin() noexcept;
  /// The handler has ended. What was taken is still on its way if `sending`.
  void end() noexcept { wanted_ = false; }
  /// Whether output that was taken is on its way.
  bool sending() const noexcept { return wait_.waits(); }
  /// Whether this must still live.
  bool busy() const noexcept { return look_.queued || sending(); }
  /// Whether a send has failed: the stream takes no more.
  bool failed() const noexcept { return failed_; }
  /// Gives up what is on its way; the end comes as always.
  void abandon() noexcept {
    end();
    wait_.cancel();
  }

  class settled_awaiter;
  /// Waits until it is not busy. A cancel of the chain abandons what is on its way, and shows at the
  /// chain's next wait.
  settled_awaiter settled() noexcept;

 private:
  struct look : core::node {
    explicit look(side_sender& s) noexcept : node(&side_sender::on_look), owner(s) {}
    side_sender& owner;
    bool queued = false;
  };

  static void on_look(core::node* n) noexcept;
  void send_next() noexcept;
  void sent() noexcept;
  bool take_outcome() noexcept;
  auto write(std::string_view piece) { return timeout(limit_, stream_.write_all(piece)); }
  void settle() noexcept;

  using operation = decltype(timeout(std::chrono::nanoseconds(),
                                     std::declval<net::tcp_stream&>().write_all(std::string_view())));

  net::tcp_stream& stream_;
  std::string& output_;
  std::chrono::nanoseconds limit_;
  std::string taken_;
  std::size_t begin_ = 0;  // of what is not yet sent
  std::size_t piece_ = 0;  // on its way
  look look_{*this};
  net::detail::callback_wait<operation, side_sender, &side_sender::sent> wait_{*this};
  settled_awaiter* waiting_ = nullptr;
  bool wanted_ = false;
  bool failed_ = false;
};

/// The awaiter of `settled`. No cancellation point: the memory being sent must outlive it.
class side_sender::settled_awaiter final : public core::waiter {
 public:
  explicit settled_awaiter(side_sender& s) noexcept : waiter(leaf_kind), sender_(s) {}

  bool await_ready() const noexcept { return !sender_.busy(); }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> h,
                     std::source_location where = std::source_location::current()) noexcept {
    wait(h, core::context_of(h), where);
  }
  void await_resume() noexcept { leave(); }

 private:
  static const core::leaf_type leaf_kind;
  static bool cancel(core::leaf* self) noexcept;
  void wait(std::coroutine_handle<> h, core::context* ctx, const std::source_location& where) noexcept;

  side_sender& sender_;
};

inline side_sender::settled_awaiter side_sender::settled() noexcept { return settled_awaiter(*this); }

}  // namespace mobius::http::detail
