#include "name_resolver.hpp"

#include <netdb.h>
#include <strings.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

namespace mobius::net {

namespace {

bool is_localhost(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  constexpr std::string_view name = "localhost";
  if (host.size() < name.size() ||
      strncasecmp(host.data() + host.size() - name.size(), name.data(), name.size()) != 0) {
    return false;
  }
  return host.size() == name.size() || host[host.size() - name.size() - 1] == '.';
}

std::vector<socket_address> look_up(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error == EAI_NONAME || error == EAI_ADDRFAMILY) {
    // AI_ADDRCONFIG leaves out the loopback's family on a machine without a network.
    hints.ai_flags = AI_NUMERICSERV;
    error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  }
  if (error != 0 && is_localhost(host)) {
    // Also without a hosts file (RFC 6761 section 6.3).
    return {socket_address::parse("127.0.0.1", port).value(), socket_address::parse("::1", port).value()};
  }
  if (error != 0) {
    const char* why = error == EAI_SYSTEM ? std::strerror(errno) : gai_strerror(error);
    throw resolve_error("resolve " + host + ": " + why);
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> list(found, freeaddrinfo);
  std::vector<socket_address> addresses;
  for (const addrinfo* a = list.get(); a; a = a->ai_next) addresses.emplace_back(a->ai_addr, a->ai_addrlen);
  if (addresses.empty()) throw resolve_error("resolve " + host + ": it has no address");
  return addresses;
}

}  // namespace

namespace detail {

// A look-up under way. It owns all that its thread uses, and is freed when it comes back.
class lookup_job final : public core::job {
 public:
  lookup_job(name_resolver& r, std::string host, std::uint16_t port)
      : job(&lookup_job::came_back, &lookup_job::work, true),
        resolver_(&r),
        host_(std::move(host)),
        port_(port),
        lookup_(r.lookup_) {}

  const std::string& host() const noexcept { return host_; }
  void add(resolve_awaiter& w) noexcept { w.link_before(waiters_); }
  bool wanted() const noexcept { return !waiters_.alone(); }
  /// Nobody joins it any more, and what it finds is not remembered.
  void forget() noexcept {
    if (name_resolver* r = std::exchange(resolver_, nullptr)) r->under_way_.erase(host_);
  }

 private:
  static void work(job* j) noexcept {
    auto& self = *static_cast<lookup_job*>(j);
    try {
      self.slot_.set_value(self.lookup_(self.host_, self.port_));
    } catch (...) {
      self.slot_.set_exception();
    }
  }
  static void came_back(core::node* n) noexcept {
    const std::unique_ptr<lookup_job> self(static_cast<lookup_job*>(n));
    if (!self->wanted()) return self->forget();
    const result<std::vector<socket_address>> found = self->slot_.take_result();
    if (name_resolver* r = self->resolver_) {
      self->forget();
      if (found) r->remember(self->host_, *found);
    }
    while (self->wanted()) self->deliver(*static_cast<resolve_awaiter*>(self->waiters_.next()), found);
  }
  static void deliver(resolve_awaiter& w, const result<std::vector<socket_address>>& found) noexcept {
    w.unlink();
    w.job_ = nullptr;
    w.resolver_.reactor_.end_external();
    try {
      std::vector<socket_address> out = found.value();
      for (socket_address& a : out) a = a.with_port(w.port_);
      w.slot_.set_value(std::move(out));
    } catch (...) {
      w.slot_.set_exception();
    }
    w.state_ = resolve_awaiter::state::done;
    w.wake();
  }

