"""The reader's state machine: `step(state, event) -> (state, actions)`, pure, with time as an event.

Theory of operation. A presentation begins when an engagement is offered in IDLE and walks ENGAGED, CONNECTING,
REQUESTING, CONSENT, RECEIVING, VERIFYING; VERIFYING may ask again, and COMPARING follows it where an attendant has to
see the portrait before a yes counts. Whatever ends it, by any way, goes through one door (`_conclude`) into SHOWING,
where the decision acts at once, the person is told, and the link closes beside that. SHOWING ends when both are done.
Rules that hold in every state:

- each phase of a presentation has a deadline, and so has the presentation as a whole;
- a job's event counts only if it carries the number of the job now running; all else is stale and ignored;
- an engagement is accepted once: its key is remembered, so a code left in view starts nothing again;
- what was only a hint (unlock it, one at a time, tap again) gives way to the next engagement at once;
- the reader is out of order when no way of serving is left, not when any part has failed;
- at rest the reader invites, is out of order, closed, asleep or in maintenance, whichever is the strongest;
- Grant is made in one place, from a decision that grants.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mdoc_reader.model.decision import Decision, Outcome
from mdoc_reader.model.sign import Sign
from mdoc_reader.policy.profile import PolicyCode
from mdoc_reader.reader import events as ev
from mdoc_reader.reader.events import Action, Event, Job, ReaderCode
from mdoc_reader.reader.phases import BUSY, LIMITS, RESTING_SIGNS, SIGNS, Deadlines, Phase, Route
from mdoc_reader.transport.ports import LinkCode

_REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class State:
    """Everything the machine knows. Holds no personal data and no key.

    `routes`: without any, a failed part is a fault whatever it is. `look_at`: parts that are named under maintenance,
    beside those that failed.
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
    look_at: tuple[str, ...] = ()
    closed: bool = False

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


def step(state: State, event: Event, limits: Deadlines) -> Step:
    """Return the next state and what is to be done now, in order."""
    if isinstance(event, (ev.FaultRaised, ev.FaultCleared, ev.MaintenanceChanged, ev.HoursChanged)):
        return _conditions(state, event, limits)
    state, actions = _time(state, event.at, limits)
    if isinstance(event, ev.Tick):
        return state, actions
    if isinstance(event, (ev.EngagementOffered, ev.EngagementUnreadable)):
        state, more = _engagement(state, event, limits)
    elif isinstance(event, (ev.Cancelled, ev.Confirmed, ev.Rejected, ev.Woken)):
        state, more = _attended(state, event, limits)
    elif isinstance(event, ev.LinkClosed):
        state, more = _closed(state, event, limits)
    else:
        state, more = _job(state, event, limits)
    return state, actions + more


def _time(state: State, at: float, limits: Deadlines) -> Step:
    if state.phase in BUSY:
        if state.total_deadline is not None and at >= state.total_deadline:
            return _conclude(state, at, Decision(Outcome.TIMED_OUT, (ReaderCode.TIMEOUT_TOTAL,)), limits)
        if state.phase_deadline is not None and at >= state.phase_deadline:
            return _conclude(state, at, Decision(Outcome.TIMED_OUT, (LIMITS[state.phase][1],)), limits)
        return state, ()
    if state.phase is Phase.IDLE and state.phase_deadline is not None and at >= state.phase_deadline:
        return replace(state, phase=Phase.ASLEEP, phase_deadline=None), (ev.Show(RESTING_SIGNS[Phase.ASLEEP]),)
    if state.phase not in {Phase.SHOWING, Phase.COMPARING}:
        return state, ()
    actions: tuple[Action, ...] = ()
    if state.closing_job and state.closing_deadline is not None and at >= state.closing_deadline:
        actions = (ev.Cancel(state.closing_job),)
        state = replace(state, closing_job=0, closing_deadline=None)
    if state.phase_deadline is not None and at >= state.phase_deadline:
        if state.phase is Phase.COMPARING:
            decision = Decision(Outcome.TIMED_OUT, (ReaderCode.TIMEOUT_COMPARING,))
            state, more = _conclude(state, at, decision, limits, linked=False)
            return state, actions + more
        state = replace(state, phase_deadline=None)
    state, more = _settle(state, at, limits)
    return state, actions + more


def _conditions(
    state: State,
    event: ev.FaultRaised | ev.FaultCleared | ev.MaintenanceChanged | ev.HoursChanged,
    limits: Deadlines,
) -> Step:
    before = state
    if isinstance(event, ev.MaintenanceChanged):
        state = replace(state, maintenance=event.on, look_at=event.parts if event.on else ())
    elif isinstance(event, ev.HoursChanged):
        state = replace(state, closed=not event.open)
    elif isinstance(event, ev.FaultRaised):
        state = replace(state, faults=state.faults | {event.part})
    else:
        state = replace(state, faults=state.faults - {event.part})
    if state.phase in BUSY or state.phase in {Phase.SHOWING, Phase.COMPARING}:
        return state, ()  # the presentation ends by its own ways first
    resting = _resting(state)
    if resting is Phase.IDLE and before.phase is Phase.ASLEEP:
        return state, ()
    sign = _rest_sign(state, resting)
    if resting is before.phase:
        return state, () if sign == _rest_sign(before, resting) else (sign,)
    return _rest(state, event.at, resting, limits), (sign,)


def _rest(state: State, at: float, phase: Phase, limits: Deadlines) -> State:
    """Enter a phase of rest; one that invites people becomes sleep after a while, where that is wished."""
    sleep = None if limits.asleep is None or phase is not Phase.IDLE else at + limits.asleep
    return replace(state, phase=phase, phase_deadline=sleep)


