#pragma once
// Runs a test body under a hundred shaken schedules, and with a cancel at every moment, in the natural
// order and in shaken ones. The body says what must hold when it ends by itself; what it must leave
// behind in any case, the kit checks (see testing.hpp), and `at_end`.

#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mobius/runtime/testing/shake.hpp>
#include <utility>

#include "support/catch.hpp"

namespace test {

using test_body = std::function<mobius::task<>(mobius::testing::world&)>;

/// Runs `body` in all these ways; it must come to at least `moments` of a cancel.
inline void everywhere(const test_body& body, std::size_t moments) {
  mobius::testing::shake(body, 100);
  CHECK(mobius::testing::cancel_at_every_await(body) >= moments);
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CHECK(mobius::testing::cancel_at_every_await(body, seed) >= moments);
  }
}

/// Calls a function at the end of a block, however that ends.
template <class F>
class at_end {
 public:
  explicit at_end(F f) : function_(std::move(f)) {}
  at_end(const at_end&) = delete;
  at_end& operator=(const at_end&) = delete;
  ~at_end() { function_(); }

 private:
  F function_;
};

}  // namespace test
