"""A profile: what is asked, in which order, and what answer means yes."""

from __future__ import annotations

from dataclasses import dataclass

from mdoc_reader.mdoc.request import ItemsRequest
from mdoc_reader.model.reasons import ReasonCode


class PolicyCode(ReasonCode):
    """Why a profile decided as it did."""

    RULE_MET = "rule_met", "The document answers what is asked."
    UNDER_AGE = "under_age", "The document says the holder is younger than required."
    AGE_NOT_STATED = "age_not_stated", "The document does not say whether the holder is old enough."
    ELEMENT_MISSING = "element_missing", "Something that is needed was not shared."
    DECLINED = "declined", "The person chose not to share."
    NOTHING_RETURNED = "nothing_returned", "The phone has no document of the kinds asked for."
    TOO_MANY_ROUNDS = "too_many_rounds", "The conversation took more requests than allowed."


@dataclass(frozen=True, slots=True)
class Question:
    """One request of a conversation. `encoded` is the ItemsRequest, encoded once and ahead of time."""

    items: ItemsRequest
    encoded: bytes

    @classmethod
    def of(cls, items: ItemsRequest) -> Question:
        """Encode a request. Raises ValueError when it asks nothing."""
        return cls(items, items.encode())


@dataclass(frozen=True, slots=True)
class Profile:
    """What a reader asks and what it opens for.

    Attributes:
        name: for people and logs.
        questions: asked one after the other, each only if those before it brought no document. One at least.
        age_over: the age the holder must be over, or None.
        required: (namespace, identifier) that must be present for a yes.
        max_rounds: requests in one session at the most.
    """

    name: str
    questions: tuple[Question, ...]
    age_over: int | None = None
    required: tuple[tuple[str, str], ...] = ()
    max_rounds: int = 3
