#include "reactor.hpp"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <system_error>
#include <thread>
#include <utility>

#include "local.hpp"
#include "op.hpp"
#include "signal_watch.hpp"

namespace mobius {

namespace {

constexpr unsigned ready_budget = 1024;        // nodes run before the kernel is asked again
constexpr unsigned turns_between_enters = 16;  // while there is ready work and nothing to submit
constexpr unsigned completion_batch = 256;
constexpr auto stuck_after = std::chrono::seconds(5);

std::string name_for_report(const detail::context& ctx, const char* nameless) {
  const std::string_view name = detail::name_of(ctx);
  return name.empty() ? nameless : "task " + std::string(name);
}

}  // namespace

/// The reactor's own wait for its eventfd.
struct reactor::wake_handler : detail::completion_handler {
  explicit wake_handler(reactor& r) noexcept : completion_handler(&wake_handler::woken), owner(r) {}

  static void woken(completion_handler* self, std::int32_t, std::uint32_t flags) noexcept {
    auto& me = *static_cast<wake_handler*>(self);
    if (!(flags & IORING_CQE_F_MORE)) me.armed = false;
    me.fired = true;
  }

  reactor& owner;
  bool armed = false;
  bool fired = false;
};

/// For the time of a run, the reactor is its thread's current one.
class reactor::running_scope {
 public:
  explicit running_scope(reactor& r) : reactor_(r), before_(detail::this_thread) {
    if (r.running_) {
      throw std::logic_error(
          "reactor::run: this reactor is running already; await the work instead of running it");
    }
    enter();
    r.ring_.enable();
    r.running_ = true;
    r.now_valid_ = false;
    if (r.options_.signals && !r.signals_) r.signals_ = std::make_unique<detail::signal_watch>(r.inbox_);
  }
  running_scope(const running_scope&) = delete;
  running_scope& operator=(const running_scope&) = delete;
  ~running_scope() {
    reactor_.settle();
    reactor_.running_ = false;
    reactor_.stop_asked_ = false;
    reactor_.signals_.reset();
    restore();
  }

 private:
  void enter() noexcept {
    auto& here = detail::this_thread;
    here.current = &reactor_;
    here.ready = &reactor_.ready_;
    here.roots = &reactor_.roots_;
  }
  void restore() noexcept {
    auto& here = detail::this_thread;
    here.current = before_.current;
    here.ready = before_.ready;
    here.roots = before_.roots;
  }

