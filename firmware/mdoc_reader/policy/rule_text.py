"""Rules as text: tokens and a parser that descends, with bounds. A refusal says where, what, and what would be right.

rule       = all { "or" all }
all        = one { "and" one }
one        = "not" one | "(" rule ")" | question
question   = atom | term op term | term ["not"] "in" "[" literal { "," literal } "]" | text ["not"] "in" term
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date

from mdoc_reader.policy import rule_types
from mdoc_reader.policy.days import strict_date
from mdoc_reader.policy.rule_names import KINDS
from mdoc_reader.policy.rule_tree import (
    MAX_AGE,
    MAX_DEPTH,
    MAX_NODES,
    AgeOver,
    AgeUnder,
    And,
    Ask,
    Condition,
    DocType,
    Drives,
    Element,
    Flag,
    Holds,
    Listed,
    Literal,
    Name,
    Not,
    Op,
    Or,
    Term,
    Today,
)

MAX_TEXT = 4096
_MAX_DIGITS = 10
_MAX_STRING = 256
_SHOWN = 40
_KEYWORDS = ("and", "or", "not", "in", "true", "false")
_CALLS = ("age_over", "age_under", "drives", "listed", "holds", "element")
_FLAGS = {flag.value: flag for flag in Flag}
_TERMS: dict[str, Term] = {"document.doctype": DocType(), "today": Today()}
_WORDS = (*_KEYWORDS, *_CALLS, *_FLAGS, *_TERMS, *KINDS)
_OPS = {op.value: op for op in Op}
_SYMBOLS = ("==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", ",")
_FOREIGN = {"=": "'=='", "&": "'and'", "|": "'or'", "!": "'not', or '!=' between two values", "-": "no minus"}
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_DIGITS = frozenset("0123456789")


class RuleError(ValueError):
    """A rule that cannot be used.

    Attributes:
        line, column: where, from 1.
        found: what stands there, shortened.
        right: what would be right.
    """

    def __init__(self, line: int, column: int, found: str, right: str) -> None:
        """Keep the parts."""
        self.line = line
        self.column = column
        self.found = found
        self.right = right
        super().__init__(line, column, found, right)

    def __str__(self) -> str:
        """Return one sentence."""
        return f"line {self.line}, column {self.column}: found {self.found}; {self.right}"


@dataclass(frozen=True, slots=True)
class _Token:
    """A piece of a rule. `value` is set for literals alone."""

    kind: str  # "name", "value", "symbol", "end"
    text: str
    at: int
    value: str | int | date | None = None


def parse(text: str, lists: Collection[str] | None = None, *, hours: bool = True) -> Condition:
    """Read a rule. Raises RuleError.

    Args:
        text: the rule.
        lists: the names that `listed` may give; None for any.
        hours: whether there are opening hours, for `open_now`.
    """
    if len(text) > MAX_TEXT:
        raise RuleError(1, 1, f"{len(text)} characters", f"a rule has at most {MAX_TEXT}")
    return _Parser(text, lists, hours=hours).whole()


def _fail(text: str, at: int, found: str, right: str) -> RuleError:
    line = text.count("\n", 0, at) + 1
    return RuleError(line, at - (text.rfind("\n", 0, at) + 1) + 1, found, right)


def _show(text: str) -> str:
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return repr(shown)


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char in " \t\r\n":
            at += 1
        elif char == "#":
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
        else:
            token, at = _token(text, at)
            found.append(token)
    found.append(_Token("end", "", len(text)))
    return found


def _token(text: str, at: int) -> tuple[_Token, int]:
    char = text[at]
    if char in _LETTERS:
        end = _run(text, at, _LETTERS | _DIGITS | {"."})
        return _Token("name", text[at:end], at), end
    if char in _DIGITS:
        return _number(text, at)
    if char in "\"'":
        return _string(text, at)
    for symbol in _SYMBOLS:
        if text.startswith(symbol, at):
            return _Token("symbol", symbol, at), at + len(symbol)
    hint = f"this is written {_FOREIGN[char]}" if char in _FOREIGN else "a rule has names, numbers, dates and texts"
    if char == "-":
        hint = "numbers have no sign here; dates are written 2026-12-31"
    raise _fail(text, at, _show(char), hint)


def _run(text: str, at: int, allowed: Collection[str]) -> int:
    while at < len(text) and text[at] in allowed:
        at += 1
    return at


def _number(text: str, at: int) -> tuple[_Token, int]:
    end = _run(text, at, _DIGITS | {"-"})
    word = text[at:end]
    if "-" in word:
        day = strict_date(word)
        if day is None:
            raise _fail(text, at, _show(word), "no such date; dates are written 2026-12-31")
        return _Token("value", word, at, day), end
    if end < len(text) and text[end] in _LETTERS | {"."}:
        raise _fail(text, at, _show(text[at : end + 1]), "numbers are whole, and a blank stands behind them")
    if len(word) > _MAX_DIGITS:
        raise _fail(text, at, _show(word), f"a number has at most {_MAX_DIGITS} digits")
    return _Token("value", word, at, int(word)), end


def _string(text: str, start: int) -> tuple[_Token, int]:
    quote, at = text[start], start + 1
    value: list[str] = []
    while at < len(text) and text[at] != quote:
        char = text[at]
        if char == "\\":
            at += 1
            char = text[at] if at < len(text) else ""
            if char not in {"\\", '"', "'"}:
                raise _fail(text, at - 1, _show(f"\\{char}"), "in a text only \\\\, \\\" and \\' are written with \\")
        if not char.isprintable():
            raise _fail(text, at, _show(char), "a text has printable characters on one line")
        value.append(char)
        at += 1
        if len(value) > _MAX_STRING:
            raise _fail(text, start, "a long text", f"a text has at most {_MAX_STRING} characters")
    if at >= len(text):
        raise _fail(text, start, "a text without its end", f"it ends with {quote}")
    return _Token("value", text[start : at + 1], start, "".join(value)), at + 1


class _Parser:
    """One token ahead, never back."""

    def __init__(self, text: str, lists: Collection[str] | None, *, hours: bool) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._next = 0
        self._nodes = 0
        self._lists = lists
        self._hours = hours

    @property
    def _ahead(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        if token.kind != "end":
            self._next += 1
        return token

    def _is(self, *texts: str) -> bool:
        return self._ahead.kind in {"name", "symbol"} and self._ahead.text in texts

    def _wrong(self, token: _Token, right: str) -> RuleError:
        found = "the end of the rule" if token.kind == "end" else _show(token.text)
        return _fail(self._text, token.at, found, right)

    def _node(self, token: _Token) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._wrong(token, f"the rule is too long; it may ask and compare {MAX_NODES} things")

    def whole(self) -> Condition:
        """Read the rule up to its end."""
        if self._ahead.kind == "end":
            raise self._wrong(self._ahead, "a rule asks something, for example age_over(18) and document.valid")
        tree = self._any(0)
        if self._ahead.kind != "end":
            raise self._wrong(self._ahead, _behind(self._ahead))
        return tree

    def _any(self, depth: int) -> Condition:
        return self._series("or", Or, self._all, depth)

    def _all(self, depth: int) -> Condition:
        return self._series("and", And, self._one, depth)

    def _series(self, word: str, kind: type[And | Or], part: Callable[[int], Condition], depth: int) -> Condition:
        parts = [part(depth)]
        while self._is(word):
            self._node(self._take())
            parts.append(part(depth))
        return parts[0] if len(parts) == 1 else kind(tuple(parts))

    def _one(self, depth: int) -> Condition:
        if not self._is("not", "("):
            return self._question()
        opening = self._take()
        if depth == MAX_DEPTH:
            raise self._wrong(opening, f"brackets and 'not' go at most {MAX_DEPTH} deep")
        if opening.text == "not":
            self._node(opening)
            return Not(self._one(depth + 1))
        inner = self._any(depth + 1)
        if not self._is(")"):
            right = "the bracket is closed with ')'" if self._ahead.kind == "end" else _behind(self._ahead)
            raise self._wrong(self._ahead, right)
        self._take()
        self._no_comparison("what stands in brackets")
        return inner

    def _question(self) -> Condition:
        start = self._ahead
        left = self._atom()
        if not isinstance(left, Literal | Name | Element | DocType | Today):
            self._no_comparison(start.text)
            return left
        operator = self._ahead
        if operator.kind == "symbol" and operator.text in _OPS:
            self._take()
            right = self._term("a value to compare with")
            made: Condition | str = rule_types.compared(left, _OPS[operator.text], right)
            if self._ahead.kind == "symbol" and self._ahead.text in _OPS:
                raise self._wrong(self._ahead, "one comparison at a time; join two with 'and'")
        elif self._is("in", "not"):
            return self._membership(left)
        else:
            operator, made = start, rule_types.tested(left)
        if isinstance(made, str):
            raise self._wrong(operator, made)
        return made

    def _membership(self, left: Term) -> Condition:
        negated = self._is("not")
        if negated:
            self._node(self._take())
            if not self._is("in"):
                raise self._wrong(self._ahead, "between two values stands a comparison such as ==, 'in' or 'not in'")
        operator = self._take()
        if self._is("["):
            made: Condition | str = rule_types.within(left, self._literals())
        elif isinstance(left, Literal):
            made = rule_types.contains(left, self._term("a list, such as nationality"))
        else:
            raise self._wrong(self._ahead, 'behind \'in\' stands a list, such as ["DE", "AT"]')
        if isinstance(made, str):
            raise self._wrong(operator, made)
        return Not(made) if negated else made

    def _literals(self) -> list[Literal]:
        self._take()
        values: list[Literal] = []
        while not self._is("]"):
            if values:
                self._need(",", "values of a list are parted by ',' and end with ']'")
            token = self._ahead
            term = self._term("a text, a number or a date")
            if not isinstance(term, Literal):
                raise self._wrong(token, "a list holds fixed values: texts, numbers or dates")
            values.append(term)
        self._take()
        return values

    def _need(self, symbol: str, right: str) -> None:
        if not self._is(symbol):
            raise self._wrong(self._ahead, right)
        self._take()

    def _no_comparison(self, what: str) -> None:
        if self._ahead.text in _OPS or self._is("in"):
            raise self._wrong(self._ahead, f"{what} is a yes or a no already: leave the comparison out, or write 'not'")

    def _term(self, wanted: str) -> Term:
        token = self._ahead
        found = self._atom(wanted)
        if not isinstance(found, Literal | Name | Element | DocType | Today):
            raise self._wrong(token, f"here stands {wanted}")
        return found

    def _atom(self, wanted: str = "a question, such as age_over(18)") -> Term | Condition:
        token = self._take()
        self._node(token)
        if token.kind == "value":
            if token.value is None:
                raise self._wrong(token, f"here stands {wanted}")
            return Literal(token.value)
        word = token.text
        if token.kind != "name" or word in {"and", "or", "not", "in"}:
            raise self._wrong(token, f"here stands {wanted}")
        if word in {"true", "false"}:
            return Literal(word == "true")
        if word in _CALLS:
            return self._call(token)
        if self._is("(") and word not in _CALLS:
            raise self._wrong(token, _meant(word, _CALLS, "what takes brackets is"))
        if word in _FLAGS:
            if _FLAGS[word] is Flag.OPEN and not self._hours:
                raise self._wrong(token, "there are no opening hours here; set some, or leave this out")
            return Ask(_FLAGS[word])
        if word in _TERMS:
            return _TERMS[word]
        if word in KINDS:
            return Name(word)
        if word.startswith("age_over_"):
            years = word.removeprefix("age_over_")
            number = years if years.isdigit() and 0 < int(years[:3]) <= MAX_AGE else "18"
            raise self._wrong(
                token, f"this is written age_over({number}): phones answer with the nearest age they have"
            )
        raise self._wrong(token, _meant(word, _WORDS, "known are, among others,"))

    def _call(self, called: _Token) -> Term | Condition:
        word = called.text
        self._need("(", f"{word} takes what it asks for in brackets, as in {_EXAMPLES[word]}")
        given: list[_Token] = []
        while not self._is(")"):
            if given:
                self._need(",", f"it is written {_EXAMPLES[word]}")
            token = self._take()
            if token.kind != "value":
                raise self._wrong(token, f"it is written {_EXAMPLES[word]}")
            given.append(token)
        closing = self._take()
        values = [token.value for token in given]
        wrong = given[0] if given else closing
        match word, values:
            case ("age_over" | "age_under", [int(years)]):
                if not 1 <= years <= MAX_AGE:
                    raise self._wrong(wrong, f"an age is a number from 1 to {MAX_AGE}")
                return AgeOver(years) if word == "age_over" else AgeUnder(years)
            case ("drives", [str(category)]):
                if not (
                    category.isascii() and category.isalnum() and category == category.upper() and len(category) <= 8
                ):
                    raise self._wrong(wrong, 'a category is written in capital letters, as in drives("B")')
                return Drives(category)
            case ("listed", [str(name)]):
                if self._lists is not None and name not in self._lists:
                    known = sorted(self._lists)
                    right = _meant(name, known, "the lists are") if known else "no list is set up here"
                    raise self._wrong(wrong, right)
                return Listed(name)
            case ("holds", [str(name)]):
                if name not in KINDS:
                    raise self._wrong(
                        wrong,
                        _meant(
                            name,
                            tuple(KINDS),
                            'elements of other names are written holds("namespace", "identifier"); known are',
                        ),
                    )
                return Holds(Name(name))
            case ("holds", [str(namespace), str(identifier)]):
                return Holds(Element(namespace, identifier))
            case ("element", [str(namespace), str(identifier)]):
                return Element(namespace, identifier)
        raise self._wrong(wrong, f"it is written {_EXAMPLES[word]}")


_EXAMPLES = {
    "age_over": "age_over(18)",
    "age_under": "age_under(16)",
    "drives": 'drives("B")',
    "listed": 'listed("staff")',
    "holds": 'holds("portrait")',
    "element": 'element("org.iso.18013.5.1", "sex")',
}


def _meant(word: str, known: Collection[str], otherwise: str) -> str:
    close = difflib.get_close_matches(word[:64], known, 1) or difflib.get_close_matches(word[:64].lower(), known, 1)
    return f"did you mean {close[0]!r}?" if close else f"{otherwise} {', '.join(list(known)[:12])}"


def _behind(token: _Token) -> str:
    if token.text == ")":
        return "there is no bracket to close"
    close = difflib.get_close_matches(token.text[:16].lower(), ("and", "or", "in", "not"), 1)
    if token.kind == "name" and close:
        return f"did you mean {close[0]!r}?"
    return "between two questions stands 'and' or 'or'"
