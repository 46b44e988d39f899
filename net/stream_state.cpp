#include "stream_state.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace mobius::net::detail {

namespace {

constexpr std::uint16_t buffer_of(std::uint32_t flags) noexcept {
  return static_cast<std::uint16_t>(flags >> IORING_CQE_BUFFER_SHIFT);
}

}  // namespace

open_socket::open_socket(reactor& r, function shut) : shut_down(shut) {
  link_before(r.service<open_sockets>().list);
}

void open_sockets::stop() noexcept {
  while (!list.alone()) {
    auto* socket = static_cast<open_socket*>(list.next());
    socket->unlink();
    socket->shut_down(socket);
  }
}

stream_state::stream_state(reactor& r, int fd, const socket_address& peer)
    : open_socket(r, &stream_state::on_shutdown),
      reactor_(r),
      pool_(r.service<core::buffers>().pool()),
      fd_(fd),
      peer_(peer) {}

stream_state::~stream_state() {
  if (fd_ >= 0) ::close(fd_);
}

std::string stream_state::describe(const char* call) const {
  return std::string(call) + " " + peer_.to_string();
}

void stream_state::check_thread(const char* call) const {
  if (reactor::current_or_null() == &reactor_) return;
  throw std::logic_error(
      describe(call) +
      ": this stream belongs to the reactor of another thread; use post() to reach it there");
}

// --- receiving ---------------------------------------------------------------------------------

void stream_state::arm() {
  if (!armed_ && !ended_ && receive_error_ == 0 && !closing_) start_receive(pool_.dry());
}

// Multishot: one request, many completions, each with a buffer that the kernel picked.
void stream_state::start_receive(bool poll_first) {
  core::request r{.opcode = IORING_OP_RECV, .fd = fd_};
  r.priority = IORING_RECV_MULTISHOT;
  // With no buffer left, a receive fails at once even when there is nothing to receive.
  if (poll_first) r.priority |= IORING_RECVSEND_POLL_FIRST;
  r.entry_flags = IOSQE_BUFFER_SELECT;
  r.buffer_group = core::buffer_pool::group;
  reactor_.start(receive_, r, idle_);
  armed_ = true;
  pausing_ = false;
}

void stream_state::on_receive(core::completion_handler* self, std::int32_t result,
                              std::uint32_t flags) noexcept {
  stream_state& s = static_cast<receiving*>(self)->stream;
  if (!(flags & IORING_CQE_F_MORE)) s.armed_ = false;
  if (result > 0 && s.closing_) {
    s.pool_.taken(buffer_of(flags), 0);
    s.pool_.recycle(buffer_of(flags));
  } else if (result > 0) {
    s.queue_buffer(buffer_of(flags), static_cast<std::uint32_t>(result));
  } else if (result == 0) {
    s.ended_ = true;
  } else if (result == -ENOBUFS) {
    if (!s.closing_ && s.pool_.feed(s.feed_)) s.start_receive(true);
  } else if (result != -ECANCELED || !(s.pausing_ || s.closing_)) {
    s.receive_error_ = -result;
  }
  if (s.reader_ && s.has_input()) {
    std::exchange(s.reader_, nullptr)->ready();
  } else if (s.reader_ && !s.armed_ && s.feed_.alone()) {
    s.arm();  // the kernel ended the multishot for a reason of its own
  }
  s.finish_if_idle();
}

void stream_state::on_fed(core::starved* self) noexcept {
  stream_state& s = static_cast<feeding*>(self)->stream;
  if (!s.armed_ && !s.closing_) s.start_receive(true);
}

void stream_state::queue_buffer(std::uint16_t id, std::uint32_t size) noexcept {
  pool_.taken(id, size);
  pool_.info(id) = {core::buffer_pool::none, 0, size};
  if (first_ == core::buffer_pool::none) {
    first_ = id;
  } else {
    pool_.info(last_).next = id;
  }
  last_ = id;
  // Nobody takes them: stop receiving. What is on its way is still queued, nothing is lost.
  if (++queued_ >= max_queued && armed_ && !pausing_) {
    pausing_ = true;
    reactor_.cancel(core::user_data_of(receive_));
  }
}

void stream_state::pop_buffer() noexcept {
  const std::uint16_t id = first_;
  first_ = pool_.info(id).next;
  --queued_;
  pool_.recycle(id);
}

