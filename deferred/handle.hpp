#pragma once
// The storage of a deferred handle: a ready result lies in the handle itself, a pending one in a
// core. While a stage runs inline on a ready handle, the handle is `busy` and points to a record
// on the stack, so that it may be moved, dropped or added to from inside that stage.

#include <source_location>

#include "core.hpp"
#include "traits.hpp"

namespace mobius::detail {

template <class T>
class handle;

template <class T>
struct inline_run;

// The first three agree with `kind`, and so with the masks of stages.
enum class holding : std::uint8_t { nothing, value, error, core, busy };

template <class T>
class handle {
  static_assert(!is_deferred<T>,
                "mobius: a deferred<deferred<T>> cannot exist: return the inner deferred "
                "from a callback and the chain waits for it");
  static_assert(!is_result<T>,
                "mobius: a deferred holds a value or a failure by itself: write deferred<T>, "
                "not deferred<result<T>>");
  static_assert(alignof(stored_t<T>) <= 16,
                "mobius: a deferred cannot hold a type aligned beyond 16 bytes: box it, or pad it instead");

 public:
  using stored = stored_t<T>;
  using values = cell<stored>;

  handle() noexcept : state_(holding::nothing) {}
  handle(core* c) noexcept : state_(holding::core) { put_pointer(c); }
  handle(handle&& other) noexcept : state_(holding::nothing) { take(other); }
  handle& operator=(handle&& other) noexcept {
    if (this == &other) return *this;
    handle old(std::move(*this));  // what it held goes last: its stages may look at this one
    take(other);
    return *this;
  }
  ~handle() {
    if (state_ != holding::nothing) drop();
  }

  holding state() const noexcept { return state_; }
  bool ready_here() const noexcept { return state_ == holding::value || state_ == holding::error; }

  stored& value() noexcept { return values::get(store_); }
  failure& error() noexcept { return *std::launder(reinterpret_cast<failure*>(store_)); }
  core* pending() const noexcept {
    core* c;
    __builtin_memcpy(&c, store_, sizeof c);
    return c;
  }

  /// The storage of the value, for cells.
  std::byte& value_storage() noexcept { return store_[0]; }

  template <class... Args>
  void set_value(Args&&... args) {
    values::make(store_, std::forward<Args>(args)...);
    state_ = holding::value;
  }
  void set_error(failure&& f) noexcept {
    new (static_cast<void*>(store_)) failure(std::move(f));
    state_ = holding::error;
  }

  /// Takes the failure out; this one then holds nothing.
  failure take_error() noexcept {
    failure f(std::move(error()));
    error().~failure();
    state_ = holding::nothing;
    return f;
  }

  /// Takes over what `other` holds, which then holds nothing; this one must hold nothing before.
  void take(handle& other) noexcept {
    state_ = other.state_;
    switch (state_) {
      [[likely]] case holding::core : put_pointer(other.pending());
      break;
      case holding::nothing:
        return;
      case holding::value:
        values::relocate(store_, other.store_);
        break;
      case holding::error:
        new (static_cast<void*>(store_)) failure(std::move(other.error()));
        other.error().~failure();
        break;
      case holding::busy:
        put_pointer(other.record());
        record()->owner = this;
        break;
    }
    other.state_ = holding::nothing;
  }

  void drop() noexcept {
    switch (state_) {
      case holding::nothing:
        break;
      case holding::value:
        values::destroy(store_);
        break;
      case holding::error:
        report_dropped(error());
        error().~failure();
        break;
      case holding::core:
        if (pending()->has(core::unentered)) [[unlikely]]
          abort_not_entered();
        drop_consumer(pending());
        break;
      case holding::busy:
        record()->owner = nullptr;
        break;
    }
    state_ = holding::nothing;
  }

  /// Destroys an argument that a stage has been given: nothing is reported.
  void discard() noexcept {
    if (state_ == holding::error) error().~failure();
    if (state_ == holding::value) values::destroy(store_);
    state_ = holding::nothing;
  }

  /// Takes the result of a core, which then has none; this one must hold nothing before.
  void take_result(core* c) noexcept {
    if (c->result == kind::error) {
      set_error(std::move(c->error()));
      c->clear();
      return;
    }
    values::relocate(store_, c->slot);
    c->result = kind::none;
    state_ = holding::value;
  }

