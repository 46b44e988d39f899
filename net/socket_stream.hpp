#pragma once
// `socket_stream`: what TCP and unix streams have in common.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "options.hpp"
#include "stream.hpp"
#include "stream_ops.hpp"
#include "stream_state.hpp"

namespace mobius::net {

/// A connected socket of bytes. Move-only; it belongs to the reactor it was made in. Dropping it is
/// always safe and never blocks: operations under way are cancelled, and the last of them closes
/// the descriptor. One reader at a time; any number of writers, whose bytes do not mix.
class socket_stream {
 public:
  /// No stream; it can be assigned to, tested and destroyed.
  socket_stream() noexcept = default;
  socket_stream(socket_stream&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  socket_stream& operator=(socket_stream&& other) noexcept {
    socket_stream(std::move(other)).swap(*this);
    return *this;
  }
  ~socket_stream() {
    if (state_) state_->drop();
  }

  /// True if it holds a stream.
  explicit operator bool() const noexcept { return state_ != nullptr; }
  /// Exchanges two streams.
  void swap(socket_stream& other) noexcept { std::swap(state_, other.state_); }

  /// Waits for bytes and gives them in the buffer they arrived in, without a copy; an empty lease
  /// at the end of the stream. At most 64 KiB at a time, or what a cancelled `read_some` left. Cancel: ends
  /// the wait and loses no byte. A second reader meanwhile fails with EBUSY; writes may overlap. The
  /// buffer is the caller's until the lease is dropped; hold few and not for long, as all streams share
  /// them. Throws std::system_error naming the peer ("read from 10.0.0.1:80: Connection reset by peer").
  ///
  ///     while (mobius::lease data = co_await stream.receive()) co_await stream.write_all(data);
  detail::receive_operation receive() { return detail::receive_operation(state("receive")); }

  /// Waits for bytes and puts up to `to.size()` of them there; gives how many, 0 at the end of the
  /// stream. `to` is the caller's and must live until then: with room for 32 KiB or more, and while
  /// full buffers keep coming, the kernel writes there directly, and then the await may be cancelled
  /// but not destroyed. Cancel: no byte is lost; those that have come by then are the next read's. Else
  /// as `receive`.
  detail::read_some_operation read_some(std::span<std::byte> to) {
    return detail::read_some_operation(state("read_some"), to);
  }
  /// The same for chars.
  detail::read_some_operation read_some(std::span<char> to) { return read_some(std::as_writable_bytes(to)); }
  /// The same into a std::string or vector of bytes that it owns meanwhile: fills up to its size, and
  /// gives it back with the number of bytes. It may become a deferred.
  ///
  ///     auto d = to_deferred(stream.read_some(std::string(4096, '\0')));
  template <owned_room B>
  detail::owning_operation<detail::owning_read_awaiter<B>, B> read_some(B&& buffer) {
    return {state("read_some"), std::forward<B>(buffer)};
  }

  /// Sends all of `bytes`; ends when the kernel has taken the last of them. They stay in the
  /// caller's memory and must live until then. Writes that overlap are sent whole, one after the
  /// other. Cancel: a write that has sent nothing ends at once; one that has sent a part fails with
  /// `write_interrupted`, which says how much, and the stream then refuses further writes. Throws
  /// std::system_error naming the peer.
  detail::write_operation write_all(const_buffer bytes) {
    return detail::write_operation(state("write_all"), bytes.bytes());
  }
  /// The same for a list of buffers, which leave as one, without being copied together. The list
  /// must live until then too.
  ///
  ///     const std::array<const_buffer, 2> parts{head, body};
  ///     co_await stream.write_all(parts);
  detail::gather_operation write_all(std::span<const const_buffer> list) {
    return detail::gather_operation(state("write_all"), list);
  }
  /// The same for an unnamed or moved std::string, vector of bytes or lease, which it owns meanwhile
  /// and gives back. It may become a deferred.
  template <owned_buffer B>
  detail::owning_operation<detail::owning_write_awaiter<B>, B> write_all(B&& buffer) {
    return {state("write_all"), std::forward<B>(buffer)};
  }

  /// Sends `count` bytes of a file from `offset` on, or what there is up to its end; gives how many.
  /// It reads ahead 128 KiB at a time through the ring and takes its turn among the writes as one.
  /// The descriptor stays the caller's, and open. Cancel and errors as `write_all`; an error of the
  /// file says so.
  detail::send_file_operation send_file(int file, std::uint64_t offset = 0,
                                        std::uint64_t count = whole_file) {
    return {state("send_file"), file, offset, count};
  }
  /// As a count: up to the end of the file.
  static constexpr std::uint64_t whole_file = ~std::uint64_t{0};

  /// Says to the peer that nothing more will be sent, after the writes that have begun; later ones
  /// fail with EPIPE. Does not wait. Reading goes on. Throws std::system_error naming the peer.
  void shutdown_write() { state("shutdown_write").shutdown_write(); }
  /// Receives nothing more: what has come is dropped, and reads give the end of the stream. The peer
  /// is not told; it stops when the kernel's buffers are full.
  void shutdown_read() { state("shutdown_read").shutdown_read(); }

  /// Closes the stream and waits until the kernel has let go of it; waiters fail with EBADF. Cancel
  /// does not interrupt it. Throws std::system_error for what close(2) reports.
  detail::close_operation close() noexcept { return detail::close_operation(std::exchange(state_, nullptr)); }
  /// Ends the stream at once; what is unsent is thrown away, and a TCP peer sees a reset (RST).
  void abort() noexcept {
    if (auto* s = std::exchange(state_, nullptr)) s->abort();
  }
  /// Gives the descriptor away, with the bytes that had been received already and are to be read
  /// before what it gives. Otherwise as `close`.
  detail::release_operation release() noexcept {
    return detail::release_operation(std::exchange(state_, nullptr));
  }

  /// The peer's address.
  socket_address peer_address() const { return state("peer_address").peer(); }
  /// Our address.
  socket_address local_address() const { return socket_address::local_of(native_handle()); }
  /// What was agreed on to be spoken (ALPN): nothing, as no TLS is involved.
  std::string_view application_protocol() const noexcept { return {}; }
  /// The descriptor, which stays the stream's; -1 for no stream.
  int native_handle() const noexcept { return state_ ? state_->fd() : -1; }
  /// Sets an option, such as `option::keepalive{}`, or `option::raw{level, name, value}` for any.
  /// Throws std::system_error naming the peer and the option.
  template <class Option>
  void set(const Option& o) {
    const detail::stream_state& s = state("set");
    if (const int error = o.apply(s.fd()); error != 0)
      detail::throw_option_error(error, s.describe("stream to"), Option::name);
  }
  /// For tests: a virtual clock does not wait for this stream's peer. Before the first read.
  void mark_idle() noexcept { state_->set_idle(true); }

 protected:
  /// Takes over a connected socket, for the current reactor; `counter` hears of its end.
  socket_stream(int fd, const socket_address& peer, detail::stream_counter* counter = nullptr);

  detail::stream_state& state(const char* call) const;

 private:
  detail::stream_state* state_ = nullptr;
};

}  // namespace mobius::net
