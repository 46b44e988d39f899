#pragma once
// What a stream of bytes is: the concept that copies, buffered readers, protocols and TLS are
// written against, the bytes given to it, and the errors that its users share.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "../runtime/awaitable.hpp"
#include "../runtime/buffer_pool.hpp"
#include "address.hpp"

namespace mobius::net {

/// Bytes to be sent: a view of a std::string, string_view, span, vector of bytes, or lease.
///
/// It is laid out as the kernel's `iovec`, so that a list of them is sent as it stands.
class const_buffer {
 public:
  /// No bytes.
  constexpr const_buffer() noexcept = default;
  const_buffer(std::span<const std::byte> bytes) noexcept : data_(bytes.data()), size_(bytes.size()) {}
  const_buffer(std::span<const char> text) noexcept : const_buffer(std::as_bytes(text)) {}
  /// A part of a buffer that is not const itself, such as `std::span(buffer).first(count)`.
  template <std::size_t N>
  const_buffer(std::span<std::byte, N> bytes) noexcept : const_buffer(std::span<const std::byte>(bytes)) {}
  /// The same for chars.
  template <std::size_t N>
  const_buffer(std::span<char, N> text) noexcept : const_buffer(std::as_bytes(text)) {}
  const_buffer(std::string_view text) noexcept : const_buffer(std::span(text)) {}
  const_buffer(const std::string& text) noexcept : const_buffer(std::string_view(text)) {}
  const_buffer(const char* text) noexcept : const_buffer(std::string_view(text)) {}
  const_buffer(const lease& l) noexcept : const_buffer(l.bytes()) {}

  /// The bytes.
  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
  /// How many there are.
  std::size_t size() const noexcept { return size_; }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// A write that ended after a part of its bytes had been sent, or after its cancel: the stream
/// takes no further ones, as they would follow half a message. Its code is what ended it, ECANCELED
/// for a cancel.
class write_interrupted : public std::system_error {
 public:
  write_interrupted(int error, const std::string& call, std::uint64_t transferred)
      : system_error(error, std::generic_category(), call), transferred_(transferred) {}

  /// How many bytes of the write the kernel took.
  std::uint64_t transferred() const noexcept { return transferred_; }

 private:
  std::uint64_t transferred_;
};

/// The stream ended where more had to come ("read from 10.0.0.1:80: the stream ended after 3 of 10
/// bytes"). Its code is ENODATA.
class unexpected_end : public std::system_error {
 public:
  explicit unexpected_end(const std::string& call);
};

/// More came before the delimiter than the reader's limit allows. Its code is EMSGSIZE.
class limit_exceeded : public std::system_error {
 public:
  explicit limit_exceeded(const std::string& call);
};

/// A connected stream of bytes, as `tcp_stream`, `unix_stream` and what wraps them are:
///
/// - one read at a time (`receive` or `read_some`), and any number of writes, which are sent whole
///   and in order; reads and writes may overlap;
/// - end of stream is an empty lease, or 0 bytes; a cancelled read loses no byte;
/// - `shutdown_write` ends the sending after the writes that have begun; it never blocks;
/// - `close` ends it in order, `abort` at once; dropping the stream is always safe;
/// - `application_protocol` is what TLS has agreed on (ALPN), empty without.
template <class S>
concept stream = std::movable<S> && requires(S& s, const S& c, std::span<std::byte> to, const_buffer bytes,
                                             std::span<const const_buffer> list) {
  { s.receive() } -> awaitable;
  requires std::same_as<await_result_t<decltype(s.receive())>, lease>;
  { s.read_some(to) } -> awaitable;
  requires std::same_as<await_result_t<decltype(s.read_some(to))>, std::size_t>;
  { s.write_all(bytes) } -> awaitable;
  { s.write_all(list) } -> awaitable;
  { s.close() } -> awaitable;
  s.shutdown_write();
  s.shutdown_read();
  s.abort();
  { c.peer_address() } -> std::convertible_to<socket_address>;
  { c.local_address() } -> std::convertible_to<socket_address>;
  { c.application_protocol() } -> std::convertible_to<std::string_view>;
  static_cast<bool>(c);
};

}  // namespace mobius::net
