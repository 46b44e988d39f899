// shared_deferred, and the scopes round a deferred: pause_scope, cancel_on_drop, delay_cancel.

#include "kit.hpp"

using mobius::shared_deferred;

namespace {

deferred<std::size_t> length(shared_deferred<std::string> s) {
  const std::string& text = co_await s;
  co_return text.size();
}

}  // namespace

TEST_CASE("every reader of a shared deferred sees the same object, in the order of asking") {
  const no_leak check;
  auto [d, fire] = make_deferred<std::string>();
  const shared_deferred<std::string> shared(std::move(d));
  const shared_deferred<std::string> copy = shared;
  std::vector<const std::string*> seen;
  shared.add_callback([&](const std::string& s) { seen.push_back(&s); });
  auto size = length(copy);
  copy.add_callback([&](const std::string& s) { seen.push_back(&s); });
  CHECK_FALSE(shared.ready());
  fire("text");
  REQUIRE(seen.size() == 2);
  CHECK(seen[0] == seen[1]);
  CHECK(seen[0] == shared.value_if());
  CHECK(std::move(size).get_now() == 4);
  CHECK(std::move(copy.reader()).get_now() == "text");
}

TEST_CASE("a shared failure goes to every reader, and is reported if there was none") {
  const no_leak check;
  const reports hook;
  {
    shared_deferred<int> seen(mobius::fail<int>(std::runtime_error("seen")));
    auto one = seen.reader().add_errback([](failure) -> mobius::never { throw std::logic_error("own"); });
    CHECK(one.failure_if()->check<std::logic_error>());
    std::move(one).add_errback([](failure) {});
    CHECK(seen.failure_if()->what() == "seen");
    const shared_deferred<int> unseen(mobius::fail<int>(std::runtime_error("unseen")));
  }
  CHECK(hook.errors == std::vector<std::string>{"unseen"});
}

TEST_CASE("cancelling a reader stops that reader only, cancelling the shared one asks the operation") {
  const no_leak check;
  int asked = 0;
  auto [d, fire] = make_deferred<int>([&] { ++asked; });
  const shared_deferred<int> shared(std::move(d));
  auto one = shared.reader();
  auto two = shared.reader();
  one.cancel();
  CHECK(failed_with<cancelled>(one));
  CHECK(asked == 0);
  CHECK_FALSE(two.ready());
  shared.cancel();
  CHECK(asked == 1);
  CHECK(failed_with<cancelled>(two));
}

TEST_CASE("a shared deferred that nobody can fire any more breaks for its readers only") {
  const no_leak check;
  const reports hook;
  shared_deferred<void> shared;
  {
    auto [d, fire] = make_deferred<void>();
    shared = shared_deferred<void>(std::move(d));
    shared_deferred<void> unread(make_deferred<void>().deferred);
  }
  auto late = shared.reader();
  CHECK(late.failure_if()->check<mobius::broken_deferred>());
  late.add_errback([](failure) {});
  CHECK_THROWS_AS(shared_deferred<int>().reader(), mobius::no_deferred);
  CHECK(hook.errors.empty());
}

TEST_CASE("pause_scope holds callbacks back until it ends") {
  const no_leak check;
  std::vector<int> seen;
  auto d = succeed(1);
  {
    const auto held = d.pause_scope();
    const auto twice = d.pause_scope();
    d.add_callback([&](int n) {
      seen.push_back(n);
      return n + 1;
    });
    d.add_callback([&](int n) {
      seen.push_back(n);
      return n;
    });
    CHECK(seen.empty());
  }
  CHECK(seen == std::vector<int>{1, 2});

  auto [other, fire] = make_deferred<int>();
  {
    const auto held = other.pause_scope();
    const deferred<int> dropped = std::move(other).tap([&](int n) { seen.push_back(n); });
    fire(7);
  }
  CHECK(seen == std::vector<int>{1, 2, 7});
}

TEST_CASE("cancel_on_drop cancels where the handle goes, silently, and is passed on") {
  const no_leak check;
  const reports hook;
  int asked = 0;
  const auto stop = [&] { ++asked; };
  { auto attempt = std::move(make_deferred<int>(stop).deferred).cancel_on_drop(); }
  CHECK(asked == 1);

  mobius::detail::context ctx;
  auto ends = make_deferred<int>(stop);
  ends.deferred.cancel_on_drop();
  {
    auto waits = await_deferred(ctx, std::move(ends.deferred));
    CHECK(asked == 1);
  }
  CHECK(asked == 2);

  auto [kept, fire] = make_deferred<int>(stop);
  kept.cancel_on_drop();
  fire(1);
  kept = {};
  CHECK(asked == 2);
  CHECK(hook.errors.empty());
}

TEST_CASE("delay_cancel waits for the end before it gives cancelled") {
  const no_leak check;
  int asked = 0;
  auto [d, fire] = make_deferred<int>([&] { ++asked; });
  auto delayed = mobius::delay_cancel(std::move(d));
  delayed.cancel();
  delayed.cancel();
  CHECK(asked == 0);
  CHECK_FALSE(delayed.ready());
  fire(1);
  CHECK(failed_with<cancelled>(delayed));

  auto [failing, fail_it] = make_deferred<int>();
  auto error = mobius::delay_cancel(std::move(failing));
  error.cancel();
  fail_it.errback(std::runtime_error("beats it"));
  CHECK(error.failure_if()->what() == "beats it");
  error.add_errback([](failure) { return 0; });

  auto [plain, fire_plain] = make_deferred<void>();
  auto untouched = mobius::delay_cancel(std::move(plain));
  fire_plain();
  CHECK(untouched.ready());
}
