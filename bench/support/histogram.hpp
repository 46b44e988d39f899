// Latencies of a load generator.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace bench {

/// Counts of durations with 32 steps to the octave: a percentile is at most 3 % too high.
class histogram {
 public:
  void add(std::uint64_t ns) {
    ++counts_[bucket(ns)];
    ++total_;
    max_ = std::max(max_, ns);
  }
  std::uint64_t quantile(double share) const;
  std::uint64_t max() const { return max_; }

 private:
  static constexpr unsigned step_bits = 5;
  static std::size_t bucket(std::uint64_t ns);
  static std::uint64_t upper_bound(std::size_t index);

  std::array<std::uint64_t, 64u << step_bits> counts_{};
  std::uint64_t total_ = 0;
  std::uint64_t max_ = 0;
};

inline std::size_t histogram::bucket(std::uint64_t ns) {
  constexpr std::uint64_t steps = 1u << step_bits;
  if (ns < steps) return ns;
  const auto shift = static_cast<unsigned>(std::bit_width(ns)) - step_bits - 1;
  return (std::size_t{shift} << step_bits) + (ns >> shift);
}

inline std::uint64_t histogram::upper_bound(std::size_t index) {
  constexpr std::uint64_t steps = 1u << step_bits;
  if (index < 2 * steps) return index;
  const std::size_t shift = (index >> step_bits) - 1;
  return ((steps + (index & (steps - 1)) + 1) << shift) - 1;
}

inline std::uint64_t histogram::quantile(double share) const {
  const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(total_));
  std::uint64_t seen = 0;
  for (std::size_t index = 0; index < counts_.size(); ++index) {
    seen += counts_[index];
    if (seen > wanted) return std::min(upper_bound(index), max_);
  }
  return max_;
}

}  // namespace bench