lease stream_state::take_lease() {
  if (first_ == core::buffer_pool::none) return {};
  const std::uint16_t id = first_;
  const auto& entry = pool_.info(id);
  first_ = entry.next;
  --queued_;
  return {pool_, id, entry.begin, entry.end};
}

std::size_t stream_state::take_bytes(std::span<std::byte> to) {
  std::size_t done = 0;
  while (done < to.size() && first_ != core::buffer_pool::none) {
    auto& entry = pool_.info(first_);
    const std::size_t part = std::min<std::size_t>(to.size() - done, entry.end - entry.begin);
    std::memcpy(to.data() + done, pool_.data(first_) + entry.begin, part);
    done += part;
    entry.begin += static_cast<std::uint32_t>(part);
    if (entry.begin == entry.end) pop_buffer();
  }
  return done;
}

read_waiter::read_waiter(stream_state& s, const core::leaf_type& kind) noexcept : waiter(kind), stream_(s) {
  s.retain();
}

read_waiter::~read_waiter() {
  // Only user space knows of this wait, so its frame may go at any time.
  if (stream_.reader_ == this) {
    stream_.reader_ = nullptr;
    stream_.reactor_.drop();
  }
  stream_.release();
}

bool read_waiter::wait_for_bytes(std::coroutine_handle<> h, core::context* ctx,
                                 const std::source_location& where) {
  stream_.check_thread("read from");
  if (const gate g = arrive(h, ctx, where); g != gate::open) return g == gate::queued;
  if (stream_.has_input()) {
    state_ = state::done;
    return false;
  }
  if (stream_.reader_ || stream_.closing_) {
    result_ = stream_.reader_ ? -EBUSY : -EBADF;
    state_ = state::done;
    return false;
  }
  stream_.reader_ = this;
  stream_.reactor_.hold();
  if (!stream_.armed_) stream_.arm();
  return true;
}

void read_waiter::ready(std::int32_t error) noexcept {
  stream_.reactor_.drop();
  result_ = error;
  state_ = state::done;
  wake();
}

bool read_waiter::cancel(core::leaf* l) noexcept {
  auto& self = *static_cast<read_waiter*>(l);
  if (self.state_ != state::waiting) return false;
  self.stream_.reader_ = nullptr;
  self.stream_.reactor_.drop();
  self.stop();
  self.wake();
  return true;
}

const core::leaf_type receive_awaiter::leaf_kind{"receive", &read_waiter::cancel};
const core::leaf_type read_some_awaiter::leaf_kind{"read_some", &read_waiter::cancel};

namespace {

failure read_failure(const stream_state& s, std::int32_t own_error, std::int32_t stream_error) {
  if (own_error == -EBUSY)
    return system_failure(EBUSY, s.describe("read from") + ": another reader is waiting already");
  if (own_error == -EBADF)
    return system_failure(EBADF, s.describe("read from") + ": the stream has been closed here");
  return system_failure(stream_error, s.describe("read from"));
}

}  // namespace

lease receive_awaiter::await_resume() {
  leave();
  if (was_stopped()) throw cancelled();
  if (stream_.first_ != core::buffer_pool::none && result_ == 0) return stream_.take_lease();
  if (result_ == 0 && stream_.receive_error_ == 0) return {};
  read_failure(stream_, result_, stream_.receive_error_).rethrow();
}

result<lease> receive_awaiter::outcome() {
  leave();
  if (was_stopped()) return cancelled_failure();
  if (result_ == 0 && (stream_.first_ != core::buffer_pool::none || stream_.receive_error_ == 0)) {
    return stream_.take_lease();
  }
  return read_failure(stream_, result_, stream_.receive_error_);
}

std::size_t read_some_awaiter::await_resume() { return outcome().value(); }

result<std::size_t> read_some_awaiter::outcome() {
  leave();
  if (was_stopped()) return cancelled_failure();
  if (result_ == 0 && (stream_.first_ != core::buffer_pool::none || stream_.receive_error_ == 0)) {
    return stream_.take_bytes(to_);
  }
  return read_failure(stream_, result_, stream_.receive_error_);
}

// --- sending -----------------------------------------------------------------------------------

const core::leaf_type write_waiter::leaf_kind{"write_all", &write_waiter::cancel};

