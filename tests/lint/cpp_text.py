"""Just enough of C++'s surface for the lint: text without comments and literals, brackets that
know their partner, and the statement around a position."""

import re

_TOKEN = re.compile(
    r'//[^\n]*'
    r'|/\*.*?\*/'
    r'|R"(?P<tag>[^\s()\\]{0,16})\(.*?\)(?P=tag)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-zA-Z_])'(?:\\.|[^'\\\n])*'",
    re.S)

_OPENING = {')': '(', ']': '[', '}': '{'}


def _blank(text):
    return re.sub(r'[^\n]', ' ', text)


class Code:
    """A file's code with comments and literals blanked out, position for position."""

    def __init__(self, text):
        self.source = text
        self.comments = []  # (line, text)
        self.text = self._without_directives(_TOKEN.sub(self._drop, text))
        self.partner, self.enclosing = self._brackets()

    def _drop(self, match):
        text = match.group()
        if text.startswith('/'):
            self.comments.append((self.source.count('\n', 0, match.start()) + 1, text))
            return _blank(text)
        return text[0] + _blank(text[1:-1]) + text[-1]

    @staticmethod
    def _without_directives(text):
        return re.sub(r'^[ \t]*#(?:\\\n|[^\n])*', lambda m: _blank(m.group()), text, flags=re.M)

    def _brackets(self):
        partner, enclosing, stack = {}, {}, []
        for at, char in enumerate(self.text):
            if char in '([{':
                enclosing[at] = stack[-1] if stack else None
                stack.append(at)
            elif char in ')]}' and stack and self.text[stack[-1]] == _OPENING[char]:
                begin = stack.pop()
                partner[begin], partner[at] = at, begin
        return partner, enclosing

    def line(self, at):
        return self.text.count('\n', 0, at) + 1

    def around(self, at):
        """The innermost bracket that holds `at`, or None."""
        while at > 0:
            at -= 1
            if self.text[at] in ')]}' and at in self.partner:
                at = self.partner[at]
            elif self.text[at] in '([{' and at in self.partner:
                return at
        return None

    def word_before(self, at):
        match = re.search(r'(\w+)\s*$', self.text[:at])
        return match.group(1) if match else ''

    def own_text(self, begin):
        """What stands directly inside a bracket, nested brackets left out."""
        parts, at, end = [], begin + 1, self.partner[begin]
        while at < end:
            if self.text[at] in '([{' and at in self.partner:
                at = self.partner[at]
            else:
                parts.append(self.text[at])
            at += 1
        return ''.join(parts)

    def is_block(self, brace):
        """True for a brace that holds statements, false for an initialiser."""
        return ';' in self.own_text(brace) or self._holds_statements(brace)

    def _holds_statements(self, brace):
        # A block may hold nothing but compound statements: `{ if (x) { y; } }`.
        inside = self.text[brace + 1:self.partner[brace]]
        return re.match(r'\s*(?:if|for|while|do|switch|try|case|default)\b', inside) is not None

    def statement(self, at):
        """Begin and end of the full expression's statement around `at`."""
        begin = at
        while begin > 0:
            char = self.text[begin - 1]
            if char in ')]' and begin - 1 in self.partner:
                begin = self.partner[begin - 1]
                continue
            if char == '}' and begin - 1 in self.partner:
                brace = self.partner[begin - 1]
                if self.around(brace) is None or self.text[self.around(brace)] == '{':
                    if self.is_block(brace) or not self.text[brace + 1:begin - 1].strip():
                        break
                begin = brace
                continue
            if char == ';':
                break
            if char == '{' and self.is_block(begin - 1):
                break
            begin -= 1
        end = at
        while end < len(self.text):
            char = self.text[end]
            if char in '([{' and end in self.partner:
                end = self.partner[end] + 1
                continue
            if char == ';' or (char == '}' and end in self.partner and self.is_block(self.partner[end])):
                break
            end += 1
        return begin, end
