#pragma once
// Deferreds and coroutines in all four directions: `co_await d`, coroutines that return a
// deferred<T>, `to_deferred(task)` and `to_task(std::move(d))`.

#include <coroutine>

#include "../runtime/task.hpp"
#include "chain_impl.hpp"

namespace mobius {

namespace detail {

/// Waits for a deferred. It is the end of the chain that it waits for, so it allocates nothing.
template <class T>
class deferred_awaiter final : public deferred_awaiter_base {
  using stored = stored_t<T>;

 public:
  explicit deferred_awaiter(handle<T>& source) noexcept : source_(source) {}
  deferred_awaiter(const deferred_awaiter&) = delete;
  deferred_awaiter& operator=(const deferred_awaiter&) = delete;
  ~deferred_awaiter() = default;

  /// A failure goes by way of await_suspend, which notes where it was awaited.
  bool await_ready() const noexcept { return source_.state() == holding::value; }
  template <class Promise>
  transfer await_suspend(std::coroutine_handle<Promise> h,
                         std::source_location site = std::source_location::current()) {
    return suspend(h, context_of(h), site);
  }
  transfer suspend(std::coroutine_handle<> h, context* ctx, std::source_location site) {
    if (source_.ready_here()) {
      pass(ctx, site);
      return go_on(h);
    }
    core* c = source_.promote(site);
    if (c->has(core::unentered)) [[unlikely]]
      abort_not_entered();
    source_.forget();
    return wait(c, h, ctx, site) ? stay_suspended() : go_on(h);
  }

  T await_resume() {
    if (!core_) return take_value(source_, where, waiting_context());
    return take_value<T>(std::exchange(core_, nullptr), where, waiting_context());
  }
  result<T> outcome() {
    if (!core_) {
      if (source_.state() == holding::error) {
        note_place(source_.error(), where);
        return source_.take_error();
      }
      taken_value<T> taken(source_);
      return as_result_value<T>(taken.get());
    }
    core* c = std::exchange(core_, nullptr);
    const taken_core<T> at_end(c);
    if (c->result == kind::value) return as_result_value<T>(cell<stored>::get(c->slot));
    note_place(c->error(), where);
    return std::move(c->error());
  }

 private:
  handle<T>& source_;
};

/// The exception that ends a coroutine, with its trail.
failure uncaught(coroutine_core* c) noexcept;

/// A coroutine that returns a deferred has ended: fires its core.
void finish_coroutine(coroutine_core* c) noexcept;

class deferred_promise_base : public promise_base, public pooled {
 public:
  explicit deferred_promise_base(const std::source_location& where) noexcept : core_(where) {
    ctx = &core_.work.ctx;
    ctx->set_heads_deferred();
    if (debugging_here) [[unlikely]]
      note_creation(&core_);
  }

  struct entry {
    explicit entry(core* c) noexcept : self(c) {}
    bool await_ready() const noexcept { return true; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    void await_resume() const noexcept { self->reset(core::unentered); }
    core* self;
  };
  entry initial_suspend() noexcept { return entry(&core_); }

  struct final_awaiter {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> self) const noexcept {
      finish_coroutine(&self.promise().core_);
    }
    void await_resume() const noexcept {}
  };
  final_awaiter final_suspend() const noexcept { return {}; }

  void unhandled_exception() noexcept { fail(uncaught(&core_)); }
  void fail(failure&& f) noexcept {
    core_.forget_noted();
    core_.clear();
    core_.put_error(std::move(f));
  }

  template <class A>
  decltype(auto) await_transform(A&& a) {
    return transform(static_cast<A&&>(a));
  }

 protected:
  template <class T, class... Args>
  void put(Args&&... args) {
    core_.forget_noted();
    cell<stored_t<T>>::make(core_.slot, std::forward<Args>(args)...);
    core_.ops = &ops_of<stored_t<T>>;
    core_.result = kind::value;
  }

  coroutine_core core_;
};

/// Leaves a failure as the outcome of the awaiting coroutine, which then returns.
class preset_failure {
 public:
  explicit preset_failure(failure f) noexcept : failure_(std::move(f)) {}
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h) noexcept {
    h.promise().fail(std::move(failure_));
    return false;
  }
  void await_resume() const noexcept {}

 private:
  failure failure_;
};

template <class T>
class deferred_promise final : public deferred_promise_base {
 public:
  deferred_promise(std::source_location where = std::source_location::current()) noexcept
      : deferred_promise_base(where) {}

  deferred<T> get_return_object() noexcept {
    core_.frame = std::coroutine_handle<deferred_promise>::from_promise(*this).address();
    return deferred_access::of_core<T>(&core_);
  }
  template <class U = T>
  requires(std::is_reference_v<T> || std::is_constructible_v<stored_t<T>, U>) void return_value(U&& value) {
    if constexpr (std::is_reference_v<T>) {
      put<T>(&value);
    } else {
      put<T>(std::forward<U>(value));
    }
  }
  void return_value(failure f) noexcept { fail(std::move(f)); }
  void return_value(result<T> r) {
    if (!r) return fail(std::move(r.error()));
    if constexpr (std::is_reference_v<T>) {
      put<T>(&*r);
    } else {
      put<T>(*std::move(r));
    }
  }
};

template <>
class deferred_promise<void> final : public deferred_promise_base {
 public:
  deferred_promise(std::source_location where = std::source_location::current()) noexcept
      : deferred_promise_base(where) {}

  deferred<void> get_return_object() noexcept {
    core_.frame = std::coroutine_handle<deferred_promise>::from_promise(*this).address();
    return deferred_access::of_core<void>(&core_);
  }
  void return_void() noexcept {
    if (core_.result == kind::none) put<void>();
  }
};

template <class A>
deferred<await_result_t<A>> run_to_end(A a) {
  auto outcome = co_await as_result(std::move(a));
  if constexpr (std::is_void_v<await_result_t<A>>) {
    if (!outcome) co_await preset_failure(std::move(outcome.error()));
  } else {
    co_return std::move(outcome);
  }
}

}  // namespace detail

/// Starts a task or other awaitable at once and gives its outcome as a deferred. It runs detached:
/// dropping the deferred does not stop it, `cancel` does what a cancel of its coroutine does. The
/// reactor cancels and joins it at shutdown.
template <awaitable A>
requires(!detail::is_deferred<std::remove_cvref_t<A>>) deferred<await_result_t<A>> to_deferred(A a) {
  static_assert(
      !borrows_memory<A>,
      "to_deferred: this operation uses memory of its caller's, which a deferred may outlive; call the "
      "overload that takes the buffer by value, such as stream.write_all(std::move(text))");
  return detail::run_to_end(std::move(a));
}
/// A deferred is one already.
template <class T>
deferred<T> to_deferred(deferred<T> d) noexcept {
  return d;
}

/// A task that waits for the deferred. A cancel of the task is passed on to the deferred; dropping
/// the task unstarted detaches it.
template <class T>
task<T> to_task(deferred<T> d) {
  co_return co_await std::move(d);
}
/// A task that awaits something else.
template <detail::other_awaitable A>
task<await_result_t<A>> to_task(A a) {
  static_assert(!borrows_memory<A>,
                "to_task: this operation uses memory of its caller's, which a task may outlive; call the "
                "overload that takes the buffer by value");
  co_return co_await std::move(a);
}

}  // namespace mobius
