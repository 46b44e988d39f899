#pragma once
// `when_all`, `when_any` and `race`: awaiting several things at once. Whatever is not wanted any more is
// cancelled and joined before there is a result.

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <ranges>
#include <source_location>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "awaitable.hpp"
#include "context.hpp"
#include "detached.hpp"
#include "frame_pool.hpp"

namespace mobius {

namespace detail {

/// A result in a tuple, vector or variant: void as std::monostate, a reference as its address.
template <class T>
using element_t = std::conditional_t<std::is_void_v<T>, std::monostate,
                                     std::conditional_t<std::is_reference_v<T>, std::add_pointer_t<T>, T>>;

/// One of the things awaited: its context, and a place in the list of all.
struct branch_slot {
  context ctx;
  branch_slot* next = nullptr;
  bool ended = false;
};

template <class T>
struct typed_slot : branch_slot {
  std::optional<result<T>> out;

  element_t<T> take() {
    if constexpr (std::is_void_v<T>) {
      std::move(*out).value();
      return {};
    } else if constexpr (std::is_reference_v<T>) {
      return &std::move(*out).value();
    } else {
      return std::move(*out).value();
    }
  }
};

/// When the others are cancelled: at the first error (when_all), as soon as one ends (when_any), or
/// as soon as one succeeds (race).
enum class join_rule : std::uint8_t { all, any, success };

/// Waits for a number of branches.
class join : public waiter {
 public:
  explicit join(join_rule rule) noexcept : waiter(leaf_kind), rule_(rule) {}

  /// Called by a branch that has ended, with its error if it has one.
  void arrived(branch_slot& slot, failure* error) noexcept;
  /// Enters a branch that is about to start.
  void add(branch_slot& slot) noexcept {
    if (ctx_) slot.ctx.inherit(*ctx_);
    slot.next = branches_;
    branches_ = &slot;
    ++pending_;
  }

 protected:
  void cancel_rest() noexcept;
  /// After all were started: true if there is something to wait for.
  bool wait() noexcept {
    starting_ = false;
    return pending_ != 0;
  }
  void throw_if_failed() {
    if (error_ && !(rule_ == join_rule::success && first_ended_)) error_->rethrow();
  }

  branch_slot* first_ended_ = nullptr;
  std::optional<failure> error_;

 private:
  static const leaf_type leaf_kind;
  static bool cancel(leaf* self) noexcept;
  void note(const failure& error, bool decided) noexcept;

  branch_slot* branches_ = nullptr;
  std::size_t pending_ = 0;
  join_rule rule_;
  bool starting_ = true;
  bool rest_cancelled_ = false;
};

/// The chain of one branch. It reports its end and is freed without suspending: a coroutine that
/// destroys itself in await_suspend is what GCC PR121961 is about.
class branch {
 public:
  class promise_type : public promise_base, public pooled {
   public:
    template <class A, class T, class Owner>
    promise_type(A&, typed_slot<T>& slot, Owner&) noexcept {
      ctx = &slot.ctx;
    }
    branch get_return_object() noexcept {
      return branch{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    entry_awaiter initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
    template <class A>
    auto await_transform(A&& a) {
      return transform(static_cast<A&&>(a));
    }
  };

  void start() noexcept {
    this_thread.entering = handle_.address();
    resume(handle_);
  }

 private:
  explicit branch(std::coroutine_handle<promise_type> h) noexcept : handle_(h) {}
  std::coroutine_handle<promise_type> handle_;
};

template <class A, class T, class Owner>
branch run_branch(A& a, typed_slot<T>& slot, Owner& owner) {
  try {
    slot.out.emplace(co_await outcome_operation<A>(a));
  } catch (...) {
    slot.out.emplace(failure());  // it could not even be started
  }
  owner.arrived(slot, slot.out->has_value() ? nullptr : &slot.out->error());
}

/// Starts a branch. One that has no memory for its frame has ended with that error.
template <class A, class T, class Owner>
void start_branch(A& a, typed_slot<T>& slot, Owner& owner) noexcept {
  try {
    run_branch(a, slot, owner).start();
  } catch (...) {
    slot.out.emplace(failure());
    owner.arrived(slot, &slot.out->error());
  }
}

template <class A>
using slot_of = typed_slot<await_result_t<A>>;

/// Awaits a pack of awaitables, which stay in `awaitables`.
template <join_rule Rule, class... A>
class pack_awaiter final : public join {
 public:
  explicit pack_awaiter(std::tuple<kept_t<A>...>& awaitables) noexcept
      : join(Rule), awaitables_(awaitables) {}

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h,
                     std::source_location where = std::source_location::current()) {
    return suspend(h, context_of(h), where);
  }
  bool suspend(std::coroutine_handle<> h, context* ctx, const std::source_location& where) {
    if (const gate g = arrive(h, ctx, where); g != gate::open) return g == gate::queued;
    start_all(std::index_sequence_for<A...>());
    return wait();
  }
  auto await_resume() {
    leave();
    if (was_stopped()) throw cancelled();
    return take(std::index_sequence_for<A...>());
  }

