#include "stream_state.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "stream_ops.hpp"

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

stream_state::stream_state(reactor& r, int fd, const socket_address& peer, stream_counter* counter)
    : open_socket(r, &stream_state::on_shutdown),
      reactor_(r),
      pool_(&r.service<core::buffers>().small()),
      counter_(counter),
      fd_(fd) {
  std::memcpy(&peer_, peer.data(), std::min<std::size_t>(peer.size(), sizeof peer_));
}

stream_state::~stream_state() {
  drop_input();
  if (fd_ >= 0) ::close(fd_);
  if (counter_) counter_->ended(counter_);
}

// The kernel forgets the peer of a TCP connection that has ended, and not that of a unix one.
socket_address stream_state::peer() const noexcept {
  if (peer_.sin6_family == AF_UNIX) return socket_address::peer_of(fd_);
  return {reinterpret_cast<const sockaddr*>(&peer_), sizeof peer_};
}

std::string stream_state::describe(const char* call) const {
  const std::string what = std::string(call) + " ";
  const socket_address peer = this->peer();
  if (peer.family() != AF_UNIX || !peer.unix_name().empty()) return what + peer.to_string();
  const socket_address own = socket_address::local_of(fd_);
  return what +
         (own.unix_name().empty() ? "the other end of a socket pair" : "a client of " + own.to_string());
}

void stream_state::check_thread(const char* call) const {
  if (reactor::current_or_null() == &reactor_) return;
  throw std::logic_error(
      describe(call) +
      ": this stream belongs to the reactor of another thread; use post() to reach it there");
}

// --- receiving ---------------------------------------------------------------------------------

void stream_state::arm(bool starved) {
  if (armed_ || ended_ || receive_error_ != 0 || closing_) return;
  if (reader_waits() && (starved || suits_directly(*reader_))) {
    receive_into(*reader_);
  } else if (!starved) {
    start_receive();
  }
}

// Multishot: one request, many completions, each with a buffer that the kernel picked.
void stream_state::start_receive() {
  choose_pool();
  core::request r{.opcode = IORING_OP_RECV, .fd = fd_};
  once_ = wants_once();
  if (!once_) r.priority = IORING_RECV_MULTISHOT;
  // With no buffer left, a receive fails at once even when there is nothing to receive.
  if (pool_->dry()) r.priority |= IORING_RECVSEND_POLL_FIRST;
  r.entry_flags = IOSQE_BUFFER_SELECT;
  r.buffer_group = pool_->shape().group;
  reactor_.start(receive_, r, idle_);
  armed_ = true;
  pausing_ = false;
}

// Only when nothing is queued, as the chain of what is has its buffers in one pool.
void stream_state::choose_pool() noexcept {
  if (filling_ == has_large_buffers()) return;
  core::buffers& all = reactor_.service<core::buffers>();
  core::buffer_pool* large = filling_ ? all.large() : nullptr;
  pool_ = large ? large : &all.small();
  if (!large) use_small_buffers();
}

void stream_state::use_small_buffers() noexcept {
  full_in_a_row_ = 0;
  filling_ = false;
}

void stream_state::receive_into(read_waiter& reader) {
  std::span<std::byte> to = reader.into_;
  if (to.empty()) {
    reader.spare_.reset(new (std::nothrow) core::spare_buffer);
    if (!reader.spare_) return reader.ready(-ENOMEM);
    to = reader.spare_->bytes;
  }
  core::request r{.opcode = IORING_OP_RECV, .fd = fd_};
  r.address = reinterpret_cast<std::uint64_t>(to.data());
  r.length = static_cast<std::uint32_t>(std::min(to.size(), most_at_once));
  reactor_.start(receive_, r, idle_);
  armed_ = true;
  direct_ = true;
  pausing_ = false;
}

void stream_state::on_receive(core::completion_handler* self, std::int32_t result,
                              std::uint32_t flags) noexcept {
  stream_state& s = static_cast<receiving*>(self)->stream;
  // Unix sockets have told it only of late.
  s.more_ = (flags & IORING_CQE_F_SOCK_NONEMPTY) != 0 || s.peer_.sin6_family == AF_UNIX;
  if (s.more_) {
    s.outpaced_ = 3;
  } else if (s.outpaced_ > 0) {
    --s.outpaced_;
  }
  if (s.direct_) {
    s.on_direct(result);
  } else {
    s.on_multishot(result, flags);
  }
  s.finish_if_idle();
}

