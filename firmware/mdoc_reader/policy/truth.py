"""Truth in three values: yes, no, and not known (Kleene's strong logic). Only yes opens anything."""

from __future__ import annotations

from enum import Enum


class Truth(Enum):
    """The answer to a question. UNKNOWN: nothing that was shared or is at hand tells."""

    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"


Known = bool | None
"""Truth as the inside of a rule computes with it: None is UNKNOWN."""


def truth_of(known: Known) -> Truth:
    """Return the word for an answer."""
    return Truth.UNKNOWN if known is None else Truth.TRUE if known else Truth.FALSE


def known_of(truth: Truth) -> Known:
    """Return the answer for a word."""
    return None if truth is Truth.UNKNOWN else truth is Truth.TRUE
