#pragma once
// Where the outcome of a piece of work lies until somebody takes it: a value, an error, or that
// it was cancelled.

#include <cxxabi.h>

#include <exception>
#include <new>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "failure.hpp"
#include "result.hpp"

namespace mobius::detail {

/// Throws an error that it moves out, or `cancelled` for null. Apart, so that who takes a value has
/// nothing of it in his code.
[[noreturn]] void throw_outcome(std::exception_ptr* error);

/// Where a coroutine leaves its outcome. `cancelled` is kept as a state, so that it passes
/// through frames without an exception object being shared between them. One that does not own its
/// error leaves it to `drop_error`: the call that frees an error, even if never made, would have
/// each resumption of the coroutine save registers.
template <class T, bool OwnsError = true>
class outcome_slot {
  using stored = stored_t<T>;
  enum class state : std::uint8_t { empty, value, error, stopped };

 public:
  outcome_slot() noexcept {}
  ~outcome_slot() { clear(); }
  outcome_slot(const outcome_slot&) = delete;
  outcome_slot& operator=(const outcome_slot&) = delete;

  template <class... Args>
  void set_value(Args&&... args) {
    if constexpr (std::is_reference_v<T>) {
      static_assert(sizeof...(Args) == 1);
      new (&value_) stored(&(args, ...));
    } else {
      new (&value_) stored(std::forward<Args>(args)...);
    }
    state_ = state::value;
  }

  /// Takes the exception that is being handled.
  void set_exception() noexcept {
    const std::type_info* thrown = abi::__cxa_current_exception_type();
    if (thrown && *thrown == typeid(cancelled)) {
      state_ = state::stopped;
      return;
    }
    new (&error_) std::exception_ptr(std::current_exception());
    state_ = state::error;
  }

  bool stopped() const noexcept { return state_ == state::stopped; }
  /// Frees an error that nobody took.
  void drop_error() noexcept {
    if (state_ != state::error) return;
    error_.~exception_ptr();
    state_ = state::empty;
  }

  /// The value, moved out, or the error, thrown.
  T take() {
    if (state_ != state::value) [[unlikely]]
      throw_outcome(state_ == state::stopped ? nullptr : &error_);
    if constexpr (std::is_reference_v<T>) {
      return static_cast<T>(*value_);
    } else if constexpr (!std::is_void_v<T>) {
      return std::move(value_);
    }
  }

  /// The same as a result; nothing is thrown.
  result<T> take_result() {
    if (state_ == state::stopped) return cancelled_failure();
    if (state_ != state::value) return failure(std::move(error_));
    if constexpr (std::is_reference_v<T>) {
      return result<T>(static_cast<T>(*value_));
    } else if constexpr (std::is_void_v<T>) {
      return {};
    } else {
      return result<T>(std::move(value_));
    }
  }

 private:
  void clear() noexcept {
    if (state_ == state::value) value_.~stored();
    if constexpr (OwnsError) {
      if (state_ == state::error) error_.~exception_ptr();
    }
  }

  union {
    stored value_;
    std::exception_ptr error_;
  };
  state state_ = state::empty;
};

}  // namespace mobius::detail