  name_resolver* resolver_;  // null: forgotten
  core::list_link waiters_;
  std::string host_;
  std::uint16_t port_;
  name_resolver::lookup lookup_;
  core::outcome_slot<std::vector<socket_address>> slot_;
};

const core::leaf_type resolve_awaiter::leaf_kind{"resolve", &resolve_awaiter::cancel};

bool resolve_awaiter::suspend(std::coroutine_handle<> h, core::context* ctx,
                              const std::source_location& where) {
  if (const gate g = arrive(h, ctx, where); g != gate::open) return g == gate::queued;
  try {
    begin();
  } catch (...) {
    slot_.set_exception();
    state_ = state::done;
  }
  return state_ == state::waiting;
}

void resolve_awaiter::begin() {
  const auto literal = socket_address::parse(host_, port_);
  auto known = literal ? std::vector{*literal} : resolver_.recall(host_, port_);
  if (known.empty()) {
    job_ = &resolver_.job_for(host_, port_);
    job_->add(*this);
    resolver_.reactor_.begin_external();
  } else {
    slot_.set_value(std::move(known));
    state_ = state::done;
  }
}

result<std::vector<socket_address>> resolve_awaiter::outcome() {
  leave();
  if (was_stopped()) return cancelled_failure();
  return slot_.take_result();
}

void resolve_awaiter::leave_job() noexcept {
  unlink();
  lookup_job& job = *std::exchange(job_, nullptr);
  if (!job.wanted()) job.forget();
  resolver_.reactor_.end_external();
}

bool resolve_awaiter::cancel(core::leaf* l) noexcept {
  auto& self = *static_cast<resolve_awaiter*>(l);
  if (self.state_ != state::waiting) return false;
  self.leave_job();
  self.stop();
  self.wake();
  return true;
}

resolve_awaiter::~resolve_awaiter() {
  if (job_) leave_job();
}

}  // namespace detail

name_resolver::name_resolver(reactor& r) : reactor_(r), lookup_(look_up) {
  r.service<mobius::detail::thread_pool>();  // made first, so that it ends last
}

void name_resolver::set_cache(std::size_t hosts, std::chrono::nanoseconds life) {
  forget();
  most_hosts_ = hosts;
  life_ = life;
}

void name_resolver::forget() noexcept {
  by_host_.clear();
  entries_.clear();
  while (!under_way_.empty()) under_way_.begin()->second->forget();
}

detail::lookup_job& name_resolver::job_for(const std::string& host, std::uint16_t port) {
  if (const auto found = under_way_.find(host); found != under_way_.end()) return *found->second;
  auto job = std::make_unique<detail::lookup_job>(*this, host, port);
  const auto place = under_way_.emplace(job->host(), job.get()).first;
  try {
    reactor_.service<mobius::detail::thread_pool>().submit(*job);
  } catch (...) {
    under_way_.erase(place);
    throw;
  }
  return *job.release();
}

std::vector<socket_address> name_resolver::recall(const std::string& host, std::uint16_t port) {
  const auto found = by_host_.find(host);
  if (found == by_host_.end()) return {};
  const auto place = found->second;
  if (place->expires <= reactor_.now_ns()) {
    by_host_.erase(found);
    entries_.erase(place);
    return {};
  }
  entries_.splice(entries_.begin(), entries_, place);
  std::vector<socket_address> out;
  for (const socket_address& a : place->addresses) out.push_back(a.with_port(port));
  return out;
}

void name_resolver::remember(const std::string& host, const std::vector<socket_address>& addresses) {
  if (most_hosts_ == 0 || life_.count() <= 0) return;
  if (const auto found = by_host_.find(host); found != by_host_.end()) {
    const auto place = found->second;
    by_host_.erase(found);
    entries_.erase(place);
  }
  entries_.push_front({host, addresses, reactor_.deadline_after(life_)});
  by_host_.emplace(entries_.front().host, entries_.begin());
  if (entries_.size() <= most_hosts_) return;
  by_host_.erase(entries_.back().host);
  entries_.pop_back();
}

resolve_operation name_resolver::resolve(std::string host, std::uint16_t port) {
  return {*this, std::move(host), port};
}

resolve_operation resolve(std::string host, std::uint16_t port) {
  return reactor::current().service<name_resolver>().resolve(std::move(host), port);
}

}  // namespace mobius::net
