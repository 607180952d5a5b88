"""Taps and sessions with the lab's phone, the reader's end of the firmware's own language."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import ndef
from nfc_client import Client

from mdoc_reader.lab import certificates, issuer, people
from mdoc_reader.lab.nfc_behaviour import TapBehaviour
from mdoc_reader.lab.phone_nfc import PhoneTap, TapPhone
from mdoc_reader.lab.wallet import Holding, Wallet
from mdoc_reader.mdoc import handover, handover_request, keys, request, response, session, transcript
from mdoc_reader.mdoc.handover import HandoverSelect
from mdoc_reader.mdoc.transcript import NfcHandover


class Reader:
    """Asks a phone and reads its answers."""

    def __init__(self, select: HandoverSelect, written: bytes | None = None) -> None:
        """Draw a key. `written` is the Handover Request, where there was one."""
        key = keys.generate_agreement_key(select.engagement.curve)
        self.public = keys.encode_cose_key(key.public_key())
        said = NfcHandover(select.raw, written)
        self.transcript = transcript.session_transcript(select.engagement.raw, self.public, said)
        self.cipher = session.SessionCipher(key, select.engagement.e_device_key, self.transcript)

    def ask(self, *identifiers: str) -> bytes:
        """Return an encrypted request for elements of the driving licence."""
        asked = {people.MDL_NAMESPACE: dict.fromkeys(identifiers, False)}
        items = request.ItemsRequest(people.MDL_DOCTYPE, asked).encode()
        return self.cipher.encrypt(request.build_device_request([items], self.transcript))

    def establish(self, *identifiers: str) -> bytes:
        """Return the first message."""
        return session.SessionEstablishment(self.public, self.ask(*identifiers)).encode()

    def again(self, *identifiers: str) -> bytes:
        """Return a later message that asks."""
        return session.SessionData(self.ask(*identifiers)).encode()

    def read(self, message: bytes) -> set[str]:
        """Return the names of the elements in an answer of one document."""
        data = session.parse_session_data(message).data
        assert data is not None
        (document,) = response.parse(self.cipher.decrypt(data)).documents
        return {item.identifier for items in document.namespaces.values() for item in items}


END = session.SessionData(status=session.Status.TERMINATION).encode()
OUR_UUID = UUID("6f0c1a40-6b7e-4f06-9d3c-2b7a6ed5c001")
REQUEST = handover_request.build(b"\x12\x34", uuid=OUR_UUID)
TODAY = date(2026, 6, 1)
SIGNER = certificates.make_document_signer(certificates.make_iaca())


def make_wallet(portrait: bytes = b"\xff\xd8 small \xff\xd9") -> Wallet:
    key = issuer.generate_device_key("P-256")
    elements = people.mdl_elements(people.adult(TODAY), TODAY, portrait_jpeg=portrait)
    return Wallet([Holding(issuer.issue(SIGNER, key.public_key(), people.MDL_DOCTYPE, elements), key)])


WALLET = make_wallet()


def claimed(phone: TapPhone) -> PhoneTap:
    return phone.next_handover().result(timeout=0)


def tap(behaviour: TapBehaviour) -> tuple[TapPhone, Client, HandoverSelect, PhoneTap]:
    """Tap once, read the handover to its end with both parsers, and compare what the two sides know."""
    phone = TapPhone(WALLET, behaviour)
    client = Client(phone)
    if behaviour.negotiates is None:
        client.open()
        message, written = client.message(), None
    else:
        message, written = client.negotiate(REQUEST, 1 + behaviour.negotiates.not_ready), REQUEST
    assert list(ndef.message_decoder(message, "strict"))
    select = handover.parse_select(message)
    known = claimed(phone)
    assert known.engagement.handover == transcript.NfcHandover(message, written)
    assert select.engagement.raw == known.engagement.encoded
    assert select.engagement.methods == ()
    return phone, client, select, known
