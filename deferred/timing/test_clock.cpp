#include "test_clock.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace mobius {

namespace {

std::int64_t saturating_add(std::int64_t a, std::int64_t b) noexcept {
  std::int64_t sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return b < 0 ? 0 : std::numeric_limits<std::int64_t>::max();
}

}  // namespace

namespace detail {

std::int64_t test_call_block::now() const noexcept { return owner_->now_; }

void test_call_block::fire_timer(timer* t) noexcept {
  auto* self = static_cast<test_call_block*>(t);
  self->owner_->make_due(*self);
}

bool test_call_block::cancel() noexcept {
  if (!active()) return false;
  state_ = state::cancelled;
  owner_->wheel_.cancel(*this);
  clock_entry::unlink();
  due_entry::unlink();
  --owner_->pending_;
  end_(this, false);
  release();
  return true;
}

void test_call_block::move_to(std::int64_t at) noexcept {
  owner_->wheel_.cancel(*this);
  due_entry::unlink();
  due_at_ = at;
  owner_->wheel_.add(*this, at);
}

void test_call_block::call() {
  struct released_at_end {
    explicit released_at_end(test_call_block& b) noexcept : block(b) {}
    released_at_end(const released_at_end&) = delete;
    released_at_end& operator=(const released_at_end&) = delete;
    ~released_at_end() { block.release(); }
    test_call_block& block;
  };
  const released_at_end guard(*this);
  state_ = state::called;
  clock_entry::unlink();
  due_entry::unlink();
  --owner_->pending_;
  end_(this, true);
}

}  // namespace detail

bool test_call::reset(std::chrono::nanoseconds after) noexcept {
  if (!active()) return false;
  block_->move_to(saturating_add(block_->now(), std::max<std::int64_t>(after.count(), 0)));
  return true;
}

bool test_call::delay(std::chrono::nanoseconds more) noexcept {
  if (!active()) return false;
  block_->move_to(std::max<std::int64_t>(saturating_add(block_->due_at(), more.count()), 0));
  return true;
}

void test_clock::add(detail::test_call_block& block, std::chrono::nanoseconds after) noexcept {
  block.move_to(saturating_add(now_, std::max<std::int64_t>(after.count(), 0)));
  static_cast<detail::clock_entry&>(block).link_before(calls_);
  block.retain();
  ++pending_;
}

// A call may have been moved to before others that are due in the same advance.
void test_clock::make_due(detail::test_call_block& block) noexcept {
  detail::list_link* before = &due_;
  if (due_.alone() || block.due_at() >= latest_due_) {
    latest_due_ = block.due_at();
  } else {
    before = due_.next();
    while (before != &due_ &&
           static_cast<detail::test_call_block*>(static_cast<detail::due_entry*>(before))->due_at() <=
               block.due_at()) {
      before = before->next();
    }
  }
  static_cast<detail::due_entry&>(block).link_before(*before);
}

void test_clock::advance(std::chrono::nanoseconds by) {
  if (by.count() < 0)
    throw std::invalid_argument("test_clock::advance: time does not go back; give 0 or more");
  now_ = saturating_add(now_, by.count());
  for (;;) {
    wheel_.advance(now_);
    if (due_.alone()) return;
    static_cast<detail::test_call_block*>(static_cast<detail::due_entry*>(due_.next()))->call();
  }
}

std::vector<test_call> test_clock::delayed_calls() const {
  std::vector<test_call> calls;
  for (detail::list_link* link = calls_.next(); link != &calls_; link = link->next()) {
    auto* block = static_cast<detail::test_call_block*>(static_cast<detail::clock_entry*>(link));
    block->retain();
    calls.push_back(test_call(block));
  }
  return calls;
}

void test_clock::clear() noexcept {
  while (!calls_.alone()) {
    static_cast<detail::test_call_block*>(static_cast<detail::clock_entry*>(calls_.next()))->cancel();
  }
}

}  // namespace mobius
