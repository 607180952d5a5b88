"""A rule made ready to be judged: one small function for each question, and the reasons each of its answers gives.

Every function is total: it answers yes, no, or None for not known, whatever a document holds. What is of another type
than the rule compares with is not known.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from mdoc_reader.policy.facts import Facts, texts
from mdoc_reader.policy.rule_codes import RuleCode
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
    Value,
    Within,
)
from mdoc_reader.policy.rule_types import COUNTRY, kind_of
from mdoc_reader.policy.truth import Known

Answer = Callable[[Facts], Known]
Read = Callable[[Facts], Value | None]
Why = Callable[[Facts, Known], list[RuleCode]]


@dataclass(frozen=True, slots=True)
class Step:
    """A condition: its answer, and the reasons for one it gave."""

    answer: Answer
    why: Why


def steps(condition: Condition) -> Step:
    """Make a condition ready."""
    match condition:
        case Not(part):
            return _not(steps(part))
        case And(parts):
            return _all([steps(part) for part in parts])
        case Or(parts):
            return _any([steps(part) for part in parts])
        case Ask(flag):
            return _coded(_FLAGS[flag], *_FLAG_CODES[flag])
        case AgeOver(years):
            return Step(lambda facts: facts.age.over(years), _why_age)
        case AgeUnder(years):
            return Step(
                lambda facts: _opposite(facts.age.over(years)), lambda facts, known: _why_age(facts, _opposite(known))
            )
        case Drives(category):
            uncertain = _uncertain("driving_privileges", RuleCode.CATEGORY_UNCERTAIN)
            told: Mapping[Known, RuleCode] = {True: RuleCode.CATEGORY_HELD, False: RuleCode.CATEGORY_MISSING}
            return Step(
                lambda facts: facts.drives(category), lambda facts, known: [told.get(known) or uncertain(facts)]
            )
        case Listed(name):
            return _coded(
                lambda facts: facts.listed(name), RuleCode.LISTED, RuleCode.NOT_LISTED, RuleCode.LIST_UNCERTAIN
            )
        case Holds(element):
            value = _value(element)
            return _coded(
                lambda facts: True if value(facts) is not None else None,
                *(RuleCode.ELEMENT_SHARED, RuleCode.ELEMENT_MISSING, RuleCode.ELEMENT_MISSING),
            )
        case Test(element):
            value = _value(element)
            return Step(lambda facts: _bool(value(facts)), _why_values(element))
        case Compare(left, op, right):
            return _compare(left, op, right)
        case Within(term, values):
            read = _read(term, kind_of(values[0]))
            known = frozenset(each.value for each in values)
            return Step(lambda facts: _among(read(facts), known), _why_values(term))
        case Contains(Literal(text), element):
            return _contains(text, element)


# Joints


def _opposite(known: Known) -> Known:
    return None if known is None else not known


def _not(part: Step) -> Step:
    answer, why = part.answer, part.why
    return Step(lambda facts: _opposite(answer(facts)), lambda facts, known: why(facts, _opposite(known)))


def _all(parts: list[Step]) -> Step:
    answers = tuple(part.answer for part in parts)

    def answer(facts: Facts) -> Known:
        known: Known = True
        for each in answers:
            found = each(facts)
            if found is False:
                return False
            if found is None:
                known = None
        return known

    return Step(answer, _why_parts(parts))


def _any(parts: list[Step]) -> Step:
    answers = tuple(part.answer for part in parts)

    def answer(facts: Facts) -> Known:
        known: Known = False
        for each in answers:
            found = each(facts)
            if found is True:
                return True
            if found is None:
                known = None
        return known

    return Step(answer, _why_parts(parts))


def _why_parts(parts: list[Step]) -> Why:
    """What decided is what came out as the whole did."""
    return lambda facts, known: [
        code for part in parts if part.answer(facts) is known for code in part.why(facts, known)
    ]


# Questions


def _coded(answer: Answer, yes: RuleCode, no: RuleCode, unknown: RuleCode) -> Step:
    codes: Mapping[Known, RuleCode] = {True: yes, False: no, None: unknown}
    return Step(answer, lambda _, known: [codes[known]])


_FLAGS: Mapping[Flag, Answer] = {
    Flag.VALID: operator.attrgetter("valid"),
    Flag.TRUSTED: operator.attrgetter("trusted"),
    Flag.CLEAR: operator.attrgetter("clear"),
    Flag.OPEN: operator.attrgetter("open_now"),
}
_FLAG_CODES: Mapping[Flag, tuple[RuleCode, RuleCode, RuleCode]] = {
    Flag.VALID: (RuleCode.DOCUMENT_VALID, RuleCode.DOCUMENT_NOT_VALID, RuleCode.DOCUMENT_UNCERTAIN),
    Flag.TRUSTED: (RuleCode.ISSUER_TRUSTED, RuleCode.ISSUER_NOT_TRUSTED, RuleCode.ISSUER_UNCERTAIN),
    Flag.CLEAR: (RuleCode.STATUS_CLEAR, RuleCode.STATUS_NOT_CLEAR, RuleCode.STATUS_UNCERTAIN),
    Flag.OPEN: (RuleCode.OPEN_NOW, RuleCode.CLOSED_NOW, RuleCode.TIME_UNCERTAIN),
}


def _why_age(facts: Facts, over: Known) -> list[RuleCode]:
    if over is not None:
        return [RuleCode.OVER_AGE if over else RuleCode.UNDER_AGE]
    if facts.age.contradicted:
        return [RuleCode.AGE_CONTRADICTED]
    told = facts.named("birth_date") is not None or facts.named("age_birth_year") is not None
    return [RuleCode.TIME_UNCERTAIN if told and facts.days.today is None else RuleCode.AGE_NOT_STATED]


def _compare(left: Term, op: Op, right: Term) -> Step:
    kind = kind_of(left) if kind_of(left) is not Kind.ANY else kind_of(right)
    first, second, holds = _read(left, kind), _read(right, kind), _OPERATORS[op]

    def answer(facts: Facts) -> Known:
        one, other = first(facts), second(facts)
        return None if one is None or other is None else holds(one, other)

    return Step(answer, _why_values(left, right))


_OPERATORS: Mapping[Op, Callable[[Value, Value], bool]] = {
    Op.EQUAL: operator.eq,
    Op.UNEQUAL: operator.ne,
    Op.LESS: operator.lt,
    Op.AT_MOST: operator.le,
    Op.MORE: operator.gt,
    Op.AT_LEAST: operator.ge,
}


def _among(value: Value | None, known: frozenset[Value]) -> Known:
    return None if value is None else value in known


def _contains(text: Value, element: Name | Element) -> Step:
    value = _value(element)

    def answer(facts: Facts) -> Known:
        held = texts(value(facts))
        return None if held is None else text in held

    return Step(answer, _why_values(element))


def _why_values(*terms: Term) -> Why:
    refusal = RuleCode.RULE_NOT_MET
    if Name(COUNTRY) in terms:
        refusal = RuleCode.COUNTRY_NOT_ACCEPTED
    elif DocType() in terms:
        refusal = RuleCode.DOCTYPE_NOT_ACCEPTED
    elements = [_value(term) for term in terms if isinstance(term, Name | Element)]

    def why(facts: Facts, known: Known) -> list[RuleCode]:
        if known is not None:
            return [refusal]
        if any(value(facts) is None for value in elements):
            return [RuleCode.ELEMENT_MISSING]
        doubtful = facts.days.today is None and any(str(term) == "today" for term in terms)
        return [RuleCode.TIME_UNCERTAIN if doubtful else RuleCode.ELEMENT_UNREADABLE]

    return why


def _uncertain(name: str, otherwise: RuleCode) -> Callable[[Facts], RuleCode]:
    return lambda facts: RuleCode.ELEMENT_MISSING if facts.named(name) is None else otherwise


# Values


def _value(element: Name | Element) -> Callable[[Facts], object]:
    if isinstance(element, Name):
        name = element.name
        return lambda facts: facts.named(name)
    namespace, identifier = element.namespace, element.identifier
    return lambda facts: facts.element(namespace, identifier)


def _read(term: Term, kind: Kind) -> Read:
    """Return what reads a term as a value of a type; None for one that is of another."""
    match term:
        case Literal(fixed):
            return lambda _: fixed
        case Name() | Element():
            return _typed(_value(term), kind, upper=term == Name(COUNTRY))
        case DocType():
            return lambda facts: facts.document.doctype
    return lambda facts: facts.days.today


def _typed(value: Callable[[Facts], object], kind: Kind, *, upper: bool) -> Read:
    def day(facts: Facts) -> date | None:
        found = value(facts)
        return None if found is None else facts.day_of(found)

    def number(facts: Facts) -> int | None:
        found = value(facts)
        return found if isinstance(found, int) and not isinstance(found, bool) else None

    def text(facts: Facts) -> str | None:
        found = value(facts)
        return found if isinstance(found, str) else None

    def country(facts: Facts) -> str | None:
        found = text(facts)
        return None if found is None else found.upper()

    if kind is Kind.DATE:
        return day
    if kind is Kind.INT:
        return number
    if kind is Kind.BOOL:
        return lambda facts: _bool(value(facts))
    return country if upper else text


def _bool(value: object) -> Known:
    return value if isinstance(value, bool) else None
