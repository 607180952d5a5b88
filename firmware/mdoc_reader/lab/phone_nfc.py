"""A phone at a tap: its applications behind the contactless interface, with the lab's wallet behind them.

`TapPhone` takes APDUs from whatever emulates the interface, in that one's thread, and tells the rest of the phone what
came of the tap: how a handover ended, how a session over NFC did. Each time it comes into a field it engages anew, with
a new key (ISO 18013-5 clause 9.1.1.4).
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import TypeVar
from uuid import UUID

from mdoc_reader.lab.nfc_apdus import ApduAnswer
from mdoc_reader.lab.nfc_behaviour import STATIC, NfcOffer, Step, TapBehaviour
from mdoc_reader.lab.nfc_tag import NDEF_APPLICATION, Type4Tag
from mdoc_reader.lab.nfc_transfer import TRANSFER_APPLICATION, DataTransfer, Said
from mdoc_reader.lab.phone_nfc_apdu import CONDITIONS, SELECT, Selector, Steps
from mdoc_reader.lab.phone_nfc_handover import Agreed, NegotiatedHandover, StaticHandover
from mdoc_reader.lab.phone_nfc_session import Consent, NfcOutcome, NfcSession
from mdoc_reader.lab.wallet import Engagement, Wallet, WalletSession

_LOCKED = b"\x6a\x82"
_MOST_KEPT = 16
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class PhoneTap:
    """A handover the reader has read to its end.

    Args:
        engagement: with its handover, and in `ble` the way over Bluetooth that was agreed or offered, UUIDs filled in.
        nfc: the limits of data transfer over NFC where that was agreed or offered.
        negotiated: whether the phone chose; otherwise the reader does.
        session_begun: set when a session message came over NFC.
        over: set when the phone left the field, or the session over NFC ended before.
    """

    engagement: Engagement
    nfc: NfcOffer | None
    negotiated: bool
    session_begun: Future[None] = field(default_factory=Future, repr=False)
    over: Future[NfcOutcome] = field(default_factory=Future, repr=False)


class TapPhone:
    """The contactless side of a phone; an `ApduHandler`. What is not of that protocol may be called from any thread."""

    def __init__(
        self,
        wallet: Wallet,
        behaviour: TapBehaviour = STATIC,
        *,
        curve_name: str = "P-256",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Hold a wallet. `clock` counts seconds, for consent that outlasts a tap."""
        self.wallet = wallet
        self._curve_name = curve_name
        self._lock = threading.RLock()
        self._consent = Consent(clock)
        self._awaited: list[Future[PhoneTap]] = []
        self._unclaimed: deque[PhoneTap] = deque(maxlen=_MOST_KEPT)
        self._shown_code: tuple[Engagement, NfcOffer] | None = None
        self._field: _InField | None = None
        self.fields = 0
        """How often it came into a field and was spoken to."""
        self.apdus = 0
        """How many commands it was sent."""
        self.behave(behaviour)

    def behave(self, behaviour: TapBehaviour) -> None:
        """Behave differently from the next field on; locked or not, and counts of steps, from now on."""
        with self._lock:
            self._behaviour = behaviour
            self._steps = Steps(behaviour.failures, behaviour.delays)
            self._locked = behaviour.locked
            self._unlocked_after = behaviour.unlocked_after

    def lock(self) -> None:
        """Lock the phone: it answers nothing but 6A82, until `unlock`."""
        with self._lock:
            self._locked = True
            self._unlocked_after = None

    def unlock(self) -> None:
        """Unlock it, as its owner would."""
        with self._lock:
            self._locked = False

    def approve(self) -> None:
        """Approve what was asked at this tap, or will be at the next."""
        self._consent.give()

    def show_code(self, engagement: Engagement, limits: NfcOffer | None = None) -> None:
        """Let the next sessions over NFC be those of a QR code that offers it: there is no handover then.

        `limits` are those in the code, by default 255 and 256 bytes.
        """
        with self._lock:
            self._shown_code = engagement, limits or NfcOffer()

    @property
    def behaviour(self) -> TapBehaviour:
        """How it behaves."""
        return self._behaviour

    @property
    def steps(self) -> Counter[Step]:
        """How often the reader took each step, since the behaviour was given."""
        with self._lock:
            return Counter(self._steps.seen)

    @property
    def session(self) -> WalletSession | None:
        """The session over NFC of the present field, once it has begun."""
        with self._lock:
            return self._field.session if self._field is not None else None

    def next_handover(self) -> Future[PhoneTap]:
        """Return the next handover read to its end that nobody has claimed yet. Cancelling it is fine."""
        future: Future[PhoneTap] = Future()
        with self._lock:
            if self._unclaimed:
                future.set_result(self._unclaimed.popleft())
            else:
                self._awaited.append(future)
        return future

    def on_apdu(self, command: bytes) -> ApduAnswer:
        """Answer a command as it was received."""
        with self._lock:
            self.apdus += 1
            if self._locked:
                if self._unlocked_after != 0:
                    if self._unlocked_after is not None and command[1:2] == bytes((SELECT,)):
                        self._unlocked_after -= 1
                    return ApduAnswer(_LOCKED)
                self._locked = False
            if self._field is None:
                self.fields += 1
                self._field = _InField(self, self._behaviour, self._steps)
            return self._field.on_apdu(command)

    def on_deselected(self) -> None:
        """Forget what the tap had begun."""
        with self._lock:
            left, self._field = self._field, None
        if left is not None:
            left.leave()

    def _engage(self) -> Engagement:
        return self.wallet.engage(self._curve_name, methods=self._behaviour.engagement_methods)

    def _tell(self, tap: PhoneTap) -> None:
        while self._awaited:
            if settle(self._awaited.pop(0), tap):
                return
        self._unclaimed.append(tap)


