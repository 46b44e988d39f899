#include "line_receiver.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

namespace mobius::net {

line_only_receiver::line_only_receiver(std::string delimiter, std::size_t max_length)
    : max_length_(max_length) {
  set_delimiter(std::move(delimiter));
}

void line_only_receiver::set_delimiter(std::string d) {
  if (d.empty()) throw std::invalid_argument("set_delimiter: a line cannot end in nothing");
  delimiter_ = std::move(d);
  look_again();
}

void line_only_receiver::line_length_exceeded(std::string_view) { transport().lose_connection(); }

void line_only_receiver::send_line(std::string_view line) {
  const std::array<const_buffer, 2> parts{const_buffer(line), const_buffer(delimiter_)};
  transport().write_sequence(parts);
}

bool line_only_receiver::take_message(std::string_view& rest, std::size_t seen) {
  const std::size_t known = seen - std::min(seen, delimiter_.size() - 1);
  const std::size_t at = rest.find(delimiter_, known);
  const bool unfinished = at == rest.npos;
  if (unfinished ? rest.size() >= max_length_ + delimiter_.size() : at > max_length_) {
    line_length_exceeded(std::exchange(rest, {}));
    return true;
  }
  if (unfinished) return false;
  const std::string_view line = rest.substr(0, at);
  rest.remove_prefix(at + delimiter_.size());
  line_received(line);
  return true;
}

void line_receiver::set_line_mode(std::string_view extra) {
  raw_ = false;
  put_back(extra);
}

bool line_receiver::take_message(std::string_view& rest, std::size_t seen) {
  if (!raw_) return line_only_receiver::take_message(rest, seen);
  // What is left begins where this ends, so that set_line_mode can see that it is the same.
  const std::string_view all = std::exchange(rest, rest.substr(rest.size()));
  raw_data_received(all);
  return true;
}

}  // namespace mobius::net
