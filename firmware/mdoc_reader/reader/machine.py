"""The reader's state machine: `step(state, event) -> (state, actions)`, pure, with time as an event.

Theory of operation. A presentation begins when an engagement is offered in IDLE and walks ENGAGED, CONNECTING,
REQUESTING, CONSENT, RECEIVING, VERIFYING; VERIFYING may ask again. Whatever ends it, by any way, goes through one door
(`_conclude`) into SHOWING, where the decision acts at once, the person is told, and the link closes beside that.
SHOWING ends when both are done. Rules that hold in every state:

- each phase of a presentation has a deadline, and so has the presentation as a whole;
- a job's event counts only if it carries the number of the job now running; all else is stale and ignored;
- an engagement is accepted once: its key is remembered, so a code left in view starts nothing again;
- what was only a hint (unlock it, one at a time, tap again) gives way to the next engagement at once;
- the reader is out of order when no way of serving is left, not when any part has failed;
- Grant is made in one place, from a decision that grants.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from mdoc_reader.model.decision import Decision, Outcome
from mdoc_reader.model.sign import By, Sign
from mdoc_reader.policy.profile import PolicyCode
from mdoc_reader.reader import events as ev
from mdoc_reader.reader.events import Action, Event, Job, ReaderCode
from mdoc_reader.transport.ports import LinkCode


class Phase(StrEnum):
    """Where the reader is."""

    IDLE = "idle"
    ENGAGED = "engaged"
    CONNECTING = "connecting"
    REQUESTING = "requesting"
    CONSENT = "consent"
    RECEIVING = "receiving"
    VERIFYING = "verifying"
    SHOWING = "showing"
    FAULT = "fault"
    MAINTENANCE = "maintenance"


@dataclass(frozen=True, slots=True)
class Route:
    """One way people are served: how they begin, and the parts it takes."""

    by: By
    parts: frozenset[str]


BUSY = frozenset({Phase.ENGAGED, Phase.CONNECTING, Phase.REQUESTING, Phase.CONSENT, Phase.RECEIVING, Phase.VERIFYING})
_REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds. The defaults honour the standard's minimum times (30 s to the session, 300 s between messages)."""

    engaged: float = 2.0
    connecting: float = 30.0
    requesting: float = 30.0
    consent: float = 300.0
    receiving: float = 300.0
    verifying: float = 5.0
    showing: float = 3.0
    tap_again: float = 20.0
    closing: float = 3.0
    total: float = 660.0
    max_rounds: int = 3

    def unconforming(self) -> tuple[str, ...]:
        """Name the deadlines shorter than ISO 18013-5 asks for."""
        least = {"connecting": 30, "consent": 300, "receiving": 300, "total": 330}
        return tuple(name for name, seconds in least.items() if getattr(self, name) < seconds)


@dataclass(frozen=True, slots=True)
class State:
    """Everything the machine knows. Holds no personal data and no key.

    `routes`: without any, a failed part is a fault whatever it is.
    """

    routes: tuple[Route, ...] = ()
    phase: Phase = Phase.IDLE
    job: int = 0
    jobs_started: int = 0
    presentation: int = 0
    rounds: int = 0
    phase_deadline: float | None = None
    total_deadline: float | None = None
    closing_job: int = 0
    closing_deadline: float | None = None
    decision: Decision | None = None
    near: bool = False
    hint: bool = False
    seen: tuple[bytes, ...] = ()
    ignored: int = 0
    faults: frozenset[str] = frozenset()
    maintenance: bool = False

    @property
    def receptive(self) -> bool:
        """Whether an engagement would be accepted now."""
        hinting = self.phase is Phase.SHOWING and self.hint and not self.closing_job
        return self.phase is Phase.IDLE or (hinting and _resting(self) is Phase.IDLE)

    def next_deadline(self) -> float | None:
        """Return when the machine wants a Tick, or None."""
        times = [at for at in (self.phase_deadline, self.total_deadline, self.closing_deadline) if at is not None]
        return min(times) if times else None


Step = tuple[State, tuple[Action, ...]]

_LIMITS = {
    Phase.ENGAGED: ("engaged", ReaderCode.TIMEOUT_PREPARING),
    Phase.CONNECTING: ("connecting", ReaderCode.TIMEOUT_CONNECTING),
    Phase.REQUESTING: ("requesting", ReaderCode.TIMEOUT_REQUESTING),
    Phase.CONSENT: ("consent", ReaderCode.TIMEOUT_CONSENT),
    Phase.RECEIVING: ("receiving", ReaderCode.TIMEOUT_RECEIVING),
    Phase.VERIFYING: ("verifying", ReaderCode.TIMEOUT_VERIFYING),
}

