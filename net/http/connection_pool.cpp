#include "connection_pool.hpp"

#include <algorithm>
#include <utility>

namespace mobius::http::detail {

connection_pool::connection_pool(reactor& r, const client_limits& limits) noexcept
    : timer(&connection_pool::expire),
      reactor_(r),
      most_(limits.pool_total),
      most_of_origin_(std::min(limits.pool_per_origin, limits.pool_total)),
      idle_(limits.pool_idle) {}

connection_pool::~connection_pool() { clear(); }

net::tcp_stream connection_pool::take(std::string_view origin) {
  const auto found =
      std::find_if(kept_.rbegin(), kept_.rend(), [&](const entry& e) { return e.origin == origin; });
  if (found == kept_.rend()) return {};
  net::tcp_stream stream = std::move(found->stream);
  kept_.erase(std::next(found).base());
  arm();
  return stream;
}

void connection_pool::put(std::string origin, net::tcp_stream stream) {
  if (most_of_origin_ == 0) return;
  make_room(origin);
  kept_.push_back({std::move(origin), std::move(stream), reactor_.deadline_after(idle_)});
  arm();
}

void connection_pool::make_room(std::string_view origin) {
  const auto of_origin = [&](const entry& e) { return e.origin == origin; };
  const auto count = std::count_if(kept_.begin(), kept_.end(), of_origin);
  if (static_cast<std::size_t>(count) >= most_of_origin_) {
    kept_.erase(std::find_if(kept_.begin(), kept_.end(), of_origin));
  } else if (kept_.size() >= most_) {
    kept_.erase(kept_.begin());
  }
}

void connection_pool::clear() noexcept {
  kept_.clear();
  arm();
}

// Stands at the end of the oldest one, or before: what is taken in between does not move it.
void connection_pool::arm() noexcept {
  if (armed() == !kept_.empty()) return;
  if (kept_.empty()) {
    reactor_.timers().cancel(*this);
    reactor_.drop_idle_timer();
  } else {
    reactor_.timers().add(*this, kept_.front().until);
    reactor_.hold_idle_timer();
  }
}

void connection_pool::expire(timer* t) noexcept {
  auto& self = *static_cast<connection_pool*>(t);
  self.reactor_.drop_idle_timer();
  const std::int64_t now = self.reactor_.now_ns();
  const auto fresh =
      std::find_if(self.kept_.begin(), self.kept_.end(), [&](const entry& e) { return e.until > now; });
  self.kept_.erase(self.kept_.begin(), fresh);
  self.arm();
}

}  // namespace mobius::http::detail
