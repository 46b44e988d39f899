#include "list_state.hpp"

namespace mobius::detail {

void list_entry_base::begin() noexcept {
  if (core* c = pending()) {
    if (c->has(core::unentered)) [[unlikely]]
      abort_not_entered();
    break_if_abandoned(c);
    if (!c->idle()) {
      waits_ = true;
      c->set(core::awaited);
      c->awaiter = this;
      return;
    }
    core* next = ended(c);
    if (next) drain(next);
    return;
  }
  if (core* next = list_.arrived(*this)) drain(next);
}

void list_entry_base::cancel() noexcept {
  if (core* c = pending()) cancel_quietly(c);
}

core* list_entry_base::take_outcome(taker* t, core* c) noexcept {
  return static_cast<list_entry_base*>(t)->ended(c);
}

core* list_entry_base::ended(core* c) noexcept {
  waits_ = false;
  stopped_ = c->has(core::stopped);
  take(c);
  drop_consumer(c);
  return list_.arrived(*this);
}

list_control::list_control(core* outer, list_rules rules, std::uint32_t size,
                           const std::source_location& where)
    : outer_(outer), rules_(rules), size_(size), pending_(size), holds_(size), where_(where) {
  add_resolver(outer);
  ++outer->weak;
  void* memory = outer->allocate(sizeof(list_canceller), alignof(list_canceller));
  outer->stop =
      new (memory) list_canceller(*this, rules.ends_at_cancel ? cancel_reply::done : cancel_reply::again);
}

void list_control::start() noexcept {
  ++holds_;
  for (std::uint32_t i = 0; i < size_; ++i) entry(i).begin();
  core* next = nullptr;
  if (size_ == 0) {
    next = fire([this] { rules_.at_value ? put_group() : put_all(); });
  }
  if (next) drain(next);
  let_go();
}

core* list_control::arrived(list_entry_base& e) noexcept {
  const failure* error = e.failed();
  core* next = nullptr;
  --pending_;
  if (decided_) {
    // Its outcome goes with the list.
  } else if (error ? rules_.at_failure : rules_.at_value) {
    decided_ = true;
    if (rules_.cancels_rest) cancel_rest(&e);
    next = fire([&] { error ? put_failure(e) : put_winner(e.index()); });
  } else if (pending_ == 0) {
    next = fire([this] { rules_.at_value ? put_group() : put_all(); });
  }
  let_go();
  return next;
}

void list_control::cancel_all() noexcept { cancel_rest(nullptr); }

void list_control::cancel_rest(const list_entry_base* winner) noexcept {
  ++holds_;
  for (std::uint32_t i = 0; i < size_; ++i) {
    if (&entry(i) != winner) entry(i).cancel();
  }
  let_go();
}

// Work that was stopped for good is no error of an input.
void list_control::put_failure(list_entry_base& e) {
  const failure& f = *e.failed();
  if (e.stopped() && f.check<cancelled>()) {
    outer_->set(core::stopped);
    outer_->put_error(failure(f));
  } else {
    failure first = make_failure<first_error>(f, e.index());
    for (const std::source_location& site : f.trail()) first.passed(site);
    outer_->put_error(std::move(first));
  }
}

void list_control::put_group() {
  std::vector<failure> all;
  all.reserve(size_);
  bool stopped = size_ != 0;
  for (std::uint32_t i = 0; i < size_; ++i) {
    all.push_back(*entry(i).failed());
    stopped = stopped && entry(i).stopped() && all.back().check<cancelled>();
  }
  if (stopped) outer_->set(core::stopped);
  outer_->put_error(stopped ? cancelled_failure() : make_failure<failure_group>(std::move(all)));
}

template <class Put>
core* list_control::fire(Put&& put) noexcept {
  decided_ = true;
  core* next = nullptr;
  if (!outer_->has(core::fired)) {
    try {
      put();
    } catch (...) {
      outer_->put_error(caught(nullptr, where_));
    }
    mark_fired(outer_, where_);
    if (outer_->paused == 0) {
      next = hold(outer_);
    } else if (outer_->result == kind::error) {
      abandon(outer_);
    }
  }
  drop_resolver(outer_);
  return next;
}

void list_control::let_go() noexcept {
  if (--holds_ == 0) destroy();
}

cancel_reply list_canceller::act_on(canceller* c, core* target, step what) noexcept {
  auto* self = static_cast<list_canceller*>(c);
  if (what == step::discard) {
    target->deallocate(self, sizeof(list_canceller));
    return cancel_reply::done;
  }
  const cancel_reply answer = self->answer;
  self->list.cancel_all();
  return answer;
}

list_block::list_block(std::size_t bytes, const std::source_location& where) {
  const std::size_t units = (bytes + frame_pool::granule - 1) / frame_pool::granule;
  const bool fits = units <= 0xff;
  outer = make_core(core::consumed, where, fits ? static_cast<std::uint8_t>(units) : std::uint8_t(0));
  own_size = fits ? 0 : bytes;
  memory = reinterpret_cast<std::byte*>(outer) + core_block;
  if (fits) return;
  try {
    memory = allocate_frame(bytes);
  } catch (...) {
    drop_consumer(outer);
    throw;
  }
}

}  // namespace mobius::detail
