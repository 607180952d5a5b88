"""What a phone says through its tag: static handover, or negotiated over TNEP (ISO 18013-5 clause 8.2.2.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID

from mdoc_reader.lab import phone_nfc_records as records
from mdoc_reader.lab.nfc_behaviour import (
    BleOffer,
    Choice,
    Declines,
    LeRole,
    NfcOffer,
    Offer,
    TapBehaviour,
)
from mdoc_reader.lab.nfc_tag import Shown
from mdoc_reader.lab.phone_nfc_records import Asked, NotUnderstood
from mdoc_reader.mdoc.transcript import NfcHandover
from mdoc_reader.model.connection import BleMethod

_ACCEPTED, _PROTOCOL_ERROR, _DECLINED = 0x00, 0x01, 0x80
_NEVER = 1 << 30


@dataclass(frozen=True, slots=True)
class Agreed:
    """How a handover ended: what was said, and the ways that lead to this phone now."""

    handover: NfcHandover
    ble: BleMethod | None
    nfc: NfcOffer | None


def method_of(offer: BleOffer, uuid: UUID) -> BleMethod:
    """Return what the phone does for this offer: one UUID serves both modes."""
    server, client = offer.role is not LeRole.CENTRAL, offer.role is not LeRole.PERIPHERAL
    return BleMethod(server, client, uuid if server else None, uuid if client else None, offer.address, offer.psm)


class StaticHandover:
    """One message, which says everything."""

    writable = False

    def __init__(
        self, device_engagement: bytes, uuid: UUID, behaviour: TapBehaviour, done: Callable[[Agreed], None]
    ) -> None:
        """Prepare the message. `done` is called once it was read."""
        offers: list[tuple[Offer, UUID]] = []
        ble: BleMethod | None = None
        nfc: NfcOffer | None = None
        for offer in behaviour.carriers:
            named = offer.uuid or uuid if isinstance(offer, BleOffer) else uuid
            offers.append((offer, named))
            if isinstance(offer, BleOffer) and ble is None:
                ble = method_of(offer, named)
            elif isinstance(offer, NfcOffer) and nfc is None:
                nfc = offer
        self._message = records.handover_select(offers, device_engagement, behaviour.messages)
        self._agreed = Agreed(NfcHandover(self._message), ble, nfc)
        self._done = done

    def begin(self) -> Shown:
        """Show it."""
        return Shown(self._message)

    def written(self, message: bytes) -> Shown:
        """Show it: the tag refuses writing before this."""
        return self.begin()

    def was_read(self, message: bytes) -> None:
        """Note that the reader knows it now."""
        self._done(self._agreed)


class NegotiatedHandover:
    """A service that takes a Handover Request and answers with the one carrier it chose."""

    writable = True

    def __init__(
        self, device_engagement: bytes, uuid: UUID, behaviour: TapBehaviour, done: Callable[[Agreed], None]
    ) -> None:
        """Wait to be selected. `done` is called once the answer was read."""
        if behaviour.negotiates is None:
            raise ValueError("this phone does not negotiate")
        self._negotiation = behaviour.negotiates
        self._messages = behaviour.messages
        self._engagement = device_engagement
        self._uuid = uuid
        self._done = done
        self._selected = False
        self._agreed: Agreed | None = None
        self.asked: Asked | None = None

    def begin(self) -> Shown:
        """Show the services."""
        self._selected = False
        self._agreed = None
        return Shown(records.service_parameters(self._negotiation, self._messages))

    def written(self, message: bytes) -> Shown:
        """Answer a service selection or a Handover Request."""
        self._agreed = None
        try:
            service = records.read_service(message)
            if service is not None:
                return self._select(service)
            if not self._selected or len(message) > self._negotiation.largest:
                return self._show(records.status(_PROTOCOL_ERROR))
            return self._choose(message, records.read_request(message))
        except NotUnderstood:
            return self._show(records.status(_PROTOCOL_ERROR))

    def was_read(self, message: bytes) -> None:
        """Note that the reader knows what was chosen."""
        if self._agreed is not None:
            self._done(self._agreed)

    def _show(self, message: bytes) -> Shown:
        return Shown(message, self._negotiation.not_ready, self._negotiation.empty_record)

    def _select(self, service: str) -> Shown:
        if not service:
            return self.begin()
        self._selected = service == self._negotiation.service and self._negotiation.declines is not Declines.SERVICE
        if self._selected:
            return self._show(records.status(self._negotiation.service_status))
        return self._show(records.status(_DECLINED))

    def _choose(self, request: bytes, asked: Asked) -> Shown:
        self.asked = asked
        declines = self._negotiation.declines
        if declines is Declines.STATUS:
            return self._show(records.status(_DECLINED))
        if declines is Declines.SILENCE:
            return Shown(records.status(_DECLINED), _NEVER)
        choice = None
        if not (self._negotiation.needs_engagement and asked.engagement is None):
            choice = next((one for one in self._negotiation.prefers if _possible(one, asked)), None)
        if choice is None or declines is Declines.EMPTY_SELECT:
            return self._show(records.handover_select([], self._engagement, self._messages))
        offer, uuid, bare = self._answer(choice, asked)
        message = records.handover_select([(offer, uuid)], self._engagement, self._messages, bare=bare)
        handover = NfcHandover(message, request)
        if isinstance(offer, BleOffer):
            ble = method_of(offer, uuid)
            if choice is Choice.BOTH:
                ble = replace(ble, central_uuid=asked.uuid)
            self._agreed = Agreed(handover, ble, None)
        else:
            self._agreed = Agreed(handover, None, offer)
        return self._show(message)

    def _answer(self, choice: Choice, asked: Asked) -> tuple[BleOffer | NfcOffer, UUID, bool]:
        own = self._negotiation.ble.uuid or self._uuid
        if choice is Choice.NFC:
            return self._negotiation.nfc, own, True
        if choice is not Choice.CENTRAL:
            role = LeRole.PERIPHERAL if choice is Choice.PERIPHERAL else LeRole.BOTH_RATHER_CENTRAL
            return replace(self._negotiation.ble, role=role), own, False
        # The phone comes to the reader: the UUID is the reader's.
        offer = replace(self._negotiation.ble, role=LeRole.CENTRAL, psm=None)
        return offer, asked.uuid or own, not self._negotiation.echo_uuid


def _possible(choice: Choice, asked: Asked) -> bool:
    if choice is Choice.NFC:
        return asked.nfc
    if asked.role is None:
        return False
    if choice is Choice.BOTH:
        return asked.role not in {LeRole.CENTRAL, LeRole.PERIPHERAL}
    # The reader's role: a phone that is central needs a reader that is peripheral.
    return asked.role is not (LeRole.CENTRAL if choice is Choice.CENTRAL else LeRole.PERIPHERAL)
