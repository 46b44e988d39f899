#include "interpreter.hpp"

#include <algorithm>

namespace dtl {

using mobius::deferred;
using mobius::failure;
using mobius::result;

namespace {

std::string show_value(const val& v) {
  if (const auto* n = std::get_if<std::int64_t>(&v)) return std::to_string(*n);
  if (const auto* s = std::get_if<std::string>(&v)) return *s;
  return "nil";
}

std::string exception_name(const failure& f) {
  if (f.check<E3>()) return "E3";
  if (f.check<E1>()) return "E1";
  if (f.check<E2>()) return "E2";
  if (f.check<E0>()) return "E0";
  if (f.check<mobius::cancelled>()) return "Cancelled";
  if (f.check<mobius::timed_out>()) return "Timeout";
  return f.type_name();
}

std::string show_result(const result<val>& r) { return r ? show_value(*r) : "!" + exception_name(r.error()); }

val read_value(const std::string& word) {
  if (word == "nil") return {};
  char* end = nullptr;
  const long long n = std::strtoll(word.c_str(), &end, 10);
  if (*end == '\0') return static_cast<std::int64_t>(n);
  return word;
}

failure make_exception(const std::string& name) {
  if (name == "E0") return mobius::make_failure<E0>();
  if (name == "E1") return mobius::make_failure<E1>();
  if (name == "E2") return mobius::make_failure<E2>();
  if (name == "E3") return mobius::make_failure<E3>();
  if (name == "Cancelled") return mobius::cancelled_failure();
  throw std::runtime_error("unknown exception " + name);
}

bool matches(const failure& f, const std::string& name) {
  if (name == "E0") return f.check<E0>();
  if (name == "E1") return f.check<E1>();
  if (name == "E2") return f.check<E2>();
  if (name == "E3") return f.check<E3>();
  if (name == "Cancelled") return f.check<mobius::cancelled>();
  if (name == "Timeout") return f.check<mobius::timed_out>();
  throw std::runtime_error("unknown exception " + name);
}

val add_to(const result<val>& in, const std::string& n) {
  if (in) {
    if (const auto* number = std::get_if<std::int64_t>(&*in)) return *number + std::stoll(n);
  }
  return show_result(in) + "+" + n;
}

std::chrono::nanoseconds seconds(const form& f) { return std::chrono::seconds(std::stoll(f.word)); }

// Does the body end in something to wait for?
bool waits(const form& list, std::size_t first) {
  for (std::size_t i = first; i < list.size(); ++i) {
    const std::string& head = list[i][0].word;
    if (head == "wait" || head == "sleep") return true;
  }
  return false;
}

}  // namespace

interpreter::interpreter(style s)
    : style_(s), previous_hook_(mobius::set_unhandled_hook([this](const failure& f, std::string_view) {
        out("unhandled " + exception_name(f));
      })) {}

interpreter::~interpreter() {
  // What still waits gets `broken_deferred` now, which is mobius' own and in no trace of Twisted's.
  // That may run stages, which use the names.
  clock_.clear();
  const auto left = [](const auto& named) { return named.second.handle || named.second.fire; };
  for (auto at = names_.begin(); at != names_.end(); at = std::find_if(names_.begin(), names_.end(), left)) {
    const entry dropped{std::exchange(at->second.handle, {}), std::exchange(at->second.fire, {})};
  }
  clock_.clear();
  mobius::set_unhandled_hook(std::move(previous_hook_));
}

const std::set<std::string>& interpreter::known_forms() {
  static const std::set<std::string> known{
      "new",  "fired",  "failed",  "then",    "catch",   "both",  "pair",     "chain", "cb",
      "eb",   "cancel", "pause",   "resume",  "timeout", "maybe", "coro",     "deep",  "show",
      "drop", "log",    "trap",    "ret",     "add",     "raise", "fail",     "wait",  "sleep",
      "nap",  "try",    "finally", "advance", "await",   "call",  "awaitloop"};
  return known;
}

std::vector<std::string> interpreter::run(const std::vector<form>& program) {
  for (const form& f : program) statement(f);
  out("--");
  const std::vector<std::string> left = order_;
  for (const std::string& name : left) {
    if (!gone_.contains(name)) show(name);
  }
  for (const std::string& name : left) names_.at(name).handle = {};
  return trace_;
}

void interpreter::statement(const form& f) {
  const std::string& head = f[0].word;
  try {
    execute(f);
  } catch (const mobius::already_called&) {
    out("?" + head + " already");
  } catch (const E0&) {
    out("?" + head + " " + exception_name(failure()));
  }
}

void interpreter::execute(const form& f) {
  const std::string& head = f[0].word;
  if (head == "new" || head == "fired" || head == "failed" || head == "maybe" || head == "coro")
    return make(f);
  if (head == "then" || head == "catch" || head == "both" || head == "pair" || head == "chain") {
    return add_stage(f);
  }
  if (head == "cb" || head == "eb") return fire(f);
  if (head == "timeout") return add_limit(f);
  if (head == "log") return out("." + f[1].word);
  if (head == "advance") return clock_.advance(seconds(f[1]));
  if (head == "cancel") return names_.at(f[1].word).handle.cancel();
  if (head == "pause") return names_.at(f[1].word).handle.pause();
  if (head == "resume") return names_.at(f[1].word).handle.unpause();
  if (head == "show") return show(f[1].word);
  if (head == "drop") return drop(f[1].word);
  if (head == "deep") return deep(f);
  throw std::runtime_error("unknown form " + head);
}

interpreter::entry& interpreter::bind(const std::string& name, deferred<val> d) {
  if (std::find(order_.begin(), order_.end(), name) == order_.end()) order_.push_back(name);
  entry& e = names_[name];
  e.handle = std::move(d);
  return e;
}

void interpreter::make(const form& f) {
  const std::string& head = f[0].word;
  const std::string& name = f[1].word;
  if (head == "fired") {
    bind(name, mobius::succeed(read_value(f[2].word)));
  } else if (head == "failed") {
    bind(name, mobius::fail<val>(make_exception(f[2].word)));
  } else if (head == "maybe") {
    const std::string& label = f[2].word;
    if (waits(f, 3)) {
      bind(name, mobius::maybe_deferred([this, &label, &f] { return waiting(label, f, 3, val()); }));
    } else {
      bind(name, mobius::maybe_deferred([this, &label, &f] { return plain(label, f, 3, val()); }));
    }
  } else if (head == "coro") {
    coroutines_.insert(name);
    bind(name, mobius::to_deferred(coroutine(f[2].word, f.items, 3)));
  } else if (f.size() == 2) {
    auto [d, r] = mobius::make_deferred<val>();
    bind(name, std::move(d)).fire = r;
  } else {
    const form& stop = f[2];
    auto [d, r] = mobius::make_deferred<val>([this, &stop] {
      out(stop[0].word + ".cancel");
      for (std::size_t i = 1; i < stop.size(); ++i) {
        if (stop[i][0].word == "raise") make_exception(stop[i][1].word).rethrow();
        statement(stop[i]);
      }
    });
    bind(name, std::move(d)).fire = r;
  }
}

void interpreter::add_stage(const form& f) {
  const std::string& head = f[0].word;
  deferred<val>& d = names_.at(f[1].word).handle;
  if (head == "chain") {
    d.add_both([target = names_.at(f[2].word).fire](result<val> r) {
      if (r) {
        target(*std::move(r));
      } else {
        target.errback(std::move(r.error()));
      }
      return val();
    });
    return;
  }
  if (head == "pair") {
    const form& a = f[2];
    const form& b = f[3];
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

void interpreter::add_limit(const form& f) {
  deferred<val>& d = names_.at(f[1].word).handle;
  if (f.size() == 3) {
    mobius::add_timeout(d, clock_, seconds(f[2]));
    return;
  }
  const std::string& label = f[3].word;
  mobius::add_timeout(d, clock_, seconds(f[2]),
                      [this, &label, &f](result<val> r) { return plain(label, f, 4, std::move(r)); });
}

void interpreter::fire(const form& f) {
  const entry& e = names_.at(f[1].word);
  // One that was made fired has no resolver.
  if (!e.fire) return out("?" + f[0].word + " already");
  if (f[0].word == "cb") {
    e.fire(read_value(f[2].word));
  } else {
    e.fire.errback(make_exception(f[2].word));
  }
}

deferred<val> interpreter::hand(const std::string& name) {
  gone_.insert(name);
  return std::move(names_.at(name).handle);
}

void interpreter::drop(const std::string& name) {
  order_.erase(std::find(order_.begin(), order_.end(), name));
  const auto dropped = names_.extract(name);
}

void interpreter::show(const std::string& name) {
  deferred<val>& d = names_.at(name).handle;
  std::string state = "pending";
  if (const val* v = d.value_if()) state = show_value(*v);
  if (const failure* e = d.failure_if()) state = "!" + exception_name(*e);
  if (d.waiting()) state = "waiting";
  // Twisted pauses a deferred that waits.
  out(name + "=" + state + (d.paused() || d.waiting() ? " paused" : ""));
}

void interpreter::deep(const form& f) {
  deferred<val> last = hand(f[2].word);
  for (std::int64_t n = std::stoll(f[3].word); n > 0; --n) {
    deferred<val> outer = mobius::succeed(val());
    outer.add_callback([inner = std::move(last)](val) mutable { return std::move(inner); });
    last = std::move(outer);
  }
  bind(f[1].word, std::move(last));
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
  if (list[0].word != "maybe") out(label + "<" + show_result(in));
  return std::get<result<val>>(body(label, list, first, std::move(in)));
}

deferred<val> interpreter::waiting(const std::string& label, const form& list, std::size_t first,
                                   result<val> in) {
  if (list[0].word != "maybe") out(label + "<" + show_result(in));
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

mobius::task<val> interpreter::coroutine(std::string label, const std::vector<form>& statements,
                                         std::size_t first) {
  val last;
  for (std::size_t i = first; i < statements.size(); ++i) {
    const form& f = statements[i];
    const std::string& head = f[0].word;
    if (head == "await") {
      deferred<val> awaited = hand(f[1].word);
      last = co_await std::move(awaited);
      out(label + ".got " + show_value(last));
    } else if (head == "call") {
      mobius::task<val> inner = coroutine(f[1].word, f.items, 2);
      last = co_await std::move(inner);
      out(label + ".got " + show_value(last));
    } else if (head == "nap") {
      deferred<> nap = mobius::defer_later(clock_, seconds(f[1]));
      co_await std::move(nap);
      last = val();
    } else if (head == "try") {
      mobius::task<val> inner = attempt(label, f);
      last = co_await std::move(inner);
    } else if (head == "finally") {
      mobius::task<val> inner = with_cleanup(label, f);
      last = co_await std::move(inner);
    } else if (head == "ret") {
      co_return read_value(f[1].word);
    } else if (head == "raise") {
      make_exception(f[1].word).rethrow();
    } else if (head == "awaitloop") {
      std::int64_t sum = 0;
      for (std::int64_t n = std::stoll(f[1].word); n > 0; --n) {
        const std::int64_t one = co_await mobius::succeed(std::int64_t(1));
        sum += one;
      }
      last = sum;
    } else {
      statement(f);
    }
  }
  co_return last;
}

mobius::task<val> interpreter::attempt(std::string label, const form& f) {
  std::optional<failure> thrown;
  try {
    mobius::task<val> inner = coroutine(label, f[1].items, 0);
    const val v = co_await std::move(inner);
    co_return v;
  } catch (...) {
    thrown = failure();
  }
  if (!matches(*thrown, f[2].word)) thrown->rethrow();
  out(label + ".caught " + exception_name(*thrown));
  mobius::task<val> handler = coroutine(label, f[3].items, 0);
  const val v = co_await std::move(handler);
  co_return v;
}

mobius::task<val> interpreter::with_cleanup(std::string label, const form& f) {
  std::optional<failure> thrown;
  val last;
  try {
    mobius::task<val> inner = coroutine(label, f[1].items, 0);
    last = co_await std::move(inner);
  } catch (...) {
    thrown = failure();
  }
  out(label + ".finally");
  mobius::task<val> cleanup = coroutine(label, f[2].items, 0);
  const val ignored = co_await std::move(cleanup);
  static_cast<void>(ignored);
  if (thrown) thrown->rethrow();
  co_return last;
}

}  // namespace dtl
