"""From a tap to what the engine is told: an engagement to serve, or a reason with the sign that goes with it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from uuid import UUID

from mdoc_reader.engagement import tap
from mdoc_reader.engagement.tap import TapCode, TapOffer, Tapped
from mdoc_reader.engagement.tapper import Tap
from mdoc_reader.model.decision import Outcome
from mdoc_reader.model.reasons import ReasonCode
from mdoc_reader.model.sign import Sign
from mdoc_reader.nfc.apdu import Way
from mdoc_reader.nfc.ports import Card
from mdoc_reader.nfc.procedure import Procedure
from mdoc_reader.reader.engaged import Engaged
from mdoc_reader.reader.engine import Engine
from mdoc_reader.reader.presentation import Equipment

_COLLISION_OCTETS = 2

# What is more than "that is no mobile document": the person can do something about it.
_MORE_TO_SAY: dict[ReasonCode, tuple[Outcome, Sign]] = {
    TapCode.LOCKED: (Outcome.FAILED, Sign.UNLOCK),
    TapCode.SEVERAL: (Outcome.FAILED, Sign.ONE_ONLY),
    TapCode.MOVED: (Outcome.FAILED, Sign.TRY_AGAIN),
    TapCode.NO_COMMON_METHOD: (Outcome.FAILED, Sign.TRY_AGAIN),
    TapCode.REFUSED_SERVICE: (Outcome.FAILED, Sign.TRY_AGAIN),
    TapCode.NOT_READY: (Outcome.FAILED, Sign.TRY_AGAIN),
}


@dataclass(frozen=True, slots=True)
class Said:
    """What a phone said in a tap, and the UUID it was promised to find us under."""

    tapped: Tapped
    offered: UUID | None


class Taps:
    """Joins a tapper to an engine."""

    def __init__(self, equipment: Equipment, engine: Engine, *, transfer: bool) -> None:
        """Serve taps. `transfer`: whether NFC may carry the documents too."""
        self._equipment = equipment
        self._engine = engine
        self._transfer = transfer

    def engage(self, card: Card) -> Procedure[Said]:
        """Return the procedure of a tap, as the reader is now. Called on the front end's thread."""
        gear = self._equipment
        uuid = None if gear.armed is None else gear.armed.uuid
        offer = TapOffer(secrets.token_bytes(_COLLISION_OCTETS), uuid, ble=gear.radio.available, nfc=self._transfer)
        tapped = yield from tap.engage(offer, Way.to(card))
        return Said(tapped, uuid if tapped.negotiated else None)

    def on_tap(self, told: Tap[Said]) -> None:
        """Offer a phone to the engine."""
        tapped = told.said.tapped
        engaged = Engaged(tapped.select.engagement, tapped.methods, tapped.handover, told.said.offered, told.channel)
        self._engine.offer_tap(engaged, told.at)

    def on_refused(self, code: ReasonCode, at: float) -> None:
        """Tell the engine of something it cannot serve."""
        outcome, sign = _MORE_TO_SAY.get(code, (Outcome.NOT_AN_MDOC, Sign.NOT_READABLE))
        self._engine.refuse_tap(code, outcome, sign, at)
