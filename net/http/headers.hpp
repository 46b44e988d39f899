#pragma once
// An owning list of header fields: ordered, case-insensitive, always fit to be sent.

#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mobius::http {

/// One header field, seen through views.
struct header_field {
  std::string_view name;   ///< as it was written
  std::string_view value;  ///< without blanks around it
};

/// Header fields in the order in which they were added; names compare without regard to case
/// (RFC 9110 5.1). Every field is checked when it comes in and cannot be changed behind that
/// check, so a `headers` never holds bytes that would break a message.
///
/// The list is kept as it goes out on the wire: one string, no allocation per field. Views into
/// it are valid until it is changed.
class headers {
 public:
  class const_iterator;
  using iterator = const_iterator;

  headers() = default;
  /// The fields of a braced list. Throws `invalid_header`.
  headers(std::initializer_list<header_field> fields);

  /// Appends a field, also when there is one of that name. Throws `invalid_header` naming it when
  /// the name is not a token or the value holds a control byte other than a tab; the list is then
  /// as it was.
  void add(std::string_view name, std::string_view value);
  /// Replaces every field of that name by this one, at the place of the first. Throws like `add`.
  void set(std::string_view name, std::string_view value);
  /// Removes every field of that name and says how many there were.
  std::size_t remove(std::string_view name);
  /// Removes all fields and keeps the memory.
  void clear() noexcept;

  /// The value of the first field of that name, or nothing (a null view) when there is none.
  std::string_view get(std::string_view name) const noexcept;
  /// The values of all fields of that name, in order.
  std::vector<std::string_view> get_all(std::string_view name) const;
  /// Whether there is a field of that name.
  bool contains(std::string_view name) const noexcept;
  /// The number of fields; counts them.
  std::size_t size() const noexcept;
  /// Whether there is no field.
  bool empty() const noexcept { return preset_.empty() && lines_.empty(); }

  /// The first field.
  const_iterator begin() const noexcept;
  /// One past the last field.
  const_iterator end() const noexcept;

  /// All fields as they are sent, each "Name: value\r\n", in two parts.
  std::pair<std::string_view, std::string_view> wire() const noexcept { return {preset_, lines_}; }

  /// A list whose first fields are `lines`, not copied: wire text in static storage that is known
  /// to be right, without Date and without what frames a message. For the library's own ready-made
  /// messages.
  static headers from_static_wire(std::string_view lines) noexcept;

 private:
  void own_preset();

  std::string_view preset_;  // fields in static storage, before those of lines_
  std::string lines_;
};

/// Walks the fields of a `headers`.
class headers::const_iterator {
 public:
  using value_type = header_field;
  using difference_type = std::ptrdiff_t;
  using reference = header_field;
  using pointer = void;
  using iterator_category = std::input_iterator_tag;

  const_iterator() = default;
  header_field operator*() const noexcept;
  const_iterator& operator++() noexcept;
  const_iterator operator++(int) noexcept {
    auto old = *this;
    ++*this;
    return old;
  }
  friend bool operator==(const const_iterator& a, const const_iterator& b) noexcept {
    return a.rest_.size() + a.next_.size() == b.rest_.size() + b.next_.size();
  }

 private:
  friend class headers;
  const_iterator(std::string_view rest, std::string_view next) noexcept;

  std::string_view rest_;
  std::string_view next_;
};

namespace detail {

/// Throws `invalid_header` unless the field may be sent.
void check_field(std::string_view name, std::string_view value);

/// Appends the fields of `lines`, each ended by CRLF and all by an empty line, to `out`; false
/// when one has no colon or may not be sent.
bool read_field_lines(std::string_view lines, headers& out);

}  // namespace detail

}  // namespace mobius::http
