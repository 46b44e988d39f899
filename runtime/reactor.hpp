#pragma once
// The reactor: one thread's event loop over one io_uring.
//
//   one turn:  run what is ready (bounded) -> inbox -> timers -> one enter -> mark what completed
//
// A completion never resumes a coroutine inside the walk over the completions: all results of a
// batch are known before user code runs.

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "awaitable.hpp"
#include "context.hpp"
#include "delayed_call.hpp"
#include "detached.hpp"
#include "inbox.hpp"
#include "reactor_options.hpp"
#include "ring.hpp"
#include "root.hpp"
#include "timer_wheel.hpp"

namespace mobius {

namespace detail {
class op;
struct completion_handler;
class signal_watch;
class sleep_awaiter;

/// What a test may change in the order of things (see testing/shake.hpp).
struct order_hook {
  /// Takes out the node that runs next; null puts the rest off to the next turn.
  node* (*pick)(order_hook* self, node_queue& ready) noexcept;
  /// Called after each node that has run.
  void (*ran)(order_hook* self) noexcept;
  /// Rearranges completions that came together.
  void (*arrange)(order_hook* self, completion* batch, unsigned count) noexcept;
};

/// What a service does when a run begins, and before it ends.
struct run_hook {
  /// Called in the loop, first thing.
  void (*begin)(run_hook* self) noexcept;
  /// Called each time the run could end; it goes on turning until this says true.
  bool (*end)(run_hook* self) noexcept;
};
}  // namespace detail

/// One thread's event loop. Nothing in it is shared with other threads but `post` and `wake`.
///
///     mobius::reactor reactor;
///     reactor.call_later(1s, [] { std::cout << "The future is now!\n"; });
///     reactor.run();
///
/// Work may start before it runs: operations queue, timers count from that moment. It may be run
/// again after it has stopped, in the same thread; end it in the thread that made and ran it. Its
/// destructor cancels what is left, waits for
/// it to end (naming after 5 s, through the unhandled hook, what still waits and where), and then
/// frees it.
class reactor {
 public:
  /// The clock that timers follow: monotonic.
  using clock = std::chrono::steady_clock;

  /// Sets up the ring and becomes this thread's current reactor, if it has none. Throws
  /// std::system_error whose text names the cause and the remedy where io_uring is refused.
  explicit reactor(reactor_options options = {});
  reactor(const reactor&) = delete;
  reactor& operator=(const reactor&) = delete;
  ~reactor();

  /// This thread's reactor; throws std::logic_error if there is none.
  static reactor& current();
  /// This thread's reactor, or null.
  static reactor* current_or_null() noexcept { return detail::this_thread.current; }

  /// Runs until `stop` is called or nothing is left that can call back: no ready work, timer,
  /// awaited operation (a listener that accepts is one), or offloaded call. Idle connections,
  /// the reactor's own operations and signal watches do not count.
  void run();
  /// Runs until `stop` is called.
  void run_forever();
  /// Runs until `a` has ended, and returns its value or throws its error; `stop` cancels it. Other
  /// work left over stays for the next run. Under a virtual clock it throws `deadlock` if `a` waits
  /// for what nothing can bring about any more; under the real one another thread may still post.
  template <awaitable A>
  await_result_t<A> run(A a);
  /// Ends `run` after the current turn's ready work; callable from anything that runs in the loop.
  void stop() noexcept { stop_asked_ = true; }
  /// True while one of the runs is under way.
  bool running() const noexcept { return running_; }

  /// The time, read once a turn.
  clock::time_point now() noexcept { return clock::time_point(std::chrono::nanoseconds(now_ns())); }

  /// Calls `f(args...)` in the next turn, in the order of the calls. Like `call_later`, it calls
  /// nothing any more when the reactor ends.
  template <class F, class... Args>
  void call_soon(F&& f, Args&&... args);
  /// Calls `f(args...)` after `after`: never early, never inside this call (also with 0), in order
  /// of time, equal times in the order they were asked for (R153, R160).
  template <class F, class... Args>
  delayed_call call_later(std::chrono::nanoseconds after, F&& f, Args&&... args);
  /// Calls `f(args...)` at once if the reactor runs, else first thing when it does (R182).
  template <class F, class... Args>
  void call_when_running(F&& f, Args&&... args);
  /// Calls `f` in the reactor's thread; from any thread. False if the reactor has ended. Calls come
  /// in the order of the posts of one thread (R189).
  template <class F>
  bool post(F&& f);
  /// Makes the loop turn; from any thread, and from a signal handler.
  void wake() noexcept { inbox_->wake(); }

  /// Starts `a` in the next turn, as work that the reactor owns: it is cancelled and joined at
  /// shutdown, and its error goes to the unhandled hook.
  template <awaitable A>
  void background(A a, std::source_location where = std::source_location::current());

  /// An awaitable that ends after `after`, by this reactor's clock.
  class sleep_operation sleep(std::chrono::nanoseconds after) noexcept;

  /// The reactor's one `T`, made with `T(reactor&)` on first use. At shutdown services are stopped
  /// (`void stop() noexcept`, if there is one) and later destroyed, in reverse order.
  template <class T>
  T& service();

  /// Counters so far.
  reactor_stats stats() const noexcept;
  /// "io_uring, flags 0x..., 1024/8192 entries": for logs.
  std::string describe() const;

  // --- for operations and services, not for everyday use ---

