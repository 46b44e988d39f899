#pragma once
// Looking host names up.

#include <cstdint>
#include <functional>
#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

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

  /// The addresses of `host`, in the order in which they should be tried; literals short-cut. The
  /// look-up owns its data, so a cancel ends the await at once and abandons it; neither does the
  /// reactor's end wait for one that hangs. May overlap. Throws resolve_error.
  resolve_operation resolve(std::string host, std::uint16_t port);

  /// Takes another way to look names up: a test double.
  void set_lookup(lookup f) { lookup_ = std::move(f); }

 private:
  reactor& reactor_;
  lookup lookup_;
};

namespace detail {

class resolve_awaiter final : public core::waiter {
 public:
  resolve_awaiter(reactor& r, std::string host, std::uint16_t port, name_resolver::lookup f)
      : waiter(leaf_kind), reactor_(r), host_(std::move(host)), port_(port), lookup_(std::move(f)) {}
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
  void abandon() noexcept;

  reactor& reactor_;
  std::string host_;
  std::uint16_t port_;
  name_resolver::lookup lookup_;
  lookup_job* job_ = nullptr;
  core::outcome_slot<std::vector<socket_address>> slot_;
};

}  // namespace detail

/// What `name_resolver::resolve` gives: awaited, the addresses.
class [[nodiscard("co_await it")]] resolve_operation {
 public:
  resolve_operation(reactor & r, std::string host, std::uint16_t port, name_resolver::lookup f)
      : reactor_(&r), host_(std::move(host)), port_(port), lookup_(std::move(f)) {}
  detail::resolve_awaiter operator co_await()&& {
    return detail::resolve_awaiter(*reactor_, std::move(host_), port_, std::move(lookup_));
  }

 private:
  reactor* reactor_;
  std::string host_;
  std::uint16_t port_;
  name_resolver::lookup lookup_;
};

/// `name_resolver::resolve` of the current reactor's resolver.
resolve_operation resolve(std::string host, std::uint16_t port);

}  // namespace mobius::net
