#include "shake.hpp"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <vector>

namespace mobius::testing {

namespace {

// Where a cancel of the test body goes.
class cancel_target : public mobius::detail::nested {
 public:
  explicit cancel_target(mobius::detail::context*& out) noexcept : nested(leaf_kind), out_(out) {}
  ~cancel_target() { out_ = nullptr; }

 protected:
  mobius::detail::context*& out_;

 private:
  static const mobius::detail::leaf_type leaf_kind;
  static bool forward(mobius::detail::leaf* l) noexcept {
    auto& self = *static_cast<cancel_target*>(l);
    self.inner_.forward_cancel(*self.outer_);
    return true;
  }
};

const mobius::detail::leaf_type cancel_target::leaf_kind{"a test body", &cancel_target::forward};

class cancellable_awaiter : public cancel_target {
 public:
  cancellable_awaiter(task<>&& t, mobius::detail::context*& out, bool at_once)
      : cancel_target(out), inner_awaiter_(std::move(t).operator co_await()), at_once_(at_once) {}

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  mobius::detail::transfer await_suspend(std::coroutine_handle<Promise> h) {
    begin(mobius::detail::context_of(h), std::source_location::current());
    out_ = &inner_;
    if (at_once_) inner_.cancel();
    return mobius::detail::start_awaiter(inner_awaiter_, h, &inner_, std::source_location::current());
  }
  void await_resume() {
    end();
    out_ = nullptr;
    inner_awaiter_.await_resume();
  }

 private:
  mobius::detail::task_awaiter<void> inner_awaiter_;
  bool at_once_;
};

class cancellable {
 public:
  cancellable(task<> t, mobius::detail::context*& out, bool at_once)
      : task_(std::move(t)), out_(&out), at_once_(at_once) {}
  cancellable_awaiter operator co_await() && {
    return cancellable_awaiter(std::move(task_), *out_, at_once_);
  }

 private:
  task<> task_;
  mobius::detail::context** out_;
  bool at_once_;
};

// One run of the body, cancelled at moment `at`; says whether it came to that.
task<> run_once(const detail::test_body& body, world& w, std::uint64_t seed, std::size_t at, bool& reached) {
  mobius::detail::context* target = nullptr;
  std::size_t moment = 0;
  shaker order(w.reactor, seed);
  co_await yield();
  order.on_step = [&] {
    if (!target || ++moment != at) return;
    reached = true;
    target->cancel();
  };
  reached = at == 0;
  cancellable guarded(body(w), target, at == 0);
  const result<void> outcome = co_await as_result(std::move(guarded));
  // A deferred ends its waits inside the cancel, that is, inside on_step: `order` must outlive that.
  co_await yield();
  if (!outcome && !outcome.error().check<cancelled>()) outcome.error().rethrow();
}

task<> run_with(const detail::test_body& body, world& w, std::uint64_t seed) {
  const shaker order(w.reactor, seed);
  co_await yield();
  co_await body(w);
}

std::optional<std::uint64_t> seed_of_environment() {
  const char* text = std::getenv("MOBIUS_SEED");
  if (!text) return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

}  // namespace

shaker::shaker(reactor& r, std::uint64_t seed)
    : order_hook{&shaker::pick_next, &shaker::has_run, &shaker::arrange_batch},
      reactor_(r),
      shakes_(seed != 0),
      random_(seed) {
  r.inject(this);
}

mobius::detail::node* shaker::pick_next(order_hook* self, mobius::detail::node_queue& ready) noexcept {
  auto& me = *static_cast<shaker*>(self);
  me.step();
  if (!me.shakes_) return ready.pop();
  if (me.below(16) == 0) return nullptr;
  std::vector<mobius::detail::node*> all;
  while (!ready.empty()) all.push_back(ready.pop());
  auto chosen = all.begin() + static_cast<std::ptrdiff_t>(me.below(all.size()));
  const auto keeps_order = [](const auto* n) { return !mobius::detail::waiter::is_wake_up(*n); };
  if (keeps_order(*chosen)) chosen = std::find_if(all.begin(), all.end(), keeps_order);
  mobius::detail::node* out = *chosen;
  all.erase(chosen);
  for (auto* n : all) ready.push(n);
  return out;
}

void shaker::has_run(order_hook* self) noexcept { static_cast<shaker*>(self)->step(); }

// The results of one operation keep their order: each goes to a random place among the others.
void shaker::arrange_batch(order_hook* self, mobius::detail::completion* batch, unsigned count) noexcept {
  auto& me = *static_cast<shaker*>(self);
  if (!me.shakes_) return;
  for (unsigned i = 1; i < count; ++i) {
    for (unsigned k = i; k > 0 && batch[k].user_data != batch[k - 1].user_data && me.below(3) != 0; --k) {
      std::swap(batch[k], batch[k - 1]);
    }
  }
}

void detail::run_shaken(const test_body& body, unsigned runs, const run_options& options) {
  const auto only = seed_of_environment();
  for (std::uint64_t seed = only.value_or(1); seed <= only.value_or(runs); ++seed) {
    try {
      run([&](world& w) { return run_with(body, w, seed); }, options);
    } catch (...) {
      throw schedule_failure("with MOBIUS_SEED=" + std::to_string(seed) + ": " + failure().what());
    }
  }
}

std::size_t detail::run_cancelled(const test_body& body, std::uint64_t seed, const run_options& options) {
  bool reached = true;
  std::size_t at = 0;
  for (; reached; ++at) {
    try {
      run([&](world& w) { return run_once(body, w, seed, at, reached); }, options);
    } catch (...) {
      throw schedule_failure("cancelled at moment " + std::to_string(at) + " (seed " + std::to_string(seed) +
                             "): " + failure().what());
    }
  }
  return at - 1;
}

}  // namespace mobius::testing
