#include "thread_resolver.hpp"

namespace mobius::detail {

thread_fire_base::thread_fire_base(reactor& r) : owner_(&r), inbox_(r.inbox()) {
  if (r.service<thread_resolvers>().enter(*this)) {
    r.begin_external();
  } else {
    owner_ = nullptr;
    used = true;
  }
}

void thread_fire_base::close() noexcept {
  if (!owner_) return;
  unlink();
  std::exchange(owner_, nullptr)->end_external();
}

bool thread_resolvers::enter(thread_fire_base& f) noexcept {
  if (stopped_) return false;
  f.link_before(open_);
  return true;
}

void thread_resolvers::stop() noexcept {
  stopped_ = true;
  while (!open_.alone()) static_cast<thread_fire_base*>(open_.next())->give_up();
}

}  // namespace mobius::detail
