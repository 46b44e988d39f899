#include "interpreter.hpp"

#include <algorithm>

#include "interpreter_words.hpp"

namespace dtl {

using mobius::deferred;

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
  while (let_waiting_go()) {
  }
  // Deferreds chained in a ring hold one another: Python's collector would take them.
  for (const auto& chain : std::exchange(chains_, {})) {
    const auto target = chain.lock();
    if (!target) continue;
    const mobius::resolver<val> dropped = std::exchange(*target, {});
  }
  mobius::set_unhandled_hook(std::move(previous_hook_));
}

// Locks and queues must not end before those who wait for them.
bool interpreter::let_waiting_go() {
  bool some = clock_.pending() != 0 || !loops_.empty();
  clock_.clear();
  std::exchange(loops_, {}).clear();
  std::exchange(replaced_loops_, {}).clear();
  for (auto& [name, h] : holders_) {
    while ((h.lock && h.lock->waiting() != 0) || (h.semaphore && h.semaphore->waiting() != 0)) {
      h.lock ? h.lock->release() : h.semaphore->release();
      some = true;
    }
  }
  for (auto& [name, q] : queues_) {
    while (q->waiting() != 0) {
      q->put(val());
      some = true;
    }
  }
  return some;
}

std::vector<std::string> interpreter::run(const std::vector<form>& program) {
  const std::set<std::string> linear =
      style_ == style::awaits ? linear_chains(program) : std::set<std::string>();
  for (auto f = program.begin(); f != program.end();) {
    std::vector<const form*> stages;
    const auto first = f;
    while (f != program.end() && is_stage(*f) && (*f)[1].word == (*first)[1].word) stages.push_back(&*f++);
    if (stages.empty() || !linear.contains((*first)[1].word) || !names_.contains((*first)[1].word)) {
      statement(*first);
      f = first + 1;
    } else {
      add_awaiting((*first)[1].word, std::move(stages));
    }
  }
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
  } catch (const mobius::deferred_misuse&) {
    out("?" + head + " assert");
  } catch (const mobius::no_deferred&) {
    out("?" + head + " empty");
  } catch (const gone&) {
    out("?" + head + " gone");
  } catch (const mobius::queue_overflow&) {
    out("?" + head + " QueueOverflow");
  } catch (const mobius::queue_underflow&) {
    out("?" + head + " QueueUnderflow");
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
  if (head == "cancel") return named(f[1]).handle.cancel();
  if (head == "pause") return named(f[1]).handle.pause();
  if (head == "resume") return named(f[1]).handle.unpause();
  if (head == "show") return show(f[1].word);
  if (head == "drop") return drop(f[1].word);
  if (head == "deep") return deep(f);
  if (list_form(f) || timer_form(f) || loop_form(f) || holder_form(f)) return;
  throw std::runtime_error("unknown form " + head);
}