def _rest_sign(state: State, phase: Phase) -> ev.Show:
    parts = tuple(sorted(state.faults)) if phase in {Phase.IDLE, Phase.FAULT, Phase.MAINTENANCE} else ()
    if phase is Phase.MAINTENANCE:
        parts += tuple(part for part in state.look_at if part not in state.faults)
    by = {route.by for route in _open_routes(state)} if phase is Phase.IDLE else ()
    return ev.Show(RESTING_SIGNS[phase], parts, tuple(sorted(by)))


def _open_routes(state: State) -> list[Route]:
    return [route for route in state.routes if not route.parts & state.faults]


def _resting(state: State) -> Phase:
    if state.maintenance:
        return Phase.MAINTENANCE
    if state.faults and not _open_routes(state):
        return Phase.FAULT
    return Phase.CLOSED if state.closed else Phase.IDLE


def begin(state: State, at: float, limits: Deadlines) -> tuple[State, ev.Show]:
    """Return a reader at rest as it is when it starts to serve, and what it says."""
    phase = _resting(state)
    return _rest(state, at, phase, limits), _rest_sign(state, phase)


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
    return replace(state, phase=phase, phase_deadline=at + getattr(limits, LIMITS[phase][0]))


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
        if event.decision is not None and event.decision.granted and event.compare:
            return _compare(state, at, event.decision, limits)
        if event.decision is not None:
            return _conclude(state, at, event.decision, limits)
        if state.rounds + 1 >= limits.max_rounds:
            return _conclude(state, at, Decision(Outcome.FAILED, (PolicyCode.TOO_MANY_ROUNDS,)), limits)
        return _start(replace(state, rounds=state.rounds + 1), at, Phase.REQUESTING, Job.EXCHANGE, limits)
    return state, ()


def _compare(state: State, at: float, decision: Decision, limits: Deadlines) -> Step:
    """Have the portrait compared before the decision counts; the phone is not kept waiting for that."""
    closing = state.jobs_started + 1
    actions = (ev.Cancel(state.job), ev.Start(closing, Job.CLOSE), ev.ShowHolder())
    state = replace(
        _enter(state, at, Phase.COMPARING, limits),
        job=0,
        jobs_started=closing,
        total_deadline=None,
        closing_job=closing,
        closing_deadline=at + limits.closing,
        decision=decision,
    )
    return state, actions


def _attended(state: State, event: ev.Cancelled | ev.Confirmed | ev.Rejected | ev.Woken, limits: Deadlines) -> Step:
    """Take a button. One that means nothing now does nothing."""
    comparing = state.phase is Phase.COMPARING
    if isinstance(event, ev.Cancelled) and (comparing or state.phase in BUSY):
        decision = Decision(Outcome.CANCELLED, (ReaderCode.CANCELLED,))
        return _conclude(state, event.at, decision, limits, linked=not comparing)
    if isinstance(event, ev.Rejected) and comparing:
        decision = Decision(Outcome.REFUSED, (ReaderCode.HOLDER_REJECTED,))
        return _conclude(state, event.at, decision, limits, linked=False)
    if isinstance(event, ev.Confirmed) and comparing and state.decision is not None:
        decision = Decision(state.decision.outcome, (*state.decision.reasons, ReaderCode.HOLDER_CONFIRMED))
        return _conclude(state, event.at, decision, limits, linked=False)
    if isinstance(event, ev.Woken) and state.phase in {Phase.ASLEEP, Phase.IDLE}:
        woken = _rest(state, event.at, Phase.IDLE, limits)
        return woken, (_rest_sign(woken, Phase.IDLE),) if state.phase is Phase.ASLEEP else ()
    return state, ()


def _conclude(
    state: State, at: float, decision: Decision, limits: Deadlines, *, linked: bool = True, hint: Sign | None = None
) -> Step:
    """Leave the presentation: act, show, and close the link beside it. `hint`: say this, until the next engagement."""
    actions: list[Action] = []
    if decision.granted:
        actions.append(ev.Grant(decision))
    actions += [ev.Show(hint or SIGNS[decision.outcome]), ev.Conclude(state.presentation, decision)]
    closing, closing_deadline = state.closing_job, state.closing_deadline
    if linked:
        closing, closing_deadline = state.jobs_started + 1, at + limits.closing
        actions += [ev.Cancel(state.job), ev.Start(closing, Job.CLOSE)]
    state = replace(
        state,
        phase=Phase.SHOWING,
        job=0,
        jobs_started=max(closing, state.jobs_started),
        phase_deadline=at + (limits.tap_again if hint is Sign.TAP_AGAIN else limits.showing),
        total_deadline=None,
        closing_job=closing,
        closing_deadline=closing_deadline,
        decision=decision,
        hint=hint is not None,
    )
    return state, tuple(actions)


def _closed(state: State, event: ev.LinkClosed, limits: Deadlines) -> Step:
    if event.job != state.closing_job:
        return state, ()
    return _settle(replace(state, closing_job=0, closing_deadline=None), event.at, limits)


def _settle(state: State, at: float, limits: Deadlines) -> Step:
    """Leave SHOWING once the display's time is over and the link is closed."""
    if state.phase is not Phase.SHOWING or state.closing_job or state.phase_deadline is not None:
        return state, ()
    phase = _resting(state)
    state = _rest(replace(state, decision=None, hint=False), at, phase, limits)
    return state, (ev.Release(), _rest_sign(state, phase))
