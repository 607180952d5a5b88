"""The engine: feeds events to the state machine, carries out its actions, and owns what outlives a presentation.

One queue, one loop, one machine. Sources post events from anywhere on the event loop; time becomes a Tick when the
machine's next deadline passes. Observers are told of phases, signs and outcomes, and never of anything personal.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mdoc_reader.mdoc import engagement
from mdoc_reader.model.badge import Badge
from mdoc_reader.model.decision import Decision, Outcome
from mdoc_reader.model.reasons import Malformed, ReasonCode
from mdoc_reader.model.sign import By, Sign
from mdoc_reader.model.signer import ReaderSigner, SignerError
from mdoc_reader.outputs.ports import Picture
from mdoc_reader.reader import events as ev
from mdoc_reader.reader.engaged import Engaged
from mdoc_reader.reader.machine import State, begin, step
from mdoc_reader.reader.phases import BUSY, Deadlines, Phase, Route
from mdoc_reader.reader.presentation import Equipment, Presentation
from mdoc_reader.transport.ports import BleRadio

log = logging.getLogger(__name__)

_QUEUE = 256
_OFFERED = 16


class PanelPort(Protocol):
    """What the engine needs of a panel: to say something, and to open on a granted decision."""

    def signal(self, sign: Sign, parts: tuple[str, ...] = (), by: tuple[By, ...] = ()) -> None:
        """Say it; at rest with the parts that failed, and how one can begin."""

    def grant(self, decision: Decision) -> None:
        """Open."""

    def show_holder(self, picture: Picture) -> None:
        """Show the portrait to whoever compares it with the person; the next sign takes it away."""

    @property
    def last_light(self) -> float | None:
        """When the lamps last changed, on the monotonic clock."""


class Observer(Protocol):
    """Told what happens, without personal data. Called on the event loop; must not block and must not raise."""

    def on_phase(self, at: float, presentation: int, phase: Phase) -> None:
        """A phase began."""

    def on_concluded(self, record: PresentationRecord) -> None:
        """A presentation was decided."""

    def on_fault(self, at: float, part: str, code: ReasonCode | None, *, raised: bool) -> None:
        """A part failed, fails for another reason now, or came back (then without a code)."""


@dataclass(frozen=True, slots=True)
class PresentationRecord:
    """What is kept of a presentation: numbers and reasons. Times in milliseconds of each phase, in order."""

    presentation: int
    at: float
    decision: Decision
    transport: str
    phases: tuple[tuple[str, float], ...]
    decided_to_light_ms: float | None


@dataclass(frozen=True, slots=True)
class _Probe:
    """Time, sent through the queue like any event, and somebody who waits for it to have been taken."""

    at: float
    taken: asyncio.Future[None]


@dataclass(slots=True)
class Counters:
    """Counts since the start."""

    presentations: int = 0
    reader_faults: int = 0
    events_dropped: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)


class Engine:
    """The reader as a whole, once its parts are open."""

    def __init__(
        self,
        equipment: Equipment,
        panel: PanelPort,
        limits: Deadlines,
        observers: Sequence[Observer] = (),
        routes: tuple[Route, ...] = (),
        *,
        on_badge: Callable[[Badge], None] = lambda badge: None,
    ) -> None:
        """Join the parts; `run` starts it.

        `routes`: as in the machine's State. `on_badge` is told of whom the door was opened for, where the profile
        hands on a number.
        """
        self._equipment = equipment
        self._panel = panel
        self._limits = limits
        self._observers = tuple(observers)
        self._on_badge = on_badge
        self._events: asyncio.Queue[ev.Event | _Probe] = asyncio.Queue(_QUEUE)
        self._salt = secrets.token_bytes(16)
        self._offered: dict[bytes, Engaged] = {}
        self._presentation: Presentation | None = None
        self._releasing: set[asyncio.Task[None]] = set()
        self._readying: asyncio.Task[None] | None = None
        self._phases: list[tuple[str, float]] = []
        self._phase_began = 0.0
        self._stopping = False
        self._faults: dict[str, ReasonCode | None] = {}
        self._receptive = True
        self._on_receptive: list[Callable[[bool], None]] = []
        self.state = State(routes=routes)
        self.counters = Counters()
        self.idle = asyncio.Event()

    @property
    def equipment(self) -> Equipment:
        """What presentations share."""
        return self._equipment

    @property
    def troubles(self) -> Mapping[str, ReasonCode | None]:
        """Which parts have failed, and why where that is known."""
        return self._faults

    @property
    def radio(self) -> BleRadio:
        """The Bluetooth adapter presentations use."""
        return self._equipment.radio

    async def probe(self) -> None:
        """Return once time sent through the queue has been through the machine: the reader is alive, idle or not."""
        taken = asyncio.get_running_loop().create_future()
        await self._events.put(_Probe(self._equipment.monotonic(), taken))
        await taken

    def post(self, event: ev.Event) -> None:
        """Queue an event. A full queue drops what sources say; a job of ours always fits, because jobs are few."""
        try:
            self._events.put_nowait(event)
        except asyncio.QueueFull:
            self.counters.events_dropped += 1

    def offer_text(self, text: str, at: float) -> None:
        """Take the text of a code seen by the camera at `at` (monotonic)."""
        key = hashlib.sha256(self._salt + text.encode("utf-8", "replace")).digest()[:16]
        if key in self._offered or key in self.state.seen:
            return
        try:
            engaged = engagement.from_qr(text)
        except Malformed as problem:
            self.post(ev.EngagementUnreadable(at, key, problem.code))
            return
        self._offer(key, Engaged.by_code(engaged), at)

    def offer_tap(self, engaged: Engaged, at: float) -> None:
        """Take a phone that was tapped at `at` (monotonic). Its card is closed, now or when the presentation ends."""
        self._offer(secrets.token_bytes(16), engaged, at)

    def refuse_tap(self, code: ReasonCode, outcome: Outcome, sign: Sign | None, at: float) -> None:
        """Take something tapped that cannot be served, and why."""
        self.post(ev.EngagementUnreadable(at, secrets.token_bytes(16), code, outcome, sign))

    def on_receptive(self, callback: Callable[[bool], None]) -> None:
        """Have `callback` told on the event loop whenever engagements begin or cease to be accepted."""
        self._on_receptive.append(callback)

    def _offer(self, key: bytes, engaged: Engaged, at: float) -> None:
        self._offered[key] = engaged
        while len(self._offered) > _OFFERED:
            self._turn_away(self._offered.pop(next(iter(self._offered))))
        self.post(ev.EngagementOffered(at, key))

    def _turn_away(self, engaged: Engaged | None) -> None:
        if engaged is not None and engaged.card is not None:
            self._beside(engaged.card.close())

    def _beside(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work, name="release")
        self._releasing.add(task)
        task.add_done_callback(self._released)

    def availability(self, part: str, *, available: bool, code: ReasonCode | None = None) -> None:
        """Take the news that a part is gone, and why, or back. A part that no route takes is nobody's concern."""
        routes = self.state.routes
        if routes and not any(part in route.parts for route in routes):
            return
        at = self._equipment.monotonic()
        self.post(ev.FaultCleared(at, part) if available else ev.FaultRaised(at, part, code))

    async def run(self) -> None:
        """Run until cancelled; leaves nothing of a presentation behind."""
        while not self._events.empty():  # a part that was never there: nobody is invited first
            self._advance(self._events.get_nowait())
        self._phase_began = self._equipment.monotonic()
        if self.state.phase is Phase.IDLE:
            self.state, said = begin(self.state, self._phase_began, self._limits)
            self._panel.signal(said.sign, said.parts, said.by)
        for observer in self._observers:
            observer.on_phase(self._phase_began, self.state.presentation, self.state.phase)
        try:
            self._arm()
            while True:
                if self.state.phase is Phase.IDLE and self._presentation is None:
                    self.idle.set()
                self._advance(await self._next_event())
        finally:
            self._stopping = True
            self._release()
            left = self._releasing if self._readying is None else {*self._releasing, self._readying}
            if left:
                await asyncio.wait(left, timeout=5.0)
            if self._equipment.armed is not None:
                await self._equipment.armed.disarm()

    async def _next_event(self) -> ev.Event | _Probe:
        deadline = self.state.next_deadline()
        monotonic = self._equipment.monotonic
        if deadline is None:
            return await self._events.get()
        try:
            async with asyncio.timeout(max(0.0, deadline - monotonic())):
                return await self._events.get()
        except TimeoutError:
            return ev.Tick(monotonic())

    def _advance(self, event: ev.Event | _Probe) -> None:
        if isinstance(event, _Probe):
            self._advance(ev.Tick(event.at))
            if not event.taken.done():
                event.taken.set_result(None)
            return
        before = self.state
        self.state, actions = step(before, event, self._limits)
        if before.presentation != self.state.presentation or (
            before.phase is Phase.IDLE and self.state.phase is not Phase.IDLE
        ):
            self.idle.clear()
            self._phase_began = event.at  # the scan's own time: what the person waited for begins there
            self._phases.clear()
        if self.state.phase is not before.phase:
            self._note_phase(before.phase, event.at)
        for action in actions:
            self._act(action, event.at)
        if isinstance(event, (ev.EngagementOffered, ev.EngagementUnreadable)):
            self._turn_away(self._offered.pop(event.key, None))
        if isinstance(event, (ev.FaultRaised, ev.FaultCleared)):
            self._note_fault(event)
        if self.state.receptive is not self._receptive:
            self._receptive = self.state.receptive
            for callback in self._on_receptive:
                callback(self._receptive)

    def _note_fault(self, event: ev.FaultRaised | ev.FaultCleared) -> None:
        """Tell of a change, once."""
        if isinstance(event, ev.FaultRaised):
            if event.part in self._faults and self._faults[event.part] == event.code:
                return
            self._faults[event.part] = code = event.code
            log.warning("%s does not work: %s", event.part, "no reason known" if code is None else code.log)
        else:
            if event.part not in self._faults:
                return
            del self._faults[event.part]
            code = None
            log.warning("%s works again", event.part)
        for observer in self._observers:
            observer.on_fault(event.at, event.part, code, raised=isinstance(event, ev.FaultRaised))

    def _note_phase(self, left: Phase, at: float) -> None:
        if left in BUSY:
            self._phases.append((left.value, round((at - self._phase_began) * 1000, 3)))
        self._phase_began = at
        for observer in self._observers:
            observer.on_phase(at, self.state.presentation, self.state.phase)

    def _act(self, action: ev.Action, at: float) -> None:
        match action:
            case ev.Show(sign, parts, by):
                self._panel.signal(sign, parts, by)
            case ev.Grant(decision):
                self._panel.grant(decision)
                badge = self._presentation.take_badge() if self._presentation else None
                if badge is not None:
                    self._on_badge(badge)
            case ev.ShowHolder():
                picture = self._presentation.take_picture() if self._presentation else None
                if picture is not None:
                    self._panel.show_holder(picture)
            case ev.Accept(_, key):
                engaged = self._offered.pop(key, None)
                if engaged is not None:
                    self._presentation = Presentation(engaged, self._equipment, self.post)
            case ev.Start(job, kind):
                if self._presentation is not None:
                    self._presentation.start(job, kind)
            case ev.Cancel(job):
                if self._presentation is not None:
                    self._presentation.cancel(job)
            case ev.Conclude(number, decision):
                self._conclude(number, decision, at)
            case ev.Release():
                self._release()

    def _conclude(self, number: int, decision: Decision, at: float) -> None:
        light = self._panel.last_light
        record = PresentationRecord(
            number,
            at,
            decision,
            self._presentation.transport if self._presentation else "",
            tuple(self._phases),
            None if light is None else round((light - at) * 1000, 3),
        )
        counters = self.counters
        counters.presentations += 1
        counters.outcomes[decision.outcome] = counters.outcomes.get(decision.outcome, 0) + 1
        counters.reader_faults += ev.ReaderCode.READER_FAULT in decision.reasons
        log.info("presentation %d: %s (%s)", number, decision.outcome, _codes(decision.reasons))
        for observer in self._observers:
            observer.on_concluded(record)

    def _release(self) -> None:
        """Let the presentation go at once; what is left of its link is closed beside the next one's beginning."""
        presentation, self._presentation = self._presentation, None
        if presentation is not None:
            self._beside(presentation.release())
            self._ready_signer()
        self._equipment.keys.refill()

    def _ready_signer(self) -> None:
        """Have a key that waits for its device open before the next tap. One that hangs is not asked twice."""
        identity = self._equipment.identity
        if identity is None or not identity.signer.waits or self._stopping:
            return
        if self._readying is None or self._readying.done():
            self._readying = asyncio.create_task(_prepared(identity.signer), name="key")

    def _released(self, task: asyncio.Task[None]) -> None:
        self._releasing.discard(task)
        self._arm()

    def _arm(self) -> None:
        """Show a fresh service for the next tap, unless somebody is being served."""
        if self._equipment.armed is not None and self._presentation is None and not self._stopping:
            self._equipment.armed.arm()


async def _prepared(signer: ReaderSigner) -> None:
    try:
        await asyncio.to_thread(signer.prepare)
    except SignerError as error:
        log.warning("the reader's key is not ready: %s", error)


def _codes(reasons: Sequence[ReasonCode]) -> str:
    return ", ".join(reasons)