interpreter::entry& interpreter::named(const form& word) { return find(names_, word.word); }

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
    rewrapped_.insert(name);
    if (waits(f, 3)) {
      bind(name, mobius::maybe_deferred([this, &label, &f] { return waiting(label, f, 3, val()); }));
    } else {
      bind(name, mobius::maybe_deferred([this, &label, &f] { return plain(label, f, 3, val()); }));
    }
  } else if (head == "coro") {
    rewrapped_.insert(name);
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

void interpreter::fire(const form& f) {
  const entry& e = named(f[1]);
  // One that was made fired has no resolver.
  if (!e.fire) return out("?" + f[0].word + " already");
  if (f[0].word == "cb") {
    e.fire(read_value(f[2].word));
  } else {
    e.fire.errback(make_exception(f[2].word));
  }
}

std::vector<deferred<val>> interpreter::hand_all(const form& f, std::size_t first) {
  for (std::size_t i = first; i < f.size(); ++i) find(names_, f[i].word);
  std::vector<deferred<val>> all;
  for (std::size_t i = first; i < f.size(); ++i) all.push_back(hand(f[i].word));
  return all;
}

bool interpreter::list_form(const form& f) {
  const std::string& head = f[0].word;
  if (head != "list" && head != "gather" && head != "race") return false;
  make_list(f);
  return true;
}

// The values of lists become text, so that every stage is one of `val`.
void interpreter::make_list(const form& f) {
  using mobius::list_flags;
  const std::string& head = f[0].word;
  const std::string& name = f[1].word;
  if (head == "race") {
    auto won = [](std::pair<std::size_t, val> w) {
      return val("<" + std::to_string(w.first) + "," + show_value(w.second) + ">");
    };
    bind(name, mobius::race(hand_all(f, 2)).add_callback(won));
    return;
  }
  const auto has = [&](char flag) { return f[2].word.find(flag) != std::string::npos; };
  if (head == "gather") {
    auto gathered = [](std::vector<val> all) {
      std::string text = "[";
      for (std::size_t i = 0; i < all.size(); ++i) text += (i == 0 ? "" : ",") + show_value(all[i]);
      return val(text + "]");
    };
    bind(name, mobius::gather_results(hand_all(f, 3)).add_callback(gathered));
    return;
  }
  auto settled = [](std::vector<result<val>> all) { return val(show_outcomes(all)); };
  auto first = [](std::pair<val, std::size_t> w) {
    return val("<" + show_value(w.first) + "," + std::to_string(w.second) + ">");
  };
  // D9: where all have failed, Twisted gives their failures as a value.
  auto all_failed = [](mobius::failure_group& group) -> result<val> {
    if (group.failures().empty()) return mobius::make_failure<mobius::failure_group>(group.failures());
    const std::vector<result<val>> outcomes(group.failures().begin(), group.failures().end());
    return val(show_outcomes(outcomes));
  };
  if (has('c') && has('e')) {
    constexpr auto flags = list_flags::fire_on_one_callback | list_flags::fire_on_one_errback;
    bind(name, mobius::deferred_list<flags>(hand_all(f, 3)).add_callback(first));
  } else if (has('c')) {
    bind(name, mobius::deferred_list<list_flags::fire_on_one_callback>(hand_all(f, 3))
                   .add_callback(first)
                   .add_errback<mobius::failure_group>(all_failed));
  } else if (has('e')) {
    bind(name, mobius::deferred_list<list_flags::fire_on_one_errback>(hand_all(f, 3)).add_callback(settled));
  } else {
    bind(name, mobius::deferred_list(hand_all(f, 3)).add_callback(settled));
  }
}

bool interpreter::timer_form(const form& f) {
  const std::string& head = f[0].word;
  if (head == "later") {
    call_later(f);
  } else if (head == "stop" || head == "reset" || head == "delay") {
    move_timer(f);
  } else {
    return false;
  }
  return true;
}

void interpreter::call_later(const form& f) {
  const std::string& label = f[2].word;
  timers_[label] = clock_.call_later(seconds(f[1]), [this, &f, &label] {
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(clock_.now().time_since_epoch());
    out(label + "@" + std::to_string(now.count()));
    const outcome ignored = body(label, f, 3, val());
    if (const auto* r = std::get_if<result<val>>(&ignored)) static_cast<void>(*r);
  });
}

void interpreter::move_timer(const form& f) {
  mobius::test_call& timer = find(timers_, f[1].word);
  bool done = false;
  if (f[0].word == "stop") {
    done = timer.cancel();
  } else if (f[0].word == "reset") {
    done = timer.reset(seconds(f[2]));
  } else {
    done = timer.delay(seconds(f[2]));
  }
  if (!done) out("?" + f[0].word + (timer.cancelled() ? " AlreadyCancelled" : " AlreadyCalled"));
}

bool interpreter::loop_form(const form& f) {
  const std::string& head = f[0].word;
  if (head == "loop") {
    start_loop(f);
  } else if (head == "loop-stop") {
    find(loops_, f[1].word)->stop();
  } else if (head == "loop-reset") {
    find(loops_, f[1].word)->reset();
  } else {
    return false;
  }
  return true;
}

void interpreter::start_loop(const form& f) {
  const std::string& label = f[5].word;
  const auto now = [this] {
    return val(std::int64_t(
        std::chrono::duration_cast<std::chrono::seconds>(clock_.now().time_since_epoch()).count()));
  };
  std::shared_ptr<mobius::looping_call> loop;
  if (waits(f, 6)) {
    loop = std::make_shared<mobius::looping_call>(
        clock_, [this, &f, &label, now] { return waiting(label, f, 6, now()); });
  } else {
    loop = std::make_shared<mobius::looping_call>(
        clock_, [this, &f, &label, now] { return plain(label, f, 6, now()); });
  }
  auto& place = loops_[f[2].word];
  if (place) replaced_loops_.push_back(place);
  place = loop;
  bind(f[1].word, loop->start(seconds(f[3]), f[4].word == "now").add_callback([](mobius::looping_call&) {
    return val("loop");
  }));
}

bool interpreter::holder_form(const form& f) {
  const std::string& head = f[0].word;
  if (head == "lock") {
    holders_[f[1].word].lock = std::make_unique<mobius::deferred_lock>();
  } else if (head == "sem") {
    holders_[f[1].word].semaphore = std::make_unique<mobius::deferred_semaphore>(std::stoul(f[2].word));
  } else if (head == "acquire") {
    acquire(f);
  } else if (head == "release") {
    holder& h = find(holders_, f[1].word);
    h.lock ? h.lock->release() : h.semaphore->release();
  } else if (head == "run") {
    run_holding(f);
  } else if (head == "queue") {
    queues_[f[1].word] = std::make_unique<queue>(read_limit(f[2].word), read_limit(f[3].word));
  } else if (head == "put") {
    find(queues_, f[1].word)->put(read_value(f[2].word));
  } else if (head == "get") {
    bind(f[1].word, find(queues_, f[2].word)->get());
  } else {
    return false;
  }
  return true;
}

void interpreter::acquire(const form& f) {
  const auto held = [](auto&) { return val("held"); };
  holder& h = find(holders_, f[2].word);
  if (h.lock) {
    bind(f[1].word, h.lock->acquire().add_callback(held));
  } else {
    bind(f[1].word, h.semaphore->acquire().add_callback(held));
  }
}

void interpreter::run_holding(const form& f) {
  const std::string& label = f[3].word;
  holder& h = find(holders_, f[2].word);
  const auto run = [&](auto function) {
    bind(f[1].word, h.lock ? h.lock->run(std::move(function)) : h.semaphore->run(std::move(function)));
  };
  if (waits(f, 4)) {
    run([this, &f, &label] { return waiting(label, f, 4, val()); });
  } else {
    run([this, &f, &label] { return plain(label, f, 4, val()); });
  }
}

deferred<val> interpreter::hand(const std::string& name) {
  find(names_, name);
  gone_.insert(name);
  return std::move(find(names_, name).handle);
}

void interpreter::drop(const std::string& name) {
  find(names_, name);
  order_.erase(std::find(order_.begin(), order_.end(), name));
  const auto dropped = names_.extract(name);
}

void interpreter::show(const std::string& name) {
  deferred<val>& d = find(names_, name).handle;
  if (!d) throw mobius::no_deferred("it was handed over");
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
