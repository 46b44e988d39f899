// The bytes that a load generator sends and expects back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace bench {

/// Random bytes that every connection reads in a circle, each from its own place. The period is a prime, so
/// that a message lost, doubled or swapped shifts what follows.
class pattern {
 public:
  explicit pattern(std::size_t longest) : bytes_(period + longest) {
    std::mt19937 random(20240229);
    for (std::size_t i = 0; i < period; ++i) bytes_[i] = static_cast<std::byte>(random());
    for (std::size_t i = period; i < bytes_.size(); ++i) bytes_[i] = bytes_[i - period];
  }
  const std::byte* at(std::uint64_t offset) const { return bytes_.data() + offset % period; }

 private:
  static constexpr std::uint64_t period = 65'521;
  std::vector<std::byte> bytes_;
};

}  // namespace bench
