#!/usr/bin/env python3
"""The lint finds what it is for, and leaves alone what is right."""

import pathlib
import unittest

import lint

WRONG = {
    'condition of if': 'if (co_await x()) return;',
    'condition of while': 'while (co_await x()) { y(); }',
    'condition of switch': 'switch (co_await x()) { case 1: break; }',
    'condition of for': 'for (int i = 0; co_await x(i); ++i) y();',
    'condition of do': 'do { y(); } while (!co_await x());',
    'condition after an initialiser': 'if (int n = f(); co_await x(n)) y();',
    'comparison in a condition': 'if (a == co_await x()) y();',
    'condition over two lines': 'if (first &&\n      co_await x()) y();',
    'choice': 'auto r = c ? co_await a() : b;',
    'choice of what is awaited': 'auto r = co_await (c ? a() : b());',
    'braced initialiser': 'const thing t{co_await x(), 2};',
    'braced new': 'auto* p = new thing{co_await x()};',
    'inside CHECK': 'CHECK(co_await x() == 1);',
    'inside a macro of any name': 'MY_ASSERT(1 == co_await x());',
    'copying capture': 'co_await f([t] { return t; });',
    'capture by move': 'auto r = co_await f([b = std::move(b)] { return b; });',
    'default copying capture': 'co_await f([=]() mutable { return t; });',
    'lambda coroutine called at once': 'auto r = co_await [t]() -> task<int> { co_return t; }();',
    'capture wrapped': 'co_await f(std::function<int()>([t] { return t; }));',
    'aggregate': 'co_await f(thing{1, 2});',
    'bare braces': 'co_await f({a, b});',
    'designated braces': 'co_await f({.host = name});',
    'statement expression': 'auto r = ({ co_await x(); });',
}

RIGHT = {
    'named condition': 'const bool ok = co_await x();\n  if (ok) y();',
    'declaration in if': 'if (auto r = co_await x()) y();',
    'declaration in while': 'while (auto item = co_await s.next()) use(*item);',
    'typed declaration in while': 'while (const std::optional<int> n = co_await s.next()) use(*n);',
    'initialiser in if': 'if (const int n = co_await x(); n == 3) y();',
    'range for': 'for (auto& i : co_await list()) y(i);',
    'initialiser of for': 'for (int i = co_await x(); i < 3; ++i) y();',
    'await in the body of a condition': 'if (c) co_await x();\n  while (c ? a : b) { co_await x(); }',
    'choice in another statement': 'auto r = co_await x();\n  auto s = r ? 1 : 2;',
    'binding': 'auto [a, b] = co_await x();',
    'reference captures': 'co_await f([&] { return t; });\n  co_await f([&t, this] { return t; });',
    'named lambda': 'auto g = [t] { return t; };\n  co_await f(g);',
    'await in a lambda': 'auto g = [t]() -> task<int> { const int n = co_await x(t); co_return n; };',
    'index': 'co_await f(list[i]);\n  list[i] = co_await x();',
    'empty braces': 'co_await f(thing{});',
    'capital function-like name with lower case': 'Check(co_await x());',
    'in a comment': '// if (co_await x()) is wrong\n  y();',
    'in a string': 'print("if (co_await x())");',
    'excused': 'if (co_await x()) y();  // GCC PR106188',
    'operator': 'x.operator co_await();',
}


def body(code):
    return 'task<int> t() {\n  ' + code + '\n  co_return 1;\n}\n'


def findings(path, text):
    return [message for _, message in lint.lint(pathlib.PurePosixPath(path), text)]


class Awaits(unittest.TestCase):
    def test_wrong_ones_are_found(self):
        for name, code in WRONG.items():
            with self.subTest(name):
                found = findings('tests/t.cpp', body(code))
                self.assertEqual(len(found), 1, found)

    def test_right_ones_are_left_alone(self):
        for name, code in RIGHT.items():
            with self.subTest(name):
                self.assertEqual(findings('tests/t.cpp', body(code)), [])

    def test_a_finding_names_its_line(self):
        text = body('y();\n  CHECK(co_await x());')
        self.assertEqual([line for line, _ in lint.lint(pathlib.PurePosixPath('tests/t.cpp'), text)], [3])