void stream_state::on_multishot(std::int32_t result, std::uint32_t flags) noexcept {
  if (!(flags & IORING_CQE_F_MORE)) armed_ = false;
  bool starved = false;
  if (result > 0 && ((closing_ && !keep_input_) || ended_)) {
    pool_->taken(buffer_of(flags), 0);
    pool_->recycle(buffer_of(flags));
  } else if (result > 0) {
    queue_buffer(buffer_of(flags), static_cast<std::uint32_t>(result));
  } else if (result == 0) {
    ended_ = true;
  } else if (result == -ENOBUFS) {
    starved = !pool_->replenish();
    if (starved && has_large_buffers()) {
      use_small_buffers();
      starved = false;
    }
  } else if (result != -ECANCELED || !(pausing_ || closing_)) {
    receive_error_ = -result;
  }
  if (!reader_waits()) return;
  if (has_input()) {
    reader_->ready();
  } else if (!armed_) {
    arm(starved);  // paused, starved, or ended by the kernel for a reason of its own
  }
}

void stream_state::on_direct(std::int32_t result) noexcept {
  armed_ = false;
  direct_ = false;
  read_waiter& reader = *reader_;
  if (result > 0) {
    const auto size = static_cast<std::uint32_t>(result);
    note_size(size);
    const std::byte* const bytes = reader.spare_ ? reader.spare_->bytes : reader.into_.data();
    if (reader.cancel_asked_ && !closing_ && keep({bytes, size})) return reader.interrupted();
    reader.received_ = size;
    reader.ready();
  } else if (result == 0) {
    ended_ = true;
    reader.ready();
  } else if (result == -ECANCELED || result == -EINTR) {
    if (closing_) return reader.ready(-EBADF);
    if (reader.cancel_asked_) return reader.interrupted();
    arm();
  } else {
    receive_error_ = -result;
    reader.ready();
  }
}

// Without memory for them the read gives them after all.
bool stream_state::keep(std::span<const std::byte> bytes) noexcept try {
  kept_ = std::make_unique<kept_bytes>(bytes);
  return true;
} catch (const std::bad_alloc&) {
  return false;
}

void stream_state::queue_buffer(std::uint16_t id, std::uint32_t size) noexcept {
  pool_->taken(id, size);
  pool_->info(id) = {core::buffer_pool::none, 0, size};
  if (first_ == core::buffer_pool::none) {
    first_ = id;
  } else {
    pool_->info(last_).next = id;
  }
  last_ = id;
  note_size(size);
  // Nobody takes them: stop receiving.
  if (std::size_t{++queued_} << pool_->shape().size_shift >= max_queued) pause_receiving();
}

// A message that just fits a small buffer is no reason for a larger one: more must have been there.
void stream_state::note_size(std::uint32_t size) noexcept {
  constexpr std::uint32_t full = core::buffer_pool::small.buffer_size();
  if (size > full || (size == full && more_)) {
    if (full_in_a_row_ < full_before_large) ++full_in_a_row_;
    if (full_in_a_row_ == full_before_large) filling_ = true;
  } else if (!filling_ || --full_in_a_row_ == 0) {
    use_small_buffers();
  }
}

// What is on its way is still queued, nothing is lost.
void stream_state::pause_receiving() noexcept {
  if (!armed_ || direct_ || std::exchange(pausing_, true)) return;
  reactor_.cancel(core::user_data_of(receive_));
}

void stream_state::pop_buffer() noexcept {
  const std::uint16_t id = first_;
  first_ = pool_->info(id).next;
  --queued_;
  pool_->recycle(id);
}

void stream_state::drop_input() noexcept {
  kept_.reset();
  while (first_ != core::buffer_pool::none) pop_buffer();
}

lease stream_state::take_lease() {
  if (kept_) {
    kept_bytes& all = *kept_.release();
    return {all, all.left().data(), static_cast<std::uint32_t>(all.left().size())};
  }
  if (first_ == core::buffer_pool::none) return {};
  const std::uint16_t id = first_;
  const auto& entry = pool_->info(id);
  first_ = entry.next;
  --queued_;
  return {*pool_, id, entry.begin, entry.end};
}

