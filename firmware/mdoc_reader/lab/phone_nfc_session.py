"""A phone's session over NFC, with the consent it may still wait for (ISO 18013-5 clauses 8.3.3.1.2 and 9.1.1).

Consent can come while the phone lies on the reader, or need a second tap: then what the person approved is remembered
beyond the session in which it was asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from mdoc_reader.lab.nfc_behaviour import NfcOffer, TransferBehaviour
from mdoc_reader.lab.nfc_transfer import Said, unwrap
from mdoc_reader.lab.phone_nfc_apdu import CONDITIONS
from mdoc_reader.lab.wallet import Engagement, Wallet, WalletSession
from mdoc_reader.mdoc.request import DeviceRequest
from mdoc_reader.mdoc.session import DecryptionFailed, SessionData, Status
from mdoc_reader.model.reasons import Malformed

NEVER_S = 3600.0
"""How long an answer takes that is not to come: longer than anybody waits at a reader."""


class Consent:
    """Whether the person approved what was asked. Safe to use from any thread."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Nothing is asked yet. `clock` counts seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._given_at: float | None = None

    def ask(self, after_s: float | None) -> None:
        """Ask, once: the person approves after so many seconds, or when `give` is called."""
        with self._lock:
            if self._given_at is None and after_s is not None:
                self._given_at = self._clock() + after_s

    def give(self) -> None:
        """Approve now."""
        with self._lock:
            self._given_at = self._clock()

    def take(self) -> bool:
        """Say whether approval was given; it is used up by that."""
        with self._lock:
            given = self._given_at is not None and self._given_at <= self._clock()
            if given:
                self._given_at = None
            return given


@dataclass(frozen=True, slots=True)
class NfcOutcome:
    """How a tap ended for the phone.

    Args:
        answered: how many requests it answered.
        status: the status the reader ended the session with; None when the field went first.
        refused: the status the phone ended it with, when it could not read a message.
        pending: whether a request was left unanswered, for want of approval.
    """

    answered: int = 0
    status: int | None = None
    refused: int | None = None
    pending: bool = False


class NfcSession:
    """Answers the session messages of one tap."""

    def __init__(
        self,
        wallet: Wallet,
        engagement: Engagement,
        limits: NfcOffer,
        behaviour: TransferBehaviour,
        consent: Consent,
    ) -> None:
        """Wait for the reader's first message under `engagement`."""
        self._wallet = wallet
        self._engagement = engagement
        self._limits = limits
        self._behaviour = behaviour
        self._consent = consent
        self._begun: WalletSession | None = None
        self._over = False
        self.outcome = NfcOutcome()

    @property
    def over(self) -> bool:
        """Whether nothing more will be answered."""
        return self._over

    @property
    def begun(self) -> WalletSession | None:
        """The session's own state, once the first message was read."""
        return self._begun

    def offer(self) -> NfcOffer | None:
        """Return the limits that were told."""
        return self._limits

    def answer(self, message: bytes) -> Said:
        """Answer a message. What does not decrypt or decode ends the session with a status."""
        if self._over:
            return Said(None, sw=CONDITIONS)
        try:
            if self._begun is None:
                self._begun, asked = self._wallet.handle_establishment(self._engagement, message)
                return self._first(self._begun, asked)
            following = self._begun.handle_message(message)
        except DecryptionFailed:
            return self._refuse(Status.SESSION_ENCRYPTION_ERROR)
        except Malformed:
            return self._refuse(Status.CBOR_DECODING_ERROR)
        if following is None:
            self._over = True
            self.outcome = NfcOutcome(self.outcome.answered, self._begun.status)
            end = self._behaviour.end_answer
            return Said(unwrap(end) if end else None)
        return self._reply(self._begun, following, self._behaviour.later_consent_s)

    def _first(self, begun: WalletSession, asked: DeviceRequest) -> Said:
        wanted = self._behaviour.consent_s
        if self._consent.take():
            return self._reply(begun, asked, 0.0)
        if wanted is not None and not self._behaviour.needs_second_tap:
            return self._reply(begun, asked, wanted)
        self._consent.ask(wanted)
        self._over = True
        self.outcome = NfcOutcome(pending=True)
        return Said(None, NEVER_S, CONDITIONS)

    def _reply(self, begun: WalletSession, asked: DeviceRequest, after_s: float) -> Said:
        message = self._wallet.reply(begun, asked)
        self.outcome = NfcOutcome(self.outcome.answered + 1)
        return Said(message, after_s)

    def _refuse(self, status: Status) -> Said:
        self._over = True
        self.outcome = NfcOutcome(self.outcome.answered, refused=status)
        return Said(SessionData(status=status).encode())
