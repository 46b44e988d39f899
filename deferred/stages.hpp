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

/// Where the outcome of a stage that runs on a core goes. The slot holds an `In` or, if `Holds` says
/// so, a failure, until there is an outcome.
template <class In, class U, kind Holds>
class core_sink {
  using stored = stored_t<U>;
  using values = cell<stored>;

 public:
  explicit core_sink(core* c) noexcept : core_(c) {}

  bool waits() const noexcept { return waits_; }

  template <class... Args>
  void value(Args&&... args) {
    if constexpr (replaces<Args...>) {
      ((values::get(core_->slot) = std::forward<Args>(args)), ...);
      return;
    } else if constexpr (std::is_nothrow_constructible_v<stored, Args&&...> && !values::boxed) {
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
    if constexpr (Holds == kind::error) {
      core_->error() = std::move(f);
    } else {
      clear();
      core_->put_error(std::move(f));
    }
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
    if (Holds != kind::error || &in != &core_->error()) error(std::move(in));
  }

 private:
  template <class V, class Sink>
  static void pass(Sink& self, stored_t<In>& in) {
    if constexpr (std::is_same_v<In, V>) {
      if (&in != &values::get(self.core_->slot)) self.value(std::move(in));
    }
  }
  // Can a value be assigned to the one before it?
  template <class... Args>
  static constexpr bool replaces =
      Holds == kind::value&& std::is_same_v<In, U> && !values::boxed && sizeof...(Args) == 1 &&
      (std::is_nothrow_assignable_v<stored&, Args&&> && ...);

  void clear() noexcept {
    if constexpr (Holds == kind::error) {
      core_->error().~failure();
    } else {
      cell<stored_t<In>>::destroy(core_->slot);
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
  if constexpr ((Action::mask & stage_type::on_value) != 0) {
    if (from.state() == holding::value) {
      taken_value<T> in(from);
      prepare();
      return apply_to_value(action, sink, in.get(), where);
    }
  }
  if constexpr ((Action::mask & stage_type::on_failure) != 0) {
    failure in = from.take_error();
    prepare();
    apply_to_error(action, sink, in, where);
  }
}

/// The parts of what all actions say of themselves.
template <class Tail, std::uint8_t Mask, bool Waits, bool InPlace>
struct action_traits {
  using tail = Tail;
  static constexpr std::uint8_t mask = Mask;
  static constexpr bool waits = Waits;
  static constexpr bool in_place = !Waits || InPlace;  // may run on the stack of its caller
};

/// A stage in a core's list: an action on a `T` whose outcome is an `Action::tail`.
template <class T, class Action>
class action_stage final : public placed_stage {
 public:
  action_stage(Action&& action, const std::source_location& site)
      : placed_stage(kind_of_this, site), action_(std::move(action)) {}

 private:
  static bool run(stage* s, core* c) noexcept {
    auto* self = static_cast<action_stage*>(s);
    c->pop(self, size());
    if (self->run_on(c)) {
      // What it returned may refer to this stage: it is kept until that has ended.
      c->kept = self;
      return true;
    }
    self->~action_stage();
    return false;
  }
  static void destroy(stage* s, core*) noexcept { static_cast<action_stage*>(s)->~action_stage(); }

  bool run_on(core* c) noexcept {
    if constexpr ((Action::mask & stage_type::on_failure) == 0) {
      return on_value(c);
    } else if constexpr ((Action::mask & stage_type::on_value) == 0) {
      return on_error(c);
    } else {
      return c->result == kind::value ? on_value(c) : on_error(c);
    }
  }
  bool on_value(core* c) noexcept {
    core_sink<T, typename Action::tail, kind::value> sink(c);
    apply_to_value(action_, sink, cell<stored_t<T>>::get(c->slot), where);
    return Action::waits && sink.waits();
  }
  bool on_error(core* c) noexcept {
    core_sink<T, typename Action::tail, kind::error> sink(c);
    apply_to_error(action_, sink, c->error(), where);
    return Action::waits && sink.waits();
  }

  static constexpr std::uint16_t size() noexcept { return stage_list::rounded(sizeof(action_stage)); }
  static const stage_type kind_of_this;

  [[no_unique_address]] Action action_;
};

template <class T, class Action>
constexpr stage_type action_stage<T, Action>::kind_of_this{
    &run, std::is_trivially_destructible_v<Action> ? nullptr : &destroy, size(), Action::mask};

/// An action that lies in a block of its own: too long, or aligned, for the list.
template <class Action>
class boxed_action : public action_traits<typename Action::tail, Action::mask, Action::waits, false> {
 public:
  explicit boxed_action(Action&& action) : box_(allocate_frame(sizeof(Action))) {
    try {
      new (box_) Action(std::move(action));
    } catch (...) {
      free_frame(box_, sizeof(Action));
      throw;
    }
  }
  boxed_action(boxed_action&& other) noexcept : box_(std::exchange(other.box_, nullptr)) {}
  boxed_action& operator=(boxed_action&&) = delete;
  ~boxed_action() {
    if (!box_) return;
    get().~Action();
    free_frame(box_, sizeof(Action));
  }

  template <class Sink, class S>
  void on_value(Sink& sink, S& in) {
    get().on_value(sink, in);
  }
  template <class Sink>
  void on_error(Sink& sink, failure& in) {
    get().on_error(sink, in);
  }

 private:
  Action& get() noexcept { return *std::launder(static_cast<Action*>(box_)); }

  void* box_;
};

/// Adds an action to a core; it runs when it is started.
template <class T, class Action>
inline void push_action(core* c, Action&& action, const std::source_location& where) {
  using A = std::remove_cvref_t<Action>;
  using placed = action_stage<T, A>;
  static_assert(alignof(A) <= 16,
                "mobius: a callback aligned beyond 16 bytes cannot be added: box what it captures");
  if constexpr (sizeof(placed) <= stage_list::largest && alignof(placed) <= stage_list::unit) {
    c->emplace<placed>(std::forward<Action>(action), where);
  } else {
    c->emplace<action_stage<T, boxed_action<A>>>(boxed_action<A>(std::forward<Action>(action)), where);
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

template <class F, class T>
inline constexpr bool runs_on_stack = stateless<F> && (std::is_void_v<T> || by_value<F>);

}  // namespace detail
}  // namespace mobius
