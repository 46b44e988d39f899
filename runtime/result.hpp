#pragma once
// `result<T>`: a value or a failure, for who prefers looking to catching.

#include <functional>
#include <type_traits>
#include <utility>
#include <variant>

#include "failure.hpp"

namespace mobius {

namespace detail {

struct no_reference {};

template <class T>
using stored_t =
    std::conditional_t<std::is_void_v<T>, std::monostate,
                       std::conditional_t<std::is_reference_v<T>, std::remove_reference_t<T>*, T>>;

}  // namespace detail

/// A value or a failure: what `co_await as_result(x)` gives and what an add_both callback gets.
///
///     auto page = co_await mobius::as_result(http::get_page(url));
///     if (!page) std::cerr << page.error().what();
///     else use(*page);
template <class T = void>
class [[nodiscard]] result {
  using stored = detail::stored_t<T>;

 public:
  /// The type of the value.
  using value_type = T;

  /// A value.
  template <class U = T>
  requires(!std::is_void_v<T> && !std::is_reference_v<T> && std::is_constructible_v<T, U> &&
           !std::is_same_v<std::remove_cvref_t<U>, result> &&
           !std::is_same_v<std::remove_cvref_t<U>, failure>) result(U&& value)
      : held_(std::in_place_index<0>, std::forward<U>(value)) {}
  /// A reference.
  result(std::conditional_t<std::is_reference_v<T>, T, detail::no_reference> value) requires
      std::is_reference_v<T> : held_(std::in_place_index<0>, &value) {}
  /// Success without a value.
  result() requires std::is_void_v<T> : held_(std::in_place_index<0>) {}
  /// A failure.
  result(failure error) noexcept : held_(std::in_place_index<1>, std::move(error)) {}

  /// True if there is a value.
  bool has_value() const noexcept { return held_.index() == 0; }
  /// True if there is a value.
  explicit operator bool() const noexcept { return has_value(); }

  /// The value; throws the failure if there is none.
  decltype(auto) value() & { return get(*this); }
  /// The value; throws the failure if there is none.
  decltype(auto) value() const& { return get(*this); }
  /// Moves the value out; throws the failure if there is none.
  T value() && {
    if (!has_value()) error().rethrow();
    if constexpr (std::is_reference_v<T>) {
      return static_cast<T>(*std::get<0>(held_));
    } else if constexpr (!std::is_void_v<T>) {
      return std::move(std::get<0>(held_));
    }
  }

  /// The value, which must be there.
  decltype(auto) operator*() & { return raw(*this); }
  /// The value, which must be there.
  decltype(auto) operator*() const& { return raw(*this); }
  /// The value, which must be there.
  decltype(auto) operator*() && {
    if constexpr (std::is_void_v<T> || std::is_reference_v<T>) {
      return raw(*this);
    } else {
      return std::move(*std::get_if<0>(&held_));
    }
  }
  /// The value's members; the value must be there.
  auto* operator->() requires(!std::is_void_v<T>) { return &raw(*this); }
  /// The value's members; the value must be there.
  auto* operator->() const requires(!std::is_void_v<T>) { return &raw(*this); }

  /// The value, or `other` if there is none.
  template <class U>
      T value_or(U&& other) && requires(!std::is_void_v<T> && !std::is_reference_v<T>) {
    return has_value() ? std::move(*std::get_if<0>(&held_)) : static_cast<T>(std::forward<U>(other));
  }
  /// A copy of the value, or `other` if there is none.
  template <class U>
  T value_or(U&& other) const& requires(!std::is_void_v<T> && !std::is_reference_v<T>) {
    return has_value() ? *std::get_if<0>(&held_) : static_cast<T>(std::forward<U>(other));
  }

  /// The failure, which must be there.
  failure& error() noexcept { return *std::get_if<1>(&held_); }
  /// The failure, which must be there.
  const failure& error() const noexcept { return *std::get_if<1>(&held_); }

 private:
  template <class Self>
  static decltype(auto) raw(Self& self) {
    if constexpr (std::is_reference_v<T>) {
      return static_cast<T>(**std::get_if<0>(&self.held_));
    } else if constexpr (!std::is_void_v<T>) {
      return (*std::get_if<0>(&self.held_));
    }
  }
  template <class Self>
  static decltype(auto) get(Self& self) {
    if (!self.has_value()) self.error().rethrow();
    return raw(self);
  }

  std::variant<stored, failure> held_;
};

template <class T>
result(T) -> result<T>;

}  // namespace mobius
