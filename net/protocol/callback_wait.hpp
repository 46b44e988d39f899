#pragma once
// `callback_wait`: waits for any awaitable without a coroutine, and calls a member function at its
// end. It is how callbacks run on the same operations as coroutines do.

#include <concepts>
#include <coroutine>
#include <cstdint>
#include <new>
#include <source_location>
#include <type_traits>
#include <utility>

#include "../../runtime/awaitable.hpp"
#include "../../runtime/context.hpp"

namespace mobius::net::detail {

namespace core = mobius::detail;

/// What a coroutine handle points to, without a coroutine: both compilers begin a frame with these two
/// (LLVM's "switched-resume lowering"; libstdc++'s noop_coroutine is made the same way), and handles
/// know no more of it.
struct callback_frame {
  using function = void (*)(callback_frame* self) noexcept;

  explicit callback_frame(function f) noexcept : resume(f), destroy(&callback_frame::ignore) {}
  callback_frame(const callback_frame&) = delete;
  callback_frame& operator=(const callback_frame&) = delete;

  function resume;
  function destroy;

 private:
  static void ignore(callback_frame*) noexcept {}
};

/// Stands for a context where none is needed.
struct no_context {
  core::context* get() noexcept { return nullptr; }
};
struct own_context {
  core::context* get() noexcept { return &context; }
  core::context context;
};

/// One wait for an `A` at a time. `Owner::*Ended` is called at its end, from the reactor's loop; the
/// owner and this must live until then.
template <class A, class Owner, void (Owner::*Ended)() noexcept>
class callback_wait : private callback_frame {
 public:
  using awaiter = core::awaiter_t<A>;

  explicit callback_wait(Owner& owner) noexcept : callback_frame(&callback_wait::on_resume), owner_(owner) {}
  ~callback_wait() { clear(); }

  /// Awaits what `make` returns. True if that ended at once, and then nothing is called. Throws what
  /// starting it throws.
  template <class F>
  bool start(F make, std::source_location where = std::source_location::current()) {
    clear();
    new (static_cast<void*>(&awaitable_)) A(make());
    try {
      new (static_cast<void*>(&awaiter_)) awaiter(core::get_awaiter(static_cast<A&&>(awaitable_)));
    } catch (...) {
      awaitable_.~A();
      throw;
    }
    state_ = state::starting;
    try {
      go(core::start_awaiter(awaiter_, self(), context_.get(), where));
    } catch (...) {
      clear();
      throw;
    }
    if (state_ == state::ended) return true;
    state_ = state::waiting;
    return false;
  }
  /// True from a start to its end.
  bool waits() const noexcept { return state_ == state::waiting; }
  /// True if it has ended and its outcome was not taken.
  bool ended() const noexcept { return state_ == state::ended; }
  /// Asks the wait to end early; its end comes as always.
  void cancel() noexcept {
    if (!waits()) return;
    if constexpr (is_leaf) {
      awaiter_.type->cancel(&awaiter_);
    } else {
      context_.context.cancel_once();
    }
  }
  /// What came out. After its end, once.
  auto outcome() {
    state_ = state::taken;
    return core::outcome_of(awaiter_);
  }
  /// Lets go of an outcome that nobody takes.
  void clear() noexcept {
    if (std::exchange(state_, state::idle) == state::idle) return;
    awaiter_.~awaiter();
    awaitable_.~A();
  }

 private:
  enum class state : std::uint8_t { idle, starting, waiting, ended, taken };

  // A leaf can be asked to end by itself; what is made of several waits needs a context for that.
  static constexpr bool is_leaf = std::derived_from<awaiter, core::waiter>;

  std::coroutine_handle<> self() noexcept {
    return std::coroutine_handle<>::from_address(static_cast<callback_frame*>(this));
  }
  void go(std::coroutine_handle<> next) noexcept {
    if (next == self()) {
      state_ = state::ended;
    } else if (next != std::noop_coroutine()) {
      core::resume(next);
    }
  }
  void go(bool suspended) noexcept {
    if (!suspended) state_ = state::ended;
  }
  static void on_resume(callback_frame* frame) noexcept {
    auto& self = *static_cast<callback_wait*>(frame);
    const bool starting = self.state_ == state::starting;
    self.state_ = state::ended;
    if (!starting) (self.owner_.*Ended)();
  }

  Owner& owner_;
  union {
    A awaitable_;
  };
  union {
    awaiter awaiter_;
  };
  [[no_unique_address]] std::conditional_t<is_leaf, no_context, own_context> context_;
  state state_ = state::idle;
};

}  // namespace mobius::net::detail
