"""The NFC front end's owner thread: looks for phones, walks the tap with the one it finds, and holds it for a transfer.

Between looks the field is off. Each thing that is put on the reader is told of once: what was served or refused has to
be away for `gone_looks` looks before anything counts as new, and that is watched even while nobody may begin. A phone
at the edge of the field is tried again a few times before anybody is told; a locked one is tried quietly until it is
unlocked or taken away. How the thread itself lives is in `owner`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition
from typing import Generic, TypeVar

from mdoc_reader.engagement.owner import Life, Owner, OwnerLimits, Work
from mdoc_reader.engagement.tap import TapCode, TapEnded
from mdoc_reader.model.reasons import Malformed, ReasonCode
from mdoc_reader.nfc.channel import CardChannel
from mdoc_reader.nfc.ports import Card, CardError, Field, FieldCode, FieldKind, NfcDevice, NfcDeviceError, NfcTrouble
from mdoc_reader.nfc.procedure import Procedure, perform

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class TapperLimits(OwnerLimits):
    """The bounds of a tapper; seconds unless the name says otherwise."""

    period_s: float = 0.1  # from one look to the next
    watch_period_s: float = 0.2  # the same while waiting for what was served to go
    gone_looks: int = 2  # so many empty looks in a row: it has gone
    stumbles: int = 3  # times a phone may be lost within `stumble_s` before anybody is told
    stumble_s: float = 1.5
    stumble_pause_s: float = 0.03
    locked_retry_s: float = 0.5
    tap_s: float = 15.0  # for the whole conversation of a tap
    held_idle_s: float = 60.0  # a held card that nobody wants anything of is let go


@dataclass(frozen=True, slots=True)
class Tap(Generic[T]):
    """A phone was tapped: when it was noticed (monotonic seconds), what it said, the phone itself, and the cost."""

    at: float
    said: T
    channel: CardChannel
    took_ms: float
    commands: int


class Tapper(Generic[T]):
    """Owns an NFC front end. All methods and callbacks belong to the event loop's thread, except `engage`.

    Args:
        open_device: opens the front end, on the owner thread; raises NfcDeviceError.
        engage: returns the procedure of a tap with the card that was found; called on the owner thread.
        on_tap: told of a phone; its channel has to be closed some time.
        on_refused: told why something cannot be served, and when it was noticed.
        on_available: told when the front end begins to work and when it ceases to, and why.
        limits: the bounds.
    """

    def __init__(
        self,
        open_device: Callable[[], NfcDevice],
        engage: Callable[[Card], Procedure[T]],
        on_tap: Callable[[Tap[T]], None],
        on_refused: Callable[[ReasonCode, float], None],
        *,
        on_available: Callable[[bool, NfcTrouble | None], None] = lambda _, __: None,
        limits: TapperLimits | None = None,
    ) -> None:
        """Be ready to start."""
        self.limits = limits or TapperLimits()
        self.wake = Condition()
        """Guards `inviting` and every channel's work, and wakes the owner thread."""
        self.inviting = True
        self._engage = engage
        self._on_tap = on_tap
        self._on_refused = on_refused
        self._on_available = on_available
        self._hand: _Hand[T] | None = None
        work = Work("nfc", open_device, self._use, _release, (NfcDeviceError,), self._tell)
        self._owner = Owner(work, self.limits)

    @property
    def available(self) -> bool:
        """Whether the front end works."""
        return self._owner.available

    @property
    def heartbeat(self) -> float:
        """Monotonic time of the owner thread's last turn; 0.0 before the first start."""
        return self._owner.heartbeat

    @property
    def quarantined(self) -> int:
        """How many owner threads were abandoned, or died, since the start."""
        return self._owner.quarantined

    @property
    def looks(self) -> int:
        """How often the field was looked at since the front end was opened last."""
        return self._hand.looks if self._hand else 0

    @property
    def device_words(self) -> str:
        """What the front end is, for people; empty without one."""
        return self._hand.words if self._hand else ""

    def start(self) -> None:
        """Start the owner thread and watch it. Call once, with the loop running."""
        self._owner.start()

    def pause(self) -> None:
        """Invite nobody: the field stays off but for watching whether what was served has gone."""
        self._set_inviting(False)

    def resume(self) -> None:
        """Look for phones again."""
        self._set_inviting(True)

    async def close(self) -> None:
        """Stop the thread and release the device, within `close_s`; a thread that does not stop is abandoned."""
        hand = self._hand
        if hand is not None:
            hand.let_go()
        with self.wake:
            self.inviting = False
            self.wake.notify_all()
        await self._owner.close()

    def _set_inviting(self, inviting: bool) -> None:
        with self.wake:
            self.inviting = inviting
            self.wake.notify_all()

    def _use(self, device: NfcDevice, life: Life[NfcDevice]) -> None:
        hand = _Hand(self, device, life, self._engage)
        self._hand = hand
        life.works()
        hand.live()

    def _tell(self, works: bool, why: Exception | None) -> None:
        trouble = why.code if isinstance(why, NfcDeviceError) else None
        self._on_available(works, None if works else trouble or NfcTrouble.NO_ANSWER)

    def hear_tap(self, life: Life[NfcDevice], tap: Tap[T]) -> None:
        """Pass on a tap, on the loop. Nobody is told of one by a thread that was replaced."""
        if life.current:
            self._on_tap(tap)

    def hear_refused(self, life: Life[NfcDevice], code: ReasonCode, at: float) -> None:
        """Pass on a refusal, on the loop."""
        if life.current:
            self._on_refused(code, at)


