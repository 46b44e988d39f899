// What the styles wait for, the same for all of them, and the check of what they make of it.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <mobius/deferred.hpp>
#include <utility>
#include <vector>

namespace bench {

inline constexpr long width = 1000;

/// Ends the program unless a row came to the result that it must have.
inline void check(const char* row, long got, long wanted) {
  if (got == wanted) return;
  std::fprintf(stderr, "%s: the result is %ld, not %ld\n", row, got, wanted);
  std::exit(1);
}

/// A thousand deferreds, and the means to fire them; it counts those that were cancelled.
struct sources {
  sources() {
    for (long i = 0; i < width; ++i) {
      auto [d, fire] = mobius::make_deferred<long>([this] { ++cancelled; });
      waiting.push_back(std::move(d));
      fires.push_back(std::move(fire));
    }
  }
  void fire_all() const {
    for (const auto& fire : fires) fire(1L);
  }
  std::vector<mobius::deferred<long>> waiting;
  std::vector<mobius::resolver<long>> fires;
  long cancelled = 0;
};

}  // namespace bench
