#pragma once
// The stages of a chain: what runs a callback on the result of a core or of a ready handle, and
// puts what it returned in its place.

#include <optional>

#include "handle.hpp"

namespace mobius {

template <awaitable A>
requires(!detail::is_deferred<std::remove_cvref_t<A>>) deferred<await_result_t<A>> to_deferred(A a);

namespace detail {

template <class T>
handle<T>& handle_of(deferred<T>& d) noexcept;

/// Where the outcome of a stage that runs on a core goes. `In` is what the slot held before.
template <class In, class U>
class core_sink {
  using stored = stored_t<U>;
  using values = cell<stored>;

 public:
  explicit core_sink(core* c) noexcept : core_(c) {}

  bool waits() const noexcept { return waits_; }

  template <class... Args>
  void value(Args&&... args) {
    if constexpr (std::is_same_v<In, U> && !values::boxed && sizeof...(Args) == 1 &&
                  (std::is_nothrow_assignable_v<stored&, Args&&> && ...)) {
      if (core_->result == kind::value) {
        ((values::get(core_->slot) = std::forward<Args>(args)), ...);
        return;
      }
    }
    if constexpr (std::is_nothrow_constructible_v<stored, Args&&...> && !values::boxed) {
      clear();
      new (static_cast<void*>(core_->slot)) stored(std::forward<Args>(args)...);
    } else {
      alignas(void*) std::byte made[values::size];  // first: it may throw
      values::make(made, std::forward<Args>(args)...);
      clear();
      values::relocate(core_->slot, made);
    }
    core_->ops = &ops_of<stored>;
    core_->result = kind::value;
  }
  void error(failure&& f) noexcept {
    failure taken(std::move(f));  // which may lie in the slot
    clear();
    core_->put_error(std::move(taken));
  }
  void wait(deferred<U>&& d) {
    handle<U>& inner = handle_of(d);
    switch (inner.state()) {
      case holding::value:
        return value(std::move(inner.value()));
      case holding::error:
        return error(inner.take_error());
      case holding::nothing:
        inner.throw_empty();
      default: {
        core* c = inner.promote();
        inner.forget();
        waits_ = link(core_, c);
      }
    }
  }
  void pass_value(stored_t<In>& in) { pass<U>(*this, in); }
  void pass_error(failure& in) noexcept {
    if (core_->result != kind::error || &in != &core_->error()) error(std::move(in));
  }

 private:
  template <class V, class Sink>
  static void pass(Sink& self, stored_t<In>& in) {
    if constexpr (std::is_same_v<In, V>) {
      if (&in != &values::get(self.core_->slot)) self.value(std::move(in));
    }
  }
  void clear() noexcept {
    if constexpr (cell<stored_t<In>>::boxed || !std::is_trivially_destructible_v<stored_t<In>>) {
      core_->clear();
    } else {
      if (core_->result == kind::error) core_->clear();
    }
    core_->result = kind::none;
  }

  core* core_;
  bool waits_ = false;
};

/// Where the outcome of a stage that runs on a ready handle goes: a handle that holds nothing.
template <class In, class U>
class handle_sink {
 public:
  explicit handle_sink(handle<U>& out) noexcept : out_(out) {}

  template <class... Args>
  void value(Args&&... args) {
    out_.set_value(std::forward<Args>(args)...);
  }
  void error(failure&& f) noexcept { out_.set_error(std::move(f)); }
  void wait(deferred<U>&& d) {
    if (handle_of(d).state() == holding::nothing) handle<U>::throw_empty();
    out_.take(handle_of(d));
  }
  void pass_value(stored_t<In>& in) {
    if constexpr (std::is_same_v<In, U>) out_.set_value(std::move(in));
  }
  void pass_error(failure& in) noexcept { out_.set_error(std::move(in)); }

 private:
  handle<U>& out_;
};

/// The same for a stage that keeps the type and was added to a named handle: straight back into
/// that handle, unless something has happened to it meanwhile.
template <class T>
class inline_sink {
  using stored = stored_t<T>;

 public:
  explicit inline_sink(inline_run<T>& run) noexcept : run_(run) {}

  template <class... Args>
  void value(Args&&... args) {
    if constexpr (!cell<stored>::boxed && std::is_nothrow_constructible_v<stored, Args&&...>) {
      if (run_.owner && !run_.promoted) [[likely]] {
        run_.owner->end_inline(std::forward<Args>(args)...);
        run_.ended = true;
        return;
      }
    }
    run_.out.set_value(std::forward<Args>(args)...);
  }
  void error(failure&& f) noexcept { run_.out.set_error(std::move(f)); }
  void wait(deferred<T>&& d) {
    if (handle_of(d).state() == holding::nothing) handle<T>::throw_empty();
    run_.out.take(handle_of(d));
  }
  void pass_value(stored& in) { value(std::move(in)); }
  void pass_error(failure& in) noexcept { error(std::move(in)); }

