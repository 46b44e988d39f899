#pragma once
// Deferreds and std::future (in the place of Twisted's asFuture and fromFuture). What asyncio's
// futures can and std's cannot, be cancelled, is done with std::stop_token and std::stop_source.

#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <utility>

#include "../../runtime/stop_token.hpp"
#include "../../runtime/thread_pool.hpp"
#include "thread_resolver.hpp"

namespace mobius {

/// A future for the outcome of `d`, for another thread to wait for: the reactor's own would wait for
/// itself. A value and a failure alike are taken by the future (R97). If nobody can fire `d` any
/// more, the future breaks its promise.
template <class T>
std::future<T> to_future(deferred<T> d) {
  std::promise<T> promise;
  auto future = promise.get_future();
  std::move(d).add_both([p = std::move(promise)](result<T> r) mutable {
    if (!r) {
      p.set_exception(r.error().exception());
    } else if constexpr (std::is_void_v<T>) {
      p.set_value();
    } else {
      p.set_value(*std::move(r));
    }
  });
  return future;
}
/// The same for a task or other awaitable, which is started.
template <detail::other_awaitable A>
auto to_future(A a) {
  return to_future(to_deferred(std::move(a)));
}
/// The same; a stop request, made in any thread, cancels `d` (R97).
template <class T>
std::future<T> to_future(deferred<T> d, std::stop_token token) {
  return to_future(to_deferred(with_stop_token(std::move(token), std::move(d))));
}

namespace detail {

/// Waits for a future in a thread of the pool; owns all it uses, so it may be abandoned.
template <class T>
class future_wait final : public job {
 public:
  future_wait(std::future<T>&& f, thread_resolver<T>&& fire)
      : job(&future_wait::ended, &future_wait::work, true), future_(std::move(f)), fire_(std::move(fire)) {}

 private:
  // The outcome is kept until `ended`, so that nothing of it is left in this thread.
  static void work(job* j) noexcept {
    auto& self = *static_cast<future_wait*>(j);
    try {
      if constexpr (std::is_void_v<T>) {
        self.future_.get();
        self.outcome_.emplace();
      } else {
        self.outcome_.emplace(self.future_.get());
      }
    } catch (...) {
      self.outcome_.emplace(failure());
    }
    self.future_ = {};
  }
  static void ended(node* n) noexcept {
    const std::unique_ptr<future_wait> self(static_cast<future_wait*>(static_cast<job*>(n)));
    if (self->outcome_) self->fire_.settle(std::move(*self->outcome_));
  }

  std::optional<result<T>> outcome_;
  std::future<T> future_;
  thread_resolver<T> fire_;
};

template <class T, class Cancel>
deferred<T> await_future(std::future<T>&& future, Cancel cancel, const std::source_location& where) {
  if (!future.valid())
    throw std::invalid_argument("from_future: this future is empty: it was moved from or got");
  auto [d, fire] = make_thread_ends<T>(std::move(cancel), where);
  auto job = std::make_unique<future_wait<T>>(std::move(future), std::move(fire));
  reactor::current().service<thread_pool>().submit(*job);
  static_cast<void>(job.release());
  return std::move(d);
}

}  // namespace detail

/// Fires with the outcome of the future, for which a thread of the reactor's pool waits; many such
/// waits need many threads (`reactor_options::max_threads`). A cancel ends the deferred at once, and
/// the future's outcome is dropped. The end of the reactor does not wait for the future.
template <class T>
deferred<T> from_future(std::future<T> future, std::source_location where = std::source_location::current()) {
  return detail::await_future(
      std::move(future), [] { return cancel_reply::done; }, where);
}
/// The same for work that can be asked to stop: a cancel requests that, and the deferred ends with
/// what the future then says (R98).
template <class T>
deferred<T> from_future(std::future<T> future, std::stop_source stop,
                        std::source_location where = std::source_location::current()) {
  return detail::await_future(
      std::move(future),
      [asked = std::move(stop)]() mutable {
        asked.request_stop();
        return cancel_reply::later;
      },
      where);
}

}  // namespace mobius
