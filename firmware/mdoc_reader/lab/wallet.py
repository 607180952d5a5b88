"""A lab wallet, sans-I/O: the phone's application behind the radio (ISO 18013-5 clauses 8 and 9).

It holds documents with their device keys, engages, reads requests and answers them: what is asked and no more, the
nearest age, proof of the device key. `WalletBehaviour` says where it departs from that.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from uuid import UUID

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from mdoc_reader.lab.wallet_behaviour import HONEST, Garbage, WalletBehaviour
from mdoc_reader.lab.wallet_engagement import Engagement, make_engagement
from mdoc_reader.lab.wallet_response import Holding, Proof, encode_document, encode_response, select
from mdoc_reader.mdoc import cbor, cose, session
from mdoc_reader.mdoc.engagement import Capabilities, OriginInfo
from mdoc_reader.mdoc.keys import (
    CURVES_BY_NAME,
    AgreementPrivateKey,
    PublicKey,
    curve_of,
    generate_agreement_key,
    parse_cose_key,
)
from mdoc_reader.mdoc.request import (
    DeviceRequest,
    ItemsRequest,
    parse_device_request,
    reader_authentication_all_bytes,
    reader_authentication_bytes,
    verify_reader_proof,
)
from mdoc_reader.mdoc.transcript import NfcHandover, session_transcript
from mdoc_reader.model.connection import BleMethod, ConnectionMethod
from mdoc_reader.model.reasons import Malformed

__all__ = ["HONEST", "Engagement", "Garbage", "Holding", "Wallet", "WalletBehaviour", "WalletSession"]

_NOISE_BYTES = 2048


class WalletSession:
    """The phone's end of one session."""

    __slots__ = ("_cipher", "engagement", "reader_key", "requests", "status", "transcript")

    def __init__(self, engagement: Engagement, transcript: bytes, reader_key: PublicKey) -> None:
        """Derive the keys. `transcript` is the bare encoding. Raises Malformed when the reader's curve is another."""
        self.engagement = engagement
        self.transcript = transcript
        self.reader_key = reader_key
        self.requests = 0
        self.status: int | None = None
        self._cipher = session.SessionCipher(engagement.private_key, reader_key, transcript, reader=False)

    def request(self, data: bytes) -> DeviceRequest:
        """Decrypt and read the next request. Raises DecryptionFailed or Malformed."""
        self.requests += 1
        return parse_device_request(self._cipher.decrypt(data))

    def handle_message(self, message: bytes) -> DeviceRequest | None:
        """Take a SessionData of the reader: its next request, or None when it ended the session; `status` says how.

        Raises DecryptionFailed or Malformed.
        """
        data = session.parse_session_data(message)
        self.status = data.status
        return None if data.data is None else self.request(data.data)

    def encrypt(self, plaintext: bytes) -> bytes:
        """Encrypt the next message."""
        return self._cipher.encrypt(plaintext)


