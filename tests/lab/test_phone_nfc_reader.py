"""The firmware's own procedures of a tap against the lab phone, and against what is no phone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest
from nfc_session import END, Reader

from mdoc_reader.engagement.tap import TapCode, TapEnded, TapOffer, Tapped, engage
from mdoc_reader.lab import certificates, nfc_others
from mdoc_reader.lab.nfc_apdus import ApduHandler
from mdoc_reader.lab.nfc_behaviour import (
    NEGOTIATED,
    NEGOTIATED_NFC,
    NEGOTIATED_PERIPHERAL,
    STATIC,
    STATIC_BOTH,
    STATIC_CENTRAL,
    STATIC_NFC,
    TEXT_RECORD,
    URI_RECORD,
    BleOffer,
    Choice,
    Declines,
    LeRole,
    MessageBehaviour,
    NegotiationBehaviour,
    NfcOffer,
    OtherOffer,
    PastEnd,
    TagBehaviour,
    TapBehaviour,
    TransferBehaviour,
)
from mdoc_reader.lab.phone_nfc import TapPhone
from mdoc_reader.lab.situations import SITUATIONS
from mdoc_reader.mdoc import cbor, keys, session
from mdoc_reader.model.connection import BleMethod, NfcMethod
from mdoc_reader.nfc import transfer
from mdoc_reader.nfc.apdu import Way
from mdoc_reader.nfc.procedure import perform

READER_UUID = UUID("6f0c1a40-6b7e-4f06-9d3c-2b7a6ed5c001")
OFFER = TapOffer(b"\x12\x34", READER_UUID)
IACA = certificates.make_iaca()
WALLET = SITUATIONS["adult"].wallet(IACA, certificates.make_document_signer(IACA))


class Held:
    """What is held to a reader, without anything between."""

    words = "in memory"
    longest_silence_s = 5.0
    on_frame: Callable[[], None] | None = None

    def __init__(self, apdus: ApduHandler, *, extended: bool = False, random_uid: bool = True) -> None:
        self.apdus = apdus
        self.longest_command, self.longest_response = (65544, 65538) if extended else (261, 258)
        self.random_uid = random_uid
        self.commands = 0

    def transmit(self, command: bytes) -> bytes:
        assert len(command) <= self.longest_command
        self.commands += 1
        answer = self.apdus.on_apdu(command).data
        assert len(answer) <= self.longest_response
        return answer

    def give_up(self) -> None:
        raise NotImplementedError

    def leave(self) -> None:
        self.apdus.on_deselected()


def tapped(card: Held, offer: TapOffer = OFFER) -> Tapped:
    return perform(engage(offer, Way.to(card)), card, lambda _: None)


def ended(apdus: ApduHandler, *, random_uid: bool = False, offer: TapOffer = OFFER) -> TapCode:
    with pytest.raises(TapEnded) as caught:
        tapped(Held(apdus, random_uid=random_uid), offer)
    return caught.value.code


BEHAVIOURS = {
    "static": STATIC,
    "static central": STATIC_CENTRAL,
    "static both": STATIC_BOTH,
    "static both, rather central": TapBehaviour((BleOffer(LeRole.BOTH_RATHER_CENTRAL),)),
    "static nfc": STATIC_NFC,
    "static several": TapBehaviour((OtherOffer(), NfcOffer(), BleOffer())),
    "negotiated": NEGOTIATED,
    "negotiated peripheral": NEGOTIATED_PERIPHERAL,
    "negotiated both": TapBehaviour(negotiates=NegotiationBehaviour((Choice.BOTH,))),
    "negotiated nfc": NEGOTIATED_NFC,
    "negotiated, the UUID repeated": TapBehaviour(negotiates=NegotiationBehaviour(echo_uuid=True)),
}
MANNERS = {
    "ordinary": {},
    "small": {"tag": TagBehaviour(longest_read=15, longest_write=13, file=0x0001)},
    "one octet at a time": {"tag": TagBehaviour(longest_write=1)},
    "version 3": {"tag": TagBehaviour(version=0x30, extended=True, tlvs_after=b"\x05\x06\x80\x01\x01\x00\x00\xff")},
    "large": {"tag": TagBehaviour(longest_read=0xFFFF, longest_write=0xFFFF, file_size=0x7FFF)},
    "informative": {"tag": TagBehaviour(select_data=b"\x6f\x00", select_le=False, file_p2=(0,)), "pieces": 11},
    "wordy": {
        "messages": MessageBehaviour(
            0x13, False, (URI_RECORD,), (TEXT_RECORD,), (TEXT_RECORD,), records_reversed=True, engagement_last=True
        )
    },
    "sized": {"tag": TagBehaviour(past_end=PastEnd.ZEROS)},
}


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("name", BEHAVIOURS)
def test_the_reader_comes_to_terms(name: str, manner: str, extended: bool) -> None:
    behaviour = replace(BEHAVIOURS[name], **MANNERS[manner])  # type: ignore[arg-type]  # names and values of fields
    phone = TapPhone(WALLET, behaviour)
    known_by_reader = tapped(Held(phone, extended=extended))
    known = phone.next_handover().result(timeout=0)
    assert known_by_reader.handover == known.engagement.handover
    assert known_by_reader.negotiated is known.negotiated
    assert known_by_reader.select.engagement.raw == known.engagement.encoded
    by_reader = [method for method in known_by_reader.methods if isinstance(method, BleMethod)]
    assert by_reader == ([] if known.engagement.ble is None else [known.engagement.ble])
    assert any(isinstance(method, NfcMethod) for method in known_by_reader.methods) == (known.nfc is not None)
    public = keys.encode_cose_key(known.engagement.private_key.public_key())
    assert session.ble_ident(cbor.embed(public)) == known.engagement.ident


def test_methods_may_be_in_the_engagement_itself() -> None:
    ble = BleMethod(True, False, READER_UUID)
    phone = TapPhone(WALLET, TapBehaviour((BleOffer(with_uuid=False),), engagement_methods=(ble,)))
    assert tapped(Held(phone)).methods == (ble,)


def test_how_many_commands_a_tap_takes() -> None:
    for behaviour, commands in ((STATIC, 6), (NEGOTIATED, 12)):
        card = Held(TapPhone(WALLET, behaviour))
        tapped(card)
        assert card.commands == commands


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize(
    "manner",
    [
        TransferBehaviour(),
        TransferBehaviour(select_p2=(0,), select_data=b"\x6f\x00", first_empty=True),
        TransferBehaviour(six_c=True, part=50, length_octets=3),
        TransferBehaviour(extended=False),
    ],
)
@pytest.mark.parametrize("limits", [NfcOffer(), NfcOffer(0xFFFF, 0x10000), NfcOffer(300, 700)])
@pytest.mark.parametrize("behaviour", [STATIC_NFC, NEGOTIATED_NFC])
def test_a_session_over_nfc(
    behaviour: TapBehaviour, limits: NfcOffer, manner: TransferBehaviour, extended: bool
) -> None:
    if limits.max_command > 255:
        manner = replace(manner, extended=True)  # a phone that promises extended lengths has them
    negotiates = behaviour.negotiates
    phone = TapPhone(
        WALLET,
        replace(
            behaviour,
            carriers=(limits,),
            negotiates=None if negotiates is None else replace(negotiates, nfc=limits),
            transfer=manner,
        ),
    )
    card = Held(phone, extended=extended)
    known = tapped(card)
    (method,) = known.methods
    assert isinstance(method, NfcMethod)
    reader = Reader(known.select, known.handover.request)

    def say(message: bytes) -> bytes:
        agreed = transfer.Limits.of(method, Way.to(card))
        return perform(transfer.deliver(message, agreed, cap=100_000), card, lambda _: None)

    perform(transfer.select(), card, lambda _: None)
    assert reader.read(say(reader.establish("portrait", "family_name"))) == {"portrait", "family_name"}
    assert reader.read(say(reader.again("given_name"))) == {"given_name"}
    assert phone.session is not None
    assert phone.session.transcript == reader.transcript
    assert say(END) == b""
    over = phone.next_handover().result(timeout=0).over.result(timeout=0)
    assert (over.answered, over.status) == (2, 20)


# What leads to nothing


@pytest.mark.parametrize(
    ("apdus", "random_uid", "code"),
    [
        (TapPhone(WALLET, replace(STATIC, locked=True)), True, TapCode.LOCKED),
        (nfc_others.BankCard(), False, TapCode.BANK_CARD),
        (nfc_others.Passport(), True, TapCode.PASSPORT),
        (nfc_others.NdefSticker(), False, TapCode.NO_HANDOVER),
        (nfc_others.NdefSticker(b""), False, TapCode.NO_HANDOVER),
        (nfc_others.StatusCard(), False, TapCode.NOT_A_PHONE),
        (nfc_others.StatusCard(0x6E00), False, TapCode.NOT_A_PHONE),
        (TapPhone(WALLET, TapBehaviour((OtherOffer(),))), True, TapCode.NO_COMMON_METHOD),
        (TapPhone(WALLET, TapBehaviour((BleOffer(with_uuid=False),))), True, TapCode.NO_COMMON_METHOD),
        (
            TapPhone(WALLET, TapBehaviour(negotiates=NegotiationBehaviour(declines=Declines.SERVICE))),
            True,
            TapCode.REFUSED_SERVICE,
        ),
        (
            TapPhone(WALLET, TapBehaviour(negotiates=NegotiationBehaviour(declines=Declines.EMPTY_SELECT))),
            True,
            TapCode.NO_COMMON_METHOD,
        ),
        (
            TapPhone(WALLET, TapBehaviour(negotiates=NegotiationBehaviour(not_ready=4, n_wait=3))),
            True,
            TapCode.NOT_READY,
        ),
    ],
)
def test_what_leads_to_nothing_says_why(apdus: ApduHandler, random_uid: bool, code: TapCode) -> None:
    assert ended(apdus, random_uid=random_uid) is code


def test_a_bank_card_lists_its_application() -> None:
    card = nfc_others.BankCard()
    listing = card.on_apdu(b"\x00\xa4\x04\x00\x0e2PAY.SYS.DDF01\x00").data
    assert listing[-2:] == b"\x90\x00"
    assert nfc_others.PAYMENT_APPLICATION in listing
    assert card.on_apdu(bytes.fromhex("00A4040007A000000003101000")).data[-2:] == b"\x90\x00"
    assert card.on_apdu(bytes.fromhex("00A8000002830000")).data == b"\x69\x85"
    card.on_deselected()
    assert card.on_apdu(bytes.fromhex("00A8000002830000")).data == b"\x6d\x00"


def test_a_passport_shows_nothing() -> None:
    card = nfc_others.Passport()
    assert card.on_apdu(bytes.fromhex("00A4040C07A0000002471001")).data == b"\x90\x00"
    assert len(card.on_apdu(bytes.fromhex("0084000008")).data) == 10
    assert card.on_apdu(bytes.fromhex("00A4020C02011E")).data == b"\x69\x82"
    assert card.on_apdu(bytes.fromhex("00B0000004")).data == b"\x69\x86"
    card.on_deselected()
    assert card.on_apdu(bytes.fromhex("00B0000004")).data == b"\x6d\x00"
