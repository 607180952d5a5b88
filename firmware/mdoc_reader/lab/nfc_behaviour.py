"""How a lab phone behaves at a tap, and where it leaves the standards (ISO 18013-5 clauses 8.2.2.1 and 8.3.3.1.2).

The defaults are a phone that does as it should. How it answers a request is `WalletBehaviour`, how it behaves on
the Bluetooth air `PhoneRadioBehaviour`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from uuid import UUID

from mdoc_reader.model.connection import ConnectionMethod


class Step(StrEnum):
    """What a reader's command asks for, for failures and delays."""

    SELECT_NDEF = "select NDEF application"
    SELECT_CC = "select capability container"
    READ_CC = "read capability container"
    SELECT_FILE = "select NDEF file"
    READ_LENGTH = "read message length"
    """A read at offset zero of the NDEF file, however much it asks for."""
    READ_MESSAGE = "read message"
    UPDATE = "update NDEF file"
    SELECT_TRANSFER = "select data transfer"
    ENVELOPE_PART = "part of an envelope"
    ENVELOPE_LAST = "last envelope"
    GET_RESPONSE = "get response"


@dataclass(frozen=True, slots=True)
class Failure:
    """A step fails with a status word, from its occurrence `at` on (the first is 0), `times` times or for ever.

    Occurrences are counted from when the behaviour was given to the phone, not from each tap.
    """

    step: Step
    sw: int = 0x6F00
    at: int = 0
    times: int | None = None


@dataclass(frozen=True, slots=True)
class Delay:
    """A step takes the phone `seconds`; `at` one occurrence (counted as for failures), or None for every one."""

    step: Step
    seconds: float
    at: int | None = None


class LeRole(IntEnum):
    """The LE role of whoever sends it."""

    PERIPHERAL = 0
    CENTRAL = 1
    BOTH_RATHER_PERIPHERAL = 2
    BOTH_RATHER_CENTRAL = 3


class Psm(StrEnum):
    """How a Bluetooth carrier names its L2CAP PSM."""

    SERVICE_DATA = "service data"  # AD type 16, a 16-bit UUID and {0: PSM}
    FIELD_77 = "field 77"  # AD type 77 (hexadecimal), four octets


@dataclass(frozen=True, slots=True)
class BleOffer:
    """Bluetooth out-of-band data.

    Args:
        role: the phone's LE role; in negotiated handover it is the one agreed.
        uuid: the service UUID; None for one drawn for this tap.
        with_uuid: whether the carrier names it. Negotiated: None for only as peripheral, as most phones do.
        partial_list: the UUID is in a list said to be incomplete (AD type 06).
        address: six octets, most significant first; `address_type` is left out when None.
        psm: an L2CAP PSM, told as `psm_as`; the phone listens there.
        extra: further fields, type and data, put before all others.
        padding: zero octets after the last field.
        reference: the carrier's name.
        power: the carrier power state.
    """

    role: LeRole = LeRole.PERIPHERAL
    uuid: UUID | None = None
    with_uuid: bool | None = None
    partial_list: bool = False
    address: bytes | None = field(default=None, repr=False)
    address_type: int | None = 1
    psm: int | None = None
    psm_as: Psm = Psm.SERVICE_DATA
    extra: tuple[tuple[int, bytes], ...] = ()
    padding: int = 0
    reference: str = "0"
    power: str = "active"


@dataclass(frozen=True, slots=True)
class NfcOffer:
    """Data transfer over NFC: bytes of data in one command and in one response."""

    max_command: int = 255
    max_response: int = 256
    reference: str = "nfc"
    power: str = "active"


@dataclass(frozen=True, slots=True)
class OtherOffer:
    """A carrier the phone cannot itself be reached by here: Wi-Fi Aware, or one nobody knows."""

    type: str = "application/vnd.wfa.nan"
    payload: bytes = b"\x02\x04\x14"
    reference: str = "W"
    power: str = "active"


Offer = BleOffer | NfcOffer | OtherOffer


@dataclass(frozen=True, slots=True)
class ExtraRecord:
    """A record nobody asked for: ndeflib's name of its type, identifier, payload."""

    type: str
    name: str
    payload: bytes