 private:
  template <std::size_t... I>
  void start_all(std::index_sequence<I...>) {
    (add(std::get<I>(slots_)), ...);
    (start_branch(std::get<I>(awaitables_), std::get<I>(slots_), *this), ...);
  }
  template <std::size_t... I>
  auto take(std::index_sequence<I...>) {
    throw_if_failed();
    if constexpr (Rule == join_rule::all) {
      return std::tuple<element_t<detail::await_result_t<A>>...>(std::get<I>(slots_).take()...);
    } else {
      using winner = std::variant<element_t<detail::await_result_t<A>>...>;
      std::optional<std::pair<std::size_t, winner>> out;
      static_cast<void>(
          ((first_ended_ == &std::get<I>(slots_)
                ? (out.emplace(I, winner(std::in_place_index<I>, std::get<I>(slots_).take())), true)
                : false) ||
           ...));
      return std::move(*out);
    }
  }

  std::tuple<kept_t<A>...>& awaitables_;
  std::tuple<slot_of<A>...> slots_;
};

/// Awaits a range of awaitables, which stay in `awaitables`.
template <join_rule Rule, class A>
class range_awaiter final : public join {
  using T = detail::await_result_t<A>;

 public:
  explicit range_awaiter(std::vector<A>& awaitables)
      : join(Rule), awaitables_(awaitables), slots_(std::make_unique<typed_slot<T>[]>(awaitables.size())) {}

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h,
                     std::source_location where = std::source_location::current()) {
    return suspend(h, context_of(h), where);
  }
  bool suspend(std::coroutine_handle<> h, context* ctx, const std::source_location& where) {
    if (const gate g = arrive(h, ctx, where); g != gate::open) return g == gate::queued;
    for (std::size_t i = 0; i < awaitables_.size(); ++i) add(slots_[i]);
    for (std::size_t i = 0; i < awaitables_.size(); ++i) start_branch(awaitables_[i], slots_[i], *this);
    return wait();
  }
  auto await_resume() {
    leave();
    if (was_stopped()) throw cancelled();
    throw_if_failed();
    if constexpr (Rule == join_rule::all) {
      std::vector<element_t<T>> out;
      out.reserve(awaitables_.size());
      for (std::size_t i = 0; i < awaitables_.size(); ++i) out.push_back(slots_[i].take());
      return out;
    } else {
      auto* winner = static_cast<typed_slot<T>*>(first_ended_);
      return std::pair<std::size_t, element_t<T>>(static_cast<std::size_t>(winner - slots_.get()),
                                                  winner->take());
    }
  }

 private:
  std::vector<A>& awaitables_;
  std::unique_ptr<typed_slot<T>[]> slots_;
};

template <join_rule Rule, class... A>
class [[nodiscard("co_await it")]] pack_operation {
 public:
  explicit pack_operation(A && ... a) : awaitables_(static_cast<A&&>(a)...) {}
  pack_awaiter<Rule, A...> operator co_await()&& { return pack_awaiter<Rule, A...>(awaitables_); }

 private:
  std::tuple<kept_t<A>...> awaitables_;
};

template <join_rule Rule, class A>
class [[nodiscard("co_await it")]] range_operation {
 public:
  explicit range_operation(std::vector<A> awaitables) : awaitables_(std::move(awaitables)) {}
  range_awaiter<Rule, A> operator co_await()&& { return range_awaiter<Rule, A>(awaitables_); }

