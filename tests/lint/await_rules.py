"""Where a co_await must not stand, because g++ 12 compiles it wrong without a word. A line whose
comment names the bug ("GCC PR...", "GCC testsuite: ...") is wrong, or known to be right, on purpose."""

import re

_DECLARATION = re.compile(r'^\s*(?:const\s+|constexpr\s+)?[\w:][\w:<>,\s*&]*[\s&*]+(?:\w+|\[[\w\s,]*\])\s*=[^=]')
_MACRO = re.compile(r'^[A-Z][A-Z0-9_]+$')
_LAMBDA = re.compile(r'\[(?!\[)([^\[\]]*)\](?=\s*(?:[({<]|mutable\b|noexcept\b|->))')


def check(code):
    """Yields (line, message) for every await that must be written differently."""
    excused = {line for line, text in code.comments if re.search(r'GCC (?:PR|testsuite)', text)}
    seen = set()
    for match in re.finditer(r'(?<!operator )\bco_await\b', code.text):
        begin, end = code.statement(match.start())
        first = begin + len(code.text[begin:]) - len(code.text[begin:].lstrip())
        if excused & set(range(code.line(first), code.line(end) + 1)):
            continue
        for message in _faults(code, match.start(), begin, end):
            finding = (code.line(match.start()), message)
            if finding not in seen:
                seen.add(finding)
                yield finding


def _faults(code, at, begin, end):
    yield from _faults_of_place(code, at)
    yield from _faults_of_company(code, at, begin, end)


def _faults_of_place(code, at):
    inner = at
    while (bracket := code.around(inner)) is not None:
        if code.text[bracket] == '{':
            if code.is_block(bracket):
                if code.text[:bracket].rstrip().endswith('('):
                    yield 'co_await in a statement expression: g++ 12 stops with an internal error'
                return
            yield 'co_await in braces: name the awaited value on the line before (GCC PR99576)'
        elif code.text[bracket] == '(':
            word = code.word_before(bracket)
            if word in ('if', 'while', 'switch', 'for') and _in_condition(code, bracket, at, word):
                yield f'co_await in the condition of {word}: name the awaited value first, or declare it ' \
                      'there (GCC PR106188)'
                return
            if _MACRO.match(word):
                yield f'co_await inside {word}(): name the awaited value first; macros may repeat their ' \
                      'argument (GCC PR112360)'
        inner = bracket


def _in_condition(code, bracket, at, word):
    parts = _parts(code, bracket)
    if word == 'for':
        return len(parts) == 3 and parts[1][0] <= at < parts[1][1]
    begin, end = parts[-1]
    return begin <= at < end and not _DECLARATION.match(code.text[begin:end])


def _parts(code, bracket):
    """The pieces between the semicolons directly inside a bracket."""
    parts, begin, at, end = [], bracket + 1, bracket + 1, code.partner[bracket]
    while at < end:
        if code.text[at] in '([{' and at in code.partner:
            at = code.partner[at]
        elif code.text[at] == ';':
            parts.append((begin, at))
            begin = at + 1
        at += 1
    return parts + [(begin, end)]


def _faults_of_company(code, at, begin, end):
    text = _without_blocks(code, begin, end, at)
    if re.search(r'\?', text):
        yield 'co_await beside ?: in one expression: name the awaited value first (GCC PR99576)'
    for match in _LAMBDA.finditer(text):
        before = text[:match.start()].rstrip()
        if re.search(r'[\w\])]$', before) and not re.search(r'\b(?:co_await|co_return|return)$', before):
            continue
        if any(_by_value(capture) for capture in match.group(1).split(',')):
            yield 'a lambda that captures by value in the expression of a co_await: name the lambda first ' \
                  '(GCC PR99576)'
    for match in re.finditer(r'\{', text):
        brace = begin + match.start()
        if brace not in code.partner or code.partner[brace] > end or brace < at < code.partner[brace]:
            continue
        if not code.is_block(brace) and code.text[brace + 1:code.partner[brace]].strip():
            yield 'a braced temporary in the expression of a co_await: name it first (GCC PR99576)'
            return


def _by_value(capture):
    capture = capture.strip()
    return bool(capture) and not capture.startswith('&') and capture != 'this'


def _without_blocks(code, begin, end, at):
    """The statement's text with the bodies of its lambdas blanked, position for position."""
    text = list(code.text[begin:end])
    for offset, char in enumerate(code.text[begin:end]):
        brace = begin + offset
        if char == '{' and brace in code.partner and code.is_block(brace):
            for inside in range(brace + 1, min(code.partner[brace], end)):
                if code.text[inside] != '\n':
                    text[inside - begin] = ' '
    # A condition's own parentheses end the expression: what follows is another statement.
    head = re.match(r'\s*(?:\}\s*)?(?:else\s+)?(?:if|while|switch|for)\s*(?:constexpr\s*)?\(', ''.join(text))
    if head:
        close = code.partner.get(begin + head.end() - 1)
        if close is not None:
            keep = range(begin, close + 1) if at < close else range(close + 1, end)
            text = [c if begin + i in keep or c == '\n' else ' ' for i, c in enumerate(text)]
    return ''.join(text)