URI_RECORD = ExtraRecord("urn:nfc:wkt:U", "", b"\x04lab.invalid/wallet")
TEXT_RECORD = ExtraRecord("urn:nfc:wkt:T", "", b"\x02enTap to show your document")


class PastEnd(StrEnum):
    """What a read gets that reaches beyond the end of a file."""

    SHORT_6282 = "what there is, and 6282"
    SHORT_9000 = "what there is, and 9000"
    SIX_C = "6Cxx"
    REFUSED = "6B00"
    ZEROS = "zeros: the file is as large as it says"


@dataclass(frozen=True, slots=True)
class TagBehaviour:
    """The Type 4 tag. Sizes in bytes.

    Args:
        version: mapping version; 0x30 knows `extended`.
        longest_read: MLe; reading more at once is refused with 6700, unless not `strict`.
        longest_write: MLc; the same for writing.
        file: identifier of the NDEF file.
        file_size: the most the file holds.
        extended: ENLEN and an extended NDEF file control TLV in place of NLEN.
        tlvs_before, tlvs_after: further TLVs around the NDEF file control TLV.
        past_end: what happens to reads beyond the end.
        length_lie: the length the file states in place of the message's.
        raw_message: the message shown first, in place of the right one.
        select_data: answered to the SELECT of the application, file control information say.
        select_le: it wants that SELECT with Le (True) or without (False).
        file_p2: the P2 of file selections it takes.
        strict: limits and parameters are insisted on.
    """

    version: int = 0x20
    longest_read: int = 0x00F6
    longest_write: int = 0x00F6
    file: int = 0xE104
    file_size: int = 0x1000
    extended: bool = False
    tlvs_before: bytes = b""
    tlvs_after: bytes = b""
    past_end: PastEnd = PastEnd.SHORT_6282
    length_lie: int | None = None
    raw_message: bytes | None = field(default=None, repr=False)
    select_data: bytes = b""
    select_le: bool | None = None
    file_p2: tuple[int, ...] = (0x0C,)
    strict: bool = True


class Declines(StrEnum):
    """How a phone that negotiates says no."""

    SERVICE = "service"  # status other than 0 in answer to the service selection
    EMPTY_SELECT = "empty select"  # a Handover Select without carriers
    STATUS = "status"  # a status record in answer to the Handover Request
    SILENCE = "silence"  # never ready with its Handover Select


class Choice(StrEnum):
    """What a phone that negotiates may choose."""

    CENTRAL = "central"  # it connects to the reader, who is GATT server
    PERIPHERAL = "peripheral"  # it is the GATT server
    BOTH = "both"  # it leaves the role to the reader, who offered both: its own UUID as server, the reader's as client
    NFC = "nfc"


@dataclass(frozen=True, slots=True)
class NegotiationBehaviour:
    """Negotiated handover over TNEP.

    Args:
        prefers: what it chooses, in this order, of what the reader offers; a choice not listed is never taken.
        ble, nfc: the carriers it answers with.
        wt_int, n_wait: how long it asks the reader to wait, and how often again.
        mode: the communication mode of its service.
        largest: the most bytes of message it says it takes.
        not_ready: so many reads of an answer find an empty file first, for each answer.
        empty_record: an unready file holds one empty record in place of length zero.
        echo_uuid: as central it repeats the reader's UUID in its answer.
        service: the name of its service.
        other_services: names of services offered before it.
        service_status: the status that accepts the service.
        declines: how it says no.
        needs_engagement: it declines a Handover Request without a reader engagement record.
    """

    prefers: tuple[Choice, ...] = (Choice.CENTRAL, Choice.PERIPHERAL, Choice.NFC)
    ble: BleOffer = BleOffer()
    nfc: NfcOffer = NfcOffer()
    wt_int: int = 24
    n_wait: int = 15
    mode: int = 0
    largest: int = 0x0800
    not_ready: int = 0
    empty_record: bool = False
    echo_uuid: bool = False
    service: str = "urn:nfc:sn:handover"
    other_services: tuple[str, ...] = ()
    service_status: int = 0
    declines: Declines | None = None
    needs_engagement: bool = False


