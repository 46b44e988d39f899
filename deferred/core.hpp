#pragma once
// The core: what a deferred has on the heap once it must wait. One per chain, 384 bytes from the
// frame pool: head, result slot, and room for ten stages, which are laid one behind the other.
//
//               fire                  a stage returned a pending deferred
//   unfired ----------> draining ------------------------------------------> waiting on `inner`
//      |                 |    ^                                                     |
//      | cancel          |    +-----------------------------------------------------+
//      +---------------->|          inner's last stage hands its result over
//                        +--> idle: result kept until the next stage takes it
//
// Everything here is type-erased; handle.hpp and stages.hpp put the types on it.

#include <cstddef>
#include <cstdint>
#include <source_location>

#include "../runtime/failure.hpp"
#include "../runtime/frame_pool.hpp"
#include "../runtime/root.hpp"
#include "errors.hpp"
#include "slot.hpp"
#include "stage_list.hpp"

namespace mobius {

/// What a canceller answers. `done`: the deferred ends now, with `cancelled` unless the canceller
/// fired it. `later`: it will be fired when the operation has really stopped; it is not asked
/// again. `again`: the same, but every further cancel is passed on too.
enum class cancel_reply : std::uint8_t { done, later, again };

namespace detail {

enum class step : std::uint8_t { run, discard };

/// What takes the outcome of a chain behind its last stage, in memory of its own: who awaits it,
/// or a list that it is an input of. `end` returns a core that the drain is to go on with, or null.
struct taker {
  core* (*end)(taker*, core*) noexcept;
  std::source_location where;
};

/// How a deferred is stopped: called on cancel, thrown away when it fires.
struct canceller {
  using function = cancel_reply (*)(canceller*, core*, step);
  function act;
};

enum class kind : std::uint8_t { none = 0, value = stage_type::on_value, error = stage_type::on_failure };

struct core : stage_list {
  // Flags.
  static constexpr std::uint16_t fired = 1;         // its one shot is used
  static constexpr std::uint16_t running = 2;       // its stages are being run
  static constexpr std::uint16_t waiting = 4;       // on `inner`
  static constexpr std::uint16_t consumed = 8;      // a handle, an outer core or an awaiter has it
  static constexpr std::uint16_t awaited = 16;      // an outer core or an awaiter waits for it
  static constexpr std::uint16_t swallow = 32;      // cancelled: one late fire is ignored (R67)
  static constexpr std::uint16_t cancelling = 64;   // its canceller is being called
  static constexpr std::uint16_t asked = 128;       // its canceller said `later`
  static constexpr std::uint16_t coroutine = 256;   // it lies in the promise of a coroutine
  static constexpr std::uint16_t unentered = 512;   // which has not begun (GCC PR106188)
  static constexpr std::uint16_t stopped = 1024;    // cancelled for good: `cancelled` is no news
  static constexpr std::uint16_t frail = 2048;      // to be cancelled when its consumer goes
  static constexpr std::uint16_t traced = 4096;     // debugging has noted where it was made
  static constexpr std::uint16_t continued = 8192;  // `outer` waits for it
  static constexpr std::uint16_t noted = 16384;     // a coroutine's: the slot has what an await threw

  core(std::uint8_t home_units, std::uint16_t initial, const std::source_location& where) noexcept
      : stage_list(home(), home_units * unit), capacity(home_units), flags(initial), created(where) {}

  bool has(std::uint16_t flag) const noexcept { return (flags & flag) != 0; }
  void set(std::uint16_t flag) noexcept { flags = static_cast<std::uint16_t>(flags | flag); }
  void reset(std::uint16_t flag) noexcept { flags = static_cast<std::uint16_t>(flags & ~flag); }

  /// Fired, and nothing keeps its result from being taken at once.
  bool idle() const noexcept { return (flags & (fired | running | waiting)) == fired && paused == 0; }

  failure& error() noexcept { return *std::launder(reinterpret_cast<failure*>(slot)); }

  /// Destroys the result.
  void clear() noexcept {
    if (result == kind::value) {
      if (ops->destroy) ops->destroy(slot);
    } else if (result == kind::error) {
      error().~failure();
    }
    result = kind::none;
  }

  /// Takes `f` as the result of a core that has none.
  void put_error(failure&& f) noexcept {
    new (static_cast<void*>(slot)) failure(std::move(f));
    result = kind::error;
  }

