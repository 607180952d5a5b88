"""A rule in plain English: what `profile explain` says about when a door opens."""

from __future__ import annotations

from collections.abc import Iterable

from mdoc_reader.policy.calendar import Calendar
from mdoc_reader.policy.rule_names import Kind
from mdoc_reader.policy.rule_tree import (
    AgeOver,
    AgeUnder,
    And,
    Ask,
    Compare,
    Condition,
    Contains,
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
    Test,
    Within,
)
from mdoc_reader.policy.rule_types import kind_of

_ALL, _ANY = "all of these are so", "at least one of these is so"
_LAST = "What was not shared, or cannot be told, is neither yes nor no, and does not open."
_FLAGS = {
    Flag.VALID: ("the document is valid", "the document is not valid"),
    Flag.TRUSTED: ("the document is of a trusted issuer", "the document is not of a trusted issuer"),
    Flag.CLEAR: (
        "it is known that the document was not revoked, or it names no list and that is accepted here",
        "the document was revoked",
    ),
    Flag.OPEN: ("it is within the opening hours", "it is outside the opening hours"),
}
_RELATIONS = {
    Op.EQUAL: ("is", "is not"),
    Op.UNEQUAL: ("is not", "is"),
    Op.LESS: ("is below", "is at least"),
    Op.AT_MOST: ("is at most", "is above"),
    Op.MORE: ("is above", "is at most"),
    Op.AT_LEAST: ("is at least", "is below"),
}
_DAY_RELATIONS = {
    Op.EQUAL: ("is", "is not"),
    Op.UNEQUAL: ("is not", "is"),
    Op.LESS: ("is before", "is not before"),
    Op.AT_MOST: ("is not after", "is after"),
    Op.MORE: ("is after", "is not after"),
    Op.AT_LEAST: ("is not before", "is before"),
}


def words(tree: Condition, hours: Calendar | None = None) -> str:
    """Say when a rule opens, in sentences and a list for each `and` and `or`."""
    heading, parts = _joint(tree, negated=False)
    if heading is None:
        lines = [f"It opens only when {_phrase(tree, negated=False)}."]
    else:
        lines = [f"It opens only when {heading}:", *_listed(parts, 1)]
    lines.append(_LAST)
    if hours is not None:
        lines.append(f"Opening hours: {hours.words()}.")
    return "\n".join(lines)


def _joint(condition: Condition, *, negated: bool) -> tuple[str | None, list[tuple[Condition, bool]]]:
    """Return how the parts of a condition are joined; the opposite of all is one that is not."""
    while isinstance(condition, Not):
        condition, negated = condition.part, not negated
    if not isinstance(condition, And | Or):
        return None, []
    every = isinstance(condition, And) is not negated
    return _ALL if every else _ANY, [(part, negated) for part in condition.parts]


def _listed(parts: Iterable[tuple[Condition, bool]], depth: int) -> Iterable[str]:
    indent = "  " * depth
    for part, negated in parts:
        heading, inner = _joint(part, negated=negated)
        if heading is None:
            yield f"{indent}- {_phrase(part, negated=negated)}"
        else:
            yield f"{indent}- {heading}:"
            yield from _listed(inner, depth + 1)


def _phrase(condition: Condition, *, negated: bool) -> str:
    match condition:
        case Not(part):
            return _phrase(part, negated=not negated)
        case Ask(flag):
            return _FLAGS[flag][negated]
        case AgeOver(years):
            return f"the holder is {'younger than' if negated else 'at least'} {years} years old"
        case AgeUnder(years):
            return f"the holder is {'at least' if negated else 'younger than'} {years} years old"
        case Drives(category):
            return f"the holder may {'not ' if negated else ''}drive category {category} today"
        case Listed(name):
            return f'the document is {"not " if negated else ""}on the list "{name}"'
        case Holds(element):
            done = "withheld (which nothing can prove: this never opens)" if negated else "shared"
            return f"{_term(element)} was {done}"
        case Test(element):
            return f"{_term(element)} says {'no' if negated else 'yes'}"
        case Compare(left, op, right):
            relations = _DAY_RELATIONS if _is_day(left) or _is_day(right) else _RELATIONS
            return f"{_term(left)} {relations[op][negated]} {_term(right)}"
        case Within(term, values):
            return f"{_term(term)} is {'none of' if negated else 'one of'} {', '.join(map(_term, values))}"
        case Contains(text, element):
            return f"{_term(element)} {'does not name' if negated else 'names'} {_term(text)}"
        case And() | Or():
            return ""  # these are lists


def _is_day(term: Term) -> bool:
    return kind_of(term) is Kind.DATE


def _term(term: Term) -> str:
    match term:
        case Literal(value):
            return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(term)
        case Name(name):
            return f"the {name.replace('_', ' ')}"
        case Element(namespace, identifier):
            return f"the element {identifier} of {namespace}"
        case DocType():
            return "the kind of document"
    return "today"
