"""A whole tap: from something in the field to how the phone behind it can be reached (ISO 18013-5 clause 8.2.2.1).

What is no phone with a document is named where that can be found out, so that its owner can be told.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from uuid import UUID

from mdoc_reader.mdoc import handover, handover_request, ndef
from mdoc_reader.mdoc.handover import HandoverSelect
from mdoc_reader.mdoc.ndef import Tnf
from mdoc_reader.mdoc.transcript import NfcHandover
from mdoc_reader.model.connection import BleMethod, ConnectionMethod, NfcMethod
from mdoc_reader.model.reasons import Malformed, ReasonCode
from mdoc_reader.nfc import apdu, tnep, type4
from mdoc_reader.nfc.apdu import Refused, Way
from mdoc_reader.nfc.procedure import Procedure

_PASSPORT = bytes.fromhex("a0000002471001")
_PAYMENT = b"2PAY.SYS.DDF01"


class TapCode(ReasonCode):
    """Why a tap did not lead to a phone that can be talked to."""

    LOCKED = "tap_locked", "The phone is locked or has no document ready: unlock it, open the wallet and tap again."
    BANK_CARD = "tap_bank_card", "This is a payment card, not a phone with a mobile document."
    PASSPORT = "tap_passport", "This is a passport or identity card with a chip, not a phone with a mobile document."
    NOT_A_PHONE = "tap_not_a_phone", "What was held to the reader is not a phone with a mobile document."
    SEVERAL = "tap_several", "More than one card or phone was held to the reader: hold only the phone to it."
    MOVED = "tap_moved", "The phone was moved away too early: hold it still on the reader."
    NO_HANDOVER = "tap_no_handover", "The phone or tag says something over NFC, but offers no mobile document."
    NO_COMMON_METHOD = "tap_no_common_method", "The phone offers no way to connect that this reader has."
    REFUSED_SERVICE = "tap_refused_service", "The phone offered to negotiate the connection and then refused to."
    NOT_READY = "tap_not_ready", "The phone asked for more time to negotiate than it may have."
    NOT_READABLE = "tap_not_readable", "What the phone or tag offers over NFC could not be read."


class TapEnded(Exception):  # noqa: N818 -- how a tap ended, not a defect of this program
    """The tap led to nothing, for a reason that is no fault of the radio or of a message."""

    def __init__(self, code: TapCode, detail: str = "") -> None:
        """Keep the reason; `detail` is for the log and holds at most a status word."""
        self.code = code
        self.detail = detail[:200]
        super().__init__(code, self.detail)

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.code}: {self.detail or self.code.log}"


@dataclass(frozen=True, slots=True)
class TapOffer:
    """What this reader offers a phone that negotiates, and what it can use of what a phone offers.

    Attributes:
        collision: two octets drawn at random for this tap (the cr record).
        uuid: the service UUID that is being advertised already, for the phone to connect to; None when none is.
        ble: whether this reader can use Bluetooth at all.
        nfc: whether this reader accepts data transfer over NFC.
    """

    collision: bytes
    uuid: UUID | None = None
    ble: bool = True
    nfc: bool = True


@dataclass(frozen=True, slots=True)
class Tapped:
    """What a tap told.

    `methods` are those that this reader can use, in the phone's order of preference, with every UUID filled in that
    the two sides agreed on otherwise. `select.engagement` is the phone's device engagement.
    """

    select: HandoverSelect
    handover: NfcHandover = field(repr=False)
    methods: tuple[ConnectionMethod, ...]
    negotiated: bool


def engage(offer: TapOffer, way: Way) -> Procedure[Tapped]:
    """Find out what is in the field and come to terms with it. Raises CardError, Malformed, TapEnded.

    A phone that names the handover service is negotiated with, even where its first message holds a Handover Select
    as well: what belongs to the transcript is then beyond doubt. That Select is used where there is nothing to offer,
    or the message cannot be written to.
    """
    try:
        yield from type4.select_application()
    except Refused as refused:
        raise (yield from _name_it(refused, way)) from None
    try:
        tag = yield from type4.open_tag(way)
        if not tag.cc.readable:
            raise TapEnded(TapCode.NOT_READABLE, "reading needs a key")
        message = yield from type4.read_message(tag)
        return (yield from _handover(offer, tag, message))
    except Refused as refused:
        raise TapEnded(TapCode.NOT_READABLE, refused.detail) from None


def _handover(offer: TapOffer, tag: type4.Tag, message: bytes) -> Procedure[Tapped]:
    if not message:
        raise TapEnded(TapCode.NO_HANDOVER, "an empty message")
    records = ndef.parse(message, "initial")
    static = records[0].is_a(Tnf.WELL_KNOWN, handover.SELECT)
    try:
        offered = [service for service in tnep.services(records) if service.name == tnep.HANDOVER]
    except Malformed:
        if not static:
            raise
        offered = []
    if offered and tag.cc.writable and (offer.ble or offer.nfc):
        return (yield from _negotiate(offer, tag, offered[0]))
    if static and any(record.is_a(Tnf.EXTERNAL, handover.DEVICE_ENGAGEMENT) for record in records):
        return _tapped(offer, handover.parse_select(message), NfcHandover(message), negotiated=False)
    if offered:
        raise TapEnded(TapCode.NO_COMMON_METHOD, "the phone negotiates, and cannot be written to or offered anything")
    raise TapEnded(TapCode.NO_HANDOVER, f"{len(records)} records, no device engagement among them")


def _negotiate(offer: TapOffer, tag: type4.Tag, service: tnep.Service) -> Procedure[Tapped]:
    uuid = offer.uuid if offer.ble else None
    request = handover_request.build(offer.collision, uuid=uuid, central=offer.ble, nfc=offer.nfc)
    try:
        yield from tnep.select(tag, service)
        answer = yield from tnep.exchange(tag, service, request)
    except tnep.ServiceRefused as refused:
        raise TapEnded(TapCode.REFUSED_SERVICE, f"status {refused.status}") from None
    except tnep.NotReady:
        raise TapEnded(TapCode.NOT_READY) from None
    select = handover.parse_select(answer)
    return _tapped(offer, select, NfcHandover(answer, request), negotiated=True)


def _tapped(offer: TapOffer, select: HandoverSelect, exchanged: NfcHandover, *, negotiated: bool) -> Tapped:
    """Keep the methods that can be used. Where the carriers hold none, the engagement may (key 2)."""
    said, ours = select.engagement, offer.uuid if negotiated and offer.ble else None
    for named in (select.methods, said.methods):
        completed = [_complete(method, said.ble, ours) if isinstance(method, BleMethod) else method for method in named]
        usable = tuple(method for method in completed if _usable(method, offer))
        if usable:
            return Tapped(select, exchanged, usable, negotiated)
    raise TapEnded(TapCode.NO_COMMON_METHOD)


def _usable(method: ConnectionMethod, offer: TapOffer) -> bool:
    if isinstance(method, BleMethod):
        return offer.ble and (method.peripheral_server or method.central_client)
    return offer.nfc and isinstance(method, NfcMethod)


def _complete(method: BleMethod, said: BleMethod | None, ours: UUID | None) -> BleMethod:
    """Fill in the UUIDs the carrier left out, and take away a mode that cannot be reached without one.

    Negotiated, a phone that connects to the reader looks for the UUID the reader offered (clause 8.3.3.1.1.2); one
    that names a UUID of its own where it does nothing else is believed. The UUID of a phone that leaves the choice of
    mode to the reader is the one it shows itself.
    """
    central, peripheral = method.central_uuid, method.peripheral_uuid
    if ours is not None and (central is None or method.peripheral_server):
        central = ours
    if said is not None:
        central, peripheral = central or said.central_uuid, peripheral or said.peripheral_uuid
    if method.address is None:
        peripheral = peripheral or ours
    return replace(
        method,
        central_client=method.central_client and central is not None,
        central_uuid=central if method.central_client else None,
        peripheral_server=method.peripheral_server and (peripheral is not None or method.address is not None),
        peripheral_uuid=peripheral if method.peripheral_server else None,
    )


def _name_it(refused: Refused, way: Way) -> Procedure[TapEnded]:
    """Find out what it is that has no NDEF application.

    Passports draw their identifier anew like phones do, so they are asked first. Then whatever draws it anew is a
    phone, whether it pays or not; a payment card does not.
    """
    if (yield from _has(_PASSPORT, 0x0C, None)):
        return TapEnded(TapCode.PASSPORT, refused.detail)
    if way.random_uid:
        return TapEnded(TapCode.LOCKED, refused.detail)
    if (yield from _has(_PAYMENT, 0x00, 256)):
        return TapEnded(TapCode.BANK_CARD, refused.detail)
    return TapEnded(TapCode.NOT_A_PHONE, refused.detail)


def _has(application: bytes, p2: int, le: int | None) -> Procedure[bool]:
    response = yield from apdu.one(apdu.encode(apdu.SELECT, 0x04, p2, application, le))
    return response.sw == apdu.OK or response.sw >> 8 == 0x61