  /// Hands an awaited operation to the kernel with the next enter.
  void start(detail::op& o, const detail::request& r);
  /// The same for an operation whose results go to a handler. An `idle` one is not waited for by a
  /// virtual clock.
  void start(detail::completion_handler& h, const detail::request& r, bool idle = false);
  /// Asks the kernel to end the operation started with this user_data.
  void cancel(std::uint64_t user_data);
  /// Marks something that can call back, which `run` waits for; undone by `drop`.
  void hold() noexcept { ++holds_; }
  /// Undoes one `hold`.
  void drop() noexcept { --holds_; }
  /// Marks work outside the loop (another thread's) whose end will be posted; undone by
  /// `end_external`.
  void begin_external() noexcept {
    ++holds_;
    ++external_;
  }
  /// Undoes one `begin_external`.
  void end_external() noexcept {
    --holds_;
    --external_;
  }
  /// Runs a node in this turn.
  void push(detail::node& n) noexcept { ready_.push(&n); }
  /// Runs a node in the next turn.
  void push_later(detail::node& n) noexcept { later_.push(&n); }
  /// One more timer is armed that `run` does not wait for.
  void hold_idle_timer() noexcept { ++idle_timers_; }
  /// One of them is not armed any more.
  void drop_idle_timer() noexcept { --idle_timers_; }
  /// The timers.
  detail::timer_wheel& timers() noexcept { return timers_; }
  /// The time in nanoseconds.
  std::int64_t now_ns() noexcept {
    if (!now_valid_) read_clock();
    return now_;
  }
  /// `after` from now, never before now and without overflow.
  std::int64_t deadline_after(std::chrono::nanoseconds after) noexcept;
  /// Installs a test's order of things; null takes it out.
  void inject(detail::order_hook* order) noexcept { order_ = order; }
  /// Installs what is to be done when a run begins and ends; null takes it out.
  void on_run(detail::run_hook* hook) noexcept { run_hook_ = hook; }
  /// The ring.
  detail::ring& ring() noexcept { return ring_; }
  /// How other threads reach the loop; shared with them.
  const std::shared_ptr<detail::inbox>& inbox() const noexcept { return inbox_; }
  /// The options it was made with.
  const reactor_options& options() const noexcept { return options_; }
  /// Operations that the kernel has not ended.
  std::size_t in_flight() const noexcept { return in_flight_; }
  /// True once the destructor has begun.
  bool shutting_down() const noexcept { return shutting_down_; }

 private:
  struct service_entry {
    const void* key;
    void* object;
    void (*stop)(void*) noexcept;
    void (*destroy)(void*) noexcept;
  };
  template <class T>
  static constexpr char service_key = 0;

  class running_scope;
  struct wake_handler;

  enum class until { idle, done, ended, stopped };  // ended: done, whatever is asked meanwhile
  void loop(until end, const bool* done = nullptr);
  void run_ready() noexcept;
  void run_in_order() noexcept;
  void turn(bool may_wait);
  void settle() noexcept;
  void wait_for_completions(bool may_wait);
  void handle_enter_error(int error);
  void reap() noexcept;
  void dispatch(const detail::completion& c) noexcept;
  void prepare(const detail::request& r, std::uint64_t user_data);
  bool nothing_left() const noexcept;
  bool may_end() noexcept { return !run_hook_ || run_hook_->end(run_hook_); }
  bool quiet() const noexcept;
  void read_clock() noexcept;
  void arm_wake();
  void on_wake() noexcept;
  void shut_down() noexcept;
  void drop_delayed_calls() noexcept;
  void cancel_chains(detail::list_link& stopping) noexcept;
  void report_stuck(const detail::list_link& chains) noexcept;
  void finish_signal();
  void run_main(detail::detached& main, bool& done, detail::context& ctx);

  reactor_options options_;
  detail::ring ring_;
  std::shared_ptr<detail::inbox> inbox_;
  detail::node_queue ready_;
  detail::node_queue later_;
  detail::node_queue at_start_;
  std::int64_t now_ = 0;
  bool now_valid_ = false;
  bool running_ = false;
  bool stop_asked_ = false;
  bool shutting_down_ = false;
  bool skip_cancel_success_ = false;
  unsigned turns_without_enter_ = 0;
  std::size_t in_flight_ = 0;
  std::size_t idle_in_flight_ = 0;
  std::size_t holds_ = 0;
  std::size_t idle_timers_ = 0;
  std::size_t external_ = 0;
  int caught_signal_ = 0;
  std::uint64_t turns_ = 0;
  detail::context* main_ = nullptr;
  detail::order_hook* order_ = nullptr;
  detail::run_hook* run_hook_ = nullptr;
  detail::list_link roots_;
  detail::list_link delayed_calls_;
  std::vector<service_entry> services_;
  std::unique_ptr<wake_handler> wake_;
  std::unique_ptr<detail::signal_watch> signals_;
  detail::timer_wheel timers_;
};

/// `reactor::call_later` of the current reactor.
template <class F, class... Args>
delayed_call call_later(std::chrono::nanoseconds after, F&& f, Args&&... args) {
  return reactor::current().call_later(after, std::forward<F>(f), std::forward<Args>(args)...);
}

/// `reactor::background` of the current reactor.
template <awaitable A>
void background(A a, std::source_location where = std::source_location::current()) {
  reactor::current().background(std::move(a), where);
}

/// Makes a reactor, runs `a` in it, and shuts it down: what `main` needs.
///
///     int main() { mobius::run(main_task()); }
template <awaitable A>
await_result_t<A> run(A a, reactor_options options = {}) {
  reactor r(options);
  return r.run(std::move(a));
}

}  // namespace mobius

#include "reactor_impl.hpp"
#include "sleep.hpp"
