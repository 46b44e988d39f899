#include "client_factory.hpp"

#include <algorithm>
#include <random>
#include <stdexcept>
#include <utility>

namespace mobius::net {

void connector::connect() {
  if (state_ != status::disconnected)
    throw std::logic_error("connector::connect: it is connecting or connected to " + get_destination());
  if (!started_) factory_->do_start();
  started_ = true;
  state_ = status::connecting;
  self_ = shared_from_this();
  try {
    factory_->started_connecting(*this);
    if (state_ != status::connecting) return;
    auto attempt = endpoint_->connect(factory_);
    attempt_.emplace(attempt);
    std::move(attempt).add_both([this](result<std::shared_ptr<protocol>> r) { finished(std::move(r)); });
  } catch (...) {
    over([] {});
    throw;
  }
}

void connector::finished(result<std::shared_ptr<protocol>> outcome) {
  attempt_.reset();
  if (outcome) {
    state_ = status::connected;
    transport_ = transport_ref((*outcome)->transport());
    transport_->observe(*this);
    return;
  }
  over([&] { factory_->client_connection_failed(*this, outcome.error()); });
}

void connector::connection_ended(const failure& reason) noexcept {
  transport_ = {};
  over([&] { factory_->client_connection_lost(*this, reason); });
}

// Unless the factory begins anew, this was the last that it has to do with the factory.
template <class F>
void connector::over(F tell) {
  const std::shared_ptr<connector> self = std::exchange(self_, nullptr);
  state_ = status::disconnected;
  try {
    tell();
    if (state_ == status::disconnected && std::exchange(started_, false)) factory_->do_stop();
  } catch (...) {
    report_unhandled(failure(), "the factory of a client");
  }
}

void connector::disconnect() {
  if (state_ == status::connecting) return stop_connecting();
  if (state_ == status::connected) transport_->lose_connection();
}

void connector::stop_connecting() {
  if (state_ != status::connecting)
    throw std::logic_error("connector::stop_connecting: it is not connecting to " + get_destination());
  if (const auto attempt = attempt_) return attempt->cancel();
  over([this] { factory_->client_connection_failed(*this, cancelled_failure()); });
}

std::shared_ptr<connector> connect_client(std::shared_ptr<client_endpoint> endpoint,
                                          std::shared_ptr<client_factory> f) {
  auto c = std::make_shared<connector>(std::move(endpoint), std::move(f));
  c->connect();
  return c;
}

void reconnecting_client_factory::retry(connector& c) {
  if (!trying_ || (delays_.max_retries && retries_ >= *delays_.max_retries)) return;
  ++retries_;
  delay_ = std::min(delay_ * delays_.factor, delays_.longest);
  if (delays_.jitter > 0) {
    static thread_local std::minstd_rand random(std::random_device{}());
    std::normal_distribution<double> around(delay_.count(), delay_.count() * delays_.jitter);
    delay_ = std::chrono::duration<double>(std::max(0.0, around(random)));
  }
  auto again = [this, self = shared_from_this(), next = c.shared_from_this()] {
    if (trying_ && next->state() == connector::status::disconnected) next->connect();
  };
  timer_ = call_later(std::chrono::duration_cast<std::chrono::nanoseconds>(delay_), std::move(again));
}

void reconnecting_client_factory::reset_delay() noexcept {
  delay_ = delays_.initial;
  retries_ = 0;
  trying_ = true;
}

void reconnecting_client_factory::stop_trying() {
  trying_ = false;
  timer_.cancel();
}

}  // namespace mobius::net
