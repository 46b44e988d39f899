#pragma once
// Values that follow a task and the children it starts: task-local values and task names.

#include <coroutine>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "awaitable.hpp"
#include "context.hpp"

namespace mobius {

namespace detail {

template <class T>
struct typed_local : local_value {
  T value;
};

/// The value bound to `key` in a chain, or null.
inline const local_value* find_local(const context* ctx, const void* key) noexcept {
  if (!ctx) return nullptr;
  for (const local_value* l = ctx->locals(); l; l = l->outer) {
    if (l->key == key) return l;
  }
  return nullptr;
}

/// Binds a value for the time of an await. The awaiting chain stands still meanwhile, so the
/// binding can be made in its own context.
template <class T, class A>
class bind_local_awaiter {
 public:
  using value_type = await_result_t<A>;

  bind_local_awaiter(const void* key, T&& value, A&& a)
      : bound_{{key, nullptr}, std::move(value)}, inner_awaiter_(get_awaiter(static_cast<A&&>(a))) {}
  bind_local_awaiter(const bind_local_awaiter&) = delete;
  bind_local_awaiter& operator=(const bind_local_awaiter&) = delete;
  ~bind_local_awaiter() { end(); }

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  transfer await_suspend(std::coroutine_handle<Promise> h,
                         std::source_location where = std::source_location::current()) {
    return suspend(h, context_of(h), where);
  }
  transfer suspend(std::coroutine_handle<> h, context* ctx, const std::source_location& where) {
    ctx_ = ctx ? ctx : &own_;
    bound_.outer = ctx_->locals();
    ctx_->set_locals(&bound_);
    return start_awaiter(inner_awaiter_, h, ctx_, where);
  }
  value_type await_resume() {
    const unbinding last(*this);
    return inner_awaiter_.await_resume();
  }
  result<value_type> outcome() {
    const unbinding last(*this);
    return outcome_of(inner_awaiter_);
  }

 private:
  // After what is bound inside, which puts back this binding.
  struct unbinding {
    explicit unbinding(bind_local_awaiter& a) noexcept : awaiter(a) {}
    ~unbinding() { awaiter.end(); }
    bind_local_awaiter& awaiter;
  };
  void end() noexcept {
    if (ctx_) std::exchange(ctx_, nullptr)->set_locals(bound_.outer);
  }

  context own_;  // for a coroutine of another library
  context* ctx_ = nullptr;
  typed_local<T> bound_;
  awaiter_t<A> inner_awaiter_;
};

template <class T, class A>
class [[nodiscard("co_await it")]] bind_local_operation {
 public:
  bind_local_operation(const void* key, T value, A&& a)
      : key_(key), value_(std::move(value)), kept_(static_cast<A&&>(a)) {}
  bind_local_awaiter<T, A> operator co_await()&& {
    return bind_local_awaiter<T, A>(key_, std::move(value_), static_cast<A&&>(kept_));
  }

 private:
  const void* key_;
  T value_;
  kept_t<A> kept_;
};

template <class T>
class [[nodiscard("co_await it")]] read_local_operation {
 public:
  read_local_operation(const void* key, const T& otherwise) noexcept : key_(key), otherwise_(&otherwise) {}

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h) noexcept {
    find(context_of(h));
    return false;
  }
  bool suspend(std::coroutine_handle<>, context * ctx, const std::source_location&) noexcept {
    find(ctx);
    return false;
  }
  const T& await_resume() const noexcept { return found_ ? *found_ : *otherwise_; }

 private:
  void find(const context* ctx) noexcept {
    if (const local_value* l = find_local(ctx, key_)) found_ = &static_cast<const typed_local<T>*>(l)->value;
  }

  const void* key_;
  const T* otherwise_;
  const T* found_ = nullptr;
};

/// The key of task names.
extern const char task_name_key;
/// The name of a chain, or an empty one: for reports.
std::string_view name_of(const context& ctx) noexcept;

}  // namespace detail

/// A variable whose value belongs to a task and to all it awaits and starts in scopes, `when_all`
/// and their like: a request's number, a logger, a deadline. It is bound for the time of an await,
/// so nothing is counted or copied for the children; detached work (`background`, a coroutine that
/// returns a deferred) begins without values. Declare it at namespace scope.
///
///     const mobius::task_local<int> request_id{0};
///     co_await request_id.with(7, handle(request));     // and anywhere below:
///     const int id = co_await request_id.get();         // 7
template <class T>
class task_local {
 public:
  /// A variable that has the value `otherwise` where none is bound.
  explicit task_local(T otherwise = T()) : otherwise_(std::move(otherwise)) {}
  task_local(const task_local&) = delete;
  task_local& operator=(const task_local&) = delete;

  /// Awaits `a` with this variable having `value` in it.
  template <awaitable A>
  detail::bind_local_operation<T, A&&> with(T value, A&& a) const {
    return detail::bind_local_operation<T, A&&>(this, std::move(value), static_cast<A&&>(a));
  }
  /// An awaitable that gives the value at this place, without suspending. Children of a scope see
  /// the values that held where the scope was made.
  detail::read_local_operation<T> get() const noexcept { return {this, otherwise_}; }

 private:
  T otherwise_;
};

/// Awaits `a` under a name, which `task_name` gives below it and reports of scopes show.
///
///     scope.start(mobius::named("reader", read_all(stream)));
template <awaitable A>
detail::bind_local_operation<std::string, A&&> named(std::string name, A&& a) {
  return detail::bind_local_operation<std::string, A&&>(&detail::task_name_key, std::move(name),
                                                        static_cast<A&&>(a));
}

/// An awaitable that gives the innermost name of the awaiting task, or an empty string.
detail::read_local_operation<std::string> task_name() noexcept;

}  // namespace mobius