def _release(device: NfcDevice, under: bool) -> None:
    if under:
        device.abort()
    device.close()


class _Hand(Generic[T]):
    """One open front end, on its owner thread."""

    def __init__(
        self,
        tapper: Tapper[T],
        device: NfcDevice,
        life: Life[NfcDevice],
        engage: Callable[[Card], Procedure[T]],
    ) -> None:
        self._tapper = tapper
        self._limits = tapper.limits
        self._device = device
        self._life = life
        self._engage = engage
        self._held: HeldCard | None = None
        self._empty_looks_wanted = 0  # more than none: what was served has yet to go
        self._locked = False  # a locked phone was told of and is still there
        self._stumbles: deque[float] = deque(maxlen=tapper.limits.stumbles)
        self.words = device.words
        self.looks = 0

    def let_go(self) -> None:
        """Give up the held card, from the loop."""
        held = self._held
        if held is not None:
            held.give_up()

    def live(self) -> None:
        """Look, serve, and wait, until the device is lost or the thread has to end."""
        while not self._life.stopping.is_set():
            self._life.beat()
            if self._empty_looks_wanted:
                self._watch()
            elif self._tapper.inviting:
                self._look()
            else:
                self._device.rest()
                with self._tapper.wake:
                    self._tapper.wake.wait_for(lambda: self._tapper.inviting, self._limits.overrun_s / 4)

    def _look(self) -> None:
        began = time.monotonic()
        field = self._device.look()
        self.looks += 1
        if field.kind is FieldKind.EMPTY:
            self._device.rest()
            self._locked = False
            self._wait(max(0.0, self._limits.period_s - (time.monotonic() - began)))
        elif field.card is not None:
            self._tap(field.card, began)
        else:
            self._refuse(_foreign(field), began)

    def _watch(self) -> None:
        """Wait for what was served to go away."""
        occupied = self._device.occupied()
        self._device.rest()
        self._empty_looks_wanted = self._limits.gone_looks if occupied else self._empty_looks_wanted - 1
        if self._empty_looks_wanted:
            self._life.stopping.wait(self._limits.watch_period_s)

    def _tap(self, card: Card, at: float) -> None:
        commands = _Counted(card)
        until = at + self._limits.tap_s
        card.on_frame = self._life.beat

        def pause(seconds: float) -> None:
            if time.monotonic() + seconds > until or self._life.wait(seconds):
                raise CardError(FieldCode.ABORTED, "the tap took too long")

        try:
            said = perform(_bounded(self._engage(card), until), commands, pause)
        except (CardError, Malformed, TapEnded) as error:
            card.leave()
            self._device.rest()
            self._failed(_reason(error), at)
            return
        self._stumbles.clear()
        self._locked = False
        held = HeldCard(card, self._tapper.wake)
        self._held = held
        took_ms = (time.monotonic() - at) * 1000
        self._life.say(self._tapper.hear_tap, self._life, Tap(at, said, held, took_ms, commands.count))
        self._hold(held)

    def _failed(self, code: ReasonCode, at: float) -> None:
        now = time.monotonic()
        if code is TapCode.LOCKED:
            if not self._locked:
                self._locked = True
                self._life.say(self._tapper.hear_refused, self._life, code, at)
            self._wait(self._limits.locked_retry_s)
            return
        if code is TapCode.MOVED:
            self._stumbles.append(now)
            full = len(self._stumbles) == self._limits.stumbles
            if not full or now - self._stumbles[0] > self._limits.stumble_s:
                self._wait(self._limits.stumble_pause_s)
                return
        self._refuse(code, at)

    def _refuse(self, code: ReasonCode, at: float) -> None:
        self._device.rest()
        self._stumbles.clear()
        self._empty_looks_wanted = self._limits.gone_looks
        self._life.say(self._tapper.hear_refused, self._life, code, at)

    def _hold(self, held: HeldCard) -> None:
        """Do what the presentation wants of the card until it lets go."""
        try:
            while (job := held.next_job(self._limits.held_idle_s, self._life)) is not None:
                job.walk(held.card, self._life)
        finally:
            self._held = None
            held.end(self._life)
        held.card.leave()
        self._device.rest()
        self._empty_looks_wanted = 1 if held.lost else self._limits.gone_looks

    def _wait(self, seconds: float) -> None:
        """Wait, unless the thread has to end or nobody is invited any more."""
        with self._tapper.wake:
            self._tapper.wake.wait_for(lambda: not self._tapper.inviting or self._life.stopping.is_set(), seconds)