class _InField:
    """One stay in a field: one engagement, one handover, at most one session. Called under the phone's lock."""

    def __init__(self, phone: TapPhone, behaviour: TapBehaviour, steps: Steps) -> None:
        """Engage anew."""
        self._phone = phone
        self._behaviour = behaviour
        self._bare = phone._engage()
        self._tap: PhoneTap | None = None
        self._session: NfcSession | None = None
        if phone._shown_code is not None:
            self._session = self._talk(*phone._shown_code)
        handover = StaticHandover if behaviour.negotiates is None else NegotiatedHandover
        messages = handover(self._bare.encoded, UUID(bytes=os.urandom(16), version=4), behaviour, self._agreed)
        self._selector = Selector(
            {
                NDEF_APPLICATION: Type4Tag(messages, behaviour.tag, steps),
                TRANSFER_APPLICATION: DataTransfer(self, behaviour.transfer, steps),
            },
            steps,
            behaviour.pieces,
        )

    @property
    def session(self) -> WalletSession | None:
        return self._session.begun if self._session is not None else None

    def on_apdu(self, command: bytes) -> ApduAnswer:
        return self._selector.on_apdu(command)

    def offer(self) -> NfcOffer | None:
        return None if self._session is None else self._session.offer()

    def answer(self, message: bytes) -> Said:
        if self._session is None:
            return Said(None, sw=CONDITIONS)
        if self._tap is not None:
            settle(self._tap.session_begun, None)
        said = self._session.answer(message)
        if self._session.over and not self._session.outcome.pending:
            self._end()
        return said

    def leave(self) -> None:
        self._selector.on_deselected()
        self._end()

    def _end(self) -> None:
        if self._tap is not None:
            settle(self._tap.over, NfcOutcome() if self._session is None else self._session.outcome)

    def _talk(self, engagement: Engagement, limits: NfcOffer) -> NfcSession:
        return NfcSession(self._phone.wallet, engagement, limits, self._behaviour.transfer, self._phone._consent)

    def _agreed(self, agreed: Agreed) -> None:
        # A message read again, after another selection, changes nothing that was said.
        if self._tap is not None and self._tap.engagement.handover == agreed.handover:
            return
        self._end()
        engagement = replace(self._bare, ble=agreed.ble, handover=agreed.handover)
        self._tap = PhoneTap(engagement, agreed.nfc, self._behaviour.negotiates is not None)
        self._session = None if agreed.nfc is None else self._talk(engagement, agreed.nfc)
        self._phone._tell(self._tap)


def settle(future: Future[_V], value: _V) -> bool:
    """Set a result where it is still wanted, and say whether it was."""
    # The one that settles is the only one; the other end may cancel at any moment, and then nobody listens.
    if future.done() or not future.set_running_or_notify_cancel():
        return False
    future.set_result(value)
    return True
