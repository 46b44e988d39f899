#include "string_receivers.hpp"

#include <array>
#include <utility>

namespace mobius::net {

void int_string_receiver::length_limit_exceeded(std::size_t) { transport().lose_connection(); }

void int_string_receiver::send_string(std::string_view text) {
  if (text.size() >> (8 * prefix_size_) != 0)
    throw string_too_long("send_string: " + std::to_string(text.size()) + " bytes do not fit a length of " +
                          std::to_string(prefix_size_) + (prefix_size_ == 1 ? " byte" : " bytes"));
  std::array<char, 4> prefix{};
  for (std::size_t i = 0; i < prefix_size_; ++i)
    prefix[i] = static_cast<char>(text.size() >> (8 * (prefix_size_ - 1 - i)));
  const std::array<const_buffer, 2> parts{const_buffer(std::string_view(prefix.data(), prefix_size_)),
                                          const_buffer(text)};
  transport().write_sequence(parts);
}

bool int_string_receiver::take_message(std::string_view& rest, std::size_t) {
  if (rest.size() < prefix_size_) return false;
  std::size_t length = 0;
  for (std::size_t i = 0; i < prefix_size_; ++i) length = length << 8 | static_cast<unsigned char>(rest[i]);
  if (length > max_length_) {
    rest = {};
    length_limit_exceeded(length);
    return true;
  }
  if (rest.size() - prefix_size_ < length) return false;
  const std::string_view text = rest.substr(prefix_size_, length);
  rest.remove_prefix(prefix_size_ + length);
  string_received(text);
  return true;
}

}  // namespace mobius::net