 private:
  inline_run<T>& run_;
};

/// Calls `call` and puts what it returns, a `U` or what leads to one, into `sink`.
template <class U, class Sink, class Call>
void deliver(Sink& sink, Call&& call) {
  using returned = decltype(call());
  using R = std::remove_cvref_t<returned>;
  if constexpr (std::is_void_v<R>) {
    call();
    sink.value();
  } else if constexpr (std::is_same_v<R, never>) {
    call();
  } else if constexpr (std::is_same_v<R, failure>) {
    sink.error(failure(call()));
  } else if constexpr (is_result<R>) {
    R r = call();
    if (!r) return sink.error(std::move(r.error()));
    if constexpr (std::is_void_v<typename R::value_type>) {
      sink.value();
    } else if constexpr (std::is_reference_v<U>) {
      sink.value(&*r);
    } else {
      sink.value(*std::move(r));
    }
  } else if constexpr (std::is_same_v<R, deferred<U>> || std::is_same_v<R, closure_chain<U>>) {
    sink.wait(call());
  } else if constexpr (is_deferred<R>) {
    sink.wait(call().template as<U>());
  } else if constexpr (awaitable<R>) {
    if constexpr (std::is_same_v<await_result_t<R>, U>) {
      sink.wait(to_deferred(call()));
    } else {
      sink.wait(to_deferred(call()).template as<U>());
    }
  } else if constexpr (std::is_reference_v<U>) {
    sink.value(&call());
  } else if constexpr (std::is_reference_v<returned>) {
    R copy(call());  // it may refer to what the sink is about to replace
    sink.value(std::move(copy));
  } else {
    sink.value(call());
  }
}

/// Runs `body`, an exception of which becomes the outcome.
template <class Sink, class Body>
void guarded(Sink& sink, const failure* incoming, const std::source_location& where, Body&& body) noexcept {
  try {
    body();
  } catch (...) {
    sink.error(caught(incoming, where));
  }
}

/// Runs an action on a value or a failure.
template <class Action, class Sink, class S>
void apply_to_value(Action& action, Sink& sink, S& in, const std::source_location& where) noexcept {
  guarded(sink, nullptr, where, [&] { action.on_value(sink, in); });
}
template <class Action, class Sink>
void apply_to_error(Action& action, Sink& sink, failure& in, const std::source_location& where) noexcept {
  guarded(sink, &in, where, [&] { action.on_error(sink, in); });
}

/// Runs an action on what a ready handle holds and takes it out of it; `prepare` is called between.
template <class T, class Action, class Sink, class Prepare>
void apply(Action& action, Sink& sink, handle<T>& from, const std::source_location& where,
           Prepare&& prepare) noexcept {
  if constexpr ((Action::mask & stage::on_value) != 0) {
    if (from.state() == holding::value) {
      taken_value<T> in(from);
      prepare();
      return apply_to_value(action, sink, in.get(), where);
    }
  }
  if constexpr ((Action::mask & stage::on_failure) != 0) {
    failure in = from.take_error();
    prepare();
    apply_to_error(action, sink, in, where);
  }
}

/// A stage in a core's list: an action on a `T` whose outcome is an `Action::tail`.
template <class T, class Action>
class action_stage final : public placed_stage {
 public:
  action_stage(Action&& action, const std::source_location& site)
      : placed_stage(&act_on, Action::mask, site), action_(std::move(action)) {}

 private:
  static core* act_on(stage* s, core* c, step what) noexcept {
    auto* self = static_cast<action_stage*>(s);
    if (what == step::run) {
      core_sink<T, typename Action::tail> sink(c);
      self->run(sink, c);
      // What it returned may refer to this stage: keep it until that has ended.
      if (Action::waits && sink.waits()) {
        c->continuation.kept = self;
        return nullptr;
      }
    }
    self->~action_stage();
    c->deallocate(self, sizeof(action_stage));
    return nullptr;
  }

  template <class Sink>
  void run(Sink& sink, core* c) noexcept {
    if constexpr ((Action::mask & stage::on_failure) == 0) {
      apply_to_value(action_, sink, cell<stored_t<T>>::get(c->slot), where);
    } else if constexpr ((Action::mask & stage::on_value) == 0) {
      apply_to_error(action_, sink, c->error(), where);
    } else if (c->result == kind::value) {
      apply_to_value(action_, sink, cell<stored_t<T>>::get(c->slot), where);
    } else {
      apply_to_error(action_, sink, c->error(), where);
    }
  }

  [[no_unique_address]] Action action_;
};

/// Adds an action to a core; it runs when it is started.
template <class T, class Action>
void push_action(core* c, Action&& action, const std::source_location& where) {
  using placed = action_stage<T, std::remove_cvref_t<Action>>;
  static_assert(alignof(placed) <= 16,
                "mobius: a callback aligned beyond 16 bytes cannot be added: box what it captures");
  void* memory = c->allocate(sizeof(placed), alignof(placed));
  if constexpr (std::is_nothrow_move_constructible_v<std::remove_cvref_t<Action>>) {
    c->push(new (memory) placed(std::forward<Action>(action), where));
  } else {
    try {
      c->push(new (memory) placed(std::forward<Action>(action), where));
    } catch (...) {
      c->deallocate(memory, sizeof(placed));
      throw;
    }
  }
}

/// Where a waiting stage keeps its argument, at one address, until what the callback
/// returned has ended.
template <class S>
class kept_argument {
 public:
  template <class In>
  S& keep(In&& in) {
    return kept_.emplace(std::forward<In>(in));
  }

 private:
  std::optional<S> kept_;
};

/// The parts of what all actions say of themselves.
template <class Tail, std::uintptr_t Mask, bool Waits, bool InPlace>
struct action_traits {
  using tail = Tail;
  static constexpr std::uintptr_t mask = Mask;
  static constexpr bool waits = Waits;
  static constexpr bool in_place = !Waits || InPlace;  // may run on the stack of its caller
};

template <class F, class T>
inline constexpr bool runs_on_stack = stateless<F> && (std::is_void_v<T> || by_value<F>);

}  // namespace detail
}  // namespace mobius
