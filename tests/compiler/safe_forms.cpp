// The forms that must work with every compiler, at every optimisation, whether the coroutine runs
// to its end or is destroyed where it waits.

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "subject.hpp"

namespace compiler_test {
namespace {

struct aggregate {
  tracked item;
  int number = 2;
};

struct plain_options {
  int first = 1;
  int second = 2;
};

class with_constructor {
 public:
  explicit with_constructor(int n) : item_(n) {}
  int value() const { return item_.value(); }

 private:
  tracked item_;
};

aggregate make_aggregate(int n) { return aggregate{tracked(n), n}; }

task<int> take(const aggregate& a) {
  co_await step();
  co_return a.item.value() + a.number;
}

task<int> take_options(plain_options options) {
  co_await step();
  co_return options.first + options.second;
}

task<int> take(with_constructor object) {
  co_await step();
  co_return object.value();
}

task<int> take(std::string text) {
  co_await step();
  co_return static_cast<int>(text.size());
}

task<int> take(std::pair<tracked, tracked> both) {
  co_await step();
  co_return both.first.value() + both.second.value();
}

task<int> take_default(tracked item = tracked(5)) {
  co_await step();
  co_return item.value();
}

template <class... Items>
task<int> sum(Items... items) {
  co_await step();
  co_return (items.value() + ...);
}

template <class F>
task<int> call(F&& f) {
  co_await step();
  co_return f();
}

/// Owns its callable, as an op does that keeps what it was given.
template <class F>
class calling {
 public:
  explicit calling(F f) : f_(std::move(f)) {}
  task<int> go() {
    co_await step();
    co_return f_();
  }

