#pragma once
// `select`: waits for the first of several channel operations and other awaitables.

#include <coroutine>
#include <cstddef>
#include <optional>
#include <source_location>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include "../combine.hpp"
#include "wait_queue.hpp"

namespace mobius {

namespace detail {

template <class A>
concept selectable = requires {
  typename std::remove_cvref_t<A>::case_type;
};

class selection;

/// One alternative of a select.
class alternative {
 public:
  alternative(selection& s, std::size_t index) noexcept : selection_(s), index_(index) {}
  std::size_t index() const noexcept { return index_; }

 protected:
  selection& selection_;
  std::size_t index_;
};

/// The part of a select that does not depend on its types.
class selection : public waiter {
 public:
  /// An alternative that stands in a line has been granted; at once, so that no other can be.
  void granted(std::size_t index) noexcept;
  /// A branch has ended, with its error if it has one.
  void arrived(branch_slot& slot, failure* error) noexcept;

 protected:
  selection() noexcept : waiter(leaf_kind) {}
  virtual ~selection() = default;

  /// Takes the alternatives that stand in lines out of them, all but the winner.
  virtual void withdraw_others() noexcept = 0;

  void add(branch_slot& slot) noexcept;
  /// True if a branch need not start any more.
  bool skip(branch_slot& slot) noexcept;
  bool decided() const noexcept { return winner_ != none || first_ended_; }
  /// After all were started: true if there is something to wait for.
  bool wait() noexcept;
  void throw_if_failed();

  static constexpr std::size_t none = static_cast<std::size_t>(-1);
  std::size_t winner_ = none;
  branch_slot* first_ended_ = nullptr;

 private:
  static const leaf_type leaf_kind;
  static bool cancel(leaf* self) noexcept;
  void cancel_branches() noexcept;
  void settle() noexcept;
  void finish_if_over() noexcept;

  branch_slot* branches_ = nullptr;
  std::size_t pending_ = 0;
  std::optional<failure> error_;
  bool starting_ = true;
  bool stopping_ = false;
};

/// An alternative that stands in a line: it is taken, or given up, without any coroutine.
template <class A>
class line_alternative : public alternative, public std::remove_cvref_t<A>::case_type {
  using operation = std::remove_cvref_t<A>;
  using base = typename operation::case_type;

 public:
  using value_type = decltype(std::declval<base&>().take());

  line_alternative(selection& s, std::size_t index, operation& op)
      : line_alternative(s, index, op.arguments(), std::make_index_sequence<operation::arity>()) {}

  /// Takes what is free.
  bool try_now() {
    begun_ = true;
    return base::begin();
  }
  void stand_in_line() noexcept {
    base::enqueue();
    in_line_ = true;
  }
  // One that stands in no line any more has lost it: what it waited for is gone.
  void leave_line() noexcept {
    if (std::exchange(in_line_, false) && !base::unlink()) begun_ = false;
  }
  void give_up() noexcept {
    if (std::exchange(begun_, false)) base::withdrawn();
  }
  element_t<value_type> result() {
    if constexpr (std::is_void_v<value_type>) {
      base::take();
      return {};
    } else {
      return base::take();
    }
  }

 private:
  template <class Tuple, std::size_t... I>
  line_alternative(selection& s, std::size_t index, Tuple& arguments, std::index_sequence<I...>)
      : alternative(s, index),
        base(static_cast<std::tuple_element_t<I, Tuple>&&>(std::get<I>(arguments))...) {
    base::granted = &line_alternative::on_granted;
  }
  static void on_granted(wait_entry* e) noexcept {
    auto& self = *static_cast<line_alternative*>(static_cast<base*>(e));
    self.selection_.granted(self.index_);
  }

  bool begun_ = false;
  bool in_line_ = false;
};

/// Any other awaitable: a branch with a chain of its own, as in when_any.
template <class A>
class branch_alternative : public alternative, public typed_slot<await_result_t<A>> {
 public:
  using value_type = await_result_t<A>;

  branch_alternative(selection& s, std::size_t index, std::remove_reference_t<A>& a) noexcept
      : alternative(s, index), awaitable_(a) {}

  void start() noexcept { start_branch(awaitable_, static_cast<typed_slot<value_type>&>(*this), selection_); }
  element_t<value_type> result() { return this->take(); }

 private:
  std::remove_reference_t<A>& awaitable_;
};

template <class A>
using alternative_t = std::conditional_t<selectable<A>, line_alternative<A>, branch_alternative<A>>;

template <class... A>
class select_awaiter final : public selection {
  using value = std::variant<element_t<typename alternative_t<A>::value_type>...>;

