#include "netstring_receiver.hpp"

#include <array>
#include <string>

namespace mobius::net {

void netstring_receiver::send_string(std::string_view text) {
  const std::string length = std::to_string(text.size()) + ":";
  const std::array<const_buffer, 3> parts{const_buffer(length), const_buffer(text), const_buffer(",")};
  transport().write_sequence(parts);
}

bool netstring_receiver::refuse(std::string_view& rest) {
  rest = {};
  broken_ = true;
  transport().lose_connection();
  return true;
}

bool netstring_receiver::take_message(std::string_view& rest, std::size_t) {
  std::size_t length = 0;
  std::size_t at = 0;
  for (; at < rest.size() && rest[at] >= '0' && rest[at] <= '9'; ++at) {
    if (at != 0 && length == 0) return refuse(rest);  // a leading zero
    length = length * 10 + static_cast<std::size_t>(rest[at] - '0');
    if (length > max_length_) return refuse(rest);  // before there are so many digits that it overflows
  }
  if (at == rest.size()) return false;
  if (at == 0 || rest[at] != ':') return refuse(rest);
  const std::size_t begin = at + 1;
  if (rest.size() - begin <= length) return false;
  if (rest[begin + length] != ',') return refuse(rest);
  const std::string_view text = rest.substr(begin, length);
  rest.remove_prefix(begin + length + 1);
  string_received(text);
  return true;
}

}  // namespace mobius::net
