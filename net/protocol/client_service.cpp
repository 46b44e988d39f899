#include "client_service.hpp"

#include <cmath>
#include <random>
#include <utility>
#include <vector>

#include "../../deferred/deferred.hpp"
#include "../../runtime/reactor.hpp"

namespace mobius::net {

retry_policy backoff_policy(std::chrono::nanoseconds initial, std::chrono::nanoseconds longest, double factor,
                            std::chrono::nanoseconds jitter) {
  return [=](unsigned failures) {
    static thread_local std::minstd_rand random(std::random_device{}());
    const auto most = static_cast<double>(longest.count());
    double wait = static_cast<double>(initial.count()) * std::pow(factor, failures);
    if (!(wait < most)) wait = most;
    wait += std::uniform_real_distribution<double>(0, static_cast<double>(jitter.count()))(random);
    return std::chrono::nanoseconds(static_cast<std::int64_t>(wait));
  };
}

class client_service::state {
 public:
  state(std::shared_ptr<client_endpoint> endpoint, std::shared_ptr<factory> f, client_service_options options)
      : endpoint_(std::move(endpoint)), factory_(std::move(f)), options_(std::move(options)) {}

  void start(const std::shared_ptr<state>& self) {
    if (std::exchange(running_, true) || working_) return;
    working_ = true;
    deferred<void> work = run(self);
    if (working_) work_ = cancel_handle(work);
  }
  deferred<void> stop() {
    if (std::exchange(running_, false)) {
      stop_asked_ = true;
      fail_waiters(cancelled_failure());
      if (current_) {
        current_->transport().lose_connection();
      } else {
        const cancel_handle work = work_;
        work.cancel();
      }
    }
    if (!working_) return succeed();
    auto ends = make_deferred<void>();
    stopping_.push_back(std::move(ends.resolver));
    return std::move(ends.deferred);
  }
  deferred<std::shared_ptr<protocol>> when_connected(std::optional<unsigned> fail_after) {
    if (!running_) return fail<std::shared_ptr<protocol>>(cancelled_failure());
    if (current_) return succeed(current_);
    auto ends = make_deferred<std::shared_ptr<protocol>>();
    waiting_.push_back({std::move(ends.resolver), fail_after});
    return std::move(ends.deferred);
  }
  bool running() const noexcept { return running_; }

 private:
  struct waiter {
    resolver<std::shared_ptr<protocol>> fire;
    std::optional<unsigned> left;
  };

  static deferred<void> run(std::shared_ptr<state> self) {
    try {
      // A stop and a new start may come while the old connection is closing.
      do {
        co_await self->keep_connected();
        self->stopped();
      } while (self->running_);
    } catch (const cancelled&) {
      self->running_ = false;  // the reactor ends
    }
    self->working_ = false;
    self->work_ = cancel_handle();  // it keeps this frame's memory
    self->fail_waiters(cancelled_failure());
    self->stopped();
  }

  // Until a stop.
  task<> keep_connected() {
    unsigned failures = 0;
    while (goes_on()) {
      result<void> connection = co_await as_result(keep_one(failures));
      if (connection || !goes_on()) continue;
      count_failure(connection.error());
      ++failures;
      result<void> slept = co_await as_result(sleep(options_.retry(failures)));
      if (!slept && goes_on()) slept.error().rethrow();
    }
  }

  // One connection, from the attempt to its end; throws if it could not be made.
  task<> keep_one(unsigned& failures) {
    std::shared_ptr<protocol> p = co_await endpoint_->connect(factory_);
    const transport_ref t(p->transport());
    result<void> prepared = co_await as_result(prepare(*p));
    if (!prepared || !goes_on()) {
      t->lose_connection();
      co_await when_lost(*t);
      if (!prepared) prepared.error().rethrow();
      co_return;
    }
    failures = 0;
    current_ = p;
    for (waiter& w : std::exchange(waiting_, {})) w.fire(p);
    p.reset();
    result<void> ended = co_await as_result(when_lost(*t));
    current_.reset();
  }
  deferred<void> prepare(protocol& p) { return options_.prepare ? options_.prepare(p) : succeed(); }

  void count_failure(const failure& error) {
    std::vector<waiter> still;
    for (waiter& w : std::exchange(waiting_, {})) {
      if (w.left && --*w.left == 0) {
        w.fire.errback(error);
      } else {
        still.push_back(std::move(w));
      }
    }
    still.insert(still.end(), waiting_.begin(), waiting_.end());
    waiting_ = std::move(still);
  }
  void fail_waiters(const failure& error) {
    for (waiter& w : std::exchange(waiting_, {})) w.fire.errback(error);
  }
  // A start that follows a stop waits for its end.
  bool goes_on() const noexcept { return running_ && !stop_asked_; }
  void stopped() {
    stop_asked_ = false;
    current_.reset();
    for (const resolver<void>& r : std::exchange(stopping_, {})) r();
  }

  std::shared_ptr<client_endpoint> endpoint_;
  std::shared_ptr<factory> factory_;
  client_service_options options_;
  std::vector<waiter> waiting_;
  std::vector<resolver<void>> stopping_;
  std::shared_ptr<protocol> current_;
  cancel_handle work_;
  bool running_ = false;
  bool stop_asked_ = false;
  bool working_ = false;  // until a stop has come to its end
};

client_service::client_service(std::shared_ptr<client_endpoint> endpoint, std::shared_ptr<factory> f,
                               client_service_options options)
    : state_(std::make_shared<state>(std::move(endpoint), std::move(f), std::move(options))) {}

client_service& client_service::operator=(client_service&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

client_service::~client_service() {
  if (state_) static_cast<void>(state_->stop());
}

void client_service::start_service() { state_->start(state_); }
deferred<void> client_service::stop_service() { return state_->stop(); }
deferred<std::shared_ptr<protocol>> client_service::when_connected(std::optional<unsigned> fail_after) {
  return state_->when_connected(fail_after);
}
bool client_service::running() const noexcept { return state_ && state_->running(); }

}  // namespace mobius::net
