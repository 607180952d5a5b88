"""Decisions: what the reader does about a verdict, and how a presentation ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mdoc_reader.model.reasons import ReasonCode


class Outcome(StrEnum):
    """How a presentation ended. Declined, partial and empty answers are not fraud, and failures are not refusals."""

    GRANTED = "granted"
    REFUSED = "refused"  # genuine evidence, and the rule says no
    INVALID = "invalid"  # the evidence does not hold
    UNDETERMINED = "undetermined"  # the evidence could not be settled here and now
    DECLINED = "declined"  # the person said no
    PARTIAL = "partial"  # the person shared less than the rule needs
    EMPTY = "empty"  # nothing was returned, and nobody said no
    NOT_AN_MDOC = "not_an_mdoc"  # something was scanned that is no mobile document
    TIMED_OUT = "timed_out"
    FAILED = "failed"  # the conversation broke: link, encryption, garbage, or a fault of ours
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Decision:
    """The reader's answer. Only `granted` opens anything."""

    outcome: Outcome
    reasons: tuple[ReasonCode, ...] = ()

    @property
    def granted(self) -> bool:
        """True only for Outcome.GRANTED."""
        return self.outcome is Outcome.GRANTED
