#include "headers.hpp"

#include "error.hpp"
#include "text.hpp"

namespace mobius::http {

namespace {

constexpr std::string_view separator = ": ";
constexpr std::string_view line_end = "\r\n";

std::size_t line_size(std::string_view lines) { return lines.find('\n') + 1; }

header_field field_of(std::string_view lines) {
  const auto colon = lines.find(':');
  const auto value = colon + separator.size();
  return {lines.substr(0, colon), lines.substr(value, lines.find('\r', value) - value)};
}

void append_line(std::string& out, std::string_view name, std::string_view value) {
  out.reserve(out.size() + name.size() + separator.size() + value.size() + line_end.size());
  out.append(name).append(separator).append(value).append(line_end);
}

}  // namespace

void detail::check_field(std::string_view name, std::string_view value) {
  if (name.empty()) throw invalid_header(name, "its name is empty");
  if (!is_token(name)) throw invalid_header(name, "its name has a character that no header name may have");
  if (!all_class(value, class_value))
    throw invalid_header(name, "its value " + quoted(value) + " has a control byte in it");
}

bool detail::read_field_lines(std::string_view lines, headers& out) {
  for (auto end = lines.find("\r\n"); end != 0; end = lines.find("\r\n")) {
    const auto line = lines.substr(0, end);
    const auto name = line.substr(0, line.find(':'));
    if (name.size() == line.size() || !is_token(name)) return false;
    const auto value = line.substr(name.size() + 1);
    if (!all_class(value, class_value)) return false;
    out.add(name, value);
    lines.remove_prefix(end + 2);
  }
  return true;
}

headers::headers(std::initializer_list<header_field> fields) {
  for (const auto& field : fields) add(field.name, field.value);
}

headers headers::from_static_wire(std::string_view lines) noexcept {
  headers out;
  out.preset_ = lines;
  return out;
}

void headers::add(std::string_view name, std::string_view value) {
  detail::check_field(name, value);
  append_line(lines_, name, detail::trim(value));
}

void headers::set(std::string_view name, std::string_view value) {
  detail::check_field(name, value);
  std::string changed;
  bool placed = false;
  for (const auto field : *this) {
    if (!detail::equals_ignoring_case(field.name, name)) {
      append_line(changed, field.name, field.value);
    } else if (!placed) {
      append_line(changed, name, detail::trim(value));
      placed = true;
    }
  }
  if (!placed) append_line(changed, name, detail::trim(value));
  preset_ = {};
  lines_ = std::move(changed);
}

std::size_t headers::remove(std::string_view name) {
  if (!contains(name)) return 0;
  own_preset();
  std::size_t removed = 0;
  for (std::size_t at = 0; at < lines_.size();) {
    const auto line = std::string_view(lines_).substr(at);
    const auto size = line_size(line);
    if (detail::equals_ignoring_case(field_of(line).name, name)) {
      lines_.erase(at, size);
      ++removed;
    } else {
      at += size;
    }
  }
  return removed;
}

void headers::clear() noexcept {
  preset_ = {};
  lines_.clear();
}

std::string_view headers::get(std::string_view name) const noexcept {
  for (const auto field : *this)
    if (detail::equals_ignoring_case(field.name, name)) return field.value;
  return {};
}

std::vector<std::string_view> headers::get_all(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const auto field : *this)
    if (detail::equals_ignoring_case(field.name, name)) values.push_back(field.value);
  return values;
}

bool headers::contains(std::string_view name) const noexcept { return get(name).data() != nullptr; }

std::size_t headers::size() const noexcept {
  std::size_t count = 0;
  for (auto at = begin(); at != end(); ++at) ++count;
  return count;
}

headers::const_iterator headers::begin() const noexcept { return {preset_, lines_}; }

headers::const_iterator headers::end() const noexcept { return {}; }

void headers::own_preset() {
  if (preset_.empty()) return;
  lines_.insert(0, preset_);
  preset_ = {};
}

headers::const_iterator::const_iterator(std::string_view rest, std::string_view next) noexcept
    : rest_(rest), next_(next) {
  if (rest_.empty()) std::swap(rest_, next_);
}

header_field headers::const_iterator::operator*() const noexcept { return field_of(rest_); }

headers::const_iterator& headers::const_iterator::operator++() noexcept {
  rest_.remove_prefix(line_size(rest_));
  if (rest_.empty()) std::swap(rest_, next_);
  return *this;
}

}  // namespace mobius::http