 public:
  explicit select_awaiter(std::tuple<kept_t<A>...>& awaitables)
      : select_awaiter(awaitables, std::index_sequence_for<A...>()) {}

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h,
                     std::source_location where = std::source_location::current()) {
    return suspend(h, context_of(h), where);
  }
  bool suspend(std::coroutine_handle<> h, context* ctx, const std::source_location& where) {
    if (const gate g = arrive(h, ctx, where); g != gate::open) return g == gate::queued;
    for_each([this](auto& a) { this->try_one(a); });
    if (decided()) {
      withdraw_others();
      return wait();
    }
    for_each([this](auto& a) { this->enter(a); });
    for_each([this](auto& a) { this->start(a); });
    return wait();
  }
  std::pair<std::size_t, value> await_resume() {
    leave();
    if (was_stopped()) throw cancelled();
    throw_if_failed();
    std::optional<std::pair<std::size_t, value>> out;
    take(out, std::index_sequence_for<A...>());
    return std::move(*out);
  }

 private:
  template <std::size_t... I>
  select_awaiter(std::tuple<kept_t<A>...>& awaitables, std::index_sequence<I...>)
      : alternatives_(maker<A>{*this, I, std::get<I>(awaitables)}...) {}

  // An alternative cannot be moved: each is made in its place in the tuple.
  template <class X>
  struct maker {
    selection& owner;
    std::size_t index;
    std::remove_reference_t<X>& awaitable;
  };
  template <class X>
  struct cell : alternative_t<X> {
    explicit cell(const maker<X>& m) : alternative_t<X>(m.owner, m.index, m.awaitable) {}
  };

  template <class F>
  void for_each(F f) {
    std::apply([&](auto&... a) { (f(a), ...); }, alternatives_);
  }
  template <class X>
  void try_one(X& a) {
    if constexpr (requires { a.try_now(); }) {
      if (!decided() && a.try_now()) winner_ = a.index();
    }
  }
  template <class X>
  void enter(X& a) noexcept {
    if constexpr (requires { a.try_now(); }) {
      a.stand_in_line();
    } else {
      add(a);
    }
  }
  template <class X>
  void start(X& a) {
    if constexpr (requires { a.start(); }) {
      if (!skip(a)) a.start();
    }
  }
  void withdraw_others() noexcept override {
    // First all of them leave: what one gives up must not be handed to another.
    for_each([this](auto& a) {
      if constexpr (requires { a.try_now(); }) {
        if (a.index() != winner_) a.leave_line();
      }
    });
    for_each([this](auto& a) {
      if constexpr (requires { a.try_now(); }) {
        if (a.index() != winner_) a.give_up();
      }
    });
  }
  template <std::size_t... I>
  void take(std::optional<std::pair<std::size_t, value>>& out, std::index_sequence<I...>) {
    (take_one<I>(out), ...);
  }
  template <std::size_t I>
  void take_one(std::optional<std::pair<std::size_t, value>>& out) {
    auto& a = std::get<I>(alternatives_);
    bool won = a.index() == winner_;
    if constexpr (requires { a.start(); }) won = winner_ == none && first_ended_ == &a;
    if (won) out.emplace(I, value(std::in_place_index<I>, a.result()));
  }

  std::tuple<cell<A>...> alternatives_;
};

template <class... A>
class [[nodiscard("co_await it")]] select_operation {
 public:
  explicit select_operation(A && ... a) : awaitables_(static_cast<A&&>(a)...) {}
  select_awaiter<A...> operator co_await()&& { return select_awaiter<A...>(awaitables_); }

 private:
  std::tuple<kept_t<A>...> awaitables_;
};

}  // namespace detail

/// Waits for the first of several alternatives and gives its index and a variant of the results,
/// like `when_any`. Of the operations of this folder (channels, broadcasts, mutexes, events ...) at
/// most one takes effect: no value is taken from, or put into, a channel that did not win. If
/// several are possible at once, the first in the list wins, and the others never begin. Other
/// awaitables are started if none was possible; when one wins, the rest is cancelled and joined, and
/// what such a loser still gives is dropped.
///
/// Throws the error of the winner. A cancel withdraws all alternatives, and throws `cancelled` if
/// none had won.
///
///     auto [index, value] = co_await mobius::select(orders.next(), quit.wait(), mobius::sleep(1s));
///     if (index == 0) handle(std::get<0>(value));     // an optional, empty if `orders` was closed
template <awaitable... A>
requires(sizeof...(A) > 0) detail::select_operation<A&&...> select(A&&... a) {
  return detail::select_operation<A&&...>(static_cast<A&&>(a)...);
}

}  // namespace mobius
