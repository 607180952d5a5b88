"""The types of rules: what can be compared with what. Whatever passes here can be judged and never fails."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from mdoc_reader.policy.rule_names import KINDS, Kind
from mdoc_reader.policy.rule_tree import Compare, Contains, Element, Literal, Name, Op, Term, Test, Within

COUNTRY = "issuing_country"
_ORDERED = {Kind.INT, Kind.DATE}
_EQUALS = {Op.EQUAL, Op.UNEQUAL}


def kind_of(term: Term) -> Kind:
    """Return what a term is."""
    match term:
        case Literal(value):
            if isinstance(value, bool):
                return Kind.BOOL
            if isinstance(value, int):
                return Kind.INT
            return Kind.DATE if isinstance(value, date) else Kind.TEXT
        case Name(name):
            return KINDS[name]
        case Element():
            return Kind.ANY
    return Kind.DATE if str(term) == "today" else Kind.TEXT


def compared(left: Term, op: Op, right: Term) -> Compare | str:
    """Return a comparison, or what is wrong with it and what would be right."""
    kinds = kind_of(left), kind_of(right)
    if isinstance(left, Literal) and isinstance(right, Literal):
        return "two fixed values; one side names what the document says"
    for term, kind in zip((left, right), kinds, strict=True):
        if kind is Kind.OTHER:
            return f"{term} cannot be compared; ask holds({str(term)!r}) whether it was shared".replace("'", '"')
        if kind is Kind.LIST:
            return f'{term} may hold several values; write "DE" in {term}'
    if kinds == (Kind.ANY, Kind.ANY):
        return "two elements by their full names; one side must be a fixed value, so that its type is known"
    if Kind.ANY not in kinds and kinds[0] is not kinds[1]:
        return f"{left} is {kinds[0].value} and {right} is {kinds[1].value}; both sides must be of one type"
    kind = kinds[1] if kinds[0] is Kind.ANY else kinds[0]
    if Kind.ANY in kinds and not (isinstance(left, Literal) or isinstance(right, Literal)):
        return "an element by its full name is compared with a fixed value, so that its type is known"
    if op not in _EQUALS and kind not in _ORDERED:
        return (
            f"{kind.value} has no order; only numbers and dates are compared with '{op.value}', all else with == or !="
        )
    for term, other in ((left, right), (right, left)):
        if term == Name(COUNTRY) and isinstance(other, Literal) and not _country(other.value):
            return f'{other} is no country code; one is written "DE"'
    return Compare(left, op, right)


def within(term: Term, values: Sequence[Literal]) -> Within | str:
    """Return a membership in fixed values, or what is wrong with it and what would be right."""
    if isinstance(term, Literal):
        return "two fixed values; in front of 'in' stands what the document says"
    if not values:
        return 'an empty list; it takes one value at least, such as ["DE", "AT"]'
    for value in values:
        found = compared(term, Op.EQUAL, value)
        if isinstance(found, str):
            return found
        if kind_of(value) is not kind_of(values[0]):
            return f"{values[0]} is {kind_of(values[0]).value} and {value} is not; a list is of one type"
    return Within(term, tuple(values))


def contains(text: Literal, term: Term) -> Contains | str:
    """Return a membership in a list of the document, or what is wrong with it and what would be right."""
    if isinstance(term, Name | Element) and kind_of(term) in {Kind.LIST, Kind.ANY}:
        if isinstance(text.value, str):
            return Contains(text, term)
        return f"{text} is no text; {term} holds texts"
    return f"{term} is {kind_of(term).value} and no list; write {term} == {text}"


def tested(term: Term) -> Test | str:
    """Return a term that stands alone as a condition, or what is wrong with it and what would be right."""
    if isinstance(term, Element):
        return Test(term)
    if isinstance(term, Literal):
        return f"{term} asks nothing; a rule asks what the document says"
    kind = kind_of(term)
    if kind is Kind.OTHER:
        return f'{term} is no yes or no; ask holds("{term}") whether it was shared'
    example = {Kind.TEXT: f'{term} == "..."', Kind.INT: f"{term} == 1", Kind.DATE: f"{term} <= today"}
    if str(term) == "today":
        example[Kind.DATE] = "today <= 2027-12-31"
    example[Kind.LIST] = f'"DE" in {term}'
    return f"{term} is {kind.value} and no yes or no; write, for example, {example[kind]}"


def _country(value: object) -> bool:
    return isinstance(value, str) and 2 <= len(value) <= 3 and value.isascii() and value.isalpha() and value.isupper()