  /// Where the first stages lie.
  std::byte* home() noexcept { return reinterpret_cast<std::byte*>(this) + sizeof(core); }

  /// Memory for a canceller: in front of the stages, else from the pool.
  void* allocate(std::size_t bytes, std::size_t align) {
    void* p = align <= unit ? take_front(bytes) : nullptr;
    return p ? p : allocate_frame(bytes);
  }
  void deallocate(void* p, std::size_t bytes) noexcept {
    if (p < home() || p >= home() + capacity * unit) free_frame(p, bytes);
  }

  /// Adds a stage. Throws std::bad_alloc, or what its construction throws.
  template <class S, class... Args>
  void emplace(Args&&... args) {
    constexpr std::size_t size = rounded(sizeof(S));
    static_assert(size <= largest && alignof(S) <= unit);
    if (!has_room(size)) [[unlikely]]
      make_room(size);
    put<S>(std::forward<Args>(args)...);
  }

  /// Begins the list of stages anew if nothing of what was in it is in use.
  void rewind() noexcept {
    if (empty() && (flags & (fired | running | waiting | cancelling)) == fired)
      stage_list::rewind(home(), capacity * unit);
  }
  using stage_list::free_last_block;

  kind result = kind::none;
  std::uint8_t capacity;     // of home, in units
  std::uint8_t extra = 0;    // how much longer than core_block it is, in units of the frame pool
  std::uint32_t strong = 1;  // handle, resolvers, outer core or awaiter, drain, running coroutine
  std::uint32_t weak = 1;    // cancel handles, and one for all strong ones
  std::uint32_t resolvers = 0;
  std::uint16_t paused = 0;
  std::uint16_t flags;
  union {
    canceller* stop = nullptr;  // until it fires
    core* inner;                // while it waits
  };
  union {
    stage* kept = nullptr;  // while it waits: the stage that returned what it waits for
    core* next_grave;       // while it is being destroyed
  };
  union {
    taker* awaiter = nullptr;
    core* outer;  // if `continued`
  };
  const value_ops* ops = nullptr;
  std::source_location created;
  std::source_location fired_at;
  alignas(void*) std::byte slot[slot_size];

 private:
  void make_room(std::size_t size);
};
static_assert(sizeof(core) == 128);

/// With room for ten stages that capture 8 bytes each.
inline constexpr std::size_t core_block = 384;

/// A core that lies in the promise of a coroutine: frame and core are one allocation.
struct coroutine_core : core {
  static constexpr std::size_t home_bytes = 64;

  explicit coroutine_core(const std::source_location& where) noexcept
      : core(home_bytes / unit, coroutine | unentered | consumed, where), work() {
    strong = 2;  // the handle and the coroutine itself
  }
  ~coroutine_core() {}

  /// Keeps what an await throws, with its trail, until the outcome is put in its place: the exception
  /// itself has none.
  void note(const failure& f) noexcept {
    forget_noted();
    new (static_cast<void*>(slot)) failure(f);
    set(noted);
  }
  void forget_noted() noexcept {
    if (!has(noted)) [[likely]]
      return;
    error().~failure();
    reset(noted);
  }

