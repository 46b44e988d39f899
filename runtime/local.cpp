#include "local.hpp"

namespace mobius {

namespace detail {

const char task_name_key = 0;

std::string_view name_of(const context& ctx) noexcept {
  const local_value* l = find_local(&ctx, &task_name_key);
  return l ? std::string_view(static_cast<const typed_local<std::string>*>(l)->value) : std::string_view();
}

}  // namespace detail

detail::read_local_operation<std::string> task_name() noexcept {
  static const std::string nameless;
  return {&detail::task_name_key, nameless};
}

}  // namespace mobius
