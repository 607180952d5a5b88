"""A rule as a tree of values, and how it is written: printing a tree and reading it again gives the same tree."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import Enum

MAX_DEPTH = 16
"""Brackets and `not` inside one another."""
MAX_NODES = 256
"""Conditions, names and literals in one rule."""
MAX_AGE = 99
"""age_over_NN has two digits."""

Value = bool | int | str | date


class Flag(Enum):
    """Questions without an argument, by the word that asks them."""

    VALID = "document.valid"
    TRUSTED = "document.trusted"
    CLEAR = "status.clear"
    OPEN = "open_now"


class Op(Enum):
    """Comparisons."""

    EQUAL = "=="
    UNEQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="


# Terms: what has a value.


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that the rule names."""

    value: Value

    def __str__(self) -> str:
        """Return it as a rule writes it."""
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        return quoted(self.value) if isinstance(self.value, str) else str(self.value)


@dataclass(frozen=True, slots=True)
class Name:
    """An element by its short name."""

    name: str

    def __str__(self) -> str:
        """Return the name."""
        return self.name


@dataclass(frozen=True, slots=True)
class Element:
    """An element by its full name."""

    namespace: str
    identifier: str

    def __str__(self) -> str:
        """Return it as a rule writes it."""
        return f"element({quoted(self.namespace)}, {quoted(self.identifier)})"


@dataclass(frozen=True, slots=True)
class DocType:
    """The document's type."""

    def __str__(self) -> str:
        """Return its word."""
        return "document.doctype"


@dataclass(frozen=True, slots=True)
class Today:
    """The day it is at the site."""

    def __str__(self) -> str:
        """Return its word."""
        return "today"


Term = Literal | Name | Element | DocType | Today

# Conditions: what is so, is not so, or is not known.


@dataclass(frozen=True, slots=True)
class Ask:
    """A question without an argument."""

    flag: Flag


@dataclass(frozen=True, slots=True)
class AgeOver:
    """The holder has reached an age."""

    years: int


@dataclass(frozen=True, slots=True)
class AgeUnder:
    """The holder has not reached an age."""

    years: int


@dataclass(frozen=True, slots=True)
class Drives:
    """The holder may drive a category today."""

    category: str


@dataclass(frozen=True, slots=True)
class Listed:
    """The document is on a list of the site."""

    name: str


@dataclass(frozen=True, slots=True)
class Holds:
    """An element was shared. Never false: what was not shared is not known."""

    element: Name | Element


@dataclass(frozen=True, slots=True)
class Test:
    """An element that is itself a yes or a no."""

    element: Element


@dataclass(frozen=True, slots=True)
class Compare:
    """Two values, compared."""

    left: Term
    op: Op
    right: Term


@dataclass(frozen=True, slots=True)
class Within:
    """A value that is one of those listed."""

    term: Term
    values: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Contains:
    """A list of the document that holds a text."""

    text: Literal
    element: Name | Element


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    part: Condition


@dataclass(frozen=True, slots=True)
class And:
    """All of two or more."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One at least of two or more."""

    parts: tuple[Condition, ...]


Condition = Ask | AgeOver | AgeUnder | Drives | Listed | Holds | Test | Compare | Within | Contains | Not | And | Or


def quoted(text: str) -> str:
    """Return a text as a rule writes it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def written(condition: Condition) -> str:
    """Return a condition as a rule writes it, on one line, with no bracket too many."""
    match condition:
        case Ask(flag):
            return str(flag.value)
        case AgeOver(years):
            return f"age_over({years})"
        case AgeUnder(years):
            return f"age_under({years})"
        case Drives(category):
            return f"drives({quoted(category)})"
        case Listed(name):
            return f"listed({quoted(name)})"
        case Holds(element):
            names = (element.name,) if isinstance(element, Name) else (element.namespace, element.identifier)
            return f"holds({', '.join(map(quoted, names))})"
        case Test(element):
            return str(element)
        case Compare(left, op, right):
            return f"{left} {op.value} {right}"
        case Within(term, values):
            return f"{term} in [{', '.join(map(str, values))}]"
        case Contains(text, element):
            return f"{text} in {element}"
        case Not(part):
            return f"not {_bracketed(part, And, Or)}"
        case And(parts):
            return " and ".join(_bracketed(part, And, Or) for part in parts)
        case Or(parts):
            return " or ".join(_bracketed(part, Or) for part in parts)


def _bracketed(part: Condition, *kinds: type[And | Or]) -> str:
    return f"({written(part)})" if isinstance(part, kinds) else written(part)


def conditions(condition: Condition, *, negated: bool = False) -> list[tuple[Condition, bool]]:
    """Return the questions of a rule in their order, each with whether its opposite is asked for."""
    match condition:
        case Not(part):
            return conditions(part, negated=not negated)
        case And(parts) | Or(parts):
            return [each for part in parts for each in conditions(part, negated=negated)]
        case _:
            return [(condition, negated)]