  alignas(void*) std::byte stages[home_bytes];
  void* frame = nullptr;
  union {
    root work;  // until the coroutine has ended
  };
};

/// Notes the stacks of a core's creation and first firing, and forgets them (debug.hpp).
void note_creation(core* c) noexcept;
void note_firing(core* c) noexcept;
void forget_traces(core* c) noexcept;

extern thread_local constinit bool debugging_here __attribute__((tls_model("initial-exec")));

/// `extra` more units of the frame pool lie behind it.
inline core* make_core(std::uint16_t flags, const std::source_location& where, std::uint8_t extra = 0) {
  constexpr std::uint8_t home_units = (core_block - sizeof(core)) / core::unit;
  core* c = new (allocate_frame(core_block + extra * frame_pool::granule)) core(home_units, flags, where);
  c->extra = extra;
  if (debugging_here) [[unlikely]]
    note_creation(c);
  return c;
}

/// The coroutine whose context this is; null if it is another chain's.
inline coroutine_core* coroutine_of(const context* ctx) noexcept {
  if (!ctx || !ctx->heads_deferred()) return nullptr;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"  // right for what has no virtual base
  constexpr std::size_t place = offsetof(root, ctx) + offsetof(coroutine_core, work);
#pragma GCC diagnostic pop
  auto* whole = const_cast<std::byte*>(reinterpret_cast<const std::byte*>(ctx)) - place;
  return reinterpret_cast<coroutine_core*>(whole);
}

/// Runs the stages of a fired core, and of all that go on with it; takes one strong reference.
void drain(core* c) noexcept;

/// Destroys a core without strong references, and what that sets free, without recursion.
void bury(core* c) noexcept;

/// Gives back the weak reference of a core whose result and stages are destroyed.
void release_weak(core* c) noexcept;

/// Lets the outcome of an idle core without consumer go: a failure is reported, but not the
/// `cancelled` of work that its scope or reactor has stopped.
void abandon(core* c) noexcept;

/// Fires with a failure.
void fire_error(core* c, failure&& f, const std::source_location& where);

/// Answers a second firing: ignores it if one is to be swallowed, else throws already_called.
void refuse(core* c, const std::source_location& where);

/// Throws the canceller away, unless it is just being called.
void drop_canceller(core* c) noexcept;

/// The number of resolvers has gone to zero.
void abandoned_by_resolvers(core* c) noexcept;

/// Twisted's cancel; what a canceller throws leaves it.
void cancel(core* c);

/// The same for those who cannot be told: what a canceller throws goes to the hook.
void cancel_quietly(core* c) noexcept;

/// Fails a core at once that nobody can fire.
void break_abandoned(core* c) noexcept;
inline void break_if_abandoned(core* c) noexcept {
  if (c->resolvers == 0 && !c->has(core::fired | core::coroutine)) [[unlikely]]
    break_abandoned(c);
}

/// Makes `outer`, which is running a stage, wait for `inner`, whose consumer it becomes. False if
/// it did not need to: it then has inner's result.
bool link(core* outer, core* inner) noexcept;

/// Moves the result of `from`, which keeps none, into `to`, which has none.
void take_result(core* to, core* from) noexcept;

/// The exception being handled as a failure that passed `where`. If it is the one that `incoming`
/// holds, that one's trail goes on.
failure caught(const failure* incoming, const std::source_location& where) noexcept;

/// Notes a place that a failure passed, unless it stands there already or is unknown.
void note_place(failure& f, const std::source_location& where) noexcept;

/// Throws what a deferred failed with, which passes `where`, in a coroutine of `ctx` if that is not
/// null; `cancelled` as an object of its own, since the failures that stand for it share one.
[[noreturn]] void throw_failure(failure& f, const std::source_location& where, const context* ctx);

/// Reports a failure that a dropped handle held.
void report_dropped(const failure& f) noexcept;

inline core* hold(core* c) noexcept {
  ++c->strong;
  return c;
}
inline void release(core* c) noexcept {
  if (--c->strong == 0) bury(c);
}

/// Cancels a core whose consumer is about to go.
void cancel_frail(core* c) noexcept;

/// The consumer has gone.
inline void drop_consumer(core* c) noexcept {
  if (c->has(core::frail)) [[unlikely]]
    cancel_frail(c);
  c->reset(core::consumed);
  if (c->result == kind::error) [[unlikely]]
    abandon(c);
  release(c);
}

inline void add_resolver(core* c) noexcept {
  ++c->strong;
  ++c->resolvers;
}
inline void drop_resolver(core* c) noexcept {
  if (--c->resolvers == 0 && !c->has(core::fired)) [[unlikely]]
    abandoned_by_resolvers(c);
  release(c);
}

/// Runs what has been added to a core if nothing holds it back.
inline void start(core* c) noexcept {
  if (c->idle()) drain(hold(c));
}

/// Marks as fired a core whose result has been put.
inline void mark_fired(core* c, const std::source_location& where) noexcept {
  c->fired_at = where;
  c->set(core::fired);
  if (c->has(core::traced)) [[unlikely]]
    note_firing(c);
  if (c->stop) drop_canceller(c);
}

/// The same, and runs its stages.
inline void fired_now(core* c, const std::source_location& where) noexcept {
  mark_fired(c, where);
  if (c->paused == 0) [[likely]]
    drain(hold(c));
  else if (c->result == kind::error)
    abandon(c);
}

}  // namespace detail
}  // namespace mobius
