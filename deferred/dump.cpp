#include "dump.hpp"

#include "await.hpp"
#include "debug.hpp"
#include "list_state.hpp"

namespace mobius::detail {

namespace {

constexpr int most_cores = 32;  // of a chain of waits; longer ones are cut

std::string at(const char* before, const std::source_location& where) {
  return where.line() == 0 ? std::string() : before + to_string(where);
}

std::string failed_with(const failure& f) { return "failed with " + f.type_name() + ": " + f.what(); }

std::string state_of(core* c, const std::string& value) {
  std::string text;
  if (c->has(core::waiting)) {
    text = "waiting";
  } else if (c->has(core::running)) {
    text = "running";
  } else if (!c->has(core::fired)) {
    text = c->has(core::coroutine) ? "running" : "pending";
  } else if (c->result == kind::error) {
    text = failed_with(c->error());
  } else {
    text = c->result == kind::value ? "fired with " + (value.empty() ? "a value" : value)
                                    : "fired, its result taken";
  }
  if (c->paused != 0) text += ", paused " + std::to_string(c->paused) + " times";
  if (c->has(core::asked)) text += ", asked to stop";
  return text;
}

std::string head_line(core* c, const std::string& value) {
  const char* what = c->has(core::coroutine) ? "coroutine begun" : "deferred made";
  return what + at(" at ", c->created) + at(", fired at ", c->fired_at) + ": " + state_of(c, value) + "\n";
}

const char* name_of(const stage& s) {
  switch (s.type->wants) {
    case stage_type::on_value:
      return "callback";
    case stage_type::on_failure:
      return "errback";
    default:
      return "callback and errback";
  }
}

// Who takes the outcome of a core behind its stages.
std::string taker_line(const taker& t) {
  const auto* entry = list_entry_base::from(&t);
  if (!entry) return "  awaited" + at(" at ", t.where) + "\n";
  return "  input " + std::to_string(entry->index()) + " of a list of " +
         std::to_string(entry->list().size()) + at(" made at ", t.where) + "\n";
}

// The stages of a core, and who takes its outcome; returns the core that waits for it, or null.
core* append_stages(std::string& text, core* c) {
  c->for_each([&](const placed_stage& s) {
    text += std::string("  ") + name_of(s) + at(" added at ", s.where) + "\n";
  });
  if (c->has(core::continued)) return c->outer;
  if (!c->awaiter) return nullptr;
  text += taker_line(*c->awaiter);
  if (const auto* entry = list_entry_base::from(c->awaiter)) return entry->list().fires();
  const auto* awaiter = deferred_awaiter_base::from(c->awaiter);
  return awaiter ? coroutine_of(awaiter->waiting_context()) : nullptr;
}

// What a core waits for, or null.
core* waited_by(core* c) {
  if (c->has(core::waiting)) return c->inner;
  if (!c->has(core::coroutine) || c->has(core::fired)) return nullptr;
  const leaf* l = static_cast<coroutine_core*>(c)->work.ctx.waiting();
  return l && l->type == &deferred_awaiter_base::type ? static_cast<const deferred_awaiter_base*>(l)->waited()
                                                      : nullptr;
}

// What a coroutine waits for that is no deferred.
std::string leaf_line(core* c) {
  if (!c->has(core::coroutine) || c->has(core::fired)) return {};
  const context& ctx = static_cast<coroutine_core*>(c)->work.ctx;
  if (!ctx.waiting()) return {};
  return std::string("  awaits ") + ctx.waiting()->type->name + at(" at ", ctx.where()) + "\n";
}

// The inputs that a list still waits for.
std::string inputs_of(core* c) {
  list_control* list = list_canceller::of(c);
  if (!list) return {};
  std::string text;
  int left = most_cores;
  for (std::uint32_t i = 0; i < list->size() && left > 0; ++i) {
    core* input = list->awaited(i);
    if (!input) continue;
    text += "waits for input " + std::to_string(i) + ", " + head_line(input, {}) + leaf_line(input);
    --left;
  }
  return text;
}

}  // namespace

std::string dump_core(core* c, const std::string& value) {
  std::string text = head_line(c, value) + leaf_line(c);
  core* outer = append_stages(text, c);
  text += inputs_of(c);
  core* inner = waited_by(c);
  for (int n = 0; inner && n < most_cores; ++n, inner = waited_by(inner)) {
    text += "waits for " + head_line(inner, {}) + leaf_line(inner);
    append_stages(text, inner);
    text += inputs_of(inner);
  }
  for (int n = 0; outer && n < most_cores; ++n) {
    text += "for " + head_line(outer, {});
    outer = append_stages(text, outer);
  }
  return text + traces_of(c);
}

std::string dump_ready(const failure& f) {
  std::string text = "a ready deferred that " + failed_with(f) + "\n";
  for (const std::source_location& site : f.trail()) text += "  passed" + at(" ", site) + "\n";
  return text;
}

}  // namespace mobius::detail
