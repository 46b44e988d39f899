#pragma once
// `dump`: what a chain holds, which callbacks are still to run, what it waits for, and who waits.

#include <string>

#include "helpers.hpp"

namespace mobius {

namespace detail {

/// The value of a ready deferred as text, as far as that is simple.
template <class S>
std::string value_text(const S& value) {
  if constexpr (std::is_same_v<S, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::is_arithmetic_v<S>) {
    return std::to_string(value);
  } else if constexpr (std::is_convertible_v<const S&, std::string>) {
    return '"' + std::string(value) + '"';
  } else {
    return "a value";
  }
}

std::string dump_core(core* c, const std::string& value);
std::string dump_ready(const failure& f);

}  // namespace detail

/// Describes a chain, one line a fact: its state and where it was made, the callbacks still to run
/// and where they were added, what it waits for, and who waits for it, coroutines and lists included. Of a
/// list of a pack it is not known where it was made.
///
///     deferred made at client.cpp:17 (deferred<page> fetch(url)): pending
///       callback added at client.cpp:18 (deferred<page> fetch(url))
///       awaited at client.cpp:40 (deferred<void> crawl())
///     for a coroutine begun at client.cpp:36 (deferred<void> crawl()): running
template <class T>
std::string dump(deferred<T>& d) {
  detail::handle<T>& h = detail::handle_of(d);
  switch (h.state()) {
    case detail::holding::nothing:
      return "an empty deferred\n";
    case detail::holding::value:
      return "a ready deferred with " + detail::value_text(h.value()) + "\n";
    case detail::holding::error:
      return detail::dump_ready(h.error());
    default:
      break;
  }
  const auto* value = d.value_if();
  return detail::dump_core(h.promote(), value ? detail::value_text(*value) : std::string());
}
/// The same for the producer: who waits for what this is to fire.
template <class T>
std::string dump(const resolver<T>& r) {
  return r.core_ ? detail::dump_core(r.core_, {}) : "an empty resolver\n";
}
/// The same for what a cancel would stop, wherever its handle is now.
inline std::string dump(const cancel_handle& h) {
  const bool alive = h.core_ && h.core_->strong != 0;
  return alive ? detail::dump_core(h.core_, {}) : "a deferred that has ended\n";
}

}  // namespace mobius
