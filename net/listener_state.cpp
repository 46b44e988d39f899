#include "listener_state.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <utility>

namespace mobius::net::detail {

using namespace std::chrono_literals;

namespace {

constexpr auto pause_without_descriptors = 50ms;

// A connection that was gone before it was accepted, and the like: nothing is wrong with us.
bool concerns_one_connection(std::int32_t error) noexcept {
  switch (error) {
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case EINTR:
      return true;
    default:
      return false;
  }
}

bool is_shortage(std::int32_t error) noexcept {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

listener_state::listener_state(reactor& r, int fd)
    : open_socket(r, &listener_state::on_shutdown),
      reactor_(r),
      fd_(fd),
      address_(socket_address::local_of(fd)) {}

listener_state::~listener_state() {
  reactor_.timers().cancel(pause_);
  if (fd_ >= 0) ::close(fd_);
}

void listener_state::arm() {
  if (armed_ || closing_ || pause_.armed()) return;
  core::request r{.opcode = IORING_OP_ACCEPT, .fd = fd_};
  r.op_flags = SOCK_CLOEXEC;
  r.priority = IORING_ACCEPT_MULTISHOT;
  reactor_.start(accept_, r, true);
  armed_ = true;
  stopping_ = false;
}

void listener_state::on_accept(core::completion_handler* self, std::int32_t result,
                               std::uint32_t flags) noexcept {
  listener_state& s = static_cast<accepting*>(self)->listener;
  if (!(flags & IORING_CQE_F_MORE)) s.armed_ = false;
  if (result >= 0 && s.closing_) {
    ::close(result);
  } else if (result >= 0) {
    s.waiting_.push_back(result);
    if (s.waiting_.size() - s.next_ >= max_waiting && s.armed_ && !std::exchange(s.stopping_, true)) {
      s.reactor_.cancel(core::user_data_of(s.accept_));
    }
  } else if (is_shortage(-result)) {
    // The connection stays in the backlog; trying again at once would fail at once.
    if (!s.closing_) s.reactor_.timers().add(s.pause_, s.reactor_.deadline_after(pause_without_descriptors));
  } else if (!concerns_one_connection(-result) && !(result == -ECANCELED && (s.stopping_ || s.closing_))) {
    s.error_ = -result;
  }
  if (s.acceptor_ && (s.has_connection() || s.error_ != 0)) {
    std::exchange(s.acceptor_, nullptr)->ready(s.has_connection() ? 0 : s.error_);
  } else if (s.acceptor_) {
    s.arm();
  }
  s.finish_if_idle();
}

void listener_state::on_pause_over(core::timer* t) noexcept {
  listener_state& s = static_cast<pausing*>(t)->listener;
  if (s.acceptor_) s.arm();
}

void listener_state::begin_close() noexcept {
  if (std::exchange(closing_, true)) return;
  unlink();
  reactor_.timers().cancel(pause_);
  for (; has_connection(); ++next_) ::close(waiting_[next_]);
  if (acceptor_) std::exchange(acceptor_, nullptr)->ready(EBADF);
  if (armed_) {
    reactor_.cancel(core::user_data_of(accept_));
  } else if (fd_ >= 0) {
    ::close(std::exchange(fd_, -1));
  }
}

void listener_state::drop() noexcept {
  begin_close();
  release();
}

void listener_state::on_shutdown(open_socket* self) noexcept {
  auto& s = *static_cast<listener_state*>(self);
  s.retain();
  s.begin_close();
  s.release();
}

void listener_state::finish_if_idle() noexcept {
  if (closing_ && !armed_ && references_ == 0) delete this;
}

const core::leaf_type accept_awaiter::leaf_kind{"accept", &accept_awaiter::cancel};

accept_awaiter::accept_awaiter(listener_state& s) noexcept : waiter(leaf_kind), listener_(s) { s.retain(); }

accept_awaiter::~accept_awaiter() {
  // Only user space knows of this wait, so its frame may go at any time.
  if (listener_.acceptor_ == this) {
    listener_.acceptor_ = nullptr;
    listener_.reactor_.drop();
  }
  listener_.release();
}

bool accept_awaiter::suspend(std::coroutine_handle<> h, core::context* ctx,
                             const std::source_location& where) {
  if (reactor::current_or_null() != &listener_.reactor_) {
    throw std::logic_error(listener_.describe() + ": this listener belongs to the reactor of another thread");
  }
  if (const gate g = arrive(h, ctx, where); g != gate::open) return g == gate::queued;
  if (listener_.has_connection() || listener_.error_ != 0 || listener_.closing_ || listener_.acceptor_) {
    if (listener_.error_ != 0) result_ = listener_.error_;
    if (listener_.acceptor_) result_ = EBUSY;
    if (listener_.closing_) result_ = EBADF;
    if (listener_.has_connection()) result_ = 0;
    state_ = state::done;
    return false;
  }
  listener_.acceptor_ = this;
  listener_.reactor_.hold();
  listener_.arm();
  return true;
}

void accept_awaiter::ready(std::int32_t error) noexcept {
  listener_.reactor_.drop();
  result_ = error;
  state_ = state::done;
  wake();
}

bool accept_awaiter::cancel(core::leaf* l) noexcept {
  auto& self = *static_cast<accept_awaiter*>(l);
  if (self.state_ != state::waiting) return false;
  self.listener_.acceptor_ = nullptr;
  self.listener_.reactor_.drop();
  self.stop();
  self.wake();
  return true;
}

result<int> accept_awaiter::accepted() {
  leave();
  if (was_stopped()) return cancelled_failure();
  if (result_ == 0 && listener_.has_connection()) {
    const int fd = listener_.waiting_[listener_.next_++];
    if (!listener_.has_connection()) {
      listener_.waiting_.clear();
      listener_.next_ = 0;
    }
    return fd;
  }
  std::string call = listener_.describe();
  if (result_ == EBUSY) call += ": somebody is waiting for a connection already";
  if (result_ == EBADF || result_ == 0) call += ": the listener has been closed here";
  const std::int32_t error = result_ == 0 ? EBADF : result_;
  if (error != EBUSY) listener_.error_ = 0;  // told once; the next accept tries again
  return system_failure(error, call);
}

}  // namespace mobius::net::detail