class Wallet:
    """Documents and the will to show them. `trusted_readers` are certificates of reader authorities."""

    def __init__(
        self,
        holdings: Sequence[Holding],
        behaviour: WalletBehaviour = HONEST,
        *,
        trusted_readers: Sequence[x509.Certificate] = (),
    ) -> None:
        """Hold documents and a way of answering."""
        self.holdings = tuple(holdings)
        self.behaviour = behaviour
        self.trusted_readers = tuple(trusted_readers)

    def engage(
        self,
        curve_name: str = "P-256",
        ble: BleMethod | None = None,
        *,
        methods: Sequence[ConnectionMethod] | None = None,
        compressed: bool = False,
        origin_infos: Sequence[OriginInfo] | None = None,
        capabilities: Capabilities | None = None,
        private_key: AgreementPrivateKey | None = None,
    ) -> Engagement:
        """Begin a presentation with a fresh key. By default a peripheral server under a random UUID."""
        key = private_key or generate_agreement_key(CURVES_BY_NAME[curve_name])
        if methods is None:
            own = BleMethod(peripheral_server=True, central_client=False, peripheral_uuid=UUID(bytes=os.urandom(16)))
            methods = [ble or own]
        return make_engagement(
            key, methods, compressed=compressed, origin_infos=origin_infos, capabilities=capabilities
        )

    def handle_establishment(
        self, engagement: Engagement, message: bytes, handover: NfcHandover | None = None
    ) -> tuple[WalletSession, DeviceRequest]:
        """Take the reader's first message. `handover` replaces the engagement's own.

        Raises DecryptionFailed or Malformed.
        """
        establishment = session.parse_session_establishment(message)
        _, reader_key = parse_cose_key(cbor.decode(establishment.e_reader_key), "eReaderKey")
        transcript = session_transcript(engagement.encoded, establishment.e_reader_key, handover or engagement.handover)
        begun = WalletSession(engagement, transcript, reader_key)
        return begun, begun.request(establishment.data)

    def reply(self, begun: WalletSession, request: DeviceRequest, behaviour: WalletBehaviour | None = None) -> bytes:
        """Return the whole session message that answers `request`."""
        manner = behaviour or self.behaviour
        plaintext = self.respond(request, begun.transcript, manner, reader_key=begun.reader_key)
        if manner.garbage is Garbage.NOT_A_MESSAGE:
            return secrets.token_bytes(_NOISE_BYTES)
        if manner.garbage is Garbage.NOT_ENCRYPTED:
            return session.SessionData(plaintext, manner.session_status).encode()
        if manner.wrong_session_key:
            stranger = generate_agreement_key(curve_of(begun.engagement.private_key))
            cipher = session.SessionCipher(stranger, begun.reader_key, begun.transcript, reader=False)
            return session.SessionData(cipher.encrypt(plaintext), manner.session_status).encode()
        return session.SessionData(begun.encrypt(plaintext), manner.session_status).encode()

    def respond(
        self,
        request: DeviceRequest,
        transcript: bytes,
        behaviour: WalletBehaviour | None = None,
        *,
        reader_key: PublicKey | None = None,
    ) -> bytes:
        """Return the encoded DeviceResponse, or the garbage that is to be encrypted in its place.

        `reader_key` is the reader's ephemeral key: a MAC needs it.

        Raises ValueError when a MAC is wanted and there is no reader key, or none on the device key's curve.
        """
        manner = behaviour or self.behaviour
        if manner.garbage is Garbage.ENCRYPTED_NOISE:
            return secrets.token_bytes(_NOISE_BYTES)
        response = self._response(request, transcript, manner, reader_key)
        return response[: len(response) // 2] if manner.garbage is Garbage.ENCRYPTED_TRUNCATED else response

    def _response(
        self, request: DeviceRequest, transcript: bytes, manner: WalletBehaviour, reader_key: PublicKey | None
    ) -> bytes:
        if manner.response_status != 0 or manner.decline:
            return encode_response([], [], manner.response_status)
        documents: list[bytes] = []
        missing: list[str] = []
        chosen = self._chosen(request)
        for index, doc_request in enumerate(request.doc_requests):
            if index not in chosen:
                continue
            document = None
            if not manner.require_reader_auth or self.trusts(request, index, transcript):
                document = self._document(doc_request.items, transcript, manner, reader_key)
            if document is None:
                missing.append(doc_request.items.doctype)
            else:
                documents.append(document)
        return encode_response(documents, missing, 0)

    def _chosen(self, request: DeviceRequest) -> frozenset[int]:
        """Return which DocRequests are answered: of a choice, the first set of documents that is here whole."""
        every = frozenset(range(len(request.doc_requests)))
        if request.device_request_info_bytes is None:
            return every
        info = cbor.decode(cbor.as_embedded(cbor.decode(request.device_request_info_bytes), "deviceRequestInfo"))
        held = {one.document.doctype for one in self.holdings}
        here = {index for index in every if request.doc_requests[index].items.doctype in held}
        cases = cbor.as_array(cbor.as_map(info, "deviceRequestInfo").get("useCases", []), "useCases")
        if not cases:
            return every
        found: set[int] = set()
        for case in cases:
            sets = cbor.as_array(cbor.as_map(case, "useCase")["documentSets"], "documentSets")
            wanted = [
                {index for index in cbor.as_array(each, "documentSet") if isinstance(index, int)} for each in sets
            ]
            found |= next((each for each in wanted if each <= here), set())
        return frozenset(found)

    def trusts(self, request: DeviceRequest, index: int, transcript: bytes) -> bool:
        """Say whether a trusted authority's reader signed this DocRequest, by readerAuth or readerAuthAll."""
        doc_request = request.doc_requests[index]
        single = reader_authentication_bytes(transcript, doc_request.items_request_bytes)
        every = [one.items_request_bytes for one in request.doc_requests]
        together = reader_authentication_all_bytes(transcript, every, request.device_request_info_bytes)
        proofs = [(proof, together) for proof in request.reader_auth_all]
        if doc_request.reader_auth is not None:
            proofs.append((doc_request.reader_auth, single))
        return any(self._trusted_proof(proof, signed) for proof, signed in proofs)

    def _trusted_proof(self, proof: cose.Cose, signed: bytes) -> bool:
        try:
            chain, _ = cose.certificate_chain(proof, "readerAuth")
            if not chain:
                return False
            leaf = x509.load_der_x509_certificate(chain[0])
            if not verify_reader_proof(proof, signed, leaf.public_key()):  # type: ignore[arg-type]  # other kinds: Malformed
                return False
        except (Malformed, ValueError):
            return False
        for authority in self.trusted_readers:
            try:
                leaf.verify_directly_issued_by(authority)
            except (InvalidSignature, ValueError, TypeError):
                continue
            return True
        return False

    def _document(
        self, asked: ItemsRequest, transcript: bytes, manner: WalletBehaviour, reader_key: PublicKey | None
    ) -> bytes | None:
        holding = next((one for one in self.holdings if one.document.doctype == asked.doctype), None)
        if holding is None:
            return None
        issued, own, unanswered = select(holding, asked, manner)
        if not issued and not own:
            return None
        return encode_document(holding, issued, own, unanswered, Proof(transcript, manner, reader_key))
