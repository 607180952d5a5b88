"""A profile: what is asked, in which order, and what answer means yes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mdoc_reader.mdoc.engagement import Capabilities
from mdoc_reader.mdoc.request import ItemsRequest, UseCase
from mdoc_reader.model.reasons import ReasonCode
from mdoc_reader.policy.rule import Rule

MAX_DOCTYPES = 16
PURPOSES: Mapping[str, int] = {"identity": 1, "driving": 2, "age": 3}
"""Purposes of ISO/IEC JTC 1/SC 17, as a second-edition wallet is told them."""
_CONTROLLER = "org.iso.jtc1.sc17"


class PolicyCode(ReasonCode):
    """Why a conversation ended where no document decided; what a document decided has the rule's codes."""

    DECLINED = "declined", "The person chose not to share."
    NOTHING_RETURNED = "nothing_returned", "The phone has no document of the kinds asked for."
    TOO_MANY_ROUNDS = "too_many_rounds", "The conversation took more requests than allowed."


@dataclass(frozen=True, slots=True)
class Question:
    """One request of a conversation.

    Attributes:
        items: what is asked of each document type; each type once.
        encoded: each ItemsRequest, encoded once and ahead of time.
        requested: docType to namespace to identifiers.
        use_cases: how the types are alternatives to each other, for wallets that read this (second edition).
    """

    items: tuple[ItemsRequest, ...]
    encoded: tuple[bytes, ...]
    requested: Mapping[str, Mapping[str, frozenset[str]]]
    use_cases: tuple[UseCase, ...] = ()

    @classmethod
    def of(cls, *items: ItemsRequest, use_cases: tuple[UseCase, ...] = ()) -> Question:
        """Encode a request. Raises ValueError when it asks nothing, or asks for a document type twice."""
        requested = {
            item.doctype: {name: frozenset(wanted) for name, wanted in item.elements.items()} for item in items
        }
        if not items or len(requested) != len(items):
            raise ValueError("a question asks for one document type at least, and for each once")
        return cls(items, tuple(item.encode() for item in items), requested, use_cases)

    @classmethod
    def any_of(cls, questions: Sequence[Question], purpose: str | None = None) -> Question:
        """Put questions together into one request in which any of their documents will do, the first the dearest."""
        items = tuple(item for question in questions for item in question.items)
        sets, number = [], 0
        for question in questions:
            sets.append(tuple(range(number, number + len(question.items))))
            number += len(question.items)
        hints = {} if purpose is None else {_CONTROLLER: PURPOSES[purpose]}
        return cls.of(*items, use_cases=(UseCase(True, tuple(sets), hints),))


@dataclass(frozen=True, slots=True)
class Profile:
    """What a reader asks and what it opens for.

    Attributes:
        name: for people and logs.
        questions: asked one after the other, each only if those before it brought no document. One at least.
        rule: what one document has to say for a yes.
        together: the questions as one request, for wallets that can take a choice; None for one after the other always.
        compare: a yes counts once an attendant has compared the portrait with the person.
        max_rounds: requests in one session at the most.
    """

    name: str
    questions: tuple[Question, ...]
    rule: Rule
    together: Question | None = None
    compare: bool = False
    max_rounds: int = 3

    def asking(self, wallet: Capabilities) -> tuple[Question, ...]:
        """Return what this wallet is asked, in order."""
        if self.together is not None and wallet.extended_request:
            return (self.together,)
        return self.questions
