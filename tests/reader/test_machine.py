"""The state machine under every order of events: no stuck state, no door without a decision, an end to everything."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from mdoc_reader.model.decision import Decision, Outcome
from mdoc_reader.model.reasons import MalformedCode
from mdoc_reader.model.sign import By, Sign
from mdoc_reader.policy.profile import PolicyCode
from mdoc_reader.policy.rule_codes import RuleCode
from mdoc_reader.reader import events as ev
from mdoc_reader.reader.events import Job, ReaderCode
from mdoc_reader.reader.machine import State, begin, step
from mdoc_reader.reader.phases import BUSY, TRANSITIONS, Deadlines, Phase, Route
from mdoc_reader.transport.ports import LinkCode

LIMITS = Deadlines(
    engaged=1,
    connecting=2,
    requesting=2,
    consent=3,
    receiving=3,
    verifying=1,
    comparing=2,
    showing=2,
    tap_again=6,
    closing=1,
    total=9,
)
YES = Decision(Outcome.GRANTED, (RuleCode.RULE_MET,))
NO = Decision(Outcome.REFUSED, (RuleCode.UNDER_AGE,))


@dataclass
class Bench:
    """A world around the machine: keeps time, and remembers what was ordered."""

    state: State = field(default_factory=State)
    limits: Deadlines = LIMITS
    now: float = 0.0
    actions: list[ev.Action] = field(default_factory=list)
    door_opened: int = 0

    def send(self, event: ev.Event) -> tuple[ev.Action, ...]:
        before = self.state
        self.state, actions = step(before, event, self.limits)
        if self.state.phase is not before.phase:
            assert self.state.phase in TRANSITIONS[before.phase], (before.phase, event, self.state.phase)
        for action in actions:
            if isinstance(action, ev.Grant):
                assert action.decision.granted
                assert self.state.phase is Phase.SHOWING
                assert before.phase in {Phase.VERIFYING, Phase.COMPARING}
                self.door_opened += 1
        self.actions += actions
        return actions

    def tick(self, seconds: float) -> tuple[ev.Action, ...]:
        self.now += seconds
        return self.send(ev.Tick(self.now))

    def started(self, kind: Job) -> int:
        return next(a.job for a in reversed(self.actions) if isinstance(a, ev.Start) and a.kind is kind)

    def to_verifying(self, key: bytes = b"k") -> None:
        self.send(ev.EngagementOffered(self.now, key))
        self.send(ev.Prepared(self.now, self.started(Job.PREPARE)))
        self.send(ev.Connected(self.now, self.started(Job.CONNECT)))
        job = self.started(Job.EXCHANGE)
        self.send(ev.RequestSent(self.now, job))
        self.send(ev.ResponseBegan(self.now, job))
        self.send(ev.ResponseArrived(self.now, job))

    def signs(self) -> list[Sign]:
        return [action.sign for action in self.actions if isinstance(action, ev.Show)]


def test_a_good_presentation_from_idle_to_idle() -> None:
    bench = Bench()
    bench.to_verifying()
    bench.send(ev.Judged(bench.now, bench.started(Job.VERIFY), YES))
    assert bench.state.phase is Phase.SHOWING
    assert bench.door_opened == 1
    assert bench.signs() == [
        Sign.CONNECTING,
        Sign.APPROVE,
        Sign.HOLD_STILL,
        Sign.CHECKING,
        Sign.GRANTED,
    ]
    bench.send(ev.LinkClosed(bench.now, bench.started(Job.CLOSE)))
    assert bench.state.phase is Phase.SHOWING, "the display's time is not over"
    bench.tick(2.0)
    assert bench.state.phase is Phase.IDLE
    assert bench.signs()[-1] is Sign.READY
    assert bench.state.next_deadline() is None


def test_idle_waits_for_the_link_but_not_for_ever() -> None:
    bench = Bench()
    bench.to_verifying()
    bench.send(ev.Judged(bench.now, bench.started(Job.VERIFY), NO))
    assert bench.door_opened == 0
    closing = bench.started(Job.CLOSE)
    actions = bench.tick(1.0)
    assert actions == (ev.Cancel(closing),), "closing is bounded"
    bench.tick(1.0)
    assert bench.state.phase is Phase.IDLE


def test_the_decision_acts_before_anything_else() -> None:
    bench = Bench()
    bench.to_verifying()
    actions = bench.send(ev.Judged(bench.now, bench.started(Job.VERIFY), YES))
    assert isinstance(actions[0], ev.Grant)
    assert actions[1] == ev.Show(Sign.GRANTED)


def test_one_more_request_and_the_bound_on_rounds() -> None:
    bench = Bench()
    bench.to_verifying()
    for _ in range(LIMITS.max_rounds - 1):
        bench.send(ev.Judged(bench.now, bench.started(Job.VERIFY), None))
        assert bench.state.phase is Phase.REQUESTING
        job = bench.started(Job.EXCHANGE)
        bench.send(ev.RequestSent(bench.now, job))
        bench.send(ev.ResponseArrived(bench.now, job))
    bench.send(ev.Judged(bench.now, bench.started(Job.VERIFY), None))
    assert bench.state.phase is Phase.SHOWING
    assert bench.state.decision == Decision(Outcome.FAILED, (PolicyCode.TOO_MANY_ROUNDS,))


def test_each_phase_has_its_own_deadline_and_reason() -> None:
    ways = {
        ReaderCode.TIMEOUT_PREPARING: 0,
        ReaderCode.TIMEOUT_CONNECTING: 1,
        ReaderCode.TIMEOUT_REQUESTING: 2,
        ReaderCode.TIMEOUT_CONSENT: 3,
        ReaderCode.TIMEOUT_RECEIVING: 4,
        ReaderCode.TIMEOUT_VERIFYING: 5,
    }
    for code, steps in ways.items():
        bench = Bench()
        bench.send(ev.EngagementOffered(0.0, b"k"))
        moves = [
            lambda b=bench: b.send(ev.Prepared(b.now, b.started(Job.PREPARE))),
            lambda b=bench: b.send(ev.Connected(b.now, b.started(Job.CONNECT))),
            lambda b=bench: b.send(ev.RequestSent(b.now, b.started(Job.EXCHANGE))),
            lambda b=bench: b.send(ev.ResponseBegan(b.now, b.started(Job.EXCHANGE))),
            lambda b=bench: b.send(ev.ResponseArrived(b.now, b.started(Job.EXCHANGE))),
        ]
        for move in moves[:steps]:
            move()
        deadline = bench.state.next_deadline()
        assert deadline is not None
        bench.tick(deadline - bench.now - 0.001)
        assert bench.state.phase in BUSY
        bench.tick(0.002)
        assert bench.state.decision == Decision(Outcome.TIMED_OUT, (code,))


def test_the_whole_presentation_has_a_deadline() -> None:
    bench = Bench()
    bench.send(ev.EngagementOffered(0.0, b"k"))
    bench.send(ev.Prepared(0.5, bench.started(Job.PREPARE)))
    bench.send(ev.Connected(2.0, bench.started(Job.CONNECT)))
    bench.send(ev.RequestSent(3.5, bench.started(Job.EXCHANGE)))
    bench.send(ev.ResponseBegan(6.2, bench.started(Job.EXCHANGE)))
    bench.send(ev.Tick(9.0))
    assert bench.state.decision == Decision(Outcome.TIMED_OUT, (ReaderCode.TIMEOUT_TOTAL,))


def test_the_same_engagement_starts_nothing_twice() -> None:
    bench = Bench()
    bench.send(ev.EngagementUnreadable(0.0, b"x", MalformedCode.NOT_AN_MDOC))
    assert bench.state.decision == Decision(Outcome.NOT_AN_MDOC, (MalformedCode.NOT_AN_MDOC,))
    bench.tick(3.0)
    assert bench.state.phase is Phase.IDLE
    assert bench.send(ev.EngagementUnreadable(3.0, b"x", MalformedCode.NOT_AN_MDOC)) == ()
    assert bench.send(ev.EngagementOffered(3.0, b"x")) == ()
    assert bench.state.phase is Phase.IDLE
    bench.send(ev.EngagementOffered(3.0, b"y"))
    assert bench.state.phase is Phase.ENGAGED


def test_others_are_ignored_and_counted_while_one_is_served() -> None:
    bench = Bench()
    bench.send(ev.EngagementOffered(0.0, b"first"))
    bench.send(ev.EngagementOffered(0.1, b"second"))
    bench.send(ev.EngagementOffered(0.2, b"first"))
    assert bench.state.ignored == 1
    assert bench.state.presentation == 1


def test_stale_words_of_cancelled_jobs_change_nothing() -> None:
    bench = Bench()
    bench.send(ev.EngagementOffered(0.0, b"k"))
    stale = bench.started(Job.PREPARE)
    bench.send(ev.Cancelled(0.1))
    assert bench.state.decision == Decision(Outcome.CANCELLED, (ReaderCode.CANCELLED,))
    before = bench.state
    bench.send(ev.Prepared(0.2, stale))
    bench.send(ev.Judged(0.2, stale, YES))
    bench.send(ev.Judged(0.2, bench.started(Job.CLOSE), YES))
    assert bench.state == before
    assert bench.door_opened == 0


def test_faults_and_maintenance() -> None:
    bench = Bench()
    assert bench.send(ev.FaultRaised(0.0, "bluetooth")) == (ev.Show(Sign.FAULT, ("bluetooth",)),)
    assert bench.state.phase is Phase.FAULT
    assert bench.send(ev.FaultRaised(0.0, "bluetooth", LinkCode.RADIO_OFF)) == ()
    bench.send(ev.EngagementOffered(0.0, b"k"))
    assert bench.state.phase is Phase.FAULT
    assert bench.send(ev.FaultRaised(0.0, "camera")) == (ev.Show(Sign.FAULT, ("bluetooth", "camera")),)
    assert bench.send(ev.FaultCleared(0.0, "bluetooth")) == (ev.Show(Sign.FAULT, ("camera",)),)
    assert bench.state.phase is Phase.FAULT
    bench.send(ev.FaultCleared(0.0, "camera"))
    assert bench.state.phase is Phase.IDLE
    bench.send(ev.EngagementOffered(0.0, b"k"))
    bench.send(ev.MaintenanceChanged(0.0, on=True))
    assert bench.state.phase is Phase.ENGAGED, "who is being served is served"
    bench.send(ev.Cancelled(0.0))
    bench.send(ev.LinkClosed(0.0, bench.started(Job.CLOSE)))
    bench.tick(3.0)
    assert bench.state.phase is Phase.MAINTENANCE
    bench.send(ev.MaintenanceChanged(3.0, on=False))
    assert bench.state.phase is Phase.IDLE


def test_out_of_order_only_when_no_route_is_left() -> None:
    both = (
        Route(By.CODE, frozenset({"camera", "bluetooth"})),
        Route(By.TAP, frozenset({"nfc"})),
    )
    bench = Bench(State(routes=both))
    assert begin(bench.state, 0.0, LIMITS) == (bench.state, ev.Show(Sign.READY, (), (By.CODE, By.TAP)))
    only_taps = ev.Show(Sign.READY, ("bluetooth",), (By.TAP,))
    assert bench.send(ev.FaultRaised(0.0, "bluetooth")) == (only_taps,)
    assert bench.state.phase is Phase.IDLE
    assert bench.send(ev.FaultRaised(0.0, "bluetooth", LinkCode.RADIO_OFF)) == ()
    assert bench.send(ev.FaultRaised(0.0, "nfc")) == (ev.Show(Sign.FAULT, ("bluetooth", "nfc")),)
    bench.send(ev.EngagementOffered(0.0, b"k"))
    assert bench.state.phase is Phase.FAULT
    assert bench.send(ev.FaultCleared(0.0, "bluetooth")) == (ev.Show(Sign.READY, ("nfc",), (By.CODE,)),)
    assert bench.send(ev.FaultCleared(0.0, "nfc")) == (ev.Show(Sign.READY, (), (By.CODE, By.TAP)),)
    bench.to_verifying()
    assert bench.send(ev.FaultRaised(0.0, "bluetooth")) == (), "who is being served is served"
    bench.send(ev.Judged(0.0, bench.started(Job.VERIFY), YES))
    bench.send(ev.LinkClosed(0.0, bench.started(Job.CLOSE)))
    assert bench.tick(2.0)[-1] == only_taps


def test_a_hint_gives_way_to_the_next_engagement() -> None:
    bench = Bench()
    bench.send(ev.EngagementUnreadable(0.0, b"locked", ReaderCode.CANCELLED, Outcome.FAILED, Sign.UNLOCK))
    assert bench.signs() == [Sign.UNLOCK]
    assert bench.state.receptive
    actions = bench.send(ev.EngagementOffered(0.5, b"k"))
    assert [type(action) for action in actions[:2]] == [ev.Release, ev.Accept]
    assert bench.state.phase is Phase.ENGAGED
    assert not bench.state.receptive
    bench.send(ev.Cancelled(0.6))
    assert not bench.state.receptive, "no hint: what was decided is shown for its time"
    assert bench.send(ev.EngagementOffered(0.7, b"other")) == ()
    assert bench.state.ignored == 1


def test_a_hint_does_not_let_anybody_past_a_fault() -> None:
    bench = Bench()
    bench.send(ev.EngagementUnreadable(0.0, b"locked", ReaderCode.CANCELLED, Outcome.FAILED, Sign.UNLOCK))
    bench.send(ev.FaultRaised(0.1, "bluetooth"))
    assert not bench.state.receptive
    bench.send(ev.EngagementOffered(0.2, b"k"))
    assert bench.state.phase is Phase.SHOWING
    bench.tick(3.0)
    assert bench.state.phase is Phase.FAULT


def test_a_phone_taken_away_while_its_owner_is_asked_is_asked_back() -> None:
    bench = Bench()
    bench.send(ev.EngagementOffered(0.0, b"k"))
    bench.send(ev.Prepared(0.0, bench.started(Job.PREPARE)))
    bench.send(ev.Connected(0.0, bench.started(Job.CONNECT), near=True))
    bench.send(ev.RequestSent(0.0, bench.started(Job.EXCHANGE)))
    assert bench.signs()[-1] is Sign.APPROVE_HERE
    bench.send(ev.JobFailed(1.0, bench.started(Job.EXCHANGE), Outcome.FAILED, LinkCode.LOST))
    assert bench.signs()[-1] is Sign.TAP_AGAIN
    assert bench.state.decision == Decision(Outcome.FAILED, (LinkCode.LOST,))
    assert not bench.state.receptive, "the link is still being closed"
    bench.send(ev.LinkClosed(1.1, bench.started(Job.CLOSE)))
    assert bench.state.receptive
    bench.send(ev.Tick(1.0 + LIMITS.tap_again - 0.1))
    assert bench.state.phase is Phase.SHOWING, "the person is given time to approve"
    bench.send(ev.EngagementOffered(LIMITS.tap_again, b"new"))
    assert bench.state.phase is Phase.ENGAGED
    assert not bench.state.near


def test_a_phone_lost_over_the_radio_is_not_asked_to_tap() -> None:
    bench = Bench()
    bench.to_verifying()
    bench.send(ev.JobFailed(1.0, bench.started(Job.VERIFY), Outcome.FAILED, LinkCode.LOST))
    assert bench.signs()[-1] is Sign.TRY_AGAIN


def comparing() -> Bench:
    bench = Bench()
    bench.to_verifying()
    actions = bench.send(ev.Judged(bench.now, bench.started(Job.VERIFY), YES, compare=True))
    assert ev.ShowHolder() in actions
    assert not any(isinstance(action, ev.Grant) for action in actions)
    assert bench.state.phase is Phase.COMPARING
    return bench


def test_a_yes_waits_for_the_attendant() -> None:
    bench = comparing()
    closing = bench.started(Job.CLOSE)
    bench.send(ev.LinkClosed(0.2, closing))
    assert bench.state.phase is Phase.COMPARING
    actions = bench.send(ev.Confirmed(0.5))
    assert actions[0] == ev.Grant(Decision(Outcome.GRANTED, (RuleCode.RULE_MET, ReaderCode.HOLDER_CONFIRMED)))
    assert bench.send(ev.Confirmed(0.6)) == (), "once is enough"
    bench.tick(4.0)
    assert bench.state.phase is Phase.IDLE
    assert bench.started(Job.CLOSE) == closing


def test_a_portrait_of_somebody_else() -> None:
    bench = comparing()
    bench.send(ev.Rejected(0.5))
    assert bench.door_opened == 0
    assert bench.state.decision == Decision(Outcome.REFUSED, (ReaderCode.HOLDER_REJECTED,))
    assert bench.signs()[-1] is Sign.REFUSED
    assert bench.state.closing_job, "the link is still being closed"
    bench.tick(1.0)
    bench.tick(2.0)
    assert bench.state.phase is Phase.IDLE


def test_a_portrait_nobody_looks_at_goes_away() -> None:
    bench = comparing()
    bench.tick(1.0)
    bench.tick(1.0)
    assert bench.state.decision == Decision(Outcome.TIMED_OUT, (ReaderCode.TIMEOUT_COMPARING,))
    assert bench.door_opened == 0
    bench.send(ev.Confirmed(2.1))
    assert bench.door_opened == 0


def test_a_comparison_can_be_cancelled() -> None:
    bench = comparing()
    bench.send(ev.Cancelled(0.5))
    assert bench.state.decision == Decision(Outcome.CANCELLED, (ReaderCode.CANCELLED,))


def test_a_no_is_not_compared() -> None:
    bench = Bench()
    bench.to_verifying()
    bench.send(ev.Judged(bench.now, bench.started(Job.VERIFY), NO, compare=True))
    assert bench.state.phase is Phase.SHOWING


def test_a_confirmation_out_of_place_does_nothing() -> None:
    bench = Bench()
    for event in (ev.Confirmed(0.0), ev.Rejected(0.0), ev.Woken(0.0)):
        assert bench.send(event) == ()
    bench.to_verifying()
    assert bench.send(ev.Confirmed(0.0)) == ()
    assert bench.state.phase is Phase.VERIFYING


def test_a_reader_sleeps_and_is_woken() -> None:
    limits = replace(LIMITS, asleep=20)
    state, _ = begin(State(), 0.0, limits)
    bench = Bench(state, limits)
    assert bench.tick(19.0) == ()
    assert bench.send(ev.Woken(19.0)) == (), "awake, and stays so"
    assert bench.tick(19.0) == ()
    assert bench.tick(1.0) == (ev.Show(Sign.ASLEEP),)
    assert not bench.state.receptive
    assert bench.state.next_deadline() is None
    assert bench.send(ev.FaultRaised(41.0, "nfc")) == (ev.Show(Sign.FAULT, ("nfc",)),)
    assert bench.send(ev.FaultCleared(42.0, "nfc")) == (ev.Show(Sign.READY),)
    bench.send(ev.Tick(62.0))
    assert bench.state.phase is Phase.ASLEEP
    assert bench.send(ev.Woken(63.0)) == (ev.Show(Sign.READY),)
    assert bench.state.next_deadline() == 83.0
    bench.send(ev.EngagementOffered(64.0, b"k"))
    assert bench.state.phase is Phase.ENGAGED


def test_opening_hours() -> None:
    bench = Bench()
    assert bench.send(ev.HoursChanged(0.0, open=False)) == (ev.Show(Sign.CLOSED),)
    assert bench.state.phase is Phase.CLOSED
    bench.send(ev.EngagementOffered(0.0, b"k"))
    assert bench.state.phase is Phase.CLOSED
    assert bench.send(ev.FaultRaised(0.0, "nfc")) == (ev.Show(Sign.FAULT, ("nfc",)),)
    assert bench.send(ev.HoursChanged(0.0, open=True)) == ()
    assert bench.send(ev.FaultCleared(0.0, "nfc")) == (ev.Show(Sign.READY),)
    bench.to_verifying()
    assert bench.send(ev.HoursChanged(0.0, open=False)) == (), "who is being served is served"
    bench.send(ev.Judged(0.0, bench.started(Job.VERIFY), YES))
    bench.send(ev.LinkClosed(0.0, bench.started(Job.CLOSE)))
    bench.tick(2.0)
    assert bench.state.phase is Phase.CLOSED


def test_short_deadlines_are_named() -> None:
    assert Deadlines().unconforming() == ()
    assert LIMITS.unconforming() == ("connecting", "consent", "receiving", "total")


KEYS = st.binary(min_size=1, max_size=1)
JOBS = st.one_of(st.none(), st.integers(0, 12))
DECISIONS = st.one_of(st.none(), st.sampled_from(Outcome).map(lambda outcome: Decision(outcome, (RuleCode.RULE_MET,))))
JOB_EVENTS = (ev.Prepared, ev.Connected, ev.RequestSent, ev.ResponseBegan, ev.ResponseArrived, ev.LinkClosed)


@st.composite
def happenings(draw: st.DrawFn) -> tuple[object, ...]:
    kind = draw(st.sampled_from(["job"] * 6 + ["judged", "failed", "tick", "engaged", "unreadable", "other"]))
    return (kind, draw(st.integers(0, 11)), draw(KEYS), draw(JOBS), draw(DECISIONS), draw(st.floats(0, 4)))


def event_of(bench: Bench, happening: tuple[object, ...]) -> ev.Event:
    kind, choice, key, job, decision, delay = happening
    assert isinstance(choice, int)
    assert isinstance(key, bytes)
    assert isinstance(delay, float)
    assert decision is None or isinstance(decision, Decision)
    bench.now += delay if kind == "tick" else 0.0
    # Mostly the job now running, sometimes any other.
    number = job if isinstance(job, int) else bench.state.job or bench.state.closing_job
    match kind:
        case "job":
            kind_of = JOB_EVENTS[choice % len(JOB_EVENTS)]
            if kind_of is ev.Connected:
                return ev.Connected(bench.now, number, near=key < b"@")
            return kind_of(bench.now, number)
        case "judged":
            return ev.Judged(bench.now, number, decision, compare=choice % 2 == 0)
        case "failed":
            return ev.JobFailed(bench.now, number, Outcome.FAILED, (LinkCode.LOST, ReaderCode.READER_FAULT)[choice % 2])
        case "engaged":
            return ev.EngagementOffered(bench.now, key)
        case "unreadable":
            sign = (None, Sign.UNLOCK, Sign.TAP_AGAIN)[choice % 3]
            return ev.EngagementUnreadable(bench.now, key, MalformedCode.NOT_AN_MDOC, Outcome.FAILED, sign)
        case "other":
            return (
                ev.Cancelled(bench.now),
                ev.FaultRaised(bench.now, "bluetooth"),
                ev.FaultCleared(bench.now, "bluetooth"),
                ev.MaintenanceChanged(bench.now, on=True),
                ev.MaintenanceChanged(bench.now, on=False),
                ev.Tick(bench.now),
                ev.Confirmed(bench.now),
                ev.Rejected(bench.now),
                ev.Confirmed(bench.now),
                ev.Woken(bench.now),
                ev.HoursChanged(bench.now, open=False),
                ev.HoursChanged(bench.now, open=True),
            )[choice]
        case _:
            return ev.Tick(bench.now)


@settings(max_examples=1500, deadline=None)
@given(st.lists(happenings(), max_size=60))
def test_any_order_of_events(story: list[tuple[object, ...]]) -> None:
    bench = Bench(limits=replace(LIMITS, asleep=15))
    bench.state, _ = begin(bench.state, 0.0, bench.limits)
    for happening in story:
        opened, before = bench.door_opened, bench.state
        event = event_of(bench, happening)
        bench.send(event)
        state = bench.state
        if bench.door_opened > opened:
            if isinstance(event, ev.Confirmed):
                assert before.phase is Phase.COMPARING
                assert before.decision is not None
                assert before.decision.granted
            else:
                assert isinstance(event, ev.Judged)
                assert before.phase is Phase.VERIFYING
                assert event.decision is not None
                assert event.decision.granted
                assert not event.compare
        if state.phase in BUSY:
            assert state.phase_deadline is not None
            assert state.total_deadline is not None
        assert (state.decision is not None) == (state.phase in {Phase.SHOWING, Phase.COMPARING})
        assert state.closing_job == 0 or state.phase in {Phase.SHOWING, Phase.COMPARING}
    concluded = sum(isinstance(action, ev.Conclude) for action in bench.actions)
    assert concluded == bench.state.presentation - (bench.state.phase in BUSY or bench.state.phase is Phase.COMPARING)
    # Time alone ends everything.
    for _ in range(6):
        bench.tick(LIMITS.total + 1)
    assert bench.state.phase in {Phase.ASLEEP, Phase.FAULT, Phase.CLOSED, Phase.MAINTENANCE}
    assert bench.state.next_deadline() is None
    accepted = sum(isinstance(action, ev.Accept) for action in bench.actions)
    released = sum(isinstance(action, ev.Release) for action in bench.actions)
    concluded = sum(isinstance(action, ev.Conclude) for action in bench.actions)
    assert accepted == released == concluded == bench.state.presentation
    # Every job that was started on a link was cancelled or superseded by the closing of it.
    assert len(bench.state.seen) <= 64


def test_the_state_is_a_value() -> None:
    assert hash(State()) == hash(State())
    assert all(f.name for f in fields(State))
