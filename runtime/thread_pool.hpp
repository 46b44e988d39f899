#pragma once
// Blocking work: a small pool of threads, and `offload`, which runs a function there.

#include <coroutine>
#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <tuple>
#include <type_traits>
#include <utility>

#include "awaitable.hpp"
#include "context.hpp"
#include "inbox.hpp"
#include "outcome.hpp"
#include "reactor.hpp"

namespace mobius {

namespace detail {

/// A piece of blocking work. `run` is called in a pool thread; when it returns, the job's node is
/// posted to the reactor. An abandonable job owns all it uses, and frees itself in `run_node`.
class job : public node {
 public:
  using work = void (*)(job*) noexcept;

  job(node::function done, work w, bool abandonable) noexcept
      : node(done), work_(w), abandonable_(abandonable) {}

 private:
  friend class thread_pool;
  work work_;
  job* next_job_ = nullptr;
  bool abandonable_;  // shutdown does not wait for it
};

/// The reactor's threads, started as they are needed. A service: `reactor.service<thread_pool>()`.
class thread_pool {
 public:
  explicit thread_pool(reactor& r);
  /// One of at most `limit` threads.
  thread_pool(reactor& r, unsigned limit);
  thread_pool(const thread_pool&) = delete;
  thread_pool& operator=(const thread_pool&) = delete;
  /// Waits for all jobs but the abandonable ones.
  ~thread_pool();

  /// Queues a job; throws std::system_error if no thread can be started for it.
  void submit(job& j);
  /// Takes a job out that no thread has begun; false if one has.
  bool withdraw(job& j) noexcept;
  /// Sets how many threads there may be; those that were started stay.
  void limit(unsigned threads) noexcept;

 private:
  struct shared;
  std::shared_ptr<shared> shared_;
};

template <class F, class... Args>
class offload_awaiter final : public waiter, public job {
  using T = std::invoke_result_t<F, Args...>;

 public:
  offload_awaiter(reactor& r, F&& f, std::tuple<Args...>&& args)
      : waiter(leaf_kind),
        job(&offload_awaiter::finished, &offload_awaiter::work, false),
        reactor_(r),
        function_(static_cast<F&&>(f)),
        args_(std::move(args)) {}

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h,
                     std::source_location where = std::source_location::current()) {
    return suspend(h, context_of(h), where);
  }
  bool suspend(std::coroutine_handle<> h, context* ctx, const std::source_location& where) {
    if (const gate g = arrive(h, ctx, where); g != gate::open) return g == gate::queued;
    try {
      reactor_.service<thread_pool>().submit(*this);
    } catch (...) {
      slot_.set_exception();
      state_ = state::done;
      return false;
    }
    reactor_.begin_external();
    return true;
  }
  T await_resume() {
    leave();
    if (was_stopped()) throw cancelled();
    return slot_.take();
  }
  result<T> outcome() {
    leave();
    if (was_stopped()) return cancelled_failure();
    return slot_.take_result();
  }

 private:
  static const leaf_type leaf_kind;

  static void work(job* j) noexcept {
    auto& self = *static_cast<offload_awaiter*>(j);
    try {
      if constexpr (std::is_void_v<T>) {
        std::apply(std::forward<F>(self.function_), std::move(self.args_));
        self.slot_.set_value();
      } else {
        self.slot_.set_value(std::apply(std::forward<F>(self.function_), std::move(self.args_)));
      }
    } catch (...) {
      self.slot_.set_exception();
    }
  }
  static void finished(node* n) noexcept {
    auto& self = *static_cast<offload_awaiter*>(static_cast<job*>(n));
    self.reactor_.end_external();
    self.state_ = state::done;
    self.wake();
  }
  // A function that runs cannot be interrupted: the cancel waits for it, and its result wins.
  static bool cancel(leaf* l) noexcept {
    auto& self = *static_cast<offload_awaiter*>(l);
    if (self.state_ != state::waiting) return false;
    if (!self.reactor_.template service<thread_pool>().withdraw(self)) return true;
    self.reactor_.end_external();
    self.stop();
    self.wake();
    return true;
  }

  reactor& reactor_;
  F function_;
  std::tuple<Args...> args_;
  outcome_slot<T> slot_;
};

template <class F, class... Args>
const leaf_type offload_awaiter<F, Args...>::leaf_kind{"offload", &offload_awaiter::cancel};

template <class F, class... Args>
class [[nodiscard("co_await it")]] offload_operation {
 public:
  template <class... Rest>
  explicit offload_operation(reactor & r, F f, Rest && ... args)
      : reactor_(&r), function_(static_cast<F&&>(f)), args_(std::forward<Rest>(args)...) {}
  offload_awaiter<F, Args...> operator co_await()&& {
    return offload_awaiter<F, Args...>(*reactor_, static_cast<F&&>(function_), std::move(args_));
  }

 private:
  reactor* reactor_;
  F function_;
  std::tuple<Args...> args_;
};

}  // namespace detail

/// Runs `f(args...)`, which may block, in a thread of the current reactor's pool, and gives its
/// result or throws its error. The arguments are copied or moved in; a named function object is
/// borrowed (so it must outlive the await, as a local of the awaiting coroutine does), an unnamed
/// one is moved in. `f` must not touch anything of the reactor but `post`.
///
/// Cancel: a call that has not begun is taken back; one that runs is waited for, and its result
/// wins. g++ 12 destroys an unnamed lambda that captures by value twice when it is made in the
/// same expression as a co_await (GCC PR99576), so that does not compile there: name the lambda on
/// the line before, or pass what it needs as arguments.
///
///     std::string text = co_await mobius::offload(read_whole_file, path);
template <class F, class... Args>
auto offload(F&& f, Args&&... args) {
  static_assert(
      std::is_lvalue_reference_v<F> || std::is_trivially_destructible_v<std::remove_cvref_t<F>>,
      "g++ 12 destroys such a temporary function object twice (GCC PR99576): name it on the line before "
      "and pass the name, or pass what it captures as arguments of offload");
  using function = std::conditional_t<std::is_lvalue_reference_v<F>, F, std::decay_t<F>>;
  return detail::offload_operation<function, std::decay_t<Args>...>(reactor::current(), std::forward<F>(f),
                                                                    std::forward<Args>(args)...);
}

}  // namespace mobius
