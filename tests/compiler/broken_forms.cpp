// The forms that g++ 12 compiles wrong without a word. Each line that is wrong on purpose names
// its bug, which is also what tells the source lint to leave it alone.

#include <array>
#include <functional>
#include <memory>

#include "subject.hpp"

namespace compiler_test {
namespace {

struct aggregate {
  tracked item;
  int number = 2;
};

template <class F>
task<int> by_value(F f) {
  co_await step();
  co_return f();
}

template <class F>
task<int> by_rvalue(F&& f) {
  co_await step();
  co_return f();
}

template <class F>
task<int> by_reference(const F& f) {
  co_await step();
  co_return f();
}

task<int> take(const aggregate& a) {
  co_await step();
  co_return a.item.value() + a.number;
}

task<int> take_array(const std::array<tracked, 2>& items) {
  co_await step();
  co_return items[0].value() + items[1].value();
}

// PR106188: bodies without any declaration.

task<bool> await_in_if() {
  if (co_await yes()) co_return true;  // GCC PR106188
  co_return false;
}

task<bool> await_in_while() {
  while (co_await yes()) co_return true;  // GCC PR106188
  co_return false;
}

task<bool> await_in_endless_for() {
  for (;;) {
    if (co_await yes()) co_return true;  // GCC PR106188
  }
}

task<bool> await_in_do_while() {
  do {
    co_await step();
  } while (!co_await yes());  // GCC PR106188
  co_return true;
}

task<bool> await_in_switch() {
  switch (co_await number(2)) {  // GCC PR106188
    case 2:
      co_return true;
    default:
      co_return false;
  }
}

task<bool> await_in_if_in_try() {
  try {
    if (co_await yes()) co_return true;  // GCC PR106188
  } catch (...) {
  }
  co_return false;
}

// PR99576: temporaries destroyed twice.

task<bool> capture_by_value() {
  tracked t(3);
  const int got = co_await by_value([t] { return t.value(); });  // GCC PR99576
  co_return got == 3;
}

task<bool> capture_by_rvalue() {
  tracked t(3);
  const int got = co_await by_rvalue([t] { return t.value(); });  // GCC PR99576
  co_return got == 3;
}

task<bool> capture_by_reference() {
  tracked t(3);
  const int got = co_await by_reference([t] { return t.value(); });  // GCC PR99576
  co_return got == 3;
}

task<bool> capture_in_function() {
  tracked t(3);
  const int got = co_await by_value(std::function<int()>([t] { return t.value(); }));  // GCC PR99576
  co_return got == 3;
}

task<bool> lambda_coroutine_called_at_once() {
  tracked t(3);
  const int got = co_await [t]() -> task<int> { co_return t.value(); }();  // GCC PR99576
  co_return got == 3;
}

task<bool> aggregate_argument() {
  const int got = co_await take(aggregate{tracked(3), 4});  // GCC PR99576
  co_return got == 7;
}

task<bool> braced_argument() {
  const int got = co_await take({tracked(3), 4});  // GCC PR99576
  co_return got == 7;
}

task<bool> designated_argument() {
  const int got = co_await take({.item = tracked(3)});  // GCC PR99576
  co_return got == 5;
}

task<bool> array_argument() {
  const int got = co_await take_array(std::array<tracked, 2>{tracked(1), tracked(2)});  // GCC PR99576
  co_return got == 3;
}

task<bool> choice_of_class_type() {
  bool first = true;
  const tracked got = first ? co_await make(1) : tracked(2);  // GCC PR99576
  co_return got.value() == 1;
}

task<bool> choice_of_awaitables() {
  bool first = true;
  const tracked got = co_await (first ? make(1) : make(2));  // GCC PR99576
  co_return got.value() == 1;
}

task<tracked> choose(bool first) {
  co_return first ? co_await make(1) : tracked(2);  // GCC PR99576
}

task<bool> choice_returned() {
  const tracked got = co_await choose(true);
  co_return got.value() == 1;
}

task<bool> await_in_braces() {
  const aggregate a{co_await make(3), 2};  // GCC PR99576
  co_return a.item.value() + a.number == 5;
}

task<bool> await_in_new() {
  const std::unique_ptr<aggregate> p(new aggregate{co_await make(3), 4});  // GCC PR99576
  co_return p->item.value() + p->number == 7;
}

// PR112360: an operand of __builtin_constant_p is awaited all the same; Catch2's CHECK uses it.

task<int> count_one(int& counter) {
  co_await step();
  co_return ++counter;
}

task<bool> catch2_shape() {
  int awaited = 0;
  (void)__builtin_constant_p(co_await count_one(awaited));  // GCC PR112360
  const int last = co_await count_one(awaited);
  co_return last == 1;
}

constexpr auto table = std::to_array<form>({
    {"if (co_await x)", "PR106188", await_in_if},
    {"while (co_await x)", "PR106188", await_in_while},
    {"for (;;) { if (co_await x) }", "PR106188", await_in_endless_for},
    {"do .. while (co_await x)", "PR106188", await_in_do_while},
    {"switch (co_await x)", "PR106188", await_in_switch},
    {"try { if (co_await x) }", "PR106188", await_in_if_in_try},
    {"co_await f([t] {..}), f by value", "PR99576", capture_by_value},
    {"co_await f([t] {..}), f by &&", "PR99576", capture_by_rvalue},
    {"co_await f([t] {..}), f by const&", "PR99576", capture_by_reference},
    {"co_await f(std::function([t] {..}))", "PR99576", capture_in_function},
    {"co_await [t]() -> task<int> {..}()", "PR99576", lambda_coroutine_called_at_once},
    {"co_await f(aggregate{..})", "PR99576", aggregate_argument},
    {"co_await f({..})", "PR99576", braced_argument},
    {"co_await f({.item = ..})", "PR99576", designated_argument},
    {"co_await f(std::array{..})", "PR99576", array_argument},
    {"c ? co_await a : b of class type", "PR99576", choice_of_class_type},
    {"co_await (c ? a : b)", "PR99576", choice_of_awaitables},
    {"co_return c ? co_await a : b of class type", "PR99576", choice_returned},
    {"aggregate a{co_await x, 2}", "PR99576", await_in_braces},
    {"new T{co_await x, 2}", "PR99576", await_in_new},
    {"__builtin_constant_p(co_await x), as CHECK(co_await x) has it", "PR112360", catch2_shape},
});

}  // namespace

std::span<const form> broken_forms() { return table; }

}  // namespace compiler_test
