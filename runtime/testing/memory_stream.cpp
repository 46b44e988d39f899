#include "memory_stream.hpp"

#include <algorithm>
#include <cerrno>

#include "../failure.hpp"

namespace mobius::testing {

namespace detail {

std::size_t pipe::cut(std::size_t length, std::size_t longest) {
  const std::size_t most = std::min(length, longest);
  if (options_.seed == 0 || most <= 1) return most;
  return 1 + static_cast<std::size_t>(random_() % most);
}

bool pipe::read(std::span<std::byte> to, std::size_t& done) {
  if (error_ != 0) return true;
  if (bytes_.empty() && !ended_ && !to.empty()) return false;
  done = cut(std::min(bytes_.size(), to.size()), options_.longest_read);
  if (done == 0) return true;
  std::memcpy(to.data(), bytes_.data(), done);
  bytes_.erase(0, done);
  serve_writers();
  return true;
}

bool pipe::write(std::span<const std::byte> from, std::size_t& done) {
  if (error_ != 0 || ended_ || from.empty()) return true;
  if (bytes_.size() >= options_.capacity) return false;
  done = cut(std::min(from.size(), options_.capacity - bytes_.size()), options_.longest_write);
  bytes_.append(reinterpret_cast<const char*>(from.data()), done);
  serve_readers();
  return true;
}

void pipe::serve_readers() {
  while (!readers_.empty() && static_cast<pipe_read&>(readers_.front()).begin()) readers_.grant_front();
}

void pipe::serve_writers() {
  while (!writers_.empty() && static_cast<pipe_write&>(writers_.front()).begin()) writers_.grant_front();
}

void pipe::end() noexcept {
  ended_ = true;
  serve_readers();
  serve_writers();
}

void pipe::fail(int error) noexcept {
  error_ = error;
  readers_.grant_all();
  writers_.grant_all();
}

std::size_t pipe_read::take() const {
  if (pipe_.error_ != 0) system_failure(pipe_.error_, "read of a memory stream").rethrow();
  return done_;
}

std::size_t pipe_write::take() const {
  if (pipe_.error_ != 0) system_failure(pipe_.error_, "write to a memory stream").rethrow();
  if (done_ == 0 && !from_.empty()) system_failure(EPIPE, "write to a memory stream").rethrow();
  return done_;
}

}  // namespace detail

memory_stream& memory_stream::operator=(memory_stream&& other) noexcept {
  if (this == &other) return *this;
  close();
  in_ = std::move(other.in_);
  out_ = std::move(other.out_);
  return *this;
}

task<> memory_stream::write_all(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::size_t count = co_await write_some(bytes);
    bytes = bytes.subspan(count);
  }
}

task<> memory_stream::write_all(std::string_view text) {
  return write_all(std::as_bytes(std::span(text.data(), text.size())));
}

void memory_stream::close() noexcept {
  if (in_) in_->end();
  if (out_) out_->end();
}

void memory_stream::reset(int error) noexcept {
  in_->fail(error);
  out_->fail(error);
}

stream_pair::stream_pair(const stream_options& options)
    : stream_pair(std::make_shared<detail::pipe>(options), std::make_shared<detail::pipe>(options)) {}

stream_pair::stream_pair(const std::shared_ptr<detail::pipe>& there,
                         const std::shared_ptr<detail::pipe>& back)
    : near(back, there), far(there, back) {}

}  // namespace mobius::testing
