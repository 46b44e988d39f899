#!/usr/bin/env python3
"""The source lint: what compilers and formatters do not see. Usage: lint.py [<checkout>]

Awaits where g++ 12 breaks them, includes that point upward, headers without #pragma once, files
over 600 lines, public names without a comment, and paths that exist on one machine only."""

import pathlib
import re
import subprocess
import sys

import await_rules
import doc_rules
from cpp_text import Code

LAYERS = ['runtime', 'deferred', 'net']
MAX_LINES = 600
OUTSIDE = re.compile(r'\.\./' r'shared\b|(?<![\w.$}])/(?:work|farm)/')


def sources(root):
    """Every file of the checkout that is, or is about to be, under version control."""
    command = ['git', '-c', 'safe.directory=*', '-C', str(root), 'ls-files', '-co', '--exclude-standard', '-z']
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [pathlib.PurePosixPath(name) for name in sorted(set(listed.split('\0'))) if name]


def check_includes(path, text):
    """runtime <- deferred <- net, by relative paths."""
    if path.parts[0] not in LAYERS:
        return
    rank = LAYERS.index(path.parts[0])
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if not match:
            continue
        if match[1] == '<':
            if match[2].startswith('mobius/'):
                yield number, f'<{match[2]}>: includes inside the library are relative'
            continue
        target = _resolve(path.parent, match[2])
        if target is None or target.parts[0] not in LAYERS:
            yield number, f'"{match[2]}" lies outside the library'
        elif LAYERS.index(target.parts[0]) > rank:
            yield number, f'"{match[2]}" points upward: {path.parts[0]} may not include {target.parts[0]}'
        elif 'detail' in target.parts and target.parts[0] != path.parts[0]:
            yield number, f'"{match[2]}" is private to {target.parts[0]}'


def _resolve(folder, include):
    parts = list(folder.parts)
    for part in pathlib.PurePosixPath(include).parts:
        if part != '..':
            parts.append(part)
        elif parts:
            parts.pop()
        else:
            return None
    return pathlib.PurePosixPath(*parts)


def check_shape(path, text):
    lines = text.count('\n')
    if lines > MAX_LINES:
        yield lines, f'{lines} lines: split it, {MAX_LINES} is the limit'
    if path.suffix == '.hpp' and not re.search(r'^#pragma once$', text, re.M):
        yield 1, 'a header without #pragma once'


def check_outside(text):
    for number, line in enumerate(text.splitlines(), 1):
        if OUTSIDE.search(line):
            yield number, 'names a place outside the project'


def is_public_header(path):
    return path.parts[0] in LAYERS and path.suffix == '.hpp'


def documented_names(texts):
    """Names that a header of the library documents."""
    names = set()
    for path, text in texts.items():
        if is_public_header(path):
            names.update(name for _, name, commented in doc_rules.declarations(Code(text)) if commented)
    return names


def lint(path, text, known=()):
    """All findings for one file, as (line, message)."""
    yield from check_outside(text)
    if path.suffix not in ('.hpp', '.cpp', '.h', '.c'):
        return
    yield from check_shape(path, text)
    yield from check_includes(path, text)
    code = Code(text)
    yield from await_rules.check(code)
    if is_public_header(path):
        yield from doc_rules.check(code, known)


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2])
    texts = {}
    for path in sources(root):
        try:
            texts[path] = (root / path).read_text(encoding='utf-8')
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
    known = documented_names(texts)
    findings = [(path, line, message) for path, text in texts.items()
                for line, message in sorted(lint(path, text, known))]
    for path, line, message in findings:
        print(f'{path}:{line}: {message}')
    print(f'lint: {len(findings)} findings in {len(texts)} files')
    return 1 if findings else 0


if __name__ == '__main__':
    sys.exit(main())
