#include "transport.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "../../runtime/reactor.hpp"
#include "protocol.hpp"

namespace mobius::net {

namespace {

// Smaller ones are copied: a buffer of the reactor should not wait for a peer with little in it.
constexpr std::size_t worth_keeping = 2048;

// At the end there is no connection left to lose for what somebody throws.
template <class F>
void guarded(const char* where, F f) noexcept {
  try {
    f();
  } catch (...) {
    report_unhandled(failure(), where);
  }
}

}  // namespace

transport::transport() : node(&transport::run_node), reactor_(reactor::current()) {}

template <class F>
void transport::call(F f) noexcept {
  ++calls_;
  try {
    f(*protocol_);
  } catch (...) {
    lose(failure());
  }
  if (--calls_ == 0) flush();
}

void transport::start(std::shared_ptr<net::protocol> p) {
  protocol_ = std::move(p);
  const transport_ref alive(*this);
  call([this](net::protocol& to) { to.make_connection(*this); });
  pump();
}

// --- input -------------------------------------------------------------------------------------

void transport::pump() noexcept {
  if (pumping_) return;
  const transport_ref alive(*this);
  pumping_ = true;
  while (!paused_ && !read_stopped_ && !lost_) {
    try {
      if (!begin_receive()) break;
    } catch (...) {
      lose(failure());
      break;
    }
    deliver(take_input());
  }
  pumping_ = false;
}

void transport::deliver(result<lease>&& input) noexcept {
  if (!input) {
    // Data that cannot be sent any more is of no use, so this ends it at once.
    lose(std::move(input.error()));
  } else if (input->empty()) {
    input_ended();
  } else {
    call([&input](net::protocol& to) { to.lease_received(*std::move(input)); });
  }
}

void transport::input_ended() noexcept {
  read_stopped_ = true;
  input_ended_ = true;
  if (!protocol_->half_closeable()) return lose_connection();
  call([](net::protocol& to) { to.read_connection_lost(); });
  close_if_flushed();
}

void transport::pause_producing() { paused_ = true; }

void transport::resume_producing() {
  if (closing_ || lost_ || !std::exchange(paused_, false)) return;
  // Not here: the caller may be anywhere.
  schedule();
}

// --- output ------------------------------------------------------------------------------------

bool transport::takes_writes(const char* what) const {
  if (lost_ || write_closing_) return false;
  if (reactor::current_or_null() != &reactor_) [[unlikely]]
    throw std::logic_error(std::string(what) +
                           ": this transport belongs to the reactor of another thread; use post() to "
                           "reach it there");
  return true;
}

void transport::write(const_buffer bytes) {
  if (!takes_writes("write") || bytes.size() == 0) return;
  queue_.append(bytes.bytes());
  written(bytes.size());
}

void transport::write_lease(lease&& bytes) {
  if (bytes.size() < worth_keeping || unsent_ > high_water) {
    write(const_buffer(bytes));
    return bytes.reset();
  }
  if (!takes_writes("write")) return bytes.reset();
  const std::size_t size = bytes.size();
  queue_.push(detail::send_piece::holding(std::move(bytes)));
  written(size);
}

void transport::write_string(std::string&& text) {
  if (text.size() < worth_keeping) return write(const_buffer(text));
  if (!takes_writes("write")) return;
  const std::size_t size = text.size();
  queue_.push(detail::send_piece::holding(std::move(text)));
  written(size);
}

void transport::write_sequence(std::span<const const_buffer> list) {
  for (const const_buffer& bytes : list) write(bytes);
}

void transport::written(std::size_t size) {
  unsent_ += size;
  if (!sending_ && calls_ == 0) schedule();
  if (source() && producer_kind_ == producer_kind::push && !producer_paused_ && unsent_ > high_water) {
    producer_paused_ = true;
    call([this](net::protocol&) { source()->pause_producing(); });
  }
}

void transport::schedule() noexcept {
  if (std::exchange(queued_, true)) return;
  retain();
  reactor_.push(*this);
}

void transport::run_node(node* n) noexcept {
  auto& self = *static_cast<transport*>(n);
  self.queued_ = false;
  if (self.lost_) {
    self.tell_lost();
  } else {
    self.flush();
    self.close_if_flushed();
    self.pump();
  }
  self.release();
}

void transport::flush() noexcept {
  // A producer that is asked for more in here is served by this loop.
  if (std::exchange(flushing_, true)) return;
  while (!lost_ && !sending_ && !queue_.empty()) {
    sending_ = true;
    try {
      if (!begin_send(queue_)) break;
    } catch (...) {
      sending_ = false;
      lose(failure());
      break;
    }
    output_done();
  }
  flushing_ = false;
}

void transport::output_done() noexcept {
  result<std::size_t> sent = take_sent();
  sending_ = false;
  if (lost_) return;
  if (!sent) return lose(std::move(sent.error()));
  unsent_ -= *sent;
  if (queue_.empty()) drained();
  if (calls_ == 0) flush();
}

void transport::drained() noexcept {
  const transport_ref alive(*this);
  if (source() && (producer_kind_ == producer_kind::pull || producer_paused_)) {
    producer_paused_ = false;
    call([this](net::protocol&) { source()->resume_producing(); });
  }
  close_if_flushed();
}

void transport::close_if_flushed() noexcept {
  if (lost_ || !all_sent()) return;
  if (closing_ && !(source() && (producer_kind_ == producer_kind::pull || producer_paused_)))
    return lose(make_failure<connection_done>());
  if (write_closing_ && !std::exchange(write_closed_, true)) {
    try {
      end_output();
    } catch (...) {
      return lose(failure());
    }
    if (protocol_->half_closeable()) call([](net::protocol& to) { to.write_connection_lost(); });
  }
  if (write_closed_ && input_ended_) return lose(make_failure<connection_done>());
  if (!lost_) flushed();
}

void transport::register_producer(producer& p, producer_kind kind) {
  if (source())
    throw std::logic_error(
        "register_producer: this transport has a producer; call unregister_producer first");
  if (lost_) return p.stop_producing();
  more().source = &p;
  producer_kind_ = kind;
  producer_paused_ = false;
  if (kind == producer_kind::pull) p.resume_producing();
}

void transport::unregister_producer() {
  if (!source()) return;
  extras_->source = nullptr;
  producer_paused_ = false;
  close_if_flushed();
}

// --- the end -----------------------------------------------------------------------------------

void transport::lose_connection() {
  if (lost_ || std::exchange(closing_, true)) return;
  read_stopped_ = true;
  close_if_flushed();
}

void transport::lose_connection(std::chrono::nanoseconds abort_after) {
  lose_connection();
  if (lost_) return;
  more().deadline.cancel();
  more().deadline = call_later(abort_after, [alive = transport_ref(*this)] { alive->abort_connection(); });
}

void transport::lose_write_connection() {
  if (lost_ || std::exchange(write_closing_, true)) return;
  // Like all callbacks, write_connection_lost comes from the loop.
  schedule();
}

void transport::abort_connection() {
  end(make_failure<connection_aborted>(), {stream_peer(), stream_host()}, true);
}

void transport::end(failure reason, addresses known, bool reset) noexcept {
  if (std::exchange(lost_, true)) return;
  more().end = std::make_unique<ending>(ending{std::move(reason), std::move(known)});
  extras_->deadline.cancel();
  queue_.clear();
  unsent_ = 0;
  close_stream(reset);
  schedule();
}

void transport::tell_lost() noexcept {
  if (std::exchange(told_, true)) return;
  const std::shared_ptr<net::protocol> told = std::exchange(protocol_, nullptr);
  const failure reason = extras_->end->reason;
  guarded("stop_producing of a producer", [this] {
    if (producer* p = std::exchange(extras_->source, nullptr)) p->stop_producing();
  });
  guarded("connection_lost of a protocol", [&] { told->connection_lost(reason); });
  while (connection_observer* o = extras_->observers) {
    extras_->observers = std::exchange(o->next_, nullptr);
    o->connection_ended(reason);
  }
  ended(reason);
}

void transport::observe(connection_observer& o) {
  if (told_) return o.connection_ended(extras_->end->reason);
  o.next_ = std::exchange(more().observers, &o);
}

void transport::forget(connection_observer& o) noexcept {
  if (!extras_) return;
  for (connection_observer** at = &extras_->observers; *at; at = &(*at)->next_) {
    if (*at != &o) continue;
    *at = std::exchange(o.next_, nullptr);
    return;
  }
}

// --- addresses and options ---------------------------------------------------------------------

socket_address transport::get_peer() const { return lost_ ? extras_->end->known.peer : stream_peer(); }
socket_address transport::get_host() const { return lost_ ? extras_->end->known.host : stream_host(); }

void transport::set_flag(int level, int name, bool on, const char* what) {
  if (lost_) return;
  const int value = on ? 1 : 0;
  if (::setsockopt(native_handle(), level, name, &value, sizeof value) != 0)
    throw std::system_error(errno, std::generic_category(),
                            std::string(what) + " of the connection to " + get_peer().to_string());
}

bool transport::get_flag(int level, int name) const noexcept {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(native_handle(), level, name, &value, &size) == 0 && value != 0;
}

void transport::set_tcp_no_delay(bool on) { set_flag(IPPROTO_TCP, TCP_NODELAY, on, "set_tcp_no_delay"); }
bool transport::get_tcp_no_delay() const { return get_flag(IPPROTO_TCP, TCP_NODELAY); }
void transport::set_tcp_keep_alive(bool on) { set_flag(SOL_SOCKET, SO_KEEPALIVE, on, "set_tcp_keep_alive"); }
bool transport::get_tcp_keep_alive() const { return get_flag(SOL_SOCKET, SO_KEEPALIVE); }

}  // namespace mobius::net