class Includes(unittest.TestCase):
    def check(self, path, include, count):
        self.assertEqual(len(findings(path, f'#include {include}\n')), count, (path, include))

    def test_downward_is_right(self):
        self.check('net/tcp.cpp', '"../runtime/task.hpp"', 0)
        self.check('net/http/server.cpp', '"../../deferred/deferred.hpp"', 0)
        self.check('deferred/core.cpp', '"core.hpp"', 0)
        self.check('tests/net/tcp_test.cpp', '<mobius/net.hpp>', 0)

    def test_upward_is_found(self):
        self.check('runtime/task.cpp', '"../deferred/deferred.hpp"', 1)
        self.check('deferred/core.cpp', '"../net/tcp.hpp"', 1)
        self.check('runtime/testing/clock.cpp', '"../../net/tcp.hpp"', 1)

    def test_other_folders_private_parts_are_found(self):
        self.check('net/tcp.cpp', '"../runtime/detail/list.hpp"', 1)
        self.check('runtime/task.cpp', '"detail/list.hpp"', 0)

    def test_the_library_includes_itself_by_relative_paths(self):
        self.check('net/tcp.cpp', '<mobius/runtime/task.hpp>', 1)
        self.check('net/tcp.cpp', '"../tests/support/catch.hpp"', 1)


class Shape(unittest.TestCase):
    def test_a_header_needs_pragma_once(self):
        self.assertEqual(len(findings('runtime/a.hpp', '// A\nint x;\n'.replace('int x;', ''))), 1)
        self.assertEqual(findings('runtime/a.hpp', '#pragma once\n'), [])

    def test_the_limit_of_lines(self):
        self.assertEqual(findings('runtime/a.cpp', '\n' * 600), [])
        self.assertEqual(len(findings('runtime/a.cpp', '\n' * 601)), 1)

    def test_places_outside_the_project(self):
        self.assertEqual(len(findings('README.md', 'see ..' + '/shared/design.md')), 1)
        self.assertEqual(len(findings('bench/run.sh', 'cd /' + 'work/main')), 1)
        self.assertEqual(findings('runtime/a.cpp', '// a std::shared_ptr, shared/unshared work/play\n'), [])


class Documentation(unittest.TestCase):
    def check(self, code, *names):
        text = '#pragma once\nnamespace mobius {\n' + code + '\n}  // namespace mobius\n'
        self.assertEqual([message.split()[0] for message in findings('runtime/a.hpp', text)], list(names))

    def test_types_and_functions_need_a_comment(self):
        self.check('class a { int x_; };', 'a')
        self.check('template <class T>\nclass a { int x_; };', 'a')
        self.check('int f(int x);', 'f')
        self.check('inline int f(int x) { return x; }', 'f')
        self.check('enum class e { one, two };', 'e')
        self.check('using t = int;', 't')
        self.check('template <class T>\nconcept c = true;', 'c')
        self.check('template <class T>\nrequires(!is<T, int>())\nint f(T x);', 'f')
        self.check('template <class T>\nrequires is<T>\nint f(T x);', 'f')

    def test_public_members_need_one_and_private_ones_do_not(self):
        self.check('/// A.\nclass a {\n public:\n  a();\n  ~a();\n  void f();\n private:\n  void g();\n};', 'a::f')
        self.check('/// B.\nclass a::b {\n public:\n  b(int);\n  void f();\n};', 'b::f')
        self.check('/// A.\nstruct a {\n  int value;\n  void f() const { g(); }\n};', 'a::f')
        self.check('/// A.\nclass a {\n public:\n  /// F.\n  void f();\n\n  void g();  ///< G.\n};')

    def test_what_needs_none(self):
        self.check('class a;\nnamespace detail {\nint f();\n}')
        self.check('/// F.\nint f();\nint f(int);')
        self.check('inline int a::f() { return 1; }')
        self.check('template <class T>\nint a<T>::f() const {\n  return 1;\n}')
        self.check('/// A.\nclass a {\n public:\n  bool await_ready() const;\n  a(const a&) = delete;\n  '
                   'a& operator=(const a&) = delete;\n};')


    def test_a_forward_declaration_needs_none(self):
        texts = {pathlib.PurePosixPath('net/b.hpp'): 'namespace mobius {\n/// F.\nint f();\nint g();\n}\n'}
        self.assertEqual(lint.documented_names(texts), {'f'})
        text = '#pragma once\nnamespace mobius {\nint f();\n\nint h();\n}\n'
        found = list(lint.lint(pathlib.PurePosixPath('runtime/a.hpp'), text, {'f'}))
        self.assertEqual(found, [(5, 'h is public and has no /// comment')])


if __name__ == '__main__':
    unittest.main()
