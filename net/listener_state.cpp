#include "listener_state.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <stdexcept>
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

std::uint64_t inode_of(const std::string& path) noexcept {
  struct stat s {};
  return !path.empty() && lstat(path.c_str(), &s) == 0 ? s.st_ino : 0;
}

}  // namespace

void throw_no_listener() {
  throw std::logic_error("this listener holds no socket; it was closed or moved from");
}

listener_state::listener_state(reactor& r, int fd, std::size_t max_open, std::string path)
    : open_socket(r, &listener_state::on_shutdown),
      stream_counter(&listener_state::on_stream_ended),
      reactor_(r),
      max_open_(max_open),
      path_(std::move(path)),
      inode_(inode_of(path_)),
      fd_(fd),
      address_(socket_address::local_of(fd)) {}

listener_state::~listener_state() { close_socket(); }

void listener_state::arm() {
  if (armed_ || closing_ || stopped_ || pause_.armed() || at_limit(waiting())) return;
  core::request r{.opcode = IORING_OP_ACCEPT, .fd = fd_};
  r.op_flags = SOCK_CLOEXEC;
  r.priority = IORING_ACCEPT_MULTISHOT;
  reactor_.start(accept_, r, true);
  armed_ = true;
  pausing_ = false;
}

void listener_state::pause_accepting() noexcept {
  if (armed_ && !std::exchange(pausing_, true)) reactor_.cancel(core::user_data_of(accept_));
}

void listener_state::on_accept(core::completion_handler* self, std::int32_t result,
                               std::uint32_t flags) noexcept {
  listener_state& s = static_cast<accepting*>(self)->listener;
  if (!(flags & IORING_CQE_F_MORE)) s.armed_ = false;
  if (result >= 0 && s.closing_) {
    ::close(result);
  } else if (result >= 0) {
    s.waiting_.push_back(result);
    if (s.waiting() >= max_waiting || s.at_limit(s.waiting())) s.pause_accepting();
  } else if (is_shortage(-result)) {
    // The connection stays in the backlog; trying again at once would fail at once.
    if (!s.closing_) s.reactor_.timers().add(s.pause_, s.reactor_.deadline_after(pause_without_descriptors));
  } else if (!concerns_one_connection(-result) && !s.pausing_ && !s.closing_ && !s.stopped_) {
    s.error_ = -result;
  }
  if (s.stopped_ && !s.armed_ && !s.closing_) s.finish_stop();
  s.serve_acceptor();
  s.finish_if_idle();
}

void listener_state::serve_acceptor() noexcept {
  if (!acceptor_ || !acceptor_->waits()) return;
  if (has_connection() || error_ != 0) {
    acceptor_->ready(has_connection() ? 0 : error_);
  } else if (drained()) {
    acceptor_->ready(EBADF);
  } else {
    arm();
  }
}

void listener_state::on_pause_over(core::timer* t) noexcept {
  static_cast<pausing*>(t)->listener.serve_acceptor();
}

void listener_state::on_stream_ended(stream_counter* self) noexcept {
  auto& s = *static_cast<listener_state*>(self);
  --s.open_;
  if (!s.closing_) s.serve_acceptor();
  s.release();
}

void listener_state::begin_close() noexcept {
  if (std::exchange(closing_, true)) return;
  unlink();
  if (pause_.armed()) reactor_.timers().cancel(pause_);
  for (; next_ != waiting_.size(); ++next_) ::close(waiting_[next_]);
  if (acceptor_ && acceptor_->waits()) acceptor_->ready(EBADF);
  pause_accepting();
  if (!armed_) close_socket();
}

void listener_state::stop() noexcept {
  if (closing_ || std::exchange(stopped_, true)) return;
  if (pause_.armed()) reactor_.timers().cancel(pause_);
  pause_accepting();
  if (!armed_) finish_stop();
  serve_acceptor();
}

// What is in the kernel's queue would be reset with the socket.
void listener_state::finish_stop() noexcept {
  if (fd_ < 0) return;
  fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK);
  for (int fd = 0; (fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) waiting_.push_back(fd);
  close_socket();
}

void listener_state::close_socket() noexcept {
  if (fd_ < 0) return;
  // Unless somebody else listens there by now.
  if (inode_ != 0 && inode_of(path_) == inode_) ::unlink(path_.c_str());
  ::close(std::exchange(fd_, -1));
  if (closer_) std::exchange(closer_, nullptr)->closed();
}

void listener_state::on_shutdown(open_socket* self) noexcept {
  auto& s = *static_cast<listener_state*>(self);
  s.retain();
  s.begin_close();
  s.release();
}

void listener_state::finish_if_idle() noexcept {
  if (armed_ || !closing_) return;
  close_socket();
  if (references_ == 0) delete this;
}

const core::leaf_type accept_awaiter::leaf_kind{"accept", &accept_awaiter::cancel};

accept_awaiter::accept_awaiter(listener_state& s) noexcept : waiter(leaf_kind), listener_(s) { s.retain(); }

accept_awaiter::~accept_awaiter() {
  // Only user space knows of this wait, so its frame may go at any time.
  if (listener_.acceptor_ == this) {
    listener_.acceptor_ = nullptr;
    if (waits()) listener_.reactor_.drop();
  }
  listener_.release();
}

bool accept_awaiter::suspend(std::coroutine_handle<> h, core::context* ctx,
                             const std::source_location& where) {
  if (reactor::current_or_null() != &listener_.reactor_) {
    throw std::logic_error(listener_.describe() + ": this listener belongs to the reactor of another thread");
  }
  if (const gate g = arrive(h, ctx, where); g != gate::open) return g == gate::queued;
  const bool over = listener_.closing_ || listener_.drained();
  if (listener_.has_connection() || listener_.error_ != 0 || over || listener_.acceptor_) {
    if (listener_.error_ != 0) result_ = listener_.error_;
    if (over) result_ = EBADF;
    if (listener_.has_connection()) result_ = 0;
    if (listener_.acceptor_) result_ = EBUSY;
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
  if (listener_.acceptor_ == this) listener_.acceptor_ = nullptr;
  if (result_ == 0 && listener_.has_connection()) {
    const int fd = listener_.waiting_[listener_.next_++];
    if (listener_.waiting() == 0) {
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

// --- closing -----------------------------------------------------------------------------------

const core::leaf_type listener_close_awaiter::leaf_kind{"close of a listener",
                                                        &listener_close_awaiter::cancel};

bool listener_close_awaiter::suspend(std::coroutine_handle<> h, core::context* ctx,
                                     const std::source_location& where) {
  handle_ = h;
  ctx_ = ctx;
  if (ctx) ctx->enter(*this, where);
  if (!listener_ || listener_->fd_ < 0) return false;
  listener_->closer_ = this;
  listener_->reactor_.hold();
  state_ = state::waiting;
  return true;
}

void listener_close_awaiter::closed() noexcept {
  listener_->reactor_.drop();
  state_ = state::done;
  wake();
}

listener_close_awaiter::~listener_close_awaiter() {
  if (!listener_) return;
  // Only user space knows of this wait, so its frame may go at any time.
  if (listener_->closer_ == this) {
    listener_->closer_ = nullptr;
    listener_->reactor_.drop();
  }
  listener_->release();
}

listener_close_operation::~listener_close_operation() {
  if (listener_) listener_->release();
}

}  // namespace mobius::net::detail
