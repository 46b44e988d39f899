// The stages of a program: how they are added in each style, and what their bodies do.

#include "interpreter.hpp"

#include <algorithm>

#include "interpreter_words.hpp"

namespace dtl {

using mobius::deferred;

void interpreter::add_stage(const form& f) {
  const std::string& head = f[0].word;
  deferred<val>& d = named(f[1]).handle;
  if (head == "chain") {
    const auto target = std::make_shared<mobius::resolver<val>>(named(f[2]).fire);
    chains_.push_back(target);
    d.add_both([target](result<val> r) {
      if (r) {
        (*target)(*std::move(r));
      } else {
        target->errback(std::move(r.error()));
      }
      return val();
    });
    return;
  }
  if (head == "pair") {
    const form& a = f[2];
    const form& b = f[3];
    if (style_ == style::coroutines) {
      d.add_callbacks([this, &a](val v) { return stage_coroutine(a[0].word, a, 1, std::move(v)); },
                      [this, &b](failure e) { return stage_coroutine(b[0].word, b, 1, std::move(e)); });
      return;
    }
    if (waits(a, 1) || waits(b, 1)) {
      d.add_callbacks([this, &a](val v) { return waiting(a[0].word, a, 1, std::move(v)); },
                      [this, &b](failure e) { return waiting(b[0].word, b, 1, std::move(e)); });
      return;
    }
    d.add_callbacks([this, &a](val v) { return plain(a[0].word, a, 1, std::move(v)); },
                    [this, &b](failure e) { return plain(b[0].word, b, 1, std::move(e)); });
    return;
  }
  const std::string& label = f[2].word;
  const bool wait = waits(f, 3);
  if (style_ == style::coroutines) {
    const auto stage = [this, &label, &f](auto in) { return stage_coroutine(label, f, 3, std::move(in)); };
    if (head == "then") {
      d.add_callback([stage](val v) { return stage(std::move(v)); });
    } else if (head == "catch") {
      d.add_errback([stage](failure e) { return stage(std::move(e)); });
    } else {
      d.add_both([stage](result<val> r) { return stage(std::move(r)); });
    }
  } else if (head == "then" && wait) {
    d.add_callback([this, &label, &f](val v) { return waiting(label, f, 3, std::move(v)); });
  } else if (head == "then") {
    d.add_callback([this, &label, &f](val v) { return plain(label, f, 3, std::move(v)); });
  } else if (head == "catch" && wait) {
    d.add_errback([this, &label, &f](failure e) { return waiting(label, f, 3, std::move(e)); });
  } else if (head == "catch") {
    d.add_errback([this, &label, &f](failure e) { return plain(label, f, 3, std::move(e)); });
  } else if (wait) {
    d.add_both([this, &label, &f](result<val> r) { return waiting(label, f, 3, std::move(r)); });
  } else {
    d.add_both([this, &label, &f](result<val> r) { return plain(label, f, 3, std::move(r)); });
  }
}

// Several stages as one coroutine in place of as many callbacks.
void interpreter::add_awaiting(const std::string& name, std::vector<const form*> stages) {
  ++awaiting_;
  rewrapped_.insert(name);
  deferred<val> d = std::move(names_.at(name).handle);
  names_.at(name).handle = awaiting_chain(std::move(d), std::move(stages));
}

deferred<val> interpreter::awaiting_chain(deferred<val> d, std::vector<const form*> stages) {
  result<val> last = co_await mobius::as_result(std::move(d));
  for (const form* f : stages) {
    deferred<val> side = side_of(*f, last);
    if (side) last = co_await mobius::as_result(std::move(side));
  }
  co_return std::move(last);
}

// The side of a stage that `in` is for, begun; empty if there is none.
deferred<val> interpreter::side_of(const form& stage, result<val>& in) {
  const std::string& head = stage[0].word;
  if (head == "pair") {
    const form& side = stage[in ? 2 : 3];
    return stage_coroutine(side[0].word, side, 1, std::move(in));
  }
  if (head == (in ? "catch" : "then")) return {};
  return stage_coroutine(stage[2].word, stage, 3, std::move(in));
}

void interpreter::add_limit(const form& f) {
  deferred<val>& d = named(f[1]).handle;
  if (f.size() == 3) {
    mobius::add_timeout(d, clock_, seconds(f[2]));
    return;
  }
  const std::string& label = f[3].word;
  mobius::add_timeout(d, clock_, seconds(f[2]),
                      [this, &label, &f](result<val> r) { return plain(label, f, 4, std::move(r)); });
}

interpreter::outcome interpreter::body(const std::string& label, const form& list, std::size_t first,
                                       result<val> in) {
  for (std::size_t i = first; i < list.size(); ++i) {
    const form& f = list[i];
    const std::string& head = f[0].word;
    if (head == "ret") {
      out(label + ">" + f[1].word);
      return result<val>(read_value(f[1].word));
    }
    if (head == "add") {
      const val sum = add_to(in, f[1].word);
      out(label + ">" + show_value(sum));
      return result<val>(sum);
    }
    if (head == "raise") {
      out(label + "!" + f[1].word);
      make_exception(f[1].word).rethrow();
    }
    if (head == "fail") {
      out(label + ">!" + f[1].word);
      return result<val>(make_exception(f[1].word));
    }
    if (head == "wait") {
      out(label + "@" + f[1].word);
      return hand(f[1].word);
    }
    if (head == "sleep") {
      out(label + "@sleep");
      return mobius::defer_later(clock_, seconds(f[1]), [] { return val("slept"); });
    }
    if (head == "trap") {
      const bool hit = std::any_of(f.items.begin() + 1, f.items.end(),
                                   [&](const form& name) { return matches(in.error(), name.word); });
      if (!hit) {
        out(label + "^");
        in.error().rethrow();
      }
      continue;
    }
    statement(f);
  }
  out(label + ">" + show_result(in));
  return in;
}

result<val> interpreter::plain(const std::string& label, const form& list, std::size_t first,
                               result<val> in) {
  if (list[0].word != "maybe" && list[0].word != "run") out(label + "<" + show_result(in));
  return std::get<result<val>>(body(label, list, first, std::move(in)));
}

deferred<val> interpreter::waiting(const std::string& label, const form& list, std::size_t first,
                                   result<val> in) {
  if (list[0].word != "maybe" && list[0].word != "run") out(label + "<" + show_result(in));
  outcome end = body(label, list, first, std::move(in));
  if (auto* r = std::get_if<result<val>>(&end)) return mobius::from_result(std::move(*r));
  return std::get<deferred<val>>(std::move(end));
}

deferred<val> interpreter::stage_coroutine(const std::string& label, const form& list, std::size_t first,
                                           result<val> in) {
  if (waits(list, first)) {
    deferred<val> inner = waiting(label, list, first, std::move(in));
    co_return co_await std::move(inner);
  }
  co_return plain(label, list, first, std::move(in));
}

}  // namespace dtl
