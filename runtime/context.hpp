#pragma once
// What every suspended coroutine has in common: the ready queue's node, the cancellation slot of
// a chain of frames (`context`), and `waiter`, the base of all awaiters that suspend at a leaf.
//
//            suspend()                    wake(): result or cancel won
//   running ----------> waiting in a leaf ----------------------------> ready ----> running
//                           ^   |                                     (in the queue)
//            context.leaf --+   +-- cancel(): asks the leaf, which wakes when it has really ended

#include <coroutine>
#include <cstdint>
#include <source_location>

#include "failure.hpp"

#if defined(__GNUC__) && !defined(__clang__) && \
    (defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__))
// g++ makes no tail call of a symmetric transfer under the sanitizers: calls and returns of
// tasks then go through `bool await_suspend` and a loop, which is flat everywhere.
#define MOBIUS_TRAMPOLINE 1
#endif

namespace mobius {

class reactor;

namespace detail {

/// Something that the reactor runs once, in order: an intrusive entry of its ready queue.
struct node {
  using function = void (*)(node*) noexcept;

  node* next;  // while it stands in a queue
  function run;

  explicit node(function f) noexcept : run(f) {}
  /// One that gets its function later.
  node() noexcept {}
  node(const node&) = delete;
  node& operator=(const node&) = delete;
};

/// Intrusive first-in-first-out queue of nodes.
class node_queue {
 public:
  bool empty() const noexcept { return head_ == nullptr; }

  void push(node* n) noexcept {
    n->next = nullptr;
    *tail_ = n;
    tail_ = &n->next;
  }

  node* pop() noexcept {
    node* n = head_;
    head_ = n->next;
    if (!head_) tail_ = &head_;
    return n;
  }

  /// Moves everything from `other` to the end of this one.
  void splice(node_queue& other) noexcept {
    if (other.empty()) return;
    *tail_ = other.head_;
    tail_ = other.tail_;
    other.head_ = nullptr;
    other.tail_ = &other.head_;
  }

 private:
  node* head_ = nullptr;
  node** tail_ = &head_;
};

class list_link;

/// What this thread knows of its runtime.
struct thread_state {
  reactor* current;   // the thread's reactor, if it has one
  node_queue* ready;  // that reactor's ready queue
  list_link* roots;   // the head of that reactor's list of detached work
  void* entering;     // a coroutine that was started and has not yet run (GCC PR106188)
  void* returning;    // trampoline: the coroutine that goes on next
};

// initial-exec: one load from the thread's own block instead of a call, also under -fPIC.
extern thread_local constinit thread_state this_thread __attribute__((tls_model("initial-exec")));

[[noreturn]] void abort_not_entered() noexcept;

/// Resumes a suspended coroutine from the runtime's own code, and returns when it and all it
/// returned to have suspended or ended.
inline void resume(std::coroutine_handle<> h) noexcept {
  thread_state& here = this_thread;
  h.resume();
#ifdef MOBIUS_TRAMPOLINE
  while (void* next = here.returning) {
    here.returning = nullptr;
    std::coroutine_handle<>::from_address(next).resume();
  }
#endif
  if (here.entering) [[unlikely]]
    abort_not_entered();
}

struct leaf;

/// What a kind of leaf is called in reports, and how it is asked to end early.
struct leaf_type {
  const char* name;
  /// Asks the leaf to end; it wakes its coroutine when it has. False if it had ended already.
  /// Never fails, allocates or frees.
  bool (*cancel)(leaf* self) noexcept;
};

/// The innermost thing that a chain of frames waits for.
struct leaf {
  const leaf_type* type;
};

/// A task-local value that holds for a chain and for the children it starts (see local.hpp). It
/// lives in the frame of who binds it.
struct local_value {
  const void* key;
  const local_value* outer;
};

/// How urgently a chain was asked to end. `once` is Twisted's cancel: delivered one time, and the
/// code may go on. `level` holds: every later cancellation point throws too.
enum class cancel_mark : std::uint8_t { none, once, level };

/// The cancellation slot that a chain of frames shares: each frame inherits it at co_await. At
/// most one leaf waits in it at a time, so a cancel costs the same at any depth.
class context {
 public:
  context() = default;
  context(const context&) = delete;
  context& operator=(const context&) = delete;