 private:
  F f_;
};

task<bool> named_condition() {
  const bool ok = co_await yes();
  if (ok) co_return true;
  co_return false;
}

task<bool> declaration_in_if() {
  if (const bool ok = co_await yes()) co_return ok;
  co_return false;
}

task<bool> initialiser_in_if() {
  if (const int n = co_await number(3); n == 3) co_return true;
  co_return false;
}

task<std::optional<tracked>> next(int& left) {
  co_await step();
  if (left == 0) co_return std::nullopt;
  co_return tracked(left--);
}

task<bool> declaration_in_while() {
  int left = 3, seen = 0;
  while (auto item = co_await next(left)) seen += item->value();
  co_return seen == 6;
}

task<int> countdown(int* left) {
  co_await step();
  co_return (*left)--;
}

task<bool> only_declaration_is_the_loops(int* left) {
  while (const int n = co_await countdown(left)) *left += (n > 100);
  co_return true;
}

task<bool> only_declaration() {
  int left = 3;
  co_return co_await only_declaration_is_the_loops(&left);
}

task<bool> reference_capture() {
  tracked item(7);
  const int got = co_await call([&] { return item.value(); });
  co_return got == 7;
}

task<bool> trivial_capture() {
  int n = 7;
  const int got = co_await call([n] { return n; });  // GCC PR99576 spares trivial captures
  co_return got == 7;
}

task<bool> named_lambda_borrowed() {
  auto f = [t = tracked(8)] { return t.value(); };
  const int got = co_await call(f);
  co_return got == 8;
}

task<bool> named_lambda_moved() {
  auto f = [t = tracked(8)] { return t.value(); };
  calling<decltype(f)> op(std::move(f));
  const int got = co_await op.go();
  co_return got == 8;
}

task<bool> named_function_object() {
  std::function<int()> f([t = tracked(9)] { return t.value(); });
  const int got = co_await call(std::move(f));
  co_return got == 9;
}

task<bool> named_lambda_coroutine() {
  auto f = [t = tracked(4)]() -> task<int> {
    co_await step();
    co_return t.value();
  };
  const int got = co_await f();
  co_return got == 4;
}

task<bool> returned_aggregate() {
  const int got = co_await take(make_aggregate(3));
  co_return got == 6;
}

task<bool> named_aggregate() {
  const aggregate a{tracked(3), 4};
  const int got = co_await take(a);
  co_return got == 7;
}

task<bool> class_with_constructor() {
  const int got = co_await take(with_constructor(6));
  co_return got == 6;
}

task<bool> string_argument() {
  const int got = co_await take(std::string(40, 'x'));
  co_return got == 40;
}

task<bool> pair_argument() {
  const int got = co_await take(std::pair<tracked, tracked>(tracked(1), tracked(2)));
  co_return got == 3;
}

task<bool> variadic_arguments() {
  const int got = co_await sum(tracked(1), tracked(2), tracked(3));
  co_return got == 6;
}

task<bool> default_argument() {
  const int got = co_await take_default();
  co_return got == 5;
}

task<bool> trivial_designated() {
  const int got = co_await take_options({.first = 3, .second = 4});  // GCC PR99576 spares trivial types
  co_return got == 7;
}

task<bool> arithmetic_choice() {
  const bool first = co_await yes();
  const int got = first ? co_await number(1) : co_await number(2);  // GCC PR99576 spares trivial types
  co_return got == 1;
}

task<bool> short_circuit() {
  const bool no = !co_await yes();
  const bool both = no && co_await yes();
  const bool either = co_await yes() || co_await yes();
  co_return !both && either;
}

task<bool> make_unique_of_await() {
  auto p = std::make_unique<tracked>(co_await make(4));
  co_return p->value() == 4;
}

task<bool> pair_of_await() {
  const auto p = std::pair{co_await make(4), 2};  // GCC PR99576 spares types with constructors
  co_return p.first.value() == 4 && p.second == 2;
}

task<bool> into_containers() {
  std::vector<tracked> items;
  items.push_back(co_await make(1));
  items.emplace_back(co_await make(2));
  std::optional<tracked> maybe;
  maybe = co_await make(3);
  co_return items[0].value() + items[1].value() + maybe->value() == 6;
}

task<bool> into_a_member() {
  struct {
    tracked item;
  } s;
  s.item = co_await make(5);
  co_return s.item.value() == 5;
}

task<std::vector<tracked>> some() {
  co_await step();
  co_return std::vector<tracked>{tracked(1), tracked(2)};
}

task<bool> range_for_over_await() {
  int seen = 0;
  for (const tracked& item : co_await some()) seen += co_await number(item.value());
  co_return seen == 3;
}

task<std::tuple<tracked, int>> two() {
  co_await step();
  co_return std::tuple<tracked, int>(tracked(1), 2);
}

task<bool> structured_binding() {
  auto [item, n] = co_await two();
  co_await step();
  co_return item.value() == 1 && n == 2;
}

task<int> fails(tracked item) {
  co_await step();
  throw std::runtime_error(std::to_string(item.value()));
}

task<bool> exception_with_temporaries() {
  bool caught = false;
  try {
    const int n = co_await fails(tracked(3)) + tracked(4).value();
    co_return n < 0;
  } catch (const std::runtime_error& e) {
    caught = std::string(e.what()) == "3";
  }
  co_await step();
  co_return caught;
}

/// An awaiter that throws from one of its three functions.
class throwing {
 public:
  explicit throwing(int where) : where_(where) {}
  bool await_ready() const { return fail(0); }
  bool await_suspend(std::coroutine_handle<>) const { return fail(1); }
  void await_resume() const { fail(2); }

 private:
  bool fail(int here) const {
    if (where_ == here) throw std::runtime_error("here");
    return false;
  }
  int where_;
  tracked item_;
};

task<bool> exceptions_from_an_awaiter() {
  int caught = 0;
  for (int where = 0; where < 3; ++where) {
    try {
      throwing a(where);
      co_await a;
    } catch (const std::runtime_error&) {
      ++caught;
    }
  }
  co_return caught == 3;
}

/// An awaiter that knows whether it is still where it was made.
class placed {
 public:
  placed() : self_(this) {}
  placed(const placed& other) : self_(other.self_) {}
  placed& operator=(const placed&) = delete;
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<>) const noexcept { return false; }
  bool await_resume() const noexcept { return self_ == this; }