std::size_t stream_state::take_bytes(std::span<std::byte> to) {
  std::size_t done = 0;
  if (kept_) {
    done = std::min(to.size(), kept_->left().size());
    std::memcpy(to.data(), kept_->left().data(), done);
    kept_->begin += done;
    if (kept_->left().empty()) kept_.reset();
  }
  while (done < to.size() && first_ != core::buffer_pool::none) {
    auto& entry = pool_->info(first_);
    const std::size_t part = std::min<std::size_t>(to.size() - done, entry.end - entry.begin);
    std::memcpy(to.data() + done, pool_->data(first_) + entry.begin, part);
    done += part;
    entry.begin += static_cast<std::uint32_t>(part);
    if (entry.begin == entry.end) pop_buffer();
  }
  return done;
}

read_waiter::read_waiter(stream_state& s, const core::leaf_type& kind, std::span<std::byte> into) noexcept
    : waiter(kind), stream_(s), into_(into) {
  s.retain();
}

read_waiter::~read_waiter() {
  if (stream_.reader_ == this) {
    if (waits() && stream_.direct_) [[unlikely]] {
      std::fputs(
          "mobius: a coroutine was destroyed while its read was in flight; the kernel may still write to its "
          "memory. Cancel it and wait for its end instead.\n",
          stderr);
      std::abort();
    }
    // Only user space knows of this wait, so its frame may go at any time.
    stream_.reader_ = nullptr;
    if (waits()) stream_.reactor_.drop();
  }
  stream_.release();
}

bool read_waiter::suspend(std::coroutine_handle<> h, core::context* ctx, const std::source_location& where) {
  stream_.check_thread("read from");
  if (const gate g = arrive(h, ctx, where); g != gate::open) return g == gate::queued;
  if (stream_.reader_ || stream_.closing_) {
    result_ = stream_.reader_ ? -EBUSY : -EBADF;
    state_ = state::done;
    return false;
  }
  if (stream_.armed_ && stream_.misfits(*this)) stream_.pause_receiving();
  if (stream_.has_input()) {
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

void read_waiter::interrupted() noexcept {
  stream_.reader_ = nullptr;
  stream_.reactor_.drop();
  stop();
  wake();
}

// The stream closes; what was there for this reader and not yet taken goes with it.
void read_waiter::lost() noexcept {
  if (waits()) return ready(-EBADF);
  if (received_ == 0) result_ = -EBADF;
}

bool read_waiter::cancel(core::leaf* l) noexcept {
  auto& self = *static_cast<read_waiter*>(l);
  if (!self.waits()) return false;
  if (!self.stream_.direct_) {
    self.interrupted();
  } else if (!std::exchange(self.cancel_asked_, true)) {
    self.stream_.reactor_.cancel(core::user_data_of(self.stream_.receive_));
  }
  return true;
}

bool read_waiter::arrived() noexcept {
  leave();
  if (was_stopped()) return false;
  if (stream_.reader_ == this) stream_.reader_ = nullptr;
  return result_ == 0 && (received_ != 0 || stream_.has_bytes() || stream_.receive_error_ == 0);
}

failure read_waiter::error() const {
  if (was_stopped()) return cancelled_failure();
  std::string call = stream_.describe("read from");
  if (result_ == -EBUSY) call += ": another reader is waiting already";
  if (result_ == -EBADF) call += ": the stream has been closed here";
  return system_failure(result_ != 0 ? -result_ : stream_.receive_error_, call);
}

// --- the end -----------------------------------------------------------------------------------

void stream_state::shutdown_read() noexcept {
  ended_ = true;
  drop_input();
  ::shutdown(fd_, SHUT_RD);
  if (reader_waits() && !direct_) reader_->ready();
}

void stream_state::begin_close(bool keep_input) noexcept {
  if (std::exchange(closing_, true)) return;
  keep_input_ = keep_input;
  unlink();
  if (!keep_input) drop_input();
  if (reader_ && !direct_) reader_->lost();
  if (armed_) reactor_.cancel(core::user_data_of(receive_));
  if (sending_) reactor_.cancel(core::user_data_of(send_));
}

void stream_state::drop() noexcept {
  begin_close();
  release();
}

void stream_state::abort() noexcept {
  const linger at_once{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  drop();
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

}  // namespace mobius::net::detail
