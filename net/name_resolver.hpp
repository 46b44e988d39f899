#pragma once
// Looking host names up.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "../runtime/list_link.hpp"
#include "../runtime/thread_pool.hpp"
#include "address.hpp"

namespace mobius::net {

/// Thrown for a host that has no address ("resolve nosuch.example: Name or service not known").
class resolve_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace detail {

namespace core = mobius::detail;

class lookup_job;
class resolve_awaiter;

}  // namespace detail

class resolve_operation;

/// Looks host names up with getaddrinfo, in the reactor's threads. A service:
/// `reactor.service<name_resolver>()`.
class name_resolver {
 public:
  /// What does the look-up, in a thread of the pool: it may block. Throws resolve_error.
  using lookup = std::function<std::vector<socket_address>(const std::string& host, std::uint16_t port)>;

  explicit name_resolver(reactor& r);
  name_resolver(const name_resolver&) = delete;
  name_resolver& operator=(const name_resolver&) = delete;
  ~name_resolver() { forget(); }

  /// The addresses of `host`, in the order in which they should be tried; literals short-cut, and what
  /// was found lately comes from the cache. `localhost` is known without a hosts file (RFC 6761 6.3). May
  /// overlap: those who ask for a host while it is being looked up share that look-up, whatever their
  /// ports. It owns its data, so a cancel ends the await at once, and the look-up is abandoned when nobody
  /// waits for it any more; neither does the reactor's end wait for one that hangs. Throws resolve_error.
  ///
  ///     const std::vector<socket_address> where = co_await names.resolve("example.com", 443);
  resolve_operation resolve(std::string host, std::uint16_t port);

  /// Takes another way to look names up: a test double. Forgets what was found before.
  void set_lookup(lookup f) {
    lookup_ = std::move(f);
    forget();
  }

  /// How many hosts are remembered at most (the one used longest ago goes first), and for how long:
  /// getaddrinfo does not tell how long an answer holds. 256 and 30 s by default; 0 turns it off.
  /// Failures are not remembered.
  void set_cache(std::size_t hosts, std::chrono::nanoseconds life);
  /// Forgets what was found, so that the next look-ups are made anew; what those under way find goes to
  /// who waits for them, and is not remembered.
  void forget() noexcept;
  /// How many hosts are remembered.
  std::size_t remembered() const noexcept { return by_host_.size(); }

 private:
  friend class detail::resolve_awaiter;
  friend class detail::lookup_job;

  struct entry {
    std::string host;
    std::vector<socket_address> addresses;
    std::int64_t expires;
  };

  /// What is remembered of a host, with this port; empty if nothing is.
  std::vector<socket_address> recall(const std::string& host, std::uint16_t port);
  void remember(const std::string& host, const std::vector<socket_address>& addresses);
  /// The look-up of `host` that is under way, or a new one.
  detail::lookup_job& job_for(const std::string& host, std::uint16_t port);

  reactor& reactor_;
  lookup lookup_;
  std::size_t most_hosts_ = 256;
  std::chrono::nanoseconds life_ = std::chrono::seconds(30);
  std::list<entry> entries_;  // the one used last comes first
  std::unordered_map<std::string_view, std::list<entry>::iterator> by_host_;
  std::unordered_map<std::string_view, detail::lookup_job*> under_way_;
};

namespace detail {

class resolve_awaiter final : public core::waiter, public core::list_link {
 public:
  resolve_awaiter(name_resolver& r, std::string host, std::uint16_t port)
      : waiter(leaf_kind), resolver_(r), host_(std::move(host)), port_(port) {}
  ~resolve_awaiter();

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h,
                     std::source_location where = std::source_location::current()) {
    return suspend(h, core::context_of(h), where);
  }
  bool suspend(std::coroutine_handle<> h, core::context* ctx, const std::source_location& where);
  std::vector<socket_address> await_resume() { return outcome().value(); }
  result<std::vector<socket_address>> outcome();

 private:
  friend class lookup_job;
  static const core::leaf_type leaf_kind;
  static bool cancel(core::leaf* self) noexcept;
  void begin();
  void leave_job() noexcept;

  name_resolver& resolver_;
  std::string host_;
  std::uint16_t port_;
  lookup_job* job_ = nullptr;
  core::outcome_slot<std::vector<socket_address>> slot_;
};

}  // namespace detail

/// What `name_resolver::resolve` gives: awaited, the addresses.
class [[nodiscard("co_await it")]] resolve_operation {
 public:
  resolve_operation(name_resolver & r, std::string host, std::uint16_t port)
      : resolver_(&r), host_(std::move(host)), port_(port) {}
  detail::resolve_awaiter operator co_await()&& {
    return detail::resolve_awaiter(*resolver_, std::move(host_), port_);
  }

 private:
  name_resolver* resolver_;
  std::string host_;
  std::uint16_t port_;
};

/// `name_resolver::resolve` of the current reactor's resolver.
resolve_operation resolve(std::string host, std::uint16_t port);

}  // namespace mobius::net