class _Counted:
    """A card that counts its commands."""

    def __init__(self, card: Card) -> None:
        self._card = card
        self.count = 0
        self.longest_command = card.longest_command
        self.longest_response = card.longest_response
        self.words = card.words
        self.random_uid = card.random_uid
        self.longest_silence_s = card.longest_silence_s
        self.on_frame = card.on_frame
        self.give_up = card.give_up
        self.leave = card.leave

    def transmit(self, command: bytes) -> bytes:
        """Send, and count."""
        self.count += 1
        return self._card.transmit(command)


def _bounded(procedure: Procedure[T], until: float) -> Procedure[T]:
    """Return the same procedure with an end in time."""
    with contextlib.closing(procedure):
        try:
            step = next(procedure)
            while True:
                if time.monotonic() > until:
                    raise CardError(FieldCode.ABORTED, "the tap took too long")
                step = procedure.send((yield step))
        except StopIteration as done:
            result: T = done.value
            return result


def _foreign(field: Field) -> ReasonCode:
    return TapCode.SEVERAL if field.kind is FieldKind.SEVERAL else TapCode.NOT_A_PHONE


def _reason(error: CardError | Malformed | TapEnded) -> ReasonCode:
    """Return why a tap failed, with all that a phone moved about can cause as one reason."""
    if isinstance(error, CardError) and error.code in {FieldCode.LOST, FieldCode.PROTOCOL}:
        return TapCode.MOVED
    log.info("tap: %s", error)
    return error.code


class HeldCard:
    """A card at the reader; the `CardChannel` of a presentation. Its other half lives on the owner thread."""

    def __init__(self, card: Card, wake: Condition) -> None:
        """Hold the card until `close`."""
        self.card = card
        self.longest_command = card.longest_command
        self.longest_response = card.longest_response
        self.lost = False
        """Whether the card left by itself."""
        self._wake = wake
        self._jobs: deque[_Job[object]] = deque()
        self._closing = False
        self._ended = False
        self._end = asyncio.Event()

    async def run(self, procedure: Procedure[R]) -> R:
        """Walk a procedure with the card, after those asked for before it. See `CardChannel`."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        job: _Job[R] = _Job(self, procedure, future)
        with self._wake:
            if self._closing or self._ended or self.lost:
                procedure.close()
                raise CardError(FieldCode.LOST)
            self._jobs.append(job)  # type: ignore[arg-type]  # what a job results in is between it and its caller
            self._wake.notify_all()
        try:
            return await future
        except asyncio.CancelledError:
            self.give_up()
            raise

    async def close(self) -> None:
        """Let the card go and switch the field off. Bounded by the owner; never raises."""
        self.give_up()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._end.wait()

    def give_up(self) -> None:
        """End whatever is going on with the card. From the loop's thread."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        if not self._ended:
            self.card.give_up()

    # The owner thread's half.

    def next_job(self, idle_s: float, life: Life[NfcDevice]) -> _Job[object] | None:
        """Wait for work; None when the card is to be let go."""
        until = time.monotonic() + idle_s
        with self._wake:
            while True:
                life.beat()
                if self._closing or self.lost or life.stopping.is_set():
                    return None
                if self._jobs:
                    return self._jobs.popleft()
                left = until - time.monotonic()
                if left <= 0:
                    return None
                self._wake.wait(min(left, 1.0))

    def end(self, life: Life[NfcDevice]) -> None:
        """Let nobody wait any longer."""
        with self._wake:
            self._ended = True
            jobs, self._jobs = self._jobs, deque()
        for job in jobs:
            job.refuse(life)
        life.say(self._end.set)


class _Job(Generic[R]):
    """A procedure somebody on the loop waits for."""

    def __init__(self, held: HeldCard, procedure: Procedure[R], future: asyncio.Future[R]) -> None:
        self._held = held
        self._procedure = procedure
        self._future = future

    def walk(self, card: Card, life: Life[NfcDevice]) -> None:
        """Walk it, on the owner thread."""

        def pause(seconds: float) -> None:
            if life.wait(seconds):
                raise CardError(FieldCode.ABORTED)

        life.heartbeat = time.monotonic() + max(0.0, card.longest_silence_s - life.overrun_s / 2)
        try:
            result = perform(self._procedure, card, pause)
        except CardError as error:
            self._held.lost = error.code in {FieldCode.LOST, FieldCode.PROTOCOL}
            life.say(self._fail, error)
        except Malformed as error:
            life.say(self._fail, error)
        except NfcDeviceError:
            life.say(self._fail, CardError(FieldCode.LOST, "the front end was lost"))
            raise
        else:
            life.say(self._succeed, result)
        finally:
            life.beat()

    def refuse(self, life: Life[NfcDevice]) -> None:
        """Do not walk it."""
        self._procedure.close()
        life.say(self._fail, CardError(FieldCode.LOST))

    def _succeed(self, result: R) -> None:
        if not self._future.done():
            self._future.set_result(result)

    def _fail(self, error: Exception) -> None:
        if not self._future.done():
            self._future.set_exception(error)
