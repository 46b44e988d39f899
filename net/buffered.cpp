#include "buffered.hpp"

namespace mobius::net::detail {

namespace {

constexpr std::size_t kept_capacity = 64 * 1024;

}  // namespace

std::string ended_text(const socket_address& peer, std::size_t done, std::size_t wanted) {
  return "read from " + peer.to_string() + ": the stream ended after " + std::to_string(done) + " of " +
         std::to_string(wanted) + " bytes";
}

void throw_limit(const socket_address& peer, std::size_t limit) {
  throw limit_exceeded("read from " + peer.to_string() + ": no delimiter after " + std::to_string(limit) +
                       " bytes, which is the limit");
}

void throw_unfinished(const socket_address& peer, std::size_t had) {
  throw unexpected_end("read from " + peer.to_string() + ": the stream ended after " + std::to_string(had) +
                       " bytes without the delimiter");
}

void read_buffer::add(lease&& more) {
  if (view().empty()) {
    lease_ = std::move(more);
    return;
  }
  release_lease();
  // What was taken goes when it is most of it, so that each byte moves a bounded number of times.
  if (begin_ > copy_.size() / 2) copy_.erase(0, std::exchange(begin_, 0));
  copy_ += more.text();
}

void read_buffer::release_lease() {
  if (!lease_.empty()) copy_.assign(lease_.text());
  lease_.reset();
}

void read_buffer::drop(std::size_t n) noexcept {
  if (copy_.empty()) {
    lease_.remove_prefix(n);
    if (lease_.empty()) lease_.reset();
    return;
  }
  begin_ += n;
  if (begin_ != copy_.size()) return;
  begin_ = 0;
  if (copy_.capacity() > kept_capacity) {
    copy_ = std::string();
  } else {
    copy_.clear();
  }
}

void read_buffer::put_back(std::span<const std::byte> bytes) {
  std::string all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  all += view();
  if (all.empty()) return;
  lease_.reset();
  copy_ = std::move(all);
  begin_ = 0;
}

}  // namespace mobius::net::detail