@dataclass(frozen=True, slots=True)
class MessageBehaviour:
    """The handover messages themselves.

    Args:
        version: of Connection Handover, 0x12 to 0x15.
        auxiliary: the alternative carriers refer to the engagement record.
        before, after: further records right after the first record, and at the end.
        inner: further records inside Hs, after the alternative carriers.
        records_reversed: the carriers' records come in another order than their alternative carrier records.
        engagement_last: the engagement record comes after the carriers'.
        without_engagement: there is none.
    """

    version: int = 0x15
    auxiliary: bool = True
    before: tuple[ExtraRecord, ...] = ()
    after: tuple[ExtraRecord, ...] = ()
    inner: tuple[ExtraRecord, ...] = ()
    records_reversed: bool = False
    engagement_last: bool = False
    without_engagement: bool = False


@dataclass(frozen=True, slots=True)
class TransferBehaviour:
    """The data transfer application. Sizes in bytes, times in seconds.

    Args:
        select_p2: the P2 of SELECT it takes.
        select_data: answered to the SELECT where P2 asks for file control information.
        extended: it understands extended lengths; its limits decide whether a reader may use them.
        part: the most data of one response, below what Le and its limits allow.
        first_empty: the answer to the last ENVELOPE carries no data, only 61xx.
        six_c: asked for more than there is, it answers 6Cxx.
        length_octets: how many octets the length of its data object takes after the first; None for the shortest.
        end_answer: what the message that ends the session is answered with, a data object or nothing.
        raw_answer: sent in place of the data object of an answer, to lie about its length, say.
        consent_s: until the person approves the first request; None until `approve` is called.
        later_consent_s: the same for further requests of a session.
        needs_second_tap: while approval is pending the phone answers nothing at all; once it was given, the next tap is
            answered at once. The person approves `consent_s` after the first request.
        strict: limits are insisted on.
    """

    select_p2: tuple[int, ...] = (0x0C, 0x00)
    select_data: bytes = b""
    extended: bool = True
    part: int | None = None
    first_empty: bool = False
    six_c: bool = False
    length_octets: int | None = None
    end_answer: bytes = b"\x53\x00"
    raw_answer: bytes | None = field(default=None, repr=False)
    consent_s: float | None = 0.0
    later_consent_s: float = 0.0
    needs_second_tap: bool = False
    strict: bool = True


@dataclass(frozen=True, slots=True)
class TapBehaviour:
    """How a phone behaves at a tap.

    Args:
        carriers: what static handover offers, in order of preference.
        engagement_methods: what the engagement lists itself, though a tap's need not.
        negotiates: how it negotiates; None for static handover.
        locked: 6A82 to everything.
        unlocked_after: the person unlocks it after so many SELECT commands.
        failures: status words in place of answers.
        delays: how long steps take.
        pieces: every answer with more data than this is given in parts, by 61xx and GET RESPONSE.
    """

    carriers: tuple[Offer, ...] = (BleOffer(),)
    engagement_methods: tuple[ConnectionMethod, ...] = ()
    negotiates: NegotiationBehaviour | None = None
    tag: TagBehaviour = TagBehaviour()
    messages: MessageBehaviour = MessageBehaviour()
    transfer: TransferBehaviour = TransferBehaviour()
    locked: bool = False
    unlocked_after: int | None = None
    failures: tuple[Failure, ...] = ()
    delays: tuple[Delay, ...] = ()
    pieces: int | None = None


STATIC = TapBehaviour()
"""Static handover to Bluetooth, the phone as peripheral."""

STATIC_CENTRAL = TapBehaviour(carriers=(BleOffer(role=LeRole.CENTRAL),))

STATIC_BOTH = TapBehaviour(carriers=(BleOffer(role=LeRole.BOTH_RATHER_PERIPHERAL),))

STATIC_NFC = TapBehaviour(carriers=(NfcOffer(),))
"""Static handover to data transfer over NFC, and nothing else."""

NEGOTIATED = TapBehaviour(negotiates=NegotiationBehaviour())
"""Negotiated handover; the phone connects to the reader where that is offered."""

NEGOTIATED_PERIPHERAL = TapBehaviour(negotiates=NegotiationBehaviour(prefers=(Choice.PERIPHERAL,)))

NEGOTIATED_NFC = TapBehaviour(negotiates=NegotiationBehaviour(prefers=(Choice.NFC,)))
