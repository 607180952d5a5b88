"""The phases of the reader, how long each may last, how one leads to another, and what each says at its end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mdoc_reader.model.decision import Outcome
from mdoc_reader.model.sign import By, Sign
from mdoc_reader.reader.events import ReaderCode


class Phase(StrEnum):
    """Where the reader is."""

    IDLE = "idle"
    ENGAGED = "engaged"
    CONNECTING = "connecting"
    REQUESTING = "requesting"
    CONSENT = "consent"
    RECEIVING = "receiving"
    VERIFYING = "verifying"
    COMPARING = "comparing"  # the attendant compares the portrait with the person
    SHOWING = "showing"
    FAULT = "fault"
    CLOSED = "closed"  # outside opening hours
    ASLEEP = "asleep"  # nobody has come for a while: woken by a button
    MAINTENANCE = "maintenance"


@dataclass(frozen=True, slots=True)
class Route:
    """One way people are served: how they begin, and the parts it takes."""

    by: By
    parts: frozenset[str]


BUSY = frozenset({Phase.ENGAGED, Phase.CONNECTING, Phase.REQUESTING, Phase.CONSENT, Phase.RECEIVING, Phase.VERIFYING})


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds. The defaults honour the standard's minimum times (30 s to the session, 300 s between messages).

    `comparing`: how long a portrait is shown. `asleep`: how long nobody comes before the reader sleeps; None for never.
    """

    engaged: float = 2.0
    connecting: float = 30.0
    requesting: float = 30.0
    consent: float = 300.0
    receiving: float = 300.0
    verifying: float = 5.0
    comparing: float = 30.0
    showing: float = 3.0
    tap_again: float = 20.0
    closing: float = 3.0
    total: float = 660.0
    max_rounds: int = 3
    asleep: float | None = None

    def unconforming(self) -> tuple[str, ...]:
        """Name the deadlines shorter than ISO 18013-5 asks for."""
        least = {"connecting": 30, "consent": 300, "receiving": 300, "total": 330}
        return tuple(name for name, seconds in least.items() if getattr(self, name) < seconds)


RESTING_SIGNS = {
    Phase.IDLE: Sign.READY,
    Phase.FAULT: Sign.FAULT,
    Phase.CLOSED: Sign.CLOSED,
    Phase.ASLEEP: Sign.ASLEEP,
    Phase.MAINTENANCE: Sign.MAINTENANCE,
}

LIMITS = {
    Phase.ENGAGED: ("engaged", ReaderCode.TIMEOUT_PREPARING),
    Phase.CONNECTING: ("connecting", ReaderCode.TIMEOUT_CONNECTING),
    Phase.REQUESTING: ("requesting", ReaderCode.TIMEOUT_REQUESTING),
    Phase.CONSENT: ("consent", ReaderCode.TIMEOUT_CONSENT),
    Phase.RECEIVING: ("receiving", ReaderCode.TIMEOUT_RECEIVING),
    Phase.VERIFYING: ("verifying", ReaderCode.TIMEOUT_VERIFYING),
    Phase.COMPARING: ("comparing", ReaderCode.TIMEOUT_COMPARING),
}

SIGNS = {
    Outcome.GRANTED: Sign.GRANTED,
    Outcome.REFUSED: Sign.REFUSED,
    Outcome.INVALID: Sign.REFUSED,
    Outcome.UNDETERMINED: Sign.UNDETERMINED,
    Outcome.DECLINED: Sign.DECLINED,
    Outcome.PARTIAL: Sign.DECLINED,
    Outcome.EMPTY: Sign.DECLINED,
    Outcome.NOT_AN_MDOC: Sign.NOT_READABLE,
    Outcome.TIMED_OUT: Sign.TRY_AGAIN,
    Outcome.FAILED: Sign.TRY_AGAIN,
    Outcome.CANCELLED: Sign.TRY_AGAIN,
}

# Every way there is from one phase to another. The drawing in the README is made from this, and tests hold step to it.
TRANSITIONS: dict[Phase, dict[Phase, str]] = {
    Phase.IDLE: {
        Phase.ENGAGED: "engagement",
        Phase.SHOWING: "not an mdoc",
        Phase.FAULT: "fault",
        Phase.CLOSED: "hours over",
        Phase.ASLEEP: "nobody comes",
        Phase.MAINTENANCE: "maintenance on",
    },
    Phase.ENGAGED: {Phase.CONNECTING: "prepared", Phase.SHOWING: "ended"},
    Phase.CONNECTING: {Phase.REQUESTING: "connected", Phase.SHOWING: "ended"},
    Phase.REQUESTING: {
        Phase.CONSENT: "request sent",
        Phase.RECEIVING: "first bytes",
        Phase.VERIFYING: "answer complete",
        Phase.SHOWING: "ended",
    },
    Phase.CONSENT: {Phase.RECEIVING: "first bytes", Phase.VERIFYING: "answer complete", Phase.SHOWING: "ended"},
    Phase.RECEIVING: {Phase.VERIFYING: "answer complete", Phase.SHOWING: "ended"},
    Phase.VERIFYING: {Phase.REQUESTING: "one more request", Phase.COMPARING: "portrait", Phase.SHOWING: "decided"},
    Phase.COMPARING: {Phase.SHOWING: "confirmed, rejected or neither"},
    Phase.SHOWING: {
        Phase.ENGAGED: "engagement during a hint",
        Phase.IDLE: "shown and closed",
        Phase.FAULT: "shown and closed, fault",
        Phase.CLOSED: "shown and closed, hours over",
        Phase.MAINTENANCE: "shown and closed, maintenance on",
    },
    Phase.FAULT: {
        Phase.IDLE: "all faults cleared",
        Phase.CLOSED: "all faults cleared, hours over",
        Phase.MAINTENANCE: "maintenance on",
    },
    Phase.CLOSED: {Phase.IDLE: "hours begin", Phase.FAULT: "fault", Phase.MAINTENANCE: "maintenance on"},
    Phase.ASLEEP: {
        Phase.IDLE: "woken",
        Phase.FAULT: "fault",
        Phase.CLOSED: "hours over",
        Phase.MAINTENANCE: "maintenance on",
    },
    Phase.MAINTENANCE: {
        Phase.IDLE: "maintenance off",
        Phase.FAULT: "maintenance off, fault",
        Phase.CLOSED: "maintenance off, hours over",
    },
}
