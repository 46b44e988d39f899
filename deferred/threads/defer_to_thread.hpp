#pragma once
// Blocking work by deferreds: `defer_to_thread` and its kin (Twisted's twisted.internet.threads).

#include <atomic>
#include <memory>
#include <source_location>
#include <tuple>
#include <type_traits>
#include <utility>

#include "../../runtime/thread_pool.hpp"
#include "../helpers.hpp"

namespace mobius {

/// Threads for blocking work: those of a reactor (`reactor.service<thread_pool>()`), or more of your
/// own, made with `thread_pool(reactor, limit)` and destroyed in the reactor's thread before it.
using detail::thread_pool;

namespace detail {

template <class F, class... Args>
class thread_call final : public job {
  using returned = std::invoke_result_t<F, Args...>;
  static_assert(!awaitable<std::remove_cvref_t<returned>>,
                "mobius: a function for a thread returns a value: a deferred or task belongs to the "
                "reactor's thread");

 public:
  using T = std::remove_cvref_t<returned>;

  thread_call(reactor& r, thread_pool& pool, resolver<T> fire, F&& f, Args&&... args)
      : job(&thread_call::finished, &thread_call::work, false),
        reactor_(r),
        pool_(pool),
        fire_(std::move(fire)),
        function_(std::move(f)),
        args_(std::move(args)...) {}

  /// Takes it back if no thread has begun it; it is gone then.
  void withdraw() noexcept {
    if (begun_.load(std::memory_order_acquire) || !pool_.withdraw(*this)) return;
    reactor_.end_external();
    delete this;
  }

 private:
  static void work(job* j) noexcept {
    auto& self = *static_cast<thread_call*>(j);
    self.begun_.store(true, std::memory_order_release);
    try {
      if constexpr (std::is_void_v<T>) {
        std::apply(std::move(self.function_), std::move(self.args_));
        self.slot_.set_value();
      } else {
        self.slot_.set_value(std::apply(std::move(self.function_), std::move(self.args_)));
      }
    } catch (...) {
      self.slot_.set_exception();
    }
  }
  static void finished(node* n) noexcept {
    const std::unique_ptr<thread_call> self(static_cast<thread_call*>(static_cast<job*>(n)));
    self->reactor_.end_external();
    if (self->fire_.fired()) return;  // cancelled: nobody wants it any more
    if (!self->begun_.load(std::memory_order_acquire)) return self->fire_.errback(cancelled_failure());
    result<T> r = self->slot_.take_result();
    if (!r) return self->fire_.errback(std::move(r.error()));
    if constexpr (std::is_void_v<T>) {
      self->fire_();
    } else {
      self->fire_(*std::move(r));
    }
  }

  reactor& reactor_;
  thread_pool& pool_;
  resolver<T> fire_;
  F function_;
  std::tuple<Args...> args_;
  outcome_slot<T> slot_;
  std::atomic<bool> begun_{false};
};

}  // namespace detail

/// Runs `f(args...)` in a thread of `pool`; fires in this thread, whose reactor it is, with what it
/// returns or throws (R198, R201). `f` and the arguments are moved there. A cancel takes a call back that no
/// thread has begun; one that runs goes on, but the deferred fails with `cancelled` at once and
/// the result is dropped (R199). To wait for its end instead, `co_await offload(f, args...)`. Throws
/// std::system_error if no thread can be started.
template <class F, class... Args>
auto defer_to_thread_pool(thread_pool& pool, F f, Args... args) {
  using call = detail::thread_call<F, Args...>;
  reactor& here = reactor::current();
  auto [d, fire] = make_deferred<typename call::T>();
  auto job = std::make_unique<call>(here, pool, std::move(fire), std::move(f), std::move(args)...);
  detail::set_canceller(d, [j = job.get()] { j->withdraw(); });
  pool.submit(*job);
  static_cast<void>(job.release());
  here.begin_external();
  return std::move(d);
}

/// The same in the threads of this thread's reactor, which waits for them at its end (R203).
///
///     mobius::defer_to_thread(read_whole_file, path).add_callback(...);
template <class F, class... Args>
auto defer_to_thread(F f, Args... args) {
  return defer_to_thread_pool(reactor::current().service<thread_pool>(), std::move(f), std::move(args)...);
}

/// Runs `f(args...)` in a thread of the reactor's; an exception goes to the unhandled hook (R197).
template <class F, class... Args>
void call_in_thread(F f, Args... args) {
  static_cast<void>(defer_to_thread(std::move(f), std::move(args)...));
}

/// Calls functions one after the other in one thread (R201). An exception ends the series and goes
/// to the unhandled hook.
template <class... F>
void call_multiple_in_thread(F... functions) {
  call_in_thread([](F... f) { (static_cast<void>(std::move(f)()), ...); }, std::move(functions)...);
}

/// Sets how many threads this thread's reactor may have at most (R202). Those that run already stay.
inline void suggest_thread_pool_size(unsigned limit) {
  reactor::current().service<thread_pool>().limit(limit);
}

}  // namespace mobius
