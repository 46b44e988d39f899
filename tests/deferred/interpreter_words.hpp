#pragma once
// The words of the test language: how values, exceptions and names are read and shown.

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "interpreter.hpp"

namespace dtl {

using mobius::failure;
using mobius::result;

inline std::string show_value(const val& v) {
  if (const auto* n = std::get_if<std::int64_t>(&v)) return std::to_string(*n);
  if (const auto* s = std::get_if<std::string>(&v)) return *s;
  return "nil";
}

// Thrown for a name that does not exist, or no more.
struct gone {};

inline std::string exception_name(const failure& f) {
  if (const auto* first = f.get_if<mobius::first_error>()) {
    return "First(" + std::to_string(first->index()) + "," + exception_name(first->error()) + ")";
  }
  if (const auto* group = f.get_if<mobius::failure_group>()) {
    std::string text = "Group(";
    for (const failure& one : group->failures()) {
      text += (&one == &group->failures().front() ? "" : ",") + exception_name(one);
    }
    return text + ")";
  }
  if (f.check<gone>()) return "KeyError";
  if (f.check<mobius::already_called>()) return "AlreadyCalledError";
  if (f.check<mobius::deferred_misuse>()) return "AssertionError";
  if (f.check<mobius::queue_overflow>()) return "QueueOverflow";
  if (f.check<mobius::queue_underflow>()) return "QueueUnderflow";
  if (f.check<E3>()) return "E3";
  if (f.check<E1>()) return "E1";
  if (f.check<E2>()) return "E2";
  if (f.check<E0>()) return "E0";
  if (f.check<mobius::cancelled>()) return "Cancelled";
  if (f.check<mobius::timed_out>()) return "Timeout";
  return f.type_name();
}

inline std::string show_result(const result<val>& r) {
  return r ? show_value(*r) : "!" + exception_name(r.error());
}

inline val read_value(const std::string& word) {
  if (word == "nil") return {};
  char* end = nullptr;
  const long long n = std::strtoll(word.c_str(), &end, 10);
  if (*end == '\0') return static_cast<std::int64_t>(n);
  return word;
}

inline failure make_exception(const std::string& name) {
  if (name == "E0") return mobius::make_failure<E0>();
  if (name == "E1") return mobius::make_failure<E1>();
  if (name == "E2") return mobius::make_failure<E2>();
  if (name == "E3") return mobius::make_failure<E3>();
  if (name == "Cancelled") return mobius::cancelled_failure();
  throw std::runtime_error("unknown exception " + name);
}

inline bool matches(const failure& f, const std::string& name) {
  if (name == "E0") return f.check<E0>();
  if (name == "E1") return f.check<E1>();
  if (name == "E2") return f.check<E2>();
  if (name == "E3") return f.check<E3>();
  if (name == "Cancelled") return f.check<mobius::cancelled>();
  if (name == "Timeout") return f.check<mobius::timed_out>();
  throw std::runtime_error("unknown exception " + name);
}

inline val add_to(const result<val>& in, const std::string& n) {
  if (in) {
    if (const auto* number = std::get_if<std::int64_t>(&*in)) return *number + std::stoll(n);
  }
  return show_result(in) + "+" + n;
}

inline std::string show_outcomes(const std::vector<result<val>>& all) {
  std::string text = "[";
  for (const result<val>& one : all) {
    text += (&one == &all.front() ? "" : ",") + std::string(one ? "+" : "-") + show_result(one);
  }
  return text + "]";
}

inline std::size_t read_limit(const std::string& word) {
  return word == "nil" ? mobius::deferred_queue<val>::unlimited : static_cast<std::size_t>(std::stoul(word));
}

template <class Map>
auto& find(Map& map, const std::string& name) {
  const auto at = map.find(name);
  if (at == map.end()) throw gone();
  return at->second;
}

inline std::chrono::nanoseconds seconds(const form& f) { return std::chrono::seconds(std::stoll(f.word)); }

inline bool is_stage(const form& f) {
  const std::string& head = f[0].word;
  return head == "then" || head == "catch" || head == "both" || head == "pair";
}

// The names that are touched by nothing but the top level, and never paused: what their callbacks do, a
// coroutine that awaits can do as well. What is fired from inside a stage counts as untouched. Nor are
// they dropped: who awaits what nobody can fire is told so (D2).
inline std::set<std::string> linear_chains(const std::vector<form>& program) {
  std::set<std::string> names;
  std::set<std::string> others;
  const auto touched = [&others](const auto& self, const form& f) -> void {
    if (!f.is_list) {
      others.insert(f.word);
    } else if (f.size() == 0 || (f[0].word != "cb" && f[0].word != "eb")) {
      for (const form& inner : f.items) self(self, inner);
    }
  };
  for (const form& f : program) {
    if (is_stage(f)) names.insert(f[1].word);
    if (f[0].word == "pause" || f[0].word == "drop") others.insert(f[1].word);
    for (const form& inner : f.items) {
      if (inner.is_list) touched(touched, inner);
    }
  }
  for (const std::string& name : others) names.erase(name);
  return names;
}

// Does the body end in something to wait for?
inline bool waits(const form& list, std::size_t first) {
  for (std::size_t i = first; i < list.size(); ++i) {
    const std::string& head = list[i][0].word;
    if (head == "wait" || head == "sleep") return true;
  }
  return false;
}

}  // namespace dtl
