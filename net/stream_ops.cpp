#include "stream_ops.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace mobius::net {

unexpected_end::unexpected_end(const std::string& call)
    : system_error(ENODATA, std::generic_category(), call) {}
limit_exceeded::limit_exceeded(const std::string& call)
    : system_error(EMSGSIZE, std::generic_category(), call) {}

}  // namespace mobius::net

namespace mobius::net::detail {

// --- reading -----------------------------------------------------------------------------------

const core::leaf_type receive_awaiter::leaf_kind{"receive", &read_waiter::cancel};
const core::leaf_type read_some_awaiter::leaf_kind{"read_some", &read_waiter::cancel};

lease receive_awaiter::take() {
  if (received_ == 0) return stream_.take_lease();
  core::spare_buffer& spare = *spare_.release();
  return {spare, spare.bytes, received_};
}

std::size_t read_some_awaiter::take() { return received_ != 0 ? received_ : stream_.take_bytes(into_); }

// --- gathered writes ---------------------------------------------------------------------------

namespace {

static_assert(sizeof(const_buffer) == sizeof(iovec) && std::is_standard_layout_v<const_buffer> &&
              alignof(const_buffer) == alignof(iovec));

std::uint64_t size_of(std::span<const const_buffer> list) noexcept {
  std::uint64_t total = 0;
  for (const const_buffer& b : list) total += b.size();
  return total;
}

}  // namespace

gather_awaiter::gather_awaiter(stream_state& s, std::span<const const_buffer> list) noexcept
    : write_waiter(s, *this, size_of(list)), rest_(list) {}

void gather_awaiter::prepare(core::request& r) noexcept {
  if (begin_ != 0) {  // a short send, which MSG_WAITALL makes rare: the rest of its last buffer by itself
    const auto bytes = rest_.front().bytes().subspan(begin_);
    r.address = reinterpret_cast<std::uint64_t>(bytes.data());
    r.length = static_cast<std::uint32_t>(std::min(bytes.size(), most_at_once));
    return;
  }
  // A request of nothing but empty ones would send nothing, for ever.
  while (rest_.front().size() == 0) rest_ = rest_.subspan(1);
  // The kernel only reads them.
  message_.msg_iov = reinterpret_cast<iovec*>(const_cast<const_buffer*>(rest_.data()));
  message_.msg_iovlen = std::min(rest_.size(), at_once);
  r.opcode = IORING_OP_SENDMSG;
  r.address = reinterpret_cast<std::uint64_t>(&message_);
  r.length = 1;
}

std::int32_t gather_awaiter::completed(write_waiter&, std::int32_t result) noexcept {
  auto left = static_cast<std::size_t>(std::max(result, 0));
  while (left != 0) {
    const std::size_t part = std::min(left, rest_.front().size() - begin_);
    left -= part;
    begin_ += part;
    if (begin_ != rest_.front().size()) break;
    rest_ = rest_.subspan(1);
    begin_ = 0;
  }
  return result;
}

// --- files -------------------------------------------------------------------------------------

send_file_awaiter::send_file_awaiter(stream_state& s, int file, std::uint64_t offset, std::uint64_t count)
    : write_waiter(s, *this, count),
      file_(file),
      offset_(offset),
      left_(count),
      buffer_(std::make_unique_for_overwrite<std::byte[]>(piece)) {}

void send_file_awaiter::prepare(core::request& r) noexcept {
  if (begin_ != end_) {
    r.address = reinterpret_cast<std::uint64_t>(buffer_.get() + begin_);
    r.length = end_ - begin_;
    return;
  }
  r = {.opcode = IORING_OP_READ, .fd = file_};
  r.address = reinterpret_cast<std::uint64_t>(buffer_.get());
  r.length = static_cast<std::uint32_t>(std::min<std::uint64_t>(left_, piece));
  r.offset = offset_;
}

std::int32_t send_file_awaiter::completed(write_waiter& w, std::int32_t result) noexcept {
  if (begin_ != end_) {  // a send
    begin_ += static_cast<std::uint32_t>(std::max(result, 0));
    return result;
  }
  if (result < 0) {
    if (result != -ECANCELED) w.blame_source();
    return result;
  }
  if (result == 0) w.end_here();
  begin_ = 0;
  end_ = static_cast<std::uint32_t>(result);
  offset_ += end_;
  left_ -= end_;
  return 0;
}

result<std::uint64_t> send_file_awaiter::outcome() {
  result<void> r = write_waiter::outcome();
  if (!r) return std::move(r.error());
  return sent_;
}

// --- closing -----------------------------------------------------------------------------------

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
  stream_->begin_close(release_);
  stream_->finish_if_idle();
  starting_ = false;
  return state_ == state::waiting;
}

void close_awaiter::closed(int fd) noexcept {
  stream_->reactor_.drop();
  if (release_) {
    released_.fd = fd;
  } else if (fd >= 0 && ::close(fd) != 0) {
    result_ = errno;
  }
  state_ = state::done;
  if (!starting_) wake();
}

result<void> close_awaiter::outcome() {
  leave();
  if (result_ != 0) return system_failure(result_, stream_->describe("close"));
  while (release_ && stream_) {
    const lease part = stream_->take_lease();
    if (part.empty()) break;
    released_.unread += part.text();
  }
  return {};
}

bool close_awaiter::cancel(core::leaf*) noexcept { return true; }

close_awaiter::~close_awaiter() {
  if (released_.fd >= 0) ::close(released_.fd);
  if (!stream_) return;
  stream_->closer_ = nullptr;
  stream_->drop();
}

}  // namespace mobius::net::detail
