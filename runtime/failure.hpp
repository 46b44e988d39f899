#pragma once
// Errors as values: `failure`, the outcome `cancelled`, and the hook for what nobody caught.

#include <atomic>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <source_location>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <typeinfo>
#include <utility>

namespace mobius {

/// Thrown at an await whose operation was stopped by a cancel that won. It derives from
/// std::exception directly, so that `catch (const std::runtime_error&)` does not mistake it
/// for an error.
class cancelled final : public std::exception {
 public:
  const char* what() const noexcept override { return "cancelled"; }
};

/// Thrown by `timeout` when the time was up before there was a result.
class timed_out : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Thrown by `failure()` when no exception is being handled (Twisted's NoCurrentExceptionError).
class no_current_exception final : public std::logic_error {
 public:
  no_current_exception() : std::logic_error("failure(): no exception is being handled here") {}
};

namespace detail {
struct failure_trail;
void retain(failure_trail* trail) noexcept;
void release(failure_trail* trail) noexcept;
/// The address of the exception as a `wanted` if its dynamic type is one, else null; nothing is thrown.
void* exception_as(const std::exception_ptr& exception, const std::type_info& wanted) noexcept;
}  // namespace detail

/// An error as a value: an exception, and the places it passed on its way (Twisted's Failure).
///
/// It is inspected without throwing:
///
///     d.add_errback([](mobius::failure f) {
///       if (f.check<http::status_error>()) return fallback();
///       f.rethrow();
///     });
class failure {
 public:
  /// Takes the exception that is being handled; throws `no_current_exception` if there is none.
  failure();
  /// Wraps an exception; a null pointer becomes a std::logic_error that says so.
  explicit failure(std::exception_ptr exception) noexcept;

  failure(const failure& other) noexcept : exception_(other.exception_), trail_(other.trail_) {
    if (trail_) detail::retain(trail_);
  }
  failure(failure&& other) noexcept
      : exception_(std::move(other.exception_)), trail_(std::exchange(other.trail_, nullptr)) {}
  failure& operator=(failure other) noexcept {
    exception_.swap(other.exception_);
    std::swap(trail_, other.trail_);
    return *this;
  }
  ~failure() {
    if (trail_) detail::release(trail_);
  }

  /// True if the exception is one of `E...` or derived from one; nothing is thrown (R40).
  template <class... E>
  bool check() const noexcept {
    return (... || (get_if<E>() != nullptr));
  }

  /// The exception as an `E`, or null if it is not one.
  template <class E>
  E* get_if() const noexcept {
    return static_cast<E*>(detail::exception_as(exception_, typeid(E)));
  }

  /// Returns if the exception is one of `E...`, else throws it on (R41).
  template <class... E>
  void trap() const {
    if (!check<E...>()) rethrow();
  }

  /// Throws the exception.
  [[noreturn]] void rethrow() const;

  /// Its text: `what()` for a std::exception, else the name of its type.
  std::string what() const;
  /// The demangled name of its type.
  std::string type_name() const;
  /// The exception itself.
  const std::exception_ptr& exception() const noexcept { return exception_; }

  /// Notes a place that this failure passed; the last 16 are kept.
  void passed(std::source_location where) noexcept;
  /// True if it has noted any.
  bool has_trail() const noexcept { return trail_ != nullptr; }
  /// The places it passed, oldest first.
  std::span<const std::source_location> trail() const noexcept;

 private:
  std::exception_ptr exception_;
  detail::failure_trail* trail_ = nullptr;
};

/// A failure holding an `E` made from `args`; nothing is thrown.
template <class E, class... Args>
failure make_failure(Args&&... args) {
  return failure(std::make_exception_ptr(E(std::forward<Args>(args)...)));
}

/// A failure holding `cancelled`; allocates nothing.
failure cancelled_failure() noexcept;

/// A failure holding std::system_error: `call` names the call and the peer or path, `error` is
/// an errno value. Its text reads "connect 10.0.0.1:80: Connection refused".
failure system_failure(int error, const std::string& call);

/// What is told of an error that nobody caught, and where it came from.
using unhandled_hook = std::function<void(const failure& what, std::string_view where)>;

/// Installs this thread's hook for errors that nobody caught: dropped failed deferreds,
/// background tasks, posted calls, suppressed errors of a scope. Returns the one before. The
/// default (also restored by an empty function) prints one line on stderr. What a hook throws ends with
/// the call: it is printed there, with what the hook was told of.
unhandled_hook set_unhandled_hook(unhandled_hook hook);

/// Gives `what` to this thread's hook.
void report_unhandled(const failure& what, std::string_view where) noexcept;

/// "file:line (function)", for messages.
std::string to_string(const std::source_location& where);

}  // namespace mobius
