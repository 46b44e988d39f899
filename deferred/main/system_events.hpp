#pragma once
// What is to be called before, during and after the start and the end of a reactor's run (Twisted's
// system event triggers).
//
//   run begins: before-startup ... (all that they wait for) -> during -> after
//   stop, or nothing left: before-shutdown ... (the loop turns on) -> during -> after -> run ends

#include <array>
#include <functional>
#include <list>
#include <memory>
#include <tuple>
#include <utility>

#include "../../runtime/reactor.hpp"
#include "../helpers.hpp"

namespace mobius {

/// What a trigger is for.
enum class system_event : bool { startup, shutdown };

namespace detail {

/// A function that is to be called once.
struct system_trigger {
  system_trigger() = default;
  system_trigger(const system_trigger&) = delete;
  system_trigger& operator=(const system_trigger&) = delete;
  virtual ~system_trigger() = default;
  virtual deferred<void> call() = 0;
};

template <class F>
struct system_trigger_of final : system_trigger {
  explicit system_trigger_of(F&& f) : function(std::move(f)) {}
  deferred<void> call() override {
    return maybe_deferred(std::move(function)).add_callback([](auto&&...) {});
  }
  F function;
};

/// The triggers of an event.
class event_phases : public std::enable_shared_from_this<event_phases> {
 public:
  using list = std::list<std::shared_ptr<system_trigger>>;
  enum phase : unsigned { before, during, after };

  bool empty() const noexcept;
  list& of(phase p) noexcept { return lists_[p]; }
  /// Calls all; `done` when those before have ended, and the rest have been called.
  void fire(std::function<void()> done);
  /// Nobody wants to know any more when they have.
  void forget() noexcept { done_ = nullptr; }

 private:
  void call_rest() noexcept;

  std::array<list, 3> lists_;
  std::size_t waiting_ = 0;
  std::function<void()> done_;
};

}  // namespace detail

/// A handle to a trigger; dropping it does not take the trigger back.
class event_trigger {
 public:
  /// A handle to nothing.
  event_trigger() noexcept = default;
  explicit event_trigger(std::weak_ptr<detail::system_trigger> trigger,
                         detail::event_phases::list* in) noexcept
      : trigger_(std::move(trigger)), list_(in) {}
  /// Takes it back; false if it was called or taken back before (R187). Not after its reactor.
  bool remove();

 private:
  std::weak_ptr<detail::system_trigger> trigger_;
  detail::event_phases::list* list_ = nullptr;
};

/// The triggers of a reactor, each of which is called once, in the next run that starts or ends. The
/// functions of `before` may return a deferred or task: the event goes on when all of them have ended,
/// and until then the loop turns as ever (R179, R184). What the others return is not waited for. What a
/// trigger throws or fails with is reported, and the others are called all the same (R180).
///
/// Startup is at the beginning of `run`, before the functions of `call_when_running`; shutdown is at
/// its end, by `stop`, a signal, or because its work is done, while all that the reactor has still
/// works. Work that is left over, the task of `run(task)` included, is cancelled after that.
///
///     mobius::system_events_of(reactor).before(mobius::system_event::shutdown, [&] { return pool.close();
///     });
class system_events : private detail::run_hook {
 public:
  /// Made by `system_events_of`.
  explicit system_events(reactor& r) : run_hook{&begin_run, &end_run}, reactor_(r) { r.on_run(this); }
  system_events(const system_events&) = delete;
  system_events& operator=(const system_events&) = delete;
  ~system_events() {
    shutdown_->forget();
    reactor_.on_run(nullptr);
  }

  /// Adds `f()` to the first phase, whose functions are waited for.
  template <class F>
  event_trigger before(system_event e, F f) {
    return add(e, detail::event_phases::before, std::move(f));
  }
  /// Adds `f()` to the phase in the middle.
  template <class F>
  event_trigger during(system_event e, F f) {
    return add(e, detail::event_phases::during, std::move(f));
  }
  /// Adds `f()` to the last phase.
  template <class F>
  event_trigger after(system_event e, F f) {
    return add(e, detail::event_phases::after, std::move(f));
  }

 private:
  enum class state { idle, firing, fired };

  template <class F>
  event_trigger add(system_event e, detail::event_phases::phase p, F f) {
    auto trigger = std::make_shared<detail::system_trigger_of<F>>(std::move(f));
    auto& list = (e == system_event::startup ? startup_ : shutdown_)->of(p);
    list.push_back(trigger);
    return event_trigger(trigger, &list);
  }
  static void begin_run(run_hook* self) noexcept;
  static bool end_run(run_hook* self) noexcept;

  reactor& reactor_;
  std::shared_ptr<detail::event_phases> startup_ = std::make_shared<detail::event_phases>();
  std::shared_ptr<detail::event_phases> shutdown_ = std::make_shared<detail::event_phases>();
  state shutdown_state_ = state::idle;
};

/// The triggers of a reactor. Those of a startup must be added before the run.
inline system_events& system_events_of(reactor& r) { return r.service<system_events>(); }

}  // namespace mobius
