#pragma once
// The templates of the reactor.

#include "reactor.hpp"

namespace mobius {

namespace detail {

/// Where a function given by another thread comes from: not from a pool, which is its thread's.
struct unpooled {};

/// A function on its way to the ready queue.
template <class Memory, class F, class... Args>
class queued_function final : public node, public Memory {
 public:
  template <class G, class... Rest>
  explicit queued_function(const char* where, G&& f, Rest&&... args)
      : node(&queued_function::run_function),
        where_(where),
        function_(std::forward<G>(f)),
        args_(std::forward<Rest>(args)...) {}

 private:
  static void run_function(node* n) noexcept {
    const std::unique_ptr<queued_function> self(static_cast<queued_function*>(n));
    call_guarded(self->function_, self->args_, self->where_);
  }

  const char* where_;
  F function_;
  std::tuple<Args...> args_;
};

template <class Memory, class F, class... Args>
auto* make_queued(const char* where, F&& f, Args&&... args) {
  check_callback<std::decay_t<F>, std::decay_t<Args>...>();
  using function = queued_function<Memory, std::decay_t<F>, std::decay_t<Args>...>;
  static_assert(alignof(function) <= 16, "functions given to the reactor are stored aligned to 16 bytes");
  return new function(where, std::forward<F>(f), std::forward<Args>(args)...);
}

/// The chain of a background task.
template <class A>
detached drive_background(A a, std::source_location where) {
  std::optional<failure> error;
  try {
    auto outcome = co_await outcome_operation<A>(a);
    if (!outcome) error = std::move(outcome.error());
  } catch (...) {
    error = failure();  // it could not even be started
  }
  if (!error || error->check<cancelled>()) co_return;
  error->passed(where);
  report_unhandled(*error, "a background task");
}

/// What a run waits for. Shared, as an error of the kernel may end the run before its task.
template <class T>
struct main_outcome {
  std::optional<result<T>> value;
  bool done = false;
};

/// The chain of `run`.
template <class A, class T>
detached drive_main(A a, std::shared_ptr<main_outcome<T>> out) {
  try {
    out->value.emplace(co_await outcome_operation<A>(a));
  } catch (...) {
    out->value.emplace(failure());  // it could not even be started
  }
  out->done = true;
}

}  // namespace detail

template <awaitable A>
await_result_t<A> reactor::run(A a) {
  const auto out = std::make_shared<detail::main_outcome<await_result_t<A>>>();
  detail::list_link* const roots = std::exchange(detail::this_thread.roots, &roots_);
  detail::detached main = detail::drive_main(std::move(a), out);
  detail::this_thread.roots = roots;
  run_main(main, out->done, main.ctx());
  return std::move(*out->value).value();
}

template <class F, class... Args>
void reactor::call_soon(F&& f, Args&&... args) {
  if (shutting_down_) return;
  later_.push(detail::make_queued<detail::pooled>("a function given to call_soon", std::forward<F>(f),
                                                  std::forward<Args>(args)...));
}

template <class F, class... Args>
delayed_call reactor::call_later(std::chrono::nanoseconds after, F&& f, Args&&... args) {
  detail::check_callback<std::decay_t<F>, std::decay_t<Args>...>();
  using function = detail::timed_function<detail::delayed_block, std::decay_t<F>, std::decay_t<Args>...>;
  static_assert(alignof(function) <= 16, "functions given to the reactor are stored aligned to 16 bytes");
  auto* block = function::make(*this, std::forward<F>(f), std::forward<Args>(args)...);
  block->schedule(deadline_after(after));
  block->link_before(delayed_calls_);
  block->retain();
  return delayed_call(block);
}

template <class F, class... Args>
void reactor::call_when_running(F&& f, Args&&... args) {
  if (running_) {
    std::invoke(std::forward<F>(f), std::forward<Args>(args)...);
  } else {
    at_start_.push(detail::make_queued<detail::pooled>("a function given to call_when_running",
                                                       std::forward<F>(f), std::forward<Args>(args)...));
  }
}

template <class F>
bool reactor::post(F&& f) {
  auto* n = detail::make_queued<detail::unpooled>("a function given to post", std::forward<F>(f));
  if (inbox_->push(n)) return true;
  delete n;
  return false;
}

template <awaitable A>
void reactor::background(A a, std::source_location where) {
  detail::list_link* const roots = std::exchange(detail::this_thread.roots, &roots_);
  detail::detached chain = detail::drive_background(std::move(a), where);
  detail::this_thread.roots = roots;
  if (shutting_down_) chain.ctx().cancel();
  ready_.push(&chain.start_node());
}

template <class T>
T& reactor::service() {
  for (const service_entry& entry : services_) {
    if (entry.key == &service_key<T>) return *static_cast<T*>(entry.object);
  }
  auto made = std::make_unique<T>(*this);
  services_.push_back({&service_key<T>, made.get(),
                       [](void* object) noexcept {
                         if constexpr (requires(T & t) { t.stop(); }) static_cast<T*>(object)->stop();
                       },
                       [](void* object) noexcept { delete static_cast<T*>(object); }});
  return *made.release();
}

}  // namespace mobius
