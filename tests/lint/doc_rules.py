"""Every public type and function carries a `///` comment; constructors and plain data members may
share their class's. A scan of declarations, not a parser: what it cannot read it lets pass."""

import re

# Names whose meaning is fixed by the language or by the coroutine protocol.
_KNOWN = re.compile(r'^(?:await_ready|await_suspend|await_resume|suspend|outcome|begin|end|swap|hash|what|'
                    r'tuple_size|tuple_element|promise_type|operator.*)$')
_SKIPPED = re.compile(r'^(?:using\s+namespace|using\s+[\w:]+::\w+\s*;|friend\b|static_assert\b|extern\s+"|'
                      r'template\s*<\s*>|template\s+class\b|public\s*:|private\s*:|protected\s*:|#)')
_CLASS = re.compile(r'\b(?:class|struct|union|enum(?:\s+class)?)\s+(?:\[\[[^\]]*\]\]\s*)?'
                    r'(?:alignas\s*\([^)]*\)\s*)?(?:\w+::)*(\w+)')


def declarations(code):
    """Yields (line, name, whether it has a comment) for every public declaration."""
    documented = {line for line, text in code.comments if text.startswith('//')}
    yield from _scope(code, documented, 0, len(code.text), None)


def check(code, known=()):
    """Yields (line, message) for every public declaration without a comment; `known` names are
    documented in another header, so that a forward declaration needs none."""
    for line, name, commented in declarations(code):
        if not commented and name not in known:
            yield line, f'{name} is public and has no /// comment'


def _scope(code, documented, begin, end, owner):
    """`owner` is the class whose members are scanned, or None in a namespace."""
    public = True
    previous_name = None
    for first, last in _declarations(code, begin, end):
        text = code.text[first:last]
        while label := re.match(r'\s*(public|private|protected)\s*:(?!:)', text):
            public = label[1] == 'public'
            first += label.end()
            text = code.text[first:last]
        lead = len(text) - len(text.lstrip())
        first, text = first + lead, text.strip()
        if not text or not public:
            continue
        brace = _first_brace(code, first, last)
        head = code.text[first:brace if brace is not None else last]
        namespace = re.match(r'(?:inline\s+)?namespace\b\s*([\w:]*)', head)
        if namespace:
            if brace is not None and 'detail' not in namespace[1] and namespace[1]:
                yield from _scope(code, documented, brace + 1, code.partner[brace], None)
            continue
        name = _name(head, brace, owner)
        if name is None or _SKIPPED.match(text):
            continue
        line = code.line(first)
        lines = range(line - 1, code.line(first + len(head)) + 1)
        if name != previous_name and not _KNOWN.match(name):
            full = f'{owner}::{name}' if owner else name
            yield line, full, any(n in documented for n in lines)
        previous_name = name
        kind = _CLASS.match(_without_template(head).strip())
        if brace is not None and kind and 'enum' not in kind[0]:
            yield from _class(code, documented, brace, name, not kind[0].startswith('class'))


def _class(code, documented, brace, name, public):
    begin = brace + 1
    if not public:
        label = re.search(r'^\s*public\s*:', code.text[begin:code.partner[brace]], re.M)
        if not label:
            return
        begin += label.start()
    yield from _scope(code, documented, begin, code.partner[brace], name)


def _declarations(code, begin, end):
    """Spans of the declarations directly between two positions."""
    first = at = begin
    while at < end:
        char = code.text[at]
        if char in '([{' and at in code.partner:
            close = code.partner[at]
            if char == '{' and not re.match(r'\s*[;,({=]', code.text[close + 1:end]):
                yield first, close + 1
                first = close + 1
            at = close + 1
            continue
        if char == ';':
            yield first, at + 1
            first = at + 1
        at += 1


def _first_brace(code, begin, end):
    at = begin
    while at < end:
        if code.text[at] in '([' and at in code.partner:
            at = code.partner[at]
        elif code.text[at] == '{':
            return at if at in code.partner else None
        at += 1
    return None


def _without_template(head):
    head = re.sub(r'\[\[.*?\]\]', '', head, flags=re.S)
    while match := re.match(r'\s*template\s*<', head):
        depth, at = 1, match.end()
        while at < len(head) and depth:
            depth += {'<': 1, '>': -1}.get(head[at], 0)
            at += 1
        head = head[at:]
    return re.sub(r'^\s*requires\s*(?:\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)|[^\n]*\n)', '', head)


def _name(head, brace, owner):
    """The declared name, or None for what needs no comment."""
    head = _without_template(head).strip()
    if re.search(r'=\s*(?:delete|default)\s*;?$', head):
        return None
    kind = _CLASS.match(head)
    if kind:
        return kind[1] if brace is not None else None
    match = re.match(r'(?:using|concept)\s+(\w+)\s*=', head)
    if match:
        return None if owner else match[1]
    match = re.search(r'(~?\b[\w:]+|\boperator\s*[^\s(]+(?:\s*\(\s*\))?)\s*\(', head)
    if match:
        name = match[1]
        if '::' in name or head[:match.start()].endswith('::') or name.startswith('~'):
            return None
        if name == owner:
            return None
        return re.sub(r'\s+', ' ', name)
    match = re.search(r'(\w+)\s*(?:=[^=].*)?;?$', head, re.S)
    return match[1] if match and not owner and '::' not in head.split('=')[0].split()[-1] else None
