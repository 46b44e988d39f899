#include "deferred_line.hpp"

namespace mobius::detail {

namespace {

thread_local constinit unsigned depth = 0;

// Granted, but nested too deep to fire at once.
wait_queue& put_off() {
  thread_local wait_queue entries;
  return entries;
}

}  // namespace

place_in_line::place_in_line(canceller::function stop, wait_entry::function on_granted, deferred_line& line,
                             core* c, const std::source_location& where)
    : canceller{stop}, core_(c), where_(where), line_(&line) {
  granted = on_granted;
  add_resolver(c);
  line.line_.push(*this);
  ++line.size_;
}

void place_in_line::give_up() noexcept {
  if (put_off_) return wait_queue::grant(*this);
  if (!line_) return;
  unlink();
  --line_->size_;
  drop_resolver(core_);
}

void deferred_line::abandon(place_in_line& p) noexcept {
  p.unlink();
  p.line_ = nullptr;
  p.put_off_ = false;
  drop_resolver(p.core_);
}

deferred_line::~deferred_line() {
  while (!empty()) abandon(front());
  wait_queue others;
  while (!put_off().empty()) {
    auto& entry = static_cast<place_in_line&>(put_off().front());
    if (entry.line_ == this) {
      abandon(entry);
    } else {
      entry.unlink();
      others.push(entry);
    }
  }
  while (!others.empty()) {
    wait_entry& entry = others.front();
    entry.unlink();
    put_off().push(entry);
  }
}

void deferred_line::hand_over() noexcept {
  place_in_line& entry = front();
  --size_;
  if (depth >= hand_over_depth) {
    entry.unlink();
    entry.put_off_ = true;
    put_off().push(entry);
    return;
  }
  ++depth;
  wait_queue::grant(entry);
  if (depth == hand_over_depth) {
    while (!put_off().empty()) put_off().grant_front();
  }
  --depth;
}

}  // namespace mobius::detail