_SIGNS = {
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
    Phase.VERIFYING: {Phase.REQUESTING: "one more request", Phase.SHOWING: "decided"},
    Phase.SHOWING: {
        Phase.ENGAGED: "engagement during a hint",
        Phase.IDLE: "shown and closed",
        Phase.FAULT: "shown and closed, fault",
        Phase.MAINTENANCE: "shown and closed, maintenance on",
    },
    Phase.FAULT: {Phase.IDLE: "all faults cleared", Phase.MAINTENANCE: "maintenance on"},
    Phase.MAINTENANCE: {Phase.IDLE: "maintenance off", Phase.FAULT: "maintenance off, fault"},
}


def step(state: State, event: Event, limits: Deadlines) -> Step:
    """Return the next state and what is to be done now, in order."""
    if isinstance(event, (ev.FaultRaised, ev.FaultCleared, ev.MaintenanceChanged)):
        return _conditions(state, event)
    state, actions = _time(state, event.at, limits)
    if isinstance(event, ev.Tick):
        return state, actions
    if isinstance(event, (ev.EngagementOffered, ev.EngagementUnreadable)):
        state, more = _engagement(state, event, limits)
    elif isinstance(event, ev.Cancelled):
        state, more = _cancelled(state, event, limits)
    elif isinstance(event, ev.LinkClosed):
        state, more = _closed(state, event)
    else:
        state, more = _job(state, event, limits)
    return state, actions + more


def _time(state: State, at: float, limits: Deadlines) -> Step:
    if state.phase in BUSY:
        if state.total_deadline is not None and at >= state.total_deadline:
            return _conclude(state, at, Decision(Outcome.TIMED_OUT, (ReaderCode.TIMEOUT_TOTAL,)), limits)
        if state.phase_deadline is not None and at >= state.phase_deadline:
            return _conclude(state, at, Decision(Outcome.TIMED_OUT, (_LIMITS[state.phase][1],)), limits)
        return state, ()
    if state.phase is not Phase.SHOWING:
        return state, ()
    actions: tuple[Action, ...] = ()
    if state.closing_job and state.closing_deadline is not None and at >= state.closing_deadline:
        actions = (ev.Cancel(state.closing_job),)
        state = replace(state, closing_job=0, closing_deadline=None)
    if state.phase_deadline is not None and at >= state.phase_deadline:
        state = replace(state, phase_deadline=None)
    state, more = _settle(state)
    return state, actions + more


def _conditions(state: State, event: ev.FaultRaised | ev.FaultCleared | ev.MaintenanceChanged) -> Step:
    before = state
    if isinstance(event, ev.MaintenanceChanged):
        state = replace(state, maintenance=event.on)
    elif isinstance(event, ev.FaultRaised):
        state = replace(state, faults=state.faults | {event.part})
    else:
        state = replace(state, faults=state.faults - {event.part})
    if state.phase in BUSY or state.phase is Phase.SHOWING:
        return state, ()  # the presentation ends by its own ways first
    resting = _resting(state)
    sign = _rest_sign(state, resting)
    if resting is before.phase and sign == _rest_sign(before, resting):
        return state, ()
    return replace(state, phase=resting), (sign,)


_RESTING_SIGNS = {Phase.IDLE: Sign.READY, Phase.FAULT: Sign.FAULT, Phase.MAINTENANCE: Sign.MAINTENANCE}


def _rest_sign(state: State, phase: Phase) -> ev.Show:
    parts = () if phase is Phase.MAINTENANCE else tuple(sorted(state.faults))
    by = {route.by for route in _open_routes(state)} if phase is Phase.IDLE else ()
    return ev.Show(_RESTING_SIGNS[phase], parts, tuple(sorted(by)))


def _open_routes(state: State) -> list[Route]:
    return [route for route in state.routes if not route.parts & state.faults]


def _resting(state: State) -> Phase:
    if state.maintenance:
        return Phase.MAINTENANCE
    return Phase.FAULT if state.faults and not _open_routes(state) else Phase.IDLE


def invitation(state: State) -> ev.Show:
    """Return what a reader at rest says."""
    return _rest_sign(state, _resting(state))


def _engagement(state: State, event: ev.EngagementOffered | ev.EngagementUnreadable, limits: Deadlines) -> Step:
    if event.key in state.seen:
        return state, ()
    if not state.receptive:
        return replace(state, ignored=state.ignored + 1), ()
    first: tuple[Action, ...] = () if state.phase is Phase.IDLE else (ev.Release(),)
    number = state.presentation + 1
    state = replace(
        state,
        seen=(*state.seen, event.key)[-_REMEMBERED:],
        presentation=number,
        rounds=0,
        decision=None,
        near=False,
        hint=False,
    )
    first += (ev.Accept(number, event.key),)
    if isinstance(event, ev.EngagementUnreadable):
        decision = Decision(event.outcome, (event.code,))
        state, actions = _conclude(state, event.at, decision, limits, linked=False, hint=event.sign)
        return state, first + actions
    state = replace(state, total_deadline=event.at + limits.total)
    state, actions = _start(state, event.at, Phase.ENGAGED, Job.PREPARE, limits)
    return state, (*first, ev.Show(Sign.CONNECTING), *actions)


