#pragma once
// `react`: the whole of a program's main (Twisted's task.react).

#include <exception>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../../runtime/reactor.hpp"
#include "../helpers.hpp"

namespace mobius {

/// Thrown by what `react` runs, it ends the program with that exit status, and nothing is reported
/// (Python's SystemExit).
class exit_request final : public std::exception {
 public:
  explicit exit_request(int status) noexcept : status_(status) {}
  /// The exit status.
  int status() const noexcept { return status_; }
  const char* what() const noexcept override { return "a request to end the program"; }

 private:
  int status_;
};

namespace detail {

/// What becomes of a program.
class program_end {
 public:
  int status() const noexcept { return status_; }
  bool ended() const noexcept { return ended_; }
  /// The reactor has stopped before: what comes now changes nothing.
  void stopped() noexcept { stopped_ = true; }

  template <class T>
  void end(const result<T>& r) {
    if (!std::exchange(ended_, true) && !stopped_) status_ = status_of(r);
    if (stopped_ && !r && !r.error().template check<cancelled, exit_request>()) {
      report_unhandled(r.error(), "the main function, after the reactor had stopped");
    }
  }

 private:
  template <class T>
  static int status_of(const result<T>& r) {
    if (r) {
      if constexpr (std::is_integral_v<T>) return static_cast<int>(*r);
      return 0;
    }
    if (const auto* request = r.error().template get_if<exit_request>()) return request->status();
    report_unhandled(r.error(), "the main function");
    return 1;
  }

  int status_ = 0;
  bool ended_ = false;
  bool stopped_ = false;
};

template <class F>
auto call_main(F& main, reactor& r, std::vector<std::string>&& arguments) {
  if constexpr (std::is_invocable_v<F&, reactor&, std::vector<std::string>>) {
    return maybe_deferred(std::ref(main), std::ref(r), std::move(arguments));
  } else if constexpr (std::is_invocable_v<F&, std::vector<std::string>>) {
    return maybe_deferred(std::ref(main), std::move(arguments));
  } else if constexpr (std::is_invocable_v<F&, reactor&>) {
    return maybe_deferred(std::ref(main), std::ref(r));
  } else {
    static_assert(
        std::is_invocable_v<F&>,
        "mobius: react calls main with a reactor& and a std::vector<std::string>, or with one of them, "
        "or with nothing");
    return maybe_deferred(std::ref(main));
  }
}

}  // namespace detail

/// Makes a reactor, calls `main` (which may return a deferred or task), and runs the reactor until
/// that has ended; then stops it once, with its shutdown triggers, and gives the exit status: the
/// value if it is a number, else 0; 1 after a failure, which is reported; or that of an
/// `exit_request`. If somebody else stops the reactor first, `main` is cancelled as the reactor
/// ends, and the status is 0 (R196). A signal ends the process as it would without.
///
/// `main` takes a `reactor&` and the arguments, as a `std::vector<std::string>`, or one of them, or
/// nothing.
///
///     mobius::deferred<> print(std::vector<std::string> urls);
///     int main(int argc, char** argv) { return mobius::react(print, argc, argv); }
template <class F>
int react(F main, std::vector<std::string> arguments = {}, reactor_options options = {}) {
  // Before the reactor: what is left of main ends with that.
  detail::program_end end;
  reactor r(options);
  auto running = detail::call_main(main, r, std::move(arguments));
  using T = typename decltype(running)::value_type;
  std::move(running).add_both([&](result<T> outcome) {
    end.end(outcome);
    r.stop();
  });
  if (end.ended()) r.call_when_running([&r] { r.stop(); });
  r.run_forever();
  end.stopped();
  return end.status();
}
/// The same with the arguments of a program, without its name.
template <class F>
int react(F main, int argc, const char* const* argv, reactor_options options = {}) {
  std::vector<std::string> arguments;
  if (argc > 1) arguments.assign(argv + 1, argv + argc);
  return react(std::move(main), std::move(arguments), options);
}

}  // namespace mobius
