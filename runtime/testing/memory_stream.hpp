#pragma once
// Two ends of a stream in memory, with short reads and writes: for tests of what speaks over one.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>

#include "../sync/wait_queue.hpp"
#include "../task.hpp"

namespace mobius::testing {

/// How a pair of streams behaves.
struct stream_options {
  /// Bytes that one direction holds; a writer waits beyond that.
  std::size_t capacity = 65536;
  /// The most that one read gives.
  std::size_t longest_read = static_cast<std::size_t>(-1);
  /// The most that one write takes.
  std::size_t longest_write = static_cast<std::size_t>(-1);
  /// If not 0, each read and write is cut to a random length of at least one byte below those.
  std::uint64_t seed = 0;
};

namespace detail {

class pipe_read;
class pipe_write;

/// One direction.
class pipe {
 public:
  explicit pipe(const stream_options& o) : options_(o), random_(o.seed) {}

  /// No more bytes; those that it holds are still read.
  void end() noexcept;
  /// Both sides get this errno from now on.
  void fail(int error) noexcept;

 private:
  friend class pipe_read;
  friend class pipe_write;
  std::size_t cut(std::size_t length, std::size_t longest);
  bool read(std::span<std::byte> to, std::size_t& done);
  bool write(std::span<const std::byte> from, std::size_t& done);
  void serve_readers();
  void serve_writers();

  stream_options options_;
  std::mt19937_64 random_;
  std::string bytes_;
  mobius::detail::wait_queue readers_;
  mobius::detail::wait_queue writers_;
  int error_ = 0;
  bool ended_ = false;
};

class pipe_read : public mobius::detail::wait_entry {
 public:
  static constexpr const char* name = "memory_stream.read_some";

  pipe_read(pipe& p, std::span<std::byte> to) noexcept : pipe_(p), to_(to) {}
  bool begin() { return pipe_.read(to_, done_); }
  void enqueue() noexcept { pipe_.readers_.push(*this); }
  void withdrawn() noexcept {}
  std::size_t take() const;

 private:
  pipe& pipe_;
  std::span<std::byte> to_;
  std::size_t done_ = 0;
};

class pipe_write : public mobius::detail::wait_entry {
 public:
  static constexpr const char* name = "memory_stream.write_some";

  pipe_write(pipe& p, std::span<const std::byte> from) noexcept : pipe_(p), from_(from) {}
  bool begin() { return pipe_.write(from_, done_); }
  void enqueue() noexcept { pipe_.writers_.push(*this); }
  void withdrawn() noexcept {}
  std::size_t take() const;

 private:
  pipe& pipe_;
  std::span<const std::byte> from_;
  std::size_t done_ = 0;
};

using pipe_read_operation = mobius::detail::wait_operation<pipe_read, pipe&, std::span<std::byte>>;
using pipe_write_operation = mobius::detail::wait_operation<pipe_write, pipe&, std::span<const std::byte>>;

}  // namespace detail

/// One end of a pair. Dropping it ends what the other reads, and fails what it writes with EPIPE.
class memory_stream {
 public:
  memory_stream(memory_stream&&) noexcept = default;
  memory_stream& operator=(memory_stream&& other) noexcept;
  ~memory_stream() { close(); }

  /// Reads what is there, at least one byte, into `to`; waits if nothing is. 0 is the end of the
  /// stream. A cancel ends the wait and loses nothing. Throws std::system_error.
  detail::pipe_read_operation read_some(std::span<std::byte> to) {
    return detail::pipe_read_operation(*in_, std::move(to));
  }
  /// The same for characters.
  detail::pipe_read_operation read_some(std::span<char> to) { return read_some(std::as_writable_bytes(to)); }
  /// Writes some of the bytes, at least one; waits while the other end does not read. Gives how many.
  /// Throws std::system_error with EPIPE if the other end is gone.
  detail::pipe_write_operation write_some(std::span<const std::byte> bytes) {
    return detail::pipe_write_operation(*out_, std::move(bytes));
  }
  /// Writes all of the bytes, which must live until it has.
  task<> write_all(std::span<const std::byte> bytes);
  /// The same for text.
  task<> write_all(std::string_view text);
  /// Ends what the other end reads; reading here goes on.
  void shutdown_write() noexcept { out_->end(); }
  /// Ends both directions.
  void close() noexcept;
  /// Fails reads and writes of both ends with this errno, as a reset of the connection does.
  void reset(int error) noexcept;

 private:
  friend struct stream_pair;
  memory_stream(std::shared_ptr<detail::pipe> in, std::shared_ptr<detail::pipe> out) noexcept
      : in_(std::move(in)), out_(std::move(out)) {}

  std::shared_ptr<detail::pipe> in_;
  std::shared_ptr<detail::pipe> out_;
};

/// Two connected ends.
struct stream_pair {
  /// Makes them.
  explicit stream_pair(const stream_options& options = {});

  /// One end.
  memory_stream near;
  /// The other.
  memory_stream far;

 private:
  stream_pair(const std::shared_ptr<detail::pipe>& there, const std::shared_ptr<detail::pipe>& back);
};

}  // namespace mobius::testing