 private:
  const placed* self_;
};

/// Makes its awaiter in the frame that awaits it, as every operation of mobius does.
class placing {
 public:
  placed operator co_await() const noexcept { return {}; }
};

task<bool> awaiter_of_an_operation_stays_in_place() {
  const bool right = co_await placing();
  co_return right;
}

task<bool> named_awaiter_stays_in_place() {
  placed p;
  const bool right = co_await p;
  co_return right;
}

task<bool> temporary_awaiter_stays_in_place() {
  const bool right = co_await placed();
  co_return right;
}

task<int&> reference(int& n) {
  co_await step();
  co_return n;
}

task<bool> reference_result() {
  int n = 1;
  int& same = co_await reference(n);
  same = 2;
  co_return n == 2;
}

task<std::unique_ptr<tracked>> owner() {
  co_await step();
  co_return std::make_unique<tracked>(6);
}

task<bool> move_only_result() {
  const auto p = co_await owner();
  const int direct = (co_await owner())->value();
  co_return p->value() + direct == 12;
}

task<bool> await_in_a_switch_body() {
  const int n = co_await number(2);
  switch (n) {
    case 2: {
      const tracked item = co_await make(2);
      co_return item.value() == 2;
    }
    default:
      co_return false;
  }
}

task<bool> likely_branch() {
  const bool ok = co_await yes();
  if (ok) [[likely]] {
    co_await step();
    co_return true;
  }
  co_return false;
}

constexpr auto table = std::to_array<form>({
    {"const bool ok = co_await x; if (ok)", "", named_condition},
    {"if (bool ok = co_await x)", "", declaration_in_if},
    {"if (int n = co_await x; n == 3)", "", initialiser_in_if},
    {"while (auto item = co_await x)", "", declaration_in_while},
    {"while (int n = co_await x), the body's only declaration", "", only_declaration},
    {"co_await f([&] {..})", "", reference_capture},
    {"co_await f([n] {..}) with a trivial capture", "", trivial_capture},
    {"auto f = [t] {..}; co_await call(f)", "", named_lambda_borrowed},
    {"auto f = [t] {..}; op o(std::move(f)); co_await o.go()", "", named_lambda_moved},
    {"std::function f(..); co_await call(std::move(f))", "", named_function_object},
    {"auto f = [t]() -> task<int> {..}; co_await f()", "", named_lambda_coroutine},
    {"co_await f(make_aggregate())", "", returned_aggregate},
    {"aggregate a{..}; co_await f(a)", "", named_aggregate},
    {"co_await f(with_constructor(..))", "", class_with_constructor},
    {"co_await f(std::string(..))", "", string_argument},
    {"co_await f(std::pair(..))", "", pair_argument},
    {"co_await f(a, b, c) with a pack", "", variadic_arguments},
    {"co_await f() with a default argument", "", default_argument},
    {"co_await f({.first = 3}) with a trivially destructible aggregate", "", trivial_designated},
    {"c ? co_await a : co_await b with ints", "", arithmetic_choice},
    {"a && co_await b, co_await a || co_await b", "", short_circuit},
    {"make_unique<T>(co_await x)", "", make_unique_of_await},
    {"std::pair{co_await x, 2}", "", pair_of_await},
    {"v.push_back(co_await x), emplace_back, optional =", "", into_containers},
    {"s.member = co_await x", "", into_a_member},
    {"for (auto& i : co_await x)", "", range_for_over_await},
    {"auto [a, b] = co_await x", "", structured_binding},
    {"an exception past live temporaries", "", exception_with_temporaries},
    {"exceptions from await_ready, await_suspend, await_resume", "", exceptions_from_an_awaiter},
    {"the awaiter made by operator co_await is not moved", "", awaiter_of_an_operation_stays_in_place},
    {"awaiter a; co_await a does not copy it", "", named_awaiter_stays_in_place},
    {"co_await awaiter() does not move it", "", temporary_awaiter_stays_in_place},
    {"int& r = co_await x", "", reference_result},
    {"(co_await x)->f() with a move-only result", "", move_only_result},
    {"an await in the body of a switch", "", await_in_a_switch_body},
    {"[[likely]] after a named condition", "", likely_branch},
});

}  // namespace

std::span<const form> safe_forms() { return table; }

}  // namespace compiler_test
