"""What happens to the state machine, and what it orders: closed sets of frozen values.

Every event carries the time it happened at, in seconds of a monotonic clock; the machine has no clock of its own.
Events of jobs carry the job's number, so that a late word of a cancelled job is known for what it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mdoc_reader.model.decision import Decision, Outcome
from mdoc_reader.model.reasons import ReasonCode
from mdoc_reader.model.sign import By, Sign


class ReaderCode(ReasonCode):
    """Why a presentation ended, where neither the phone's evidence nor the profile decided."""

    TIMEOUT_PREPARING = "timeout_preparing", "The reader took too long to prepare."
    TIMEOUT_CONNECTING = "timeout_connecting", "The phone could not be reached in time."
    TIMEOUT_REQUESTING = "timeout_requesting", "The request could not be delivered in time."
    TIMEOUT_CONSENT = "timeout_consent", "Nobody approved on the phone in time."
    TIMEOUT_RECEIVING = "timeout_receiving", "The phone's answer did not arrive in time."
    TIMEOUT_VERIFYING = "timeout_verifying", "Checking took too long."
    TIMEOUT_COMPARING = "timeout_comparing", "Nobody confirmed in time that the portrait shows the person."
    TIMEOUT_TOTAL = "timeout_total", "The presentation took too long as a whole."
    HOLDER_CONFIRMED = "holder_confirmed", "The attendant confirmed that the portrait shows the person."
    HOLDER_REJECTED = "holder_rejected", "The attendant says that the portrait shows somebody else."
    CANCELLED = "cancelled", "The presentation was cancelled at the reader."
    DECRYPTION = "decryption_failed", "The phone's answer could not be decrypted."
    SESSION_MALFORMED = "session_malformed", "The phone's session message cannot be read."
    RESPONSE_MALFORMED = "response_malformed", "The phone's answer cannot be read."
    PEER_TERMINATED = "peer_terminated", "The phone ended the session without an answer."
    PEER_ERROR = "peer_error", "The phone reported an error of the session."
    PORTRAIT_UNREADABLE = "portrait_unreadable", "The portrait that was shared cannot be shown."
    READER_FAULT = "reader_fault", "The reader failed inside: this presentation was given up."


class Job(StrEnum):
    """Work that a presentation consists of. One runs at a time, the closing of a link beside the display."""

    PREPARE = "prepare"
    CONNECT = "connect"
    EXCHANGE = "exchange"
    VERIFY = "verify"
    CLOSE = "close"


# Events


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""

    at: float


@dataclass(frozen=True, slots=True)
class EngagementOffered:
    """A phone showed a readable engagement. `key` tells engagements apart and says nothing else."""

    at: float
    key: bytes


@dataclass(frozen=True, slots=True)
class EngagementUnreadable:
    """Something was shown or tapped that is no usable engagement. `sign` where there is more to say than that."""

    at: float
    key: bytes
    code: ReasonCode
    outcome: Outcome = Outcome.NOT_AN_MDOC
    sign: Sign | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """Keys, transcript and request are ready."""

    at: float
    job: int


@dataclass(frozen=True, slots=True)
class Connected:
    """The link is open. `near`: it lasts only while the phone is held at the reader."""

    at: float
    job: int
    near: bool = False


@dataclass(frozen=True, slots=True)
class RequestSent:
    """The request has left; the person is being asked."""

    at: float
    job: int


@dataclass(frozen=True, slots=True)
class ResponseBegan:
    """The first bytes of the answer have come."""

    at: float
    job: int


@dataclass(frozen=True, slots=True)
class ResponseArrived:
    """The answer is complete and decrypted."""

    at: float
    job: int


@dataclass(frozen=True, slots=True)
class Judged:
    """The policy has spoken: a decision, or None for one more request.

    `compare`: a yes counts once somebody has compared the portrait with the person.
    """

    at: float
    job: int
    decision: Decision | None
    compare: bool = False


@dataclass(frozen=True, slots=True)
class JobFailed:
    """A job ended without its result."""

    at: float
    job: int
    outcome: Outcome
    code: ReasonCode


@dataclass(frozen=True, slots=True)
class LinkClosed:
    """The link is gone, politely or not."""

    at: float
    job: int


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Somebody at the reader gave up."""

    at: float


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The attendant says that the portrait shows the person."""

    at: float


@dataclass(frozen=True, slots=True)
class Rejected:
    """The attendant says that it does not."""

    at: float


@dataclass(frozen=True, slots=True)
class Woken:
    """Somebody pressed a button to use the reader."""

    at: float


@dataclass(frozen=True, slots=True)
class HoursChanged:
    """The opening hours began or ended."""

    at: float
    open: bool


@dataclass(frozen=True, slots=True)
class FaultRaised:
    """A part that people are served with has failed, or fails for another reason now."""

    at: float
    part: str
    code: ReasonCode | None = None


@dataclass(frozen=True, slots=True)
class FaultCleared:
    """That part is back."""

    at: float
    part: str


@dataclass(frozen=True, slots=True)
class MaintenanceChanged:
    """Maintenance was switched on or off, or while it is on other parts need a look now.

    `parts`: what a technician should look at, beside the parts that failed.
    """

    at: float
    on: bool
    parts: tuple[str, ...] = ()


JobEvent = Prepared | Connected | RequestSent | ResponseBegan | ResponseArrived | Judged | JobFailed | LinkClosed
Event = (
    Tick
    | EngagementOffered
    | EngagementUnreadable
    | JobEvent
    | Cancelled
    | Confirmed
    | Rejected
    | Woken
    | HoursChanged
    | FaultRaised
    | FaultCleared
    | MaintenanceChanged
)

# Actions


@dataclass(frozen=True, slots=True)
class Accept:
    """Take ownership of an engagement: a presentation begins."""

    presentation: int
    key: bytes


@dataclass(frozen=True, slots=True)
class Start:
    """Start a job of the presentation; its events carry `job`."""

    job: int
    kind: Job


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop a job; whatever it still says is stale."""

    job: int


@dataclass(frozen=True, slots=True)
class Show:
    """Tell the person. At rest it names the parts that failed, and how one can begin."""

    sign: Sign
    parts: tuple[str, ...] = ()
    by: tuple[By, ...] = ()


@dataclass(frozen=True, slots=True)
class ShowHolder:
    """Show the portrait that was shared, to be compared with the person; it goes with the next Show."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Open. Only ever made from a decision that says so."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class Conclude:
    """The presentation is decided: for the record, without personal data."""

    presentation: int
    decision: Decision


@dataclass(frozen=True, slots=True)
class Release:
    """The presentation is over: drop its keys and data, close what is left, rest the outputs, be ready again."""


Action = Accept | Start | Cancel | Show | ShowHolder | Grant | Conclude | Release