  /// Gives its core away.
  core* release_core() noexcept {
    state_ = holding::nothing;
    return pending();
  }

  /// Its core; what it holds moves into a new one if it has none.
  core* promote(const std::source_location& where = {}) {
    return state_ == holding::core ? pending() : move_to_core(where);
  }
  core* move_to_core(const std::source_location& where) {
    if (state_ == holding::nothing) throw_empty();
    core* c = make_core(core::fired | core::consumed, where);
    if (state_ == holding::value) {
      values::relocate(c->slot, store_);
      c->ops = &ops_of<stored>;
      c->result = kind::value;
    } else if (state_ == holding::error) {
      c->put_error(std::move(error()));
      error().~failure();
    } else {
      c->set(core::running);
      record()->promoted = hold(c);
    }
    state_ = holding::core;
    put_pointer(c);
    return c;
  }

  void begin_inline(inline_run<T>& run) noexcept {
    put_pointer(&run);
    state_ = holding::busy;
  }
  inline_run<T>* record() const noexcept {
    inline_run<T>* r;
    __builtin_memcpy(&r, store_, sizeof r);
    return r;
  }
  /// Ends the busy state with a value; its storage is made at once, so nothing may throw.
  template <class... Args>
  void end_inline(Args&&... args) noexcept {
    set_value(std::forward<Args>(args)...);
  }
  /// For take() in place of a busy state that has ended.
  void forget() noexcept { state_ = holding::nothing; }

  [[noreturn]] static void throw_empty() {
    throw no_deferred("this deferred is empty: it was moved from, awaited or returned to a chain before");
  }

 private:
  void put_pointer(void* p) noexcept { __builtin_memcpy(store_, &p, sizeof p); }

  static constexpr std::size_t store_size = values::size > sizeof(failure) ? values::size : sizeof(failure);

  alignas(void*) std::byte store_[store_size];
  holding state_;
};

/// A stage that is running on a ready handle.
template <class T>
struct inline_run {
  explicit inline_run(handle<T>* h) noexcept : owner(h) {}

  handle<T>* owner;          // null when it was dropped meanwhile
  core* promoted = nullptr;  // what was added to it meanwhile waits here
  bool ended = false;        // the outcome is in `owner`, else in `out`
  handle<T> out;
};

/// A value taken out of a handle, which then holds nothing, for the time of a call.
template <class T>
class taken_value {
 public:
  explicit taken_value(handle<T>& from) noexcept {
    cell<stored_t<T>>::relocate(store_, &from.value_storage());
    from.forget();
  }
  taken_value(const taken_value&) = delete;
  taken_value& operator=(const taken_value&) = delete;
  ~taken_value() { cell<stored_t<T>>::destroy(store_); }

  stored_t<T>& get() noexcept { return cell<stored_t<T>>::get(store_); }

 private:
  alignas(void*) std::byte store_[cell<stored_t<T>>::size];
};

/// Holds an idle core while its outcome, a `T` or a failure, is taken: also when the move of that
/// throws.
template <class T>
class taken_core {
 public:
  explicit taken_core(core* c) noexcept : core_(c) {}
  taken_core(const taken_core&) = delete;
  taken_core& operator=(const taken_core&) = delete;
  ~taken_core() {
    if (core_->result == kind::value) [[likely]] {
      cell<stored_t<T>>::destroy(core_->slot);
    } else {
      core_->error().~failure();
    }
    core_->result = kind::none;
    release(core_);
  }

 private:
  core* core_;
};

/// Gives the value of a core, or throws its failure, which passes `where` in a coroutine of `ctx`.
template <class T>
T take_value(core* c, const std::source_location& where, const context* ctx) {
  const taken_core<T> at_end(c);
  if (c->result == kind::error) [[unlikely]]
    throw_failure(c->error(), where, ctx);
  return static_cast<T>(as_argument<T>(cell<stored_t<T>>::get(c->slot)));
}

/// The same of a ready handle.
template <class T>
T take_value(handle<T>& h, const std::source_location& where, const context* ctx) {
  struct emptied {
    ~emptied() { from.discard(); }
    handle<T>& from;
  };
  const emptied at_end{h};
  if (h.state() == holding::error) [[unlikely]]
    throw_failure(h.error(), where, ctx);
  return static_cast<T>(as_argument<T>(h.value()));
}

}  // namespace mobius::detail