  reactor& reactor_;
  detail::thread_state before_;
};

reactor::reactor(reactor_options options)
    : options_(options),
      ring_(options.submission_entries, options.completion_entries),
      inbox_(std::make_shared<detail::inbox>()),
      wake_(std::make_unique<wake_handler>(*this)),
      timers_(now_ns()) {
  skip_cancel_success_ = (ring_.raw().features & IORING_FEAT_CQE_SKIP) != 0;
  auto& here = detail::this_thread;
  if (here.current) return;
  here.current = this;
  here.ready = &ready_;
  here.roots = &roots_;
}

reactor::~reactor() {
  if (running_) {
    std::fputs("mobius: a reactor was destroyed from inside its own run\n", stderr);
    std::abort();
  }
  shut_down();
  auto& here = detail::this_thread;
  if (here.current == this) {
    here.current = nullptr;
    here.ready = nullptr;
    here.roots = nullptr;
  }
}

reactor& reactor::current() {
  if (reactor* r = detail::this_thread.current) return *r;
  throw std::logic_error(
      "this thread has no reactor: make a mobius::reactor first, or call this from inside mobius::run");
}

// --- running -----------------------------------------------------------------------------------

void reactor::run() {
  {
    const running_scope scope(*this);
    loop(until::idle);
  }
  finish_signal();
}

void reactor::run_forever() {
  {
    const running_scope scope(*this);
    loop(until::stopped);
  }
  finish_signal();
}

void reactor::run_main(detail::detached& main, bool& done, detail::context& ctx) {
  bool started = false;
  try {
    const running_scope scope(*this);
    started = true;
    main_ = &ctx;
    ready_.push(&main.start_node());
    loop(until::done, &done);
    // Stopped, or waiting for ever: the task is cancelled, and gets the time it needs to end.
    const bool stopped = std::exchange(stop_asked_, false);
    const std::string where = done ? std::string() : to_string(ctx.where());
    const std::string name = done ? std::string() : name_for_report(ctx, "the task");
    if (!done) {
      ctx.cancel();
      loop(until::ended, &done);
      if (!done) main.destroy();
    }
    main_ = nullptr;
    if (!where.empty() && (!done || !stopped)) {
      throw deadlock("run: " + name + " waits, at " + where +
                     ", for what nothing can bring about: no timer, operation or call is left");
    }
  } catch (...) {
    main_ = nullptr;
    if (!started) main.destroy();  // else it is the reactor's, which ends it at shutdown
    finish_signal();
    throw;
  }
  finish_signal();
}

void reactor::loop(until end, const bool* done) {
  if (run_hook_ && end != until::ended) run_hook_->begin(run_hook_);
  ready_.splice(at_start_);
  while (true) {
    run_ready();
    if (end == until::ended) {
      if (*done) return;
    } else if ((stop_asked_ || (done && *done)) && may_end()) {
      return;
    }
    inbox_->take(ready_);
    if (timers_.size() != 0) timers_.advance(now_ns());
    const bool idle = ready_.empty() && later_.empty();
    if (idle && nothing_left()) {
      if (end == until::idle && may_end()) return;
      if (!ready_.empty() || !later_.empty() || !nothing_left()) continue;
      // Under the real clock another thread may still post what it waits for.
      if (end != until::stopped && options_.clock) return;
    }
    turn(idle);
  }
}

// What streams and cancels have prepared goes out with the run that prepared it: nothing is left
// for another thread, in which the reactor may end, but what really takes its time.
void reactor::settle() noexcept try {
  for (unsigned i = 0; i < 4 && (ring_.unsubmitted() != 0 || ring_.has_deferred()); ++i) {
    if (const int error = ring_.enter(0, std::nullopt); error < 0) return;
    reap();
  }
} catch (...) {
  report_unhandled(failure(), "the end of a run");
}

// One bounded pass over what is ready; what it makes ready in turn is run in it too.
void reactor::run_ready() noexcept {
  ready_.splice(later_);
  if (order_) return run_in_order();
  for (unsigned i = 0; i < ready_budget && !ready_.empty(); ++i) {
    detail::node* n = ready_.pop();
    n->run(n);
  }
}

void reactor::run_in_order() noexcept {
  for (unsigned i = 0; i < ready_budget && order_ && !ready_.empty(); ++i) {
    detail::node* n = order_->pick(order_, ready_);
    if (!n) return;
    n->run(n);
    if (order_) order_->ran(order_);
  }
}

void reactor::turn(bool may_wait) {
  ++turns_;
  const bool kernel_asks = ring_.unsubmitted() != 0 || ring_.has_deferred();
  if (!may_wait && !kernel_asks && ++turns_without_enter_ < turns_between_enters) {
    now_valid_ = false;
    return;
  }
  turns_without_enter_ = 0;
  wait_for_completions(may_wait);
}

void reactor::wait_for_completions(bool may_wait) {
  if (!wake_->armed && !shutting_down_) arm_wake();
  std::optional<std::chrono::nanoseconds> timeout;
  unsigned wait = 0;
  // A flush of the full queue may have taken the wake-up.
  if (may_wait && !wake_->fired && inbox_->prepare_sleep()) {
    wait = 1;
    if (const auto next = timers_.next_deadline()) {
      now_valid_ = false;
      if (!options_.clock) {
        timeout = std::chrono::nanoseconds(std::max<std::int64_t>(*next - now_ns(), 0));
      } else if (*next <= now_ns() || ring_.unsubmitted() != 0) {
        wait = 0;  // what the submissions bring comes first
      } else if (quiet() && options_.clock->jumps) {
        options_.clock->now_ = clock::time_point(std::chrono::nanoseconds(*next));
        wait = 0;
      }
      if (timeout && timeout->count() == 0) wait = 0;
    }
  }
  const int error = ring_.enter(wait, wait != 0 ? timeout : std::nullopt);
  inbox_->awake();
  now_valid_ = false;
  if (error < 0) handle_enter_error(-error);
  reap();
  if (std::exchange(wake_->fired, false)) on_wake();
}

void reactor::handle_enter_error(int error) {
  switch (error) {
    case ETIME:
    case EINTR:
      return;
    case EAGAIN:
    case EBUSY:
      // The kernel is short of memory, or completions are backed up: what was prepared goes with
      // the next enter.
      if (in_flight_ == 0) std::this_thread::yield();
      return;
    case EBADR:
      std::fputs(
          "mobius: the kernel has dropped io_uring completions for lack of memory; the state is lost\n",
          stderr);
      std::abort();
    default:
      throw std::system_error(error, std::generic_category(), detail::ring_refusal(error, 0));
  }
}

void reactor::reap() noexcept {
  detail::completion batch[completion_batch];
  while (const unsigned count = ring_.reap(batch, completion_batch)) {
    if (order_) order_->arrange(order_, batch, count);
    for (unsigned i = 0; i < count; ++i) dispatch(batch[i]);
    if (count < completion_batch) return;
  }
}

void reactor::dispatch(const detail::completion& c) noexcept {
  const auto kind = static_cast<detail::tag>(c.user_data & detail::tag_mask);
  if (kind >= detail::tag::ignore) return;  // the answer to a cancel, or not ours
  const bool last = !(c.flags & IORING_CQE_F_MORE);
  if (last) --in_flight_;
  if (kind == detail::tag::op) {
    --holds_;
    reinterpret_cast<detail::op*>(c.user_data)->complete(c.result);
    return;
  }
  auto* handler = reinterpret_cast<detail::completion_handler*>(c.user_data & ~detail::tag_mask);
  if (last && handler->idle) --idle_in_flight_;
  handler->on(handler, c.result, c.flags);
}

bool reactor::nothing_left() const noexcept { return holds_ == 0 && timers_.size() == idle_timers_; }

// Nothing can happen before the next timer, as far as a virtual clock is concerned.
bool reactor::quiet() const noexcept { return in_flight_ == idle_in_flight_ && external_ == 0; }

void reactor::read_clock() noexcept {
  const auto time = options_.clock ? options_.clock->now() : clock::now();
  now_ = std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
  now_valid_ = running_;
}

std::int64_t reactor::deadline_after(std::chrono::nanoseconds after) noexcept {
  const std::int64_t from = now_ns();
  if (after.count() <= 0) return from;
  const std::int64_t room = std::numeric_limits<std::int64_t>::max() - from;
  return from + std::min<std::int64_t>(after.count(), room);
}

reactor_stats reactor::stats() const noexcept {
  const auto& c = ring_.counters();
  return {turns_, c.enters, c.submissions, c.completions};
}

std::string reactor::describe() const {
  char text[96];
  auto& raw = const_cast<detail::ring&>(ring_).raw();
  std::snprintf(text, sizeof text, "io_uring, flags 0x%x, %u/%u entries", ring_.flags(), raw.sq.ring_entries,
                raw.cq.ring_entries);
  return text;
}

// --- operations --------------------------------------------------------------------------------

void reactor::prepare(const detail::request& r, std::uint64_t user_data) {
  while (!ring_.prepare(r, user_data)) {
    // The queue is full. This flush marks completions ready but runs nobody's code.
    ring_.enable();
    if (const int error = ring_.enter(0, std::nullopt); error < 0) handle_enter_error(-error);
    reap();
  }
}

void reactor::start(detail::op& o, const detail::request& r) {
  prepare(r, reinterpret_cast<std::uint64_t>(&o));
  ++in_flight_;
  ++holds_;
}

void reactor::start(detail::completion_handler& h, const detail::request& r, bool idle) {
  h.idle = idle;
  prepare(r, detail::user_data_of(h));
  ++in_flight_;
  if (idle) ++idle_in_flight_;
}

void reactor::cancel(std::uint64_t user_data) {
  detail::request r{.opcode = IORING_OP_ASYNC_CANCEL, .address = user_data};
  if (skip_cancel_success_) r.entry_flags = IOSQE_CQE_SKIP_SUCCESS;
  prepare(r, static_cast<std::uint64_t>(detail::tag::ignore));
}

// --- waking and signals ------------------------------------------------------------------------

// A multishot poll on an eventfd that is never read: each write gives one completion.
void reactor::arm_wake() {
  wake_->armed = true;
  start(*wake_,
        {.opcode = IORING_OP_POLL_ADD,
         .fd = inbox_->event_fd(),
         .length = IORING_POLL_ADD_MULTI,
         .op_flags = POLLIN},
        true);
}

void reactor::on_wake() noexcept {
  if (!signals_) return;
  const int number = signals_->take();
  if (number == 0) return;
  caught_signal_ = number;
  if (main_) {
    main_->cancel();
  } else {
    stop();
  }
}

// The process ends by the signal that ended the run, after everything has been cleaned up.
void reactor::finish_signal() {
  const int number = std::exchange(caught_signal_, 0);
  if (number == 0) return;
  shut_down();
  std::fflush(nullptr);
  std::raise(number);
}

// --- the end -----------------------------------------------------------------------------------

void reactor::shut_down() noexcept {
  if (shutting_down_) return;
  shutting_down_ = true;
  const detail::thread_state before = detail::this_thread;
  auto& here = detail::this_thread;
  here.current = this;
  here.ready = &ready_;
  here.roots = &roots_;

  drop_delayed_calls();
  // Before the services close what the chains wait for: they are cancelled, and see no error.
  detail::list_link stopping;
  cancel_chains(stopping);
  for (std::size_t i = services_.size(); i-- > 0;) services_[i].stop(services_[i].object);
  // In another thread, or with a kernel that has taken nothing yet, the wake-up's poll is left to
  // the closing of the ring: it writes to no memory of ours.
  const bool leave_wake = wake_->armed && (!ring_.usable_here() || ring_.counters().submissions == 0);
  const std::size_t left = leave_wake ? 1 : 0;
  if (wake_->armed && !leave_wake) cancel(detail::user_data_of(*wake_));

  try {
    const auto begin = clock::now();
    bool reported = false;
    running_ = true;
    ready_.splice(at_start_);
    while (true) {
      cancel_chains(stopping);
      run_ready();
      inbox_->take(ready_);
      const bool nothing_runs = in_flight_ == left && holds_ == 0;
      const bool finished = nothing_runs && stopping.alone() && roots_.alone();
      // What is posted from now on is refused, or a thread that never tires would keep us here.
      if (finished) inbox_->close(ready_);
      if (!ready_.empty() || !later_.empty() || !roots_.alone()) {
        if (in_flight_ > left) {
          ring_.enable();
          wait_for_completions(false);
        }
        continue;
      }
      drop_delayed_calls();
      if (finished) break;
      const bool stuck = clock::now() - begin > stuck_after;
      if (stuck && !std::exchange(reported, true)) report_stuck(stopping);
      if (stuck && nothing_runs) break;
      if (timers_.size() != 0) timers_.advance(now_ns());
      ring_.enable();
      const bool sleep = inbox_->prepare_sleep() && ready_.empty();
      const int error = ring_.enter(sleep ? 1 : 0, std::chrono::milliseconds(100));
      inbox_->awake();
      now_valid_ = false;
      if (error < 0) handle_enter_error(-error);
      reap();
    }
  } catch (...) {
    report_unhandled(failure(), "the shutdown of a reactor");
    // The kernel still writes to memory that would be freed.
    if (in_flight_ > left && ring_.counters().submissions != 0) std::abort();
  }
  running_ = false;
  while (!services_.empty()) {
    const service_entry last = services_.back();
    services_.pop_back();
    last.destroy(last.object);
  }
  inbox_->close(ready_);
  run_ready();
  here.current = before.current;
  here.ready = before.ready;
  here.roots = before.roots;
}

void reactor::drop_delayed_calls() noexcept {
  while (!delayed_calls_.alone()) static_cast<detail::delayed_block*>(delayed_calls_.next())->cancel();
}

void reactor::cancel_chains(detail::list_link& stopping) noexcept {
  while (!roots_.alone()) {
    auto* chain = static_cast<detail::root*>(roots_.next());
    chain->unlink();
    chain->link_before(stopping);
    chain->ctx.cancel();  // may end other chains, too, and start new ones
  }
}

void reactor::report_stuck(const detail::list_link& chains) noexcept {
  std::string text = "the reactor cannot end: " + std::to_string(in_flight_) + " operations in flight";
  for (const detail::list_link* link = chains.next(); link != &chains; link = link->next()) {
    const detail::context& ctx = static_cast<const detail::root*>(link)->ctx;
    text += "; " + name_for_report(ctx, "a task") + " waits in " +
            (ctx.waiting() ? ctx.waiting()->type->name : "nothing") + " at " + to_string(ctx.where());
  }
  report_unhandled(make_failure<std::runtime_error>(text), "the shutdown of a reactor");
}

// --- operations of the kernel ---------------------------------------------------------------------

namespace detail {

bool op::cancel(leaf* l) noexcept {
  auto* self = static_cast<op*>(l);
  if (self->state_ != state::waiting) return false;
  if (!std::exchange(self->cancel_asked_, true))
    this_thread.current->cancel(reinterpret_cast<std::uint64_t>(self));
  return true;
}

void op::destroyed_in_flight(const char* name) noexcept {
  std::fprintf(
      stderr,
      "mobius: a coroutine was destroyed while its %s was in flight; the kernel may still write to its "
      "frame. Cancel it and wait for its end instead.\n",
      name);
  std::abort();
}

}  // namespace detail

}  // namespace mobius