def _start(state: State, at: float, phase: Phase, job: Job, limits: Deadlines) -> Step:
    number = state.jobs_started + 1
    state = _enter(replace(state, job=number, jobs_started=number), at, phase, limits)
    return state, (ev.Start(number, job),)


def _enter(state: State, at: float, phase: Phase, limits: Deadlines) -> State:
    return replace(state, phase=phase, phase_deadline=at + getattr(limits, _LIMITS[phase][0]))


def _job(state: State, event: ev.JobEvent, limits: Deadlines) -> Step:
    if state.phase not in BUSY or event.job != state.job:
        return state, ()
    phase, at = state.phase, event.at
    exchanging = phase in {Phase.REQUESTING, Phase.CONSENT, Phase.RECEIVING}
    if isinstance(event, ev.JobFailed):
        # A phone that left while its owner was asked comes back with a new engagement: NFC leaves no other way.
        hint = Sign.TAP_AGAIN if state.near and event.code is LinkCode.LOST else None
        return _conclude(state, at, Decision(event.outcome, (event.code,)), limits, hint=hint)
    if isinstance(event, ev.Prepared) and phase is Phase.ENGAGED:
        return _start(state, at, Phase.CONNECTING, Job.CONNECT, limits)
    if isinstance(event, ev.Connected) and phase is Phase.CONNECTING:
        return _start(replace(state, near=event.near), at, Phase.REQUESTING, Job.EXCHANGE, limits)
    if isinstance(event, ev.RequestSent) and phase is Phase.REQUESTING:
        asking = Sign.APPROVE_HERE if state.near else Sign.APPROVE
        return _enter(state, at, Phase.CONSENT, limits), (ev.Show(asking),)
    if isinstance(event, ev.ResponseBegan) and phase in {Phase.REQUESTING, Phase.CONSENT}:
        return _enter(state, at, Phase.RECEIVING, limits), (ev.Show(Sign.HOLD_STILL),)
    if isinstance(event, ev.ResponseArrived) and exchanging:
        state, actions = _start(state, at, Phase.VERIFYING, Job.VERIFY, limits)
        return state, (*actions, ev.Show(Sign.CHECKING))
    if isinstance(event, ev.Judged) and phase is Phase.VERIFYING:
        if event.decision is not None:
            return _conclude(state, at, event.decision, limits)
        if state.rounds + 1 >= limits.max_rounds:
            return _conclude(state, at, Decision(Outcome.FAILED, (PolicyCode.TOO_MANY_ROUNDS,)), limits)
        return _start(replace(state, rounds=state.rounds + 1), at, Phase.REQUESTING, Job.EXCHANGE, limits)
    return state, ()


def _cancelled(state: State, event: ev.Cancelled, limits: Deadlines) -> Step:
    if state.phase not in BUSY:
        return state, ()
    return _conclude(state, event.at, Decision(Outcome.CANCELLED, (ReaderCode.CANCELLED,)), limits)


def _conclude(
    state: State, at: float, decision: Decision, limits: Deadlines, *, linked: bool = True, hint: Sign | None = None
) -> Step:
    """Leave the presentation: act, show, and close the link beside it. `hint`: say this, until the next engagement."""
    actions: list[Action] = []
    if decision.granted:
        actions.append(ev.Grant(decision))
    actions += [ev.Show(hint or _SIGNS[decision.outcome]), ev.Conclude(state.presentation, decision)]
    closing = 0
    if linked:
        closing = state.jobs_started + 1
        actions += [ev.Cancel(state.job), ev.Start(closing, Job.CLOSE)]
    state = replace(
        state,
        phase=Phase.SHOWING,
        job=0,
        jobs_started=max(closing, state.jobs_started),
        phase_deadline=at + (limits.tap_again if hint is Sign.TAP_AGAIN else limits.showing),
        total_deadline=None,
        closing_job=closing,
        closing_deadline=at + limits.closing if closing else None,
        decision=decision,
        hint=hint is not None,
    )
    return state, tuple(actions)


def _closed(state: State, event: ev.LinkClosed) -> Step:
    if state.phase is not Phase.SHOWING or event.job != state.closing_job:
        return state, ()
    return _settle(replace(state, closing_job=0, closing_deadline=None))


def _settle(state: State) -> Step:
    """Leave SHOWING once the display's time is over and the link is closed."""
    if state.phase is not Phase.SHOWING or state.closing_job or state.phase_deadline is not None:
        return state, ()
    phase = _resting(state)
    return replace(state, phase=phase, decision=None, hint=False), (ev.Release(), _rest_sign(state, phase))
