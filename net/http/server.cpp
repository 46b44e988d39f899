#include "server.hpp"

#include <algorithm>
#include <utility>

#include "../../runtime/detached.hpp"
#include "../../runtime/shield.hpp"
#include "../../runtime/timeout.hpp"
#include "connection.hpp"

namespace mobius::http {

namespace detail {

namespace {

task<response> failed(failure why) {
  why.rethrow();
  co_return {};
}

// The chain of a connection. The reactor cancels it at shutdown, like all detached work.
core::detached drive(std::shared_ptr<site> owner, std::unique_ptr<connection> peer) {
  task<> work = peer->serve();
  const result<void> outcome = co_await core::outcome_operation<task<>>(work);
  if (!outcome && !outcome.error().check<cancelled>()) {
    report_unhandled(outcome.error(), "a connection of http::server");
  }
  co_await peer->settled();
  peer.reset();
  if (owner->count != 0) co_return;
  for (const resolver<void>& gone : std::exchange(owner->waiting, {})) gone();
}

template <class F>
void for_each_connection(core::list_link& list, F f) {
  for (core::list_link* link = list.next(); link != &list; link = link->next()) {
    f(*static_cast<connection*>(link));
  }
}

// Enters a listener in the list of those that are served, while it exists.
class served {
 public:
  served(site& s, net::tcp_listener& listener) : site_(s), listener_(&listener) {
    s.listeners.push_back(&listener);
  }
  served(const served&) = delete;
  served& operator=(const served&) = delete;
  ~served() { std::erase(site_.listeners, listener_); }

 private:
  site& site_;
  net::tcp_listener* listener_;
};

// Accepts until the site stops, and then waits for its connections.
task<> serve_all(std::shared_ptr<site> owner, net::tcp_listener& listener) {
  {
    const served entry(*owner, listener);
    while (!owner->stopping) {
      result<net::tcp_stream> client = co_await as_result(listener.accept());
      if (!client && !owner->stopping) client.error().rethrow();
      if (client) site::start(owner, std::move(*client));
    }
  }
  co_await owner->all_gone();
}

task<> abort_all(std::shared_ptr<site> owner) {
  owner->abort();
  co_await owner->all_gone();
}

// However it ends, no connection is left behind.
task<> serve(const std::shared_ptr<site>& owner, net::tcp_listener& listener) {
  return finally(serve_all(owner, listener), [owner] { return abort_all(owner); });
}

task<> serve_owned(std::shared_ptr<site> owner, net::tcp_listener listener) {
  co_await serve(owner, listener);
}

task<> listen(std::shared_ptr<site> owner, std::string address, std::uint16_t port,
              net::listen_options options) {
  net::tcp_listener listener(address, port, options);
  co_await serve(owner, listener);
}

task<> stop(std::shared_ptr<site> owner, std::chrono::nanoseconds grace) {
  owner->begin_stop();
  const result<void> gone = co_await as_result(timeout(grace, owner->all_gone()));
  if (gone) co_return;
  owner->abort();
  co_await owner->all_gone();
}

}  // namespace

task<response> site::call(request& asked) {
  try {
    return handler(asked);
  } catch (...) {
    return failed(failure());
  }
}

std::string_view site::date(std::int64_t now) {
  if (std::exchange(made_, now) != now) text_ = line_.at(std::chrono::system_clock::now());
  return text_;
}

void site::start(const std::shared_ptr<site>& self, net::tcp_stream stream) {
  auto peer = std::make_unique<connection>(*self, std::move(stream));
  connection& there = *peer;
  core::detached chain = drive(self, std::move(peer));
  there.set_context(chain.ctx());
  reactor::current().push(chain.start_node());
}

void site::begin_stop() noexcept {
  stopping = true;
  for (net::tcp_listener* listener : listeners) listener->close();
  for_each_connection(connections, [](connection& c) { c.stop_if_idle(); });
}

void site::abort() noexcept {
  for_each_connection(connections, [](connection& c) { c.abort(); });
}

task<> site::all_gone() {
  while (count != 0) {
    auto [gone, fire] = make_deferred<void>();
    waiting.push_back(std::move(fire));
    co_await std::move(gone);
  }
}

}  // namespace detail

server::server(handler f, server_options options)
    : site_(std::make_shared<detail::site>(std::move(f), std::move(options))) {}

server::~server() {
  if (!site_) return;
  site_->begin_stop();
  site_->abort();
}

task<> server::serve(net::tcp_listener& listener) { return detail::serve(site_, listener); }

task<> server::serve(net::tcp_listener&& listener) { return detail::serve_owned(site_, std::move(listener)); }

task<> server::listen(std::string address, std::uint16_t port, net::listen_options options) {
  return detail::listen(site_, std::move(address), port, options);
}

task<> server::stop(std::chrono::nanoseconds grace) { return detail::stop(site_, grace); }

std::size_t server::connections() const noexcept { return site_->count; }

}  // namespace mobius::http