  /// Cancels for good: the leaf now waiting and every later one.
  void cancel() noexcept {
    mark_ = cancel_mark::level;
    if (leaf_) leaf_->type->cancel(leaf_);
  }
  /// One request, one delivery: to the leaf now waiting, or, if that has just ended, to the next.
  /// A chain that is running at the moment takes no notice (R135).
  void cancel_once() noexcept {
    if (leaf_ && !cancel_waiting() && mark_ == cancel_mark::none) mark_ = cancel_mark::once;
  }
  /// One request to the leaf now waiting and to no other: false if none waits, or it has just ended.
  bool cancel_waiting() noexcept { return leaf_ && leaf_->type->cancel(leaf_); }

  /// Notes what the chain waits for, and where.
  void enter(leaf& l, const std::source_location& where) noexcept {
    leaf_ = &l;
    where_ = where;
  }
  /// The chain goes on.
  void leave() noexcept { leaf_ = nullptr; }

  /// Begins to stand for `outer` inside a `timeout` or its like: takes what is asked of it.
  void adopt(context& outer) noexcept {
    mark_ = outer.mark_;
    deliveries_ = outer.deliveries_;
    locals_ = outer.locals_;
    if (outer.mark_ == cancel_mark::once) outer.mark_ = cancel_mark::none;
  }
  /// Passes on a cancel that `outer` was asked for.
  void forward_cancel(const context& outer) noexcept { outer.stopping() ? cancel() : cancel_once(); }
  /// Ends standing for `outer`. What was told to this one alone (a time limit's end) is not told to it.
  void give_back(context& outer) noexcept {
    if (outer.stopping()) outer.deliveries_ = deliveries_;
    if (mark_ == cancel_mark::once && outer.mark_ == cancel_mark::none) outer.mark_ = mark_;
  }

  /// Begins a chain of its own below `parent`: takes over its task-local values.
  void inherit(const context& parent) noexcept { locals_ = parent.locals_; }
  /// The task-local values, innermost first.
  const local_value* locals() const noexcept { return locals_; }
  /// Binds or unbinds one.
  void set_locals(const local_value* l) noexcept { locals_ = l; }

  /// True if the chain was cancelled for good.
  bool stopping() const noexcept { return mark_ == cancel_mark::level; }
  /// What is asked of the chain and not yet delivered.
  cancel_mark mark() const noexcept { return mark_; }
  /// What the chain waits for, or null.
  const leaf* waiting() const noexcept { return leaf_; }
  /// Where it does.
  const std::source_location& where() const noexcept { return where_; }

  /// Marks the context of a coroutine that returns a deferred, for who describes what waits.
  void set_heads_deferred() noexcept { heads_deferred_ = true; }
  /// True if it is one.
  bool heads_deferred() const noexcept { return heads_deferred_; }

 private:
  friend class waiter;
  friend class deferred_awaiter_base;  // the leaf that wakes without the ready queue

