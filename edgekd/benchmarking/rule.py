"""The rule of `--fail-if`: names, numbers, comparisons, `and`, `or`, `not` and parentheses; read, never evaluated.

    rule       = all-of { "or" all-of }
    all-of     = term { "and" term }
    term       = "not" term | "(" rule ")" | value operator value
    operator   = "<" | "<=" | ">" | ">=" | "==" | "!="
    value      = name | [ "-" ] number

A name may have no value (an emulator has no latency). Then a comparison with it is neither true nor false, and so is what
hangs on it (Kleene's three values).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from edgekd.errors import EdgekdError, nearest

Values = Mapping[str, float | None]
Judge = Callable[[Values], bool | None]
Value = Callable[[Values], float | None]

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
WORDS = ("and", "or", "not")
TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<sign><=|>=|==|!=|[<>()-])|(?P<wrong>\S)",
    re.ASCII,
)
MAX_CHARACTERS = 1000
MAX_DEPTH = 50  # of parentheses and nots


@dataclass(frozen=True)
class Rule:
    """A rule that was read. `judge` gives None where a name without a value leaves it open."""

    text: str
    names: frozenset[str]
    judge: Judge


@dataclass(frozen=True)
class Token:
    """A piece of the text; `kind` is number, name, sign, wrong or end, `at` its first character, counted from 1."""

    kind: str
    text: str
    at: int


def read(text: str, names: Collection[str]) -> Rule:
    """Read a rule about `names`.

    Raises: EdgekdError that says where the rule goes wrong, and which known name is nearest to an unknown one.
    """
    if len(text) > MAX_CHARACTERS:
        raise EdgekdError("--fail-if", f"at most {MAX_CHARACTERS} characters", str(len(text)))
    tokens = [Token(str(m.lastgroup), m[0], m.start() + 1) for m in TOKEN.finditer(text)]
    reader = _Reader(text, [*tokens, Token("end", "", len(text) + 1)], names)
    judge = reader.rule()
    reader.take("", "'and', 'or' or the end")
    return Rule(text, frozenset(reader.used), judge)


@dataclass
class _Reader:
    """Recursive descent, one method per line of the grammar."""

    text: str
    tokens: list[Token]
    names: Collection[str]
    used: set[str] = field(default_factory=set)
    depth: int = 0

    def rule(self) -> Judge:
        return self._chain("or", lambda: self._chain("and", self._term, False), True)

    def _chain(self, word: str, part: Callable[[], Judge], decisive: bool) -> Judge:
        """Parts joined by `word`: one that is `decisive` decides, else one that is open leaves all open."""
        parts = [part()]
        while self._is(word):
            self.take(word)
            parts.append(part())
        return parts[0] if len(parts) == 1 else lambda values: _join([p(values) for p in parts], decisive)

    def _term(self) -> Judge:
        if self._is("not"):
            self._deeper(self.take("not"))
            inner = self._term()
            self.depth -= 1
            return lambda values: None if (found := inner(values)) is None else not found
        if self._is("("):
            self._deeper(self.take("("))
            inner = self.rule()
            self.take(")", "')'")
            self.depth -= 1
            return inner
        return self._comparison()

    def _comparison(self) -> Judge:
        left = self._value()
        token = self.tokens[0]
        if token.text not in OPERATORS:
            raise self._error(token, f"one of {' '.join(OPERATORS)}")
        compare = OPERATORS[self.take(token.text).text]
        right = self._value()

        def judge(values: Values) -> bool | None:
            a, b = left(values), right(values)
            return None if a is None or b is None else compare(a, b)

        return judge

    def _value(self) -> Value:
        sign = -1.0 if self._is("-") and self.take("-") else 1.0
        token = self.tokens[0]
        if token.kind == "number":
            number = sign * float(self.take(token.text).text)
            return lambda values: number
        if token.kind != "name" or token.text in WORDS or sign < 0:
            raise self._error(token, "a number" if sign < 0 else "a name or a number")
        if token.text not in self.names:
            raise self._error(token, "a known name", nearest(token.text, self.names))
        name = self.take(token.text).text
        self.used.add(name)
        return lambda values: values[name]

    def _is(self, text: str) -> bool:
        return self.tokens[0].text == text and self.tokens[0].kind != "end"

    def take(self, text: str, expected: str = "") -> Token:
        """The next token, which must be `text` ("" is the end)."""
        if self.tokens[0].text != text:
            raise self._error(self.tokens[0], expected)
        return self.tokens.pop(0)

    def _deeper(self, token: Token) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self._error(token, f"at most {MAX_DEPTH} parentheses and nots inside each other")

    def _error(self, token: Token, expected: str, todo: str = "") -> EdgekdError:
        found = "the end" if token.kind == "end" else repr(token.text)
        return EdgekdError(f"--fail-if {self.text!r}", expected, f"{found} at character {token.at}", todo)


def _join(parts: list[bool | None], decisive: bool) -> bool | None:
    if decisive in parts:
        return decisive
    return None if None in parts else not decisive
