#pragma once
// Several deferreds as one: `gather_results`, `settle`, `race`, and Twisted's `deferred_list`.
//
// The inputs are deferreds, tasks or other awaitables, which are started in order. They are handed
// over: nobody else sees their failures, so there is nothing to "consume". A pack of inputs gives a
// tuple or variant, a range of them a vector. A list of n is one block, with the vector two.
//
// What a range is made of notes where that was; a pack of parameters leaves no room for a source location.
// The trail of a list's failure says where the input failed, and `dump` names the inputs it waits for.

#include "../runtime/combine.hpp"
#include "list_state.hpp"

namespace mobius {

/// How a deferred_list ends. `consume_errors` is Twisted's; it changes nothing here, where the
/// inputs are handed over.
enum class list_flags : std::uint8_t {
  none = 0,
  fire_on_one_callback = 1,
  fire_on_one_errback = 2,
  consume_errors = 4,
  cancel_rest = 8
};
constexpr list_flags operator|(list_flags a, list_flags b) noexcept {
  return static_cast<list_flags>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}

/// Given first to gather_results: the first failure cancels the other inputs.
struct cancel_rest_t {};
/// Given first to gather_results: the first failure cancels the other inputs.
inline constexpr cancel_rest_t cancel_rest{};

namespace detail {

constexpr bool has_flag(list_flags all, list_flags one) noexcept {
  return (static_cast<unsigned>(all) & static_cast<unsigned>(one)) != 0;
}
constexpr list_kind kind_of(list_flags flags) noexcept {
  return has_flag(flags, list_flags::fire_on_one_callback) ? list_kind::first : list_kind::settle;
}
constexpr list_rules rules_of(list_flags flags) noexcept {
  return {has_flag(flags, list_flags::fire_on_one_callback), has_flag(flags, list_flags::fire_on_one_errback),
          has_flag(flags, list_flags::cancel_rest)};
}

template <class... A>
concept list_inputs = sizeof...(A) > 0 && (... && (awaitable<A> && !awaitable_range<A>)) &&
                      (... && !std::is_lvalue_reference_v<A>);

template <class R>
concept list_range = awaitable_range<R>;

/// Any awaitable as a deferred.
template <class A>
using input_of = decltype(to_deferred(std::declval<A>()));

template <class R>
auto inputs_of(R&& range) {
  using A = std::ranges::range_value_t<R>;
  if constexpr (std::is_same_v<A, input_of<A>>) {
    if constexpr (std::is_same_v<R, std::vector<A>>) {
      return std::vector<A>(std::forward<R>(range));
    } else {
      return collect(std::forward<R>(range));
    }
  } else {
    std::vector<input_of<A>> inputs;
    if constexpr (std::ranges::sized_range<R>) inputs.reserve(std::ranges::size(range));
    for (A& a : collect(std::forward<R>(range))) inputs.push_back(to_deferred(std::move(a)));
    return inputs;
  }
}

}  // namespace detail

/// Fires with the values of all inputs when all have one: a tuple (void as std::monostate, a
/// reference as its address). Fails with `first_error` at the first failure; the others go on,
/// unless it is called `gather_results(cancel_rest, a, b)`. A cancel is passed on to every input
/// (Twisted's gatherResults).
///
///     mobius::gather_results(http::get_page(a), load_user(id)).add_callback(show);
template <class... A>
requires detail::list_inputs<A...>
auto gather_results(A... inputs) {
  return detail::list_of_pack<detail::list_kind::gather>({.at_failure = true}, {},
                                                         to_deferred(std::move(inputs))...);
}
/// The same for a range: gives a vector.
template <detail::list_range R>
auto gather_results(R&& inputs, detail::place where = detail::place::current()) {
  return detail::list_of_range<detail::list_kind::gather>({.at_failure = true}, where,
                                                          detail::inputs_of(std::forward<R>(inputs)));
}
/// The same; the first failure cancels the other inputs.
template <class... A>
requires detail::list_inputs<A...>
auto gather_results(cancel_rest_t, A... inputs) {
  return detail::list_of_pack<detail::list_kind::gather>({.at_failure = true, .cancels_rest = true}, {},
                                                         to_deferred(std::move(inputs))...);
}
/// The same for a range.
template <detail::list_range R>
auto gather_results(cancel_rest_t, R&& inputs, detail::place where = detail::place::current()) {
  return detail::list_of_range<detail::list_kind::gather>({.at_failure = true, .cancels_rest = true}, where,
                                                          detail::inputs_of(std::forward<R>(inputs)));
}

/// Fires with the outcomes of all inputs, each a `result`, when all have ended; never fails by
/// itself. A cancel is passed on to every input.
template <class... A>
requires detail::list_inputs<A...>
auto settle(A... inputs) {
  return detail::list_of_pack<detail::list_kind::settle>({}, {}, to_deferred(std::move(inputs))...);
}
/// The same for a range: gives a vector of results.
template <detail::list_range R>
auto settle(R&& inputs, detail::place where = detail::place::current()) {
  return detail::list_of_range<detail::list_kind::settle>({}, where,
                                                          detail::inputs_of(std::forward<R>(inputs)));
}

/// Twisted's DeferredList. By default as `settle`. With `fire_on_one_callback` it fires with the
/// first value and its index, and fails with `failure_group` when all have failed or there were
/// none; with `fire_on_one_errback` it fails with `first_error` at the first failure. Other inputs
/// go on, unless `cancel_rest` is given. A cancel is passed on to every input and fires nothing by
/// itself; once it has fired it goes to what its chain waits for.
///
///     mobius::deferred_list<mobius::list_flags::fire_on_one_errback>(std::move(downloads));
template <list_flags Flags = list_flags::none, class... A>
requires detail::list_inputs<A...>
auto deferred_list(A... inputs) {
  return detail::list_of_pack<detail::kind_of(Flags)>(detail::rules_of(Flags), {},
                                                      to_deferred(std::move(inputs))...);
}
/// The same for a range.
template <list_flags Flags = list_flags::none, detail::list_range R>
auto deferred_list(R&& inputs, detail::place where = detail::place::current()) {
  return detail::list_of_range<detail::kind_of(Flags)>(detail::rules_of(Flags), where,
                                                       detail::inputs_of(std::forward<R>(inputs)));
}

/// The first of several deferreds to succeed: cancels the others, then fires with its index and a
/// variant of the values. Fails with `failure_group` when all have failed. A cancel is passed on to
/// every input and ends the race. It does not wait until the losers have really ended (Twisted's race);
/// as soon as one input is a task or an operation it is the `race` of combine.hpp, which does.
template <class... A>
requires(sizeof...(A) > 0 && (... && detail::is_deferred<A>)) auto race(A... inputs) {
  return detail::list_of_pack<detail::list_kind::race>(
      {.at_value = true, .cancels_rest = true, .ends_at_cancel = true}, {},
      to_deferred(std::move(inputs))...);
}
/// The same for a range: gives the index and the value. A race of nothing fails.
template <detail::list_range R>
requires detail::is_deferred<std::ranges::range_value_t<R>>
auto race(R&& inputs, detail::place where = detail::place::current()) {
  return detail::list_of_range<detail::list_kind::race>(
      {.at_value = true, .cancels_rest = true, .ends_at_cancel = true}, where,
      detail::inputs_of(std::forward<R>(inputs)));
}

}  // namespace mobius