  leaf* leaf_ = nullptr;
  const local_value* locals_ = nullptr;
  std::source_location where_{};
  cancel_mark mark_ = cancel_mark::none;
  std::uint8_t deliveries_ = 0;
  bool heads_deferred_ = false;
};

/// What the promise of every coroutine type of ours begins with.
struct promise_base {
  context* ctx;  // inherited from the frame that awaits this one, when it begins
};

/// The context of a coroutine; null for a coroutine type that is not ours.
template <class Promise>
context* context_of(std::coroutine_handle<Promise> h) noexcept {
  if constexpr (std::derived_from<Promise, promise_base>) {
    return h.promise().ctx;
  } else {
    return nullptr;
  }
}

/// How an awaiter's await_suspend hands control on: by symmetric transfer, or, where that is no
/// tail call, by saying whether the awaiting coroutine stays suspended.
#ifdef MOBIUS_TRAMPOLINE
using transfer = bool;
inline transfer stay_suspended() noexcept { return true; }
inline transfer go_on(std::coroutine_handle<>) noexcept { return false; }
#else
using transfer = std::coroutine_handle<>;
inline transfer stay_suspended() noexcept { return std::noop_coroutine(); }
inline transfer go_on(std::coroutine_handle<> h) noexcept { return h; }
#endif

/// Base of the awaiters that suspend at a leaf: a queue node, the leaf of its context, and the
/// coroutine to wake. It lives in the coroutine's frame from suspension to resumption.
///
/// A derived awaiter offers `bool suspend(handle, context*, source_location)`, so that `timeout`
/// and its like can start it without a frame in between, and begins it with
///
///     if (const gate g = arrive(h, ctx, where); g != gate::open) return g == gate::queued;
class waiter : public node, public leaf {
 public:
  waiter(const waiter&) = delete;
  waiter& operator=(const waiter&) = delete;

  bool await_ready() const noexcept { return false; }

  /// True if running `n` makes a waiting coroutine go on.
  static bool is_wake_up(const node& n) noexcept { return n.run == &waiter::resume_waiting; }

  /// Called by what was waited for, once: the coroutine goes on in its turn.
  void wake() noexcept { this_thread.ready->push(this); }

 protected:
  enum class state : std::uint8_t { idle, waiting, done, stopped };
  enum class gate : std::uint8_t { open, stopped, queued };

  explicit waiter(const leaf_type& t) noexcept : node(&waiter::resume_waiting), leaf{&t} {}
  /// One that often need not wait: `prepare` makes the rest of it when it has to.
  waiter() noexcept {}
  void prepare(const leaf_type& t) noexcept {
    run = &waiter::resume_waiting;
    type = &t;
  }
  // One whose start threw never gets to leave.
  ~waiter() {
    if (ctx_ && ctx_->waiting() == this) ctx_->leave();
  }

  /// Enters the context. `open`: go ahead. Otherwise the chain has been cancelled: do nothing
  /// more, and suspend only if `queued`.
  gate arrive(std::coroutine_handle<> h, context* ctx, const std::source_location& where) noexcept {
    begin_wait(h, ctx, where);
    if (ctx && ctx->mark_ != cancel_mark::none) [[unlikely]]
      return stop_on_arrival();
    return gate::open;
  }
  /// The same for a chain that has not been cancelled, as the caller knows.
  void begin_wait(std::coroutine_handle<> h, context* ctx, const std::source_location& where) noexcept {
    handle_ = h;
    ctx_ = ctx;
    state_ = state::waiting;
    if (ctx) ctx->enter(*this, where);
  }
  /// Leaves the context; what await_resume begins with.
  void leave() noexcept {
    if (!ctx_) return;
    ctx_->leave();
    ctx_ = nullptr;  // last: whoever destroys it then need not look
  }

  /// Notes that a cancel won; what `wake` follows.
  void stop() noexcept {
    state_ = state::stopped;
    if (ctx_ && ctx_->stopping() && ctx_->deliveries_ < 255) ++ctx_->deliveries_;
  }

  /// True if a cancel won: await_resume then throws `cancelled`.
  bool was_stopped() const noexcept { return state_ == state::stopped; }

  std::coroutine_handle<> handle_;
  context* ctx_ = nullptr;  // from the arrival to the resumption
  state state_ = state::idle;
  bool cancel_asked_ = false;

 private:
  static void resume_waiting(node* n) noexcept { resume(static_cast<waiter*>(n)->handle_); }
  gate stop_on_arrival() noexcept;
};

}  // namespace detail
}  // namespace mobius
