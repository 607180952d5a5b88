"""NFC as a link: whole messages both ways, phones that misbehave in the middle, and phones that are taken away.

The phone is the lab's behind our own block protocol, frame by frame on a clock of its own.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TypeVar

import pytest

from mdoc_reader.engagement.tap import TapOffer, Tapped, engage
from mdoc_reader.lab import certificates
from mdoc_reader.lab.nfc_behaviour import Failure, NfcOffer, Step, TapBehaviour, TransferBehaviour
from mdoc_reader.lab.nfc_card import Picc
from mdoc_reader.lab.nfc_direct import DirectFrames
from mdoc_reader.lab.nfc_field import RfField
from mdoc_reader.lab.phone_nfc import TapPhone
from mdoc_reader.lab.situations import SITUATIONS
from mdoc_reader.lab.wallet import Wallet
from mdoc_reader.mdoc import cbor, session
from mdoc_reader.mdoc.keys import encode_cose_key
from mdoc_reader.mdoc.request import ItemsRequest, build_device_request
from mdoc_reader.mdoc.transcript import session_transcript
from mdoc_reader.model.connection import NfcMethod
from mdoc_reader.nfc.activation import activate
from mdoc_reader.nfc.apdu import Way
from mdoc_reader.nfc.isodep_card import IsoDepCard
from mdoc_reader.nfc.ports import CardError, FieldCode
from mdoc_reader.nfc.procedure import Procedure, perform
from mdoc_reader.reader.keypool import KeyPool
from mdoc_reader.transport.nfc_link import NfcLink, open_transfer
from mdoc_reader.transport.ports import LinkCode, LinkError

T = TypeVar("T")
CAP = 1024 * 1024
NFC_ONLY = TapBehaviour(carriers=(NfcOffer(),))


@pytest.fixture(scope="module")
def wallet() -> Wallet:
    iaca = certificates.make_iaca()
    return SITUATIONS["adult"].wallet(iaca, certificates.make_document_signer(iaca))


class Held:
    """A card held at a reader, walked on another thread."""

    def __init__(self, card: IsoDepCard, frames: DirectFrames) -> None:
        self.longest_command, self.longest_response = card.longest_command, card.longest_response
        self.card = card
        self.closed = 0
        self._frames = frames
        self._turn = asyncio.Lock()

    async def run(self, procedure: Procedure[T]) -> T:
        async with self._turn:
            if self.closed:
                raise CardError(FieldCode.LOST)
            return await asyncio.to_thread(perform, procedure, self.card, self._frames.wait)

    async def close(self) -> None:
        self.closed += 1
        self.card.give_up()


class Table:
    """A phone on a reader, tapped and ready for data transfer."""

    def __init__(self, wallet: Wallet, behaviour: TapBehaviour) -> None:
        self.phone = TapPhone(wallet, behaviour)
        self.picc = Picc(self.phone)
        self.field = RfField(self.picc)
        frames = DirectFrames(self.field)
        card = activate(frames, random_uid=True, words="phone", pause=frames.wait)
        self.tapped: Tapped = perform(engage(TapOffer(b"cr"), Way.to(card)), card, frames.wait)
        self.held = Held(card, frames)
        keys = KeyPool()
        self.private = keys.take(self.tapped.select.engagement.curve)
        self.reader_key = encode_cose_key(self.private.public_key())
        engagement = self.tapped.select.engagement
        self.transcript = session_transcript(engagement.raw, self.reader_key, self.tapped.handover)
        self.cipher = session.SessionCipher(self.private, engagement.e_device_key, self.transcript)

    async def link(self) -> NfcLink:
        method = self.tapped.methods[0]
        assert isinstance(method, NfcMethod)
        return await open_transfer(self.held, method, cap=CAP)

    def request(self) -> bytes:
        items = ItemsRequest("org.iso.18013.5.1.mDL", {"org.iso.18013.5.1": {"age_over_18": False, "portrait": False}})
        asked = build_device_request((items.encode(),), self.transcript)
        return session.SessionEstablishment(self.reader_key, self.cipher.encrypt(asked)).encode()

    async def converse(self) -> bytes:
        """Ask, and return what was answered."""
        link = await self.link()
        try:
            await link.send(self.request())
            return self.opened(await link.receive())
        finally:
            await link.close()

    def opened(self, message: bytes) -> bytes:
        data = session.parse_session_data(message, cbor.Limits(max_bytes=CAP)).data
        assert data is not None
        return self.cipher.decrypt(data)


@pytest.mark.parametrize("limits", [NfcOffer(), NfcOffer(64, 64), NfcOffer(1024, 4096), NfcOffer(65535, 65536)])
def test_a_whole_session(wallet: Wallet, limits: NfcOffer) -> None:
    async def main() -> None:
        table = Table(wallet, TapBehaviour(carriers=(limits,)))
        link = await table.link()
        counts: list[int] = []
        link.on_progress = counts.append
        await link.send(table.request())
        message = await link.receive()
        assert len(table.opened(message)) > 10_000
        assert counts == sorted(counts)
        assert len(message) <= counts[-1] <= len(message) + 6
        await link.send(session.SessionData(status=session.Status.TERMINATION).encode())
        await link.close()
        await link.close()
        assert table.held.closed
        with pytest.raises(LinkError):
            await link.receive()

    asyncio.run(main())


def test_the_request_is_out_long_before_its_answer_is_there(wallet: Wallet) -> None:
    async def main() -> None:
        table = Table(wallet, replace(NFC_ONLY, transfer=TransferBehaviour(consent_s=30)))
        link = await table.link()
        await link.send(table.request())
        frames = table.held._frames
        asked_at = frames.clock
        with pytest.raises(LinkError) as early:
            await link.send(b"more")
        assert early.value.code is LinkCode.PROTOCOL
        table.opened(await link.receive())
        # The card's time runs on in its own thread as soon as the request is out.
        assert asked_at < 25 < frames.clock
        await link.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (Step.SELECT_TRANSFER, LinkCode.PROTOCOL),
        (Step.ENVELOPE_PART, LinkCode.PROTOCOL),
        (Step.ENVELOPE_LAST, LinkCode.PROTOCOL),
        (Step.GET_RESPONSE, LinkCode.PROTOCOL),
    ],
)
@pytest.mark.parametrize("sw", [0x6F00, 0x6A82, 0x6985, 0x6982, 0x6E00])
def test_a_status_word_of_failure_at_any_step(wallet: Wallet, step: Step, code: LinkCode, sw: int) -> None:
    async def main() -> None:
        table = Table(wallet, TapBehaviour(carriers=(NfcOffer(64, 64),), failures=(Failure(step, sw),)))
        with pytest.raises(LinkError) as failed:
            await table.converse()
        assert failed.value.code is code
        assert f"{sw:04X}" in failed.value.detail

    asyncio.run(main())


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"\x53\x82\xff\xff" + bytes(100), LinkCode.BAD_CHUNK),
        (b"\x53\x84\x7f\xff\xff\xff" + bytes(100), LinkCode.TOO_LARGE),
        (b"\x53\x02" + bytes(100), LinkCode.BAD_CHUNK),
        (b"\x54\x02ab", LinkCode.BAD_CHUNK),
        (b"\x53\x80ab", LinkCode.BAD_CHUNK),
        (b"\x53", LinkCode.BAD_CHUNK),
    ],
)
def test_an_answer_that_lies_about_its_length(wallet: Wallet, raw: bytes, code: LinkCode) -> None:
    async def main() -> None:
        table = Table(wallet, replace(NFC_ONLY, transfer=TransferBehaviour(raw_answer=raw)))
        with pytest.raises(LinkError) as failed:
            await table.converse()
        assert failed.value.code is code

    asyncio.run(main())


def test_a_message_larger_than_the_cap(wallet: Wallet) -> None:
    async def main() -> None:
        table = Table(wallet, NFC_ONLY)
        method = table.tapped.methods[0]
        assert isinstance(method, NfcMethod)
        link = await open_transfer(table.held, method, cap=4096)
        await link.send(table.request())
        with pytest.raises(LinkError) as failed:
            await link.receive()
        assert failed.value.code is LinkCode.TOO_LARGE
        await link.close()

    asyncio.run(main())


def test_taken_away_at_any_frame(wallet: Wallet) -> None:
    """From the tap on, a phone that leaves is lost, whatever was going on."""

    async def main() -> None:
        whole = Table(wallet, NFC_ONLY)
        link = await whole.link()
        await link.send(whole.request())
        await link.receive()
        frames = whole.field.frames
        await link.close()
        ends = set()
        for after in [*range(1, 60), *range(60, frames + 20, 23)]:
            table = Table(wallet, NFC_ONLY)
            table.field.take(table.picc, after_frames=after, unanswered=bool(after % 2))
            try:
                await table.converse()
                ends.add("answered")
            except LinkError as error:
                ends.add(error.code.value)
        assert ends == {"answered", LinkCode.LOST.value}

    asyncio.run(main())


def test_closing_does_not_wait_for_a_person(wallet: Wallet) -> None:
    async def main() -> None:
        table = Table(wallet, replace(NFC_ONLY, transfer=TransferBehaviour(consent_s=None)))
        link = await table.link()
        await link.send(table.request())
        receiving = asyncio.create_task(link.receive())
        await asyncio.sleep(0.05)
        async with asyncio.timeout(5):
            await link.close()
            with pytest.raises((LinkError, asyncio.CancelledError)):
                await receiving

    asyncio.run(main())
