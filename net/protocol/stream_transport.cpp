#include "stream_transport.hpp"

namespace mobius::net::detail {

deferred<void> end_of_connection::of(transport& t) {
  auto abort = [alive = transport_ref(t)] {
    alive->abort_connection();
    return cancel_reply::later;
  };
  auto ends = make_deferred<void>(std::move(abort));
  t.observe(*new end_of_connection(std::move(ends.resolver)));
  return std::move(ends.deferred);
}

void end_of_connection::connection_ended(const failure& reason) noexcept {
  const std::unique_ptr<end_of_connection> self(this);
  if (reason.check<connection_done, connection_aborted, connection_taken>()) {
    fire_();
  } else {
    fire_.errback(reason);
  }
}

}  // namespace mobius::net::detail
