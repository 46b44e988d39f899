#include "debug.hpp"

#include <execinfo.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <unordered_map>

namespace mobius {

namespace {

struct stack {
  std::array<void*, 32> frames;
  int depth = 0;

  void note() noexcept { depth = ::backtrace(frames.data(), static_cast<int>(frames.size())); }
};

struct stacks {
  stack made;
  stack fired;
};

std::unordered_map<const detail::core*, stacks>& noted() {
  thread_local std::unordered_map<const detail::core*, stacks> all;
  return all;
}

struct free_words {
  void operator()(char** words) const noexcept { std::free(words); }
};

// Without the frames of this file itself.
std::string text_of(const char* title, const stack& s) {
  if (s.depth == 0) return {};
  std::string text = title;
  const std::unique_ptr<char*, free_words> names(::backtrace_symbols(s.frames.data(), s.depth));
  for (int i = 2; names && i < s.depth; ++i) text += std::string("\n    ") + names.get()[i];
  return text;
}

}  // namespace

namespace detail {

thread_local constinit bool debugging_here = false;

void note_creation(core* c) noexcept try {
  noted()[c].made.note();
  c->set(core::traced);
} catch (...) {
  c->reset(core::traced);  // no memory for a trace: the deferred itself works without
}

void note_firing(core* c) noexcept {
  const auto at = noted().find(c);
  if (at != noted().end()) at->second.fired.note();
}

void forget_traces(core* c) noexcept { noted().erase(c); }

std::string traces_of(const core* c) {
  if (!c->has(core::traced)) return {};
  const auto at = noted().find(c);
  if (at == noted().end()) return {};
  return text_of("\n  made:", at->second.made) + text_of("\n  fired:", at->second.fired);
}

}  // namespace detail

void set_debugging(bool on) noexcept { detail::debugging_here = on; }
bool debugging() noexcept { return detail::debugging_here; }

}  // namespace mobius
