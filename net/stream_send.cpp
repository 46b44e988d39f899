// The sending half of stream_state: one request in flight, the other writes queue behind it.

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "stream.hpp"
#include "stream_state.hpp"

namespace mobius::net::detail {

const core::leaf_type write_waiter::leaf_kind{"write_all", &write_waiter::cancel};

write_waiter::write_waiter(stream_state& s, std::span<const std::byte> bytes) noexcept
    : waiter(leaf_kind), stream_(s), bytes_(bytes.data()), total_(bytes.size()) {
  s.retain();
}

write_waiter::write_waiter(stream_state& s, write_source& source, std::uint64_t total) noexcept
    : waiter(leaf_kind), stream_(s), source_(&source), total_(total) {
  s.retain();
}

write_waiter::~write_waiter() {
  if (state_ != state::waiting) {
    stream_.release();
    return;
  }
  std::fputs(
      "mobius: a coroutine was destroyed while its write_all was in flight; the kernel may still read its "
      "bytes. "
      "Cancel it and wait for its end instead.\n",
      stderr);
  std::abort();
}

bool write_waiter::suspend(std::coroutine_handle<> h, core::context* ctx, const std::source_location& where) {
  stream_.check_thread("write to");
  if (const gate g = arrive(h, ctx, where); g != gate::open) return g == gate::queued;
  const std::int32_t refused = stream_.refuses_writes();
  if (refused != 0 || total_ == 0) {
    result_ = refused;
    state_ = state::done;
    return false;
  }
  stream_.reactor_.hold();
  stream_.enqueue(*this);
  return true;
}

void write_waiter::finish(std::int32_t error) noexcept {
  stream_.reactor_.drop();
  result_ = error;
  const bool cancel_won = cancel_asked_ && error == ECANCELED && sent_ == 0;
  if (cancel_won) {
    stop();
  } else {
    state_ = state::done;
  }
  wake();
}

result<void> write_waiter::outcome() {
  leave();
  if (was_stopped()) return cancelled_failure();
  if (result_ == 0) return {};
  std::string call = stream_.describe("write to");
  if (source_failed_) call += ": read of the file to send";
  if (result_ == EBADF) call += ": the stream has been closed here";
  if (result_ == EPIPE && stream_.write_ended_) call += ": shutdown_write was called before";
  if (sent_ == 0 && result_ != ECANCELED) return system_failure(result_, call);
  call += ": interrupted after " + std::to_string(sent_);
  if (total_ != std::uint64_t(-1)) call += " of " + std::to_string(total_);
  return make_failure<write_interrupted>(result_, call + " bytes; nothing more can be sent", sent_);
}

bool write_waiter::cancel(core::leaf* l) noexcept {
  auto& self = *static_cast<write_waiter*>(l);
  if (self.state_ != state::waiting) return false;
  if (std::exchange(self.cancel_asked_, true)) return true;
  if (self.stream_.first_write_ == &self) {
    self.stream_.reactor_.cancel(core::user_data_of(self.stream_.send_));
  } else if (self.stream_.withdraw(self)) {
    self.finish(ECANCELED);
  }
  return true;
}

std::int32_t stream_state::refuses_writes() const noexcept {
  if (closing_) return EBADF;
  if (write_error_ != 0) return write_error_;
  return write_ended_ ? EPIPE : 0;
}

void stream_state::enqueue(write_waiter& w) {
  if (last_write_) {
    last_write_->next_write_ = &w;
    last_write_ = &w;
    return;
  }
  first_write_ = last_write_ = &w;
  start_send();
}

bool stream_state::withdraw(write_waiter& w) noexcept {
  for (write_waiter* before = first_write_; before; before = before->next_write_) {
    if (before->next_write_ != &w) continue;
    before->next_write_ = w.next_write_;
    if (last_write_ == &w) last_write_ = before;
    return true;
  }
  return false;
}

void stream_state::start_send() {
  write_waiter& front = *first_write_;
  core::request r{.opcode = IORING_OP_SEND, .fd = fd_};
  r.op_flags = MSG_NOSIGNAL | MSG_WAITALL;
  if (front.source_) {
    front.source_->prepare(r);
  } else {
    r.address = reinterpret_cast<std::uint64_t>(front.bytes_ + front.sent_);
    r.length = static_cast<std::uint32_t>(std::min(front.total_ - front.sent_, most_at_once));
  }
  reactor_.start(send_, r);
  sending_ = true;
}

void stream_state::on_send(core::completion_handler* self, std::int32_t result, std::uint32_t) noexcept {
  stream_state& s = static_cast<sending*>(self)->stream;
  s.sending_ = false;
  write_waiter& front = *s.first_write_;
  if (front.source_) result = front.source_->completed(front, result);
  if (result > 0) front.sent_ += static_cast<std::uint64_t>(result);
  const bool complete = front.sent_ == front.total_;
  const bool again = result >= 0 || result == -EINTR;
  if (!complete && again && !front.cancel_asked_ && !s.closing_) {
    s.start_send();  // short: the rest follows
    return;
  }
  std::int32_t error = 0;
  if (!complete) error = again ? ECANCELED : -result;
  // A message that was sent in part leaves nothing sensible to send behind it.
  const bool harmless = (error == ECANCELED || front.source_failed_) && front.sent_ == 0 && !s.closing_;
  if (error != 0 && !harmless) s.write_error_ = s.closing_ ? EBADF : error;
  s.first_write_ = front.next_write_;
  if (!s.first_write_) s.last_write_ = nullptr;
  front.finish(error);
  if (s.write_error_ != 0) s.fail_writes(s.write_error_);
  if (s.first_write_) {
    s.start_send();
  } else if (s.write_ended_) {
    ::shutdown(s.fd_, SHUT_WR);
  }
  s.finish_if_idle();
}

void stream_state::fail_writes(std::int32_t error) noexcept {
  while (write_waiter* w = first_write_) {
    first_write_ = w->next_write_;
    w->finish(error);
  }
  last_write_ = nullptr;
}

void stream_state::shutdown_write() {
  check_thread("shutdown_write of");
  if (std::exchange(write_ended_, true) || first_write_) return;
  if (::shutdown(fd_, SHUT_WR) != 0)
    throw std::system_error(errno, std::generic_category(), describe("shutdown_write of"));
}

}  // namespace mobius::net::detail
