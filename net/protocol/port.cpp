#include "port.hpp"

#include <stdexcept>

#include "../../deferred/helpers.hpp"

namespace mobius::net {

namespace detail {

deferred<void> port_state::when_ended() {
  if (ended_) return succeed();
  auto ends = make_deferred<void>();
  waiting_.push_back(std::move(ends.resolver));
  return std::move(ends.deferred);
}

std::shared_ptr<protocol> port_state::build(const socket_address& peer) noexcept {
  try {
    return factory_->build_protocol(peer);
  } catch (...) {
    report_unhandled(failure(), "build_protocol of a factory");
    return nullptr;
  }
}

void port_state::ended() noexcept {
  ended_ = true;
  close();
  try {
    factory_->do_stop();
  } catch (...) {
    report_unhandled(failure(), "stop_factory of a factory");
  }
  for (const resolver<void>& waiter : std::exchange(waiting_, {})) waiter();
}

}  // namespace detail

namespace {

[[noreturn]] void throw_no_port() {
  throw std::logic_error("this handle holds no listening port; it was kept, stopped or moved from");
}

}  // namespace

const socket_address& listening_port::get_host() const {
  if (!state_) throw_no_port();
  return state_->address();
}

deferred<void> listening_port::stop_listening() {
  if (!state_) throw_no_port();
  const auto state = std::exchange(state_, nullptr);
  state->close();
  return state->when_ended();
}

}  // namespace mobius::net