 private:
  std::vector<A> awaitables_;
};

template <class R>
concept awaitable_range = std::ranges::input_range<R> && awaitable<std::ranges::range_value_t<R>>;

template <class R>
auto collect(R&& range) {
  std::vector<std::ranges::range_value_t<R>> out;
  if constexpr (std::is_lvalue_reference_v<R> && !std::ranges::view<std::remove_cvref_t<R>>) {
    static_assert(std::is_copy_constructible_v<std::ranges::range_value_t<R>>,
                  "awaiting a range takes its elements: pass it with std::move");
  }
  for (auto&& a : range) {
    if constexpr (std::is_rvalue_reference_v<R&&> && !std::ranges::view<std::remove_cvref_t<R>>) {
      out.push_back(std::move(a));
    } else {
      out.push_back(static_cast<decltype(a)>(a));
    }
  }
  return out;
}

}  // namespace detail

/// Awaits all of `a...` at once and gives a tuple of their results, in that order (void as
/// std::monostate, a reference as a pointer). The first error cancels the others, waits for their
/// end, and is thrown; later errors go to the unhandled hook. A cancel reaches all of them.
///
///     auto [page, user] = co_await mobius::when_all(http::get_page(url), load_user(id));
template <awaitable... A>
requires(sizeof...(A) > 0 && !(... || detail::awaitable_range<A>))
    detail::pack_operation<detail::join_rule::all, A&&...> when_all(A&&... a) {
  return detail::pack_operation<detail::join_rule::all, A&&...>(static_cast<A&&>(a)...);
}

/// The same for a range of awaitables, which it takes over: gives a vector. Empty for an empty one.
template <detail::awaitable_range R>
auto when_all(R&& range) {
  return detail::range_operation<detail::join_rule::all, std::ranges::range_value_t<R>>(
      detail::collect(std::forward<R>(range)));
}

/// Awaits `a...` at once until the first of them ends, with a value or an error; cancels the others
/// and waits for their end. Gives the index and a variant of the results, or throws that error.
///
///     auto [index, value] = co_await mobius::when_any(stream.receive(), mobius::sleep(5s));
template <awaitable... A>
requires(sizeof...(A) > 0 && !(... || detail::awaitable_range<A>))
    detail::pack_operation<detail::join_rule::any, A&&...> when_any(A&&... a) {
  return detail::pack_operation<detail::join_rule::any, A&&...>(static_cast<A&&>(a)...);
}

/// The same for a range: gives the index and the value. Throws std::invalid_argument if it is empty.
template <detail::awaitable_range R>
auto when_any(R&& range) {
  auto awaitables = detail::collect(std::forward<R>(range));
  if (awaitables.empty()) throw std::invalid_argument("when_any: an empty range has no first to end");
  return detail::range_operation<detail::join_rule::any, std::ranges::range_value_t<R>>(
      std::move(awaitables));
}

/// Awaits `a...` at once until the first of them *succeeds*; cancels the others and waits for their
/// end. Gives the index and a variant of the results. An error before that is dropped, as another
/// may still succeed; if all fail, the first error is thrown, or `cancelled` if any was stopped by a
/// cancel. What a loser fails with after it was cancelled goes to the unhandled hook. A race of nothing
/// but deferreds is Twisted's, which does not wait for the losers' end (deferred/list.hpp).
///
///     auto [index, stream] = co_await mobius::race(connect(first), connect(second));
template <awaitable... A>
requires(sizeof...(A) > 0 &&
         !(... || detail::awaitable_range<A>)&&!(... && has_own_race<std::remove_cvref_t<A>>))
    detail::pack_operation<detail::join_rule::success, A&&...> race(A&&... a) {
  return detail::pack_operation<detail::join_rule::success, A&&...>(static_cast<A&&>(a)...);
}

/// The same for a range: gives the index and the value. Throws std::invalid_argument if it is empty.
template <detail::awaitable_range R>
requires(!has_own_race<std::ranges::range_value_t<R>>) auto race(R&& range) {
  auto awaitables = detail::collect(std::forward<R>(range));
  if (awaitables.empty()) throw std::invalid_argument("race: an empty range has no first to succeed");
  return detail::range_operation<detail::join_rule::success, std::ranges::range_value_t<R>>(
      std::move(awaitables));
}

}  // namespace mobius
