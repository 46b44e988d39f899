#pragma once
// A request head as views into the bytes that were received: no copies, no allocation.

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

#include "framing.hpp"
#include "headers.hpp"
#include "limits.hpp"

namespace mobius::http {

/// The methods that a server answers; any other one gets 501 before a handler sees it.
enum class method : std::uint8_t { get, head, post, put, delete_, options, trace, patch, connect };

/// The name of a method as it is sent, such as "GET".
std::string_view method_name(method which) noexcept;

/// A piece of a buffer that may move.
struct buffer_piece {
  std::uint32_t offset = 0;
  std::uint32_t size = 0;
};

/// Header fields in place: positions in the buffer that holds the head, at most
/// `max_request_fields`. Views from it are valid as long as that buffer.
class header_views {
 public:
  class const_iterator;

  /// The value of the first field of that name, or nothing (a null view) when there is none.
  std::string_view get(std::string_view name) const noexcept;
  /// Whether there is a field of that name.
  bool contains(std::string_view name) const noexcept { return get(name).data() != nullptr; }
  /// The number of fields.
  std::size_t size() const noexcept { return count_; }
  /// Whether there is no field.
  bool empty() const noexcept { return count_ == 0; }
  /// The field at a position below `size()`.
  header_field operator[](std::size_t index) const noexcept;
  /// The first field.
  const_iterator begin() const noexcept;
  /// One past the last field.
  const_iterator end() const noexcept;

 private:
  friend class request_head;
  friend class request_parser;
  struct entry {
    buffer_piece name;
    buffer_piece value;
  };

  std::string_view view(buffer_piece piece) const noexcept { return {base_ + piece.offset, piece.size}; }

  const char* base_ = nullptr;
  std::size_t count_ = 0;
  std::array<entry, max_request_fields> entries_;
};

/// Walks header views.
class header_views::const_iterator {
 public:
  using value_type = header_field;
  using difference_type = std::ptrdiff_t;
  using reference = header_field;
  using pointer = void;
  using iterator_category = std::input_iterator_tag;

  const_iterator() = default;
  const_iterator(const header_views& list, std::size_t index) noexcept : list_(&list), index_(index) {}
  header_field operator*() const noexcept { return (*list_)[index_]; }
  const_iterator& operator++() noexcept { return ++index_, *this; }
  const_iterator operator++(int) noexcept { return {*list_, index_++}; }
  friend bool operator==(const const_iterator&, const const_iterator&) = default;

 private:
  const header_views* list_ = nullptr;
  std::size_t index_ = 0;
};

/// A parsed request head. Everything it shows lies in the buffer that `request_parser` was given;
/// `rebase` follows that buffer when it moves.
class request_head {
 public:
  /// The method.
  http::method method() const noexcept { return method_; }
  /// The request target as it was sent, such as "/a?b" or "http://host/a?b".
  std::string_view target() const noexcept { return headers_.view(target_); }
  /// The path of the target, not decoded; "/" when an absolute target has none, "*" for OPTIONS *.
  std::string_view path() const noexcept { return path_.size == 0 ? "/" : headers_.view(path_); }
  /// What follows the '?' of the target, without it, not decoded.
  std::string_view query() const noexcept { return headers_.view(query_); }
  /// Host and port as the client named them; empty only for HTTP/1.0.
  std::string_view host() const noexcept { return headers_.view(host_); }
  /// The digit after "HTTP/1.": 0 or 1.
  int version_minor() const noexcept { return version_minor_; }
  /// The header fields.
  const header_views& headers() const noexcept { return headers_; }
  /// What ends the body.
  const framing& body() const noexcept { return body_; }
  /// Whether the client lets the connection stay open after this request.
  bool keep_alive() const noexcept { return keep_alive_; }
  /// Whether the client waits for "100 Continue" before it sends a body.
  bool expects_continue() const noexcept { return expects_continue_; }

  /// The bytes of the head now lie at `base`, which stands for the first byte of the buffer that
  /// was parsed.
  void rebase(const char* base) noexcept { headers_.base_ = base; }

 private:
  friend class request_parser;

  header_views headers_;
  framing body_;
  buffer_piece target_;
  buffer_piece path_;
  buffer_piece query_;
  buffer_piece host_;
  http::method method_ = http::method::get;
  std::uint8_t version_minor_ = 1;
  bool keep_alive_ = true;
  bool expects_continue_ = false;
};

}  // namespace mobius::http
