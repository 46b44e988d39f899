// g++ 12 stops with an internal error (GCC PR115851), which is why there is no TRY macro.
#include <mobius/runtime/task.hpp>
#include <optional>
#include <string>

mobius::task<std::optional<std::string>> text() { co_return "text"; }

mobius::task<std::optional<std::string>> subject() {
  std::string s = ({
    auto r = co_await text();  // GCC PR115851
    if (!r) co_return std::nullopt;
    std::move(*r);
  });
  co_return s;
}