write_waiter::write_waiter(stream_state& s, std::span<const std::byte> bytes) noexcept
    : waiter(leaf_kind), stream_(s), bytes_(bytes) {
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
  if (stream_.write_error_ != 0 || stream_.closing_ || bytes_.empty()) {
    result_ = stream_.closing_ ? EBADF : stream_.write_error_;
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
  if (result_ == EBADF) call += ": the stream has been closed here";
  if (result_ == ECANCELED) {
    call += ": interrupted after " + std::to_string(sent_) + " of " + std::to_string(bytes_.size()) +
            " bytes; nothing more can be sent";
  }
  return system_failure(result_, call);
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
  const auto rest = first_write_->bytes_.subspan(first_write_->sent_);
  constexpr std::size_t most = 1U << 30;
  core::request r{.opcode = IORING_OP_SEND, .fd = fd_};
  r.address = reinterpret_cast<std::uint64_t>(rest.data());
  r.length = static_cast<std::uint32_t>(std::min(rest.size(), most));
  r.op_flags = MSG_NOSIGNAL | MSG_WAITALL;
  reactor_.start(send_, r);
  sending_ = true;
}

void stream_state::on_send(core::completion_handler* self, std::int32_t result, std::uint32_t) noexcept {
  stream_state& s = static_cast<sending*>(self)->stream;
  s.sending_ = false;
  write_waiter& front = *s.first_write_;
  if (result > 0) front.sent_ += static_cast<std::size_t>(result);
  const bool complete = front.sent_ == front.bytes_.size();
  if (!complete && result >= 0 && !front.cancel_asked_ && !s.closing_) {
    s.start_send();  // short: the rest follows
    return;
  }
  std::int32_t error = 0;
  if (!complete) error = result < 0 ? -result : ECANCELED;
  // A message that was sent in part leaves nothing sensible to send behind it.
  const bool nothing_sent = error == ECANCELED && front.sent_ == 0 && !s.closing_;
  if (error != 0 && !nothing_sent) s.write_error_ = s.closing_ ? EBADF : error;
  s.first_write_ = front.next_write_;
  if (!s.first_write_) s.last_write_ = nullptr;
  front.finish(error);
  if (s.write_error_ != 0) s.fail_writes(s.write_error_);
  if (s.first_write_) s.start_send();
  s.finish_if_idle();
}

void stream_state::fail_writes(std::int32_t error) noexcept {
  while (write_waiter* w = first_write_) {
    first_write_ = w->next_write_;
    w->finish(error);
  }
  last_write_ = nullptr;
}

// --- the end -----------------------------------------------------------------------------------

void stream_state::begin_close() noexcept {
  if (std::exchange(closing_, true)) return;
  unlink();
  feed_.unlink();
  while (first_ != core::buffer_pool::none) pop_buffer();
  if (reader_) std::exchange(reader_, nullptr)->ready(-EBADF);
  if (armed_) reactor_.cancel(core::user_data_of(receive_));
  if (sending_) reactor_.cancel(core::user_data_of(send_));
}

void stream_state::drop() noexcept {
  begin_close();
  release();
}

void stream_state::on_shutdown(open_socket* self) noexcept {
  auto& s = *static_cast<stream_state*>(self);
  s.retain();
  s.begin_close();
  s.release();
}

void stream_state::finish_if_idle() noexcept {
  if (!closing_ || armed_ || sending_) return;
  if (closer_) std::exchange(closer_, nullptr)->closed(std::exchange(fd_, -1));
  if (references_ == 0) delete this;
}

const core::leaf_type close_awaiter::leaf_kind{"close", &close_awaiter::cancel};

bool close_awaiter::suspend(std::coroutine_handle<> h, core::context* ctx,
                            const std::source_location& where) {
  handle_ = h;
  ctx_ = ctx;
  if (ctx) ctx->enter(*this, where);
  if (!stream_) return false;
  stream_->check_thread("close");
  stream_->closer_ = this;
  stream_->reactor_.hold();
  state_ = state::waiting;
  starting_ = true;
  stream_->begin_close();
  stream_->finish_if_idle();
  starting_ = false;
  return state_ == state::waiting;
}

void close_awaiter::closed(int fd) noexcept {
  stream_->reactor_.drop();
  if (fd >= 0 && ::close(fd) != 0) result_ = errno;
  state_ = state::done;
  if (!starting_) wake();
}

result<void> close_awaiter::outcome() {
  leave();
  if (result_ != 0) return system_failure(result_, stream_->describe("close"));
  return {};
}

bool close_awaiter::cancel(core::leaf*) noexcept { return true; }

close_awaiter::~close_awaiter() {
  if (!stream_) return;
  stream_->closer_ = nullptr;
  stream_->drop();
}

}  // namespace mobius::net::detail
