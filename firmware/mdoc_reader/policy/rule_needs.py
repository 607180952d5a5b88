"""What a rule draws upon: so that a profile asks for what its rule uses and for nothing else."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mdoc_reader.policy.rule import Rule
from mdoc_reader.policy.rule_names import AGE_SPACES, NO_PLACES, PLACES, Place
from mdoc_reader.policy.rule_tree import (
    AgeOver,
    AgeUnder,
    Compare,
    Condition,
    Contains,
    Drives,
    Element,
    Holds,
    Listed,
    Name,
    Term,
    Test,
    Within,
    conditions,
    written,
)

Places = frozenset[Place]
_NONE: Places = frozenset()
_ELSE_OF_AGE = ("birth_date", "age_birth_year", "age_in_years")


def elements_used(rule: Rule, doctype: str) -> Places:
    """Return every (namespace, identifier) that the rule can draw upon in a kind of document.

    For an age that is age_over_NN of that very age, and what stands in for it.
    """
    return _NONE.union(*(way for ways in _needs(rule, doctype).values() for way in ways))


def unasked(rule: Rule, doctype: str, asked: Collection[Place]) -> tuple[str, ...]:
    """Return the questions of the rule that a kind of document can never answer when only `asked` is asked for."""
    given = frozenset(asked)
    return tuple(question for question, ways in _needs(rule, doctype).items() if not any(way <= given for way in ways))


def spare(rule: Rule, doctype: str, asked: Collection[Place]) -> Places:
    """Return what is asked for and the rule can do without: it answers as many of its questions.

    Where several tell of an age, age_over_NN is what the rule needs and the others tell more than it must know.
    """
    given = frozenset(asked)
    needed = _NONE.union(
        *(next((way for way in ways if way <= given), _NONE) for ways in _needs(rule, doctype).values())
    )
    optional = _NONE.union(*_optional(rule, doctype)) & given
    return given - needed - optional


def _needs(rule: Rule, doctype: str) -> dict[str, tuple[Places, ...]]:
    """Return what each question needs: one of several sets of elements, the one that tells least first."""
    return {written(condition): ways for condition, _ in conditions(rule.tree) for ways in _ways(condition, doctype)}


def _ways(condition: Condition, doctype: str) -> list[tuple[Places, ...]]:
    match condition:
        case AgeOver(years) | AgeUnder(years):
            space = AGE_SPACES.get(doctype)
            stated = [] if space is None else [frozenset({(space, f"age_over_{years:02d}")})]
            others = [frozenset({place}) for name in _ELSE_OF_AGE if (place := _place(Name(name), doctype)) is not None]
            return [(*stated, *others)]
        case Drives():
            return [_all_of([Name("driving_privileges")], doctype)]
        case Listed():
            return [_all_of([Name("issuing_country"), Name("document_number")], doctype)]
        case Holds(element) | Test(element) | Contains(_, element) | Within(Name() | Element() as element, _):
            return [_all_of([element], doctype)]
        case Compare(left, _, right):
            terms = [term for term in (left, right) if isinstance(term, Name | Element)]
            return [_all_of(terms, doctype)] if terms else []
    return []


def _optional(rule: Rule, doctype: str) -> list[Places]:
    """Return what makes answers better without being needed: jurisdictions tell equal numbers apart."""
    found = []
    for condition, _ in conditions(rule.tree):
        if isinstance(condition, Listed) and rule.site.lists[condition.name].jurisdictions:
            found += list(_all_of([Name("issuing_jurisdiction")], doctype))
    return found


def _all_of(terms: Sequence[Term], doctype: str) -> tuple[Places, ...]:
    places = [_place(term, doctype) for term in terms]
    return () if None in places else (frozenset(place for place in places if place is not None),)


def _place(term: Term, doctype: str) -> Place | None:
    if isinstance(term, Element):
        return term.namespace, term.identifier
    return PLACES.get(doctype, NO_PLACES).get(term.name) if isinstance(term, Name) else None
