"""DeviceRequest: what the reader asks, and reader authentication (ISO 18013-5 clauses 8.3.2.1.2.1 and 9.1.4).

Version 1.0 is sent unless a second-edition part is present (deviceRequestInfo, readerAuthAll, macKeys).
ItemsRequestBytes are encoded once: the same bytes are signed and sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519

from mdoc_reader.mdoc import cbor, cose
from mdoc_reader.mdoc.keys import PublicKey, SigningPrivateKey, curve_of
from mdoc_reader.model.reasons import Malformed, MalformedCode
from mdoc_reader.model.signer import ReaderSigner, SignerPublicKey

LIMITS = cbor.Limits(max_bytes=256 * 1024, max_depth=16, max_items=20_000, uncounted=4096)
_MAX_DOC_REQUESTS = 32

Elements = Mapping[str, Mapping[str, bool]]
"""Namespace to element identifier to intent to retain."""


@dataclass(frozen=True, slots=True)
class AlternativeElements:
    """Other elements that would do instead of one, most private first (second edition)."""

    requested: tuple[str, str]
    sets: tuple[tuple[tuple[str, str], ...], ...]


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """Second-edition wishes about one document; only to wallets that say they read them."""

    alternatives: tuple[AlternativeElements, ...] = ()
    issuer_identifiers: tuple[bytes, ...] = ()
    unique_doc_set_required: bool | None = None
    maximum_response_size: int | None = None

    def as_map(self) -> dict[str, object]:
        """Return the map to encode; empty when nothing is wished."""
        info: dict[str, object] = {}
        if self.alternatives:
            info["alternativeDataElements"] = [
                {
                    "requestedElement": list(entry.requested),
                    "alternativeElementSets": [[list(element) for element in chosen] for chosen in entry.sets],
                }
                for entry in self.alternatives
            ]
        if self.issuer_identifiers:
            info["issuerIdentifiers"] = list(self.issuer_identifiers)
        if self.unique_doc_set_required is not None:
            info["uniqueDocSetRequired"] = self.unique_doc_set_required
        if self.maximum_response_size is not None:
            info["maximumResponseSize"] = self.maximum_response_size
        return info


@dataclass(frozen=True, slots=True)
class UseCase:
    """A purpose with the document sets that serve it, as indices of DocRequests (second edition)."""

    mandatory: bool
    document_sets: tuple[tuple[int, ...], ...]
    purpose_hints: Mapping[str, int] = field(default_factory=dict)

    def as_map(self) -> dict[str, object]:
        """Return the map to encode."""
        entry: dict[str, object] = {
            "mandatory": self.mandatory,
            "documentSets": [list(indices) for indices in self.document_sets],
        }
        if self.purpose_hints:
            entry["purposeHints"] = dict(self.purpose_hints)
        return entry


@dataclass(frozen=True, slots=True)
class ItemsRequest:
    """What is asked of one document type."""

    doctype: str
    elements: Elements
    info: Mapping[str, object] | None = None

    def encode(self) -> bytes:
        """Return the encoded ItemsRequest, without tag 24. Raises ValueError when nothing is asked."""
        if not self.elements or not all(self.elements.values()):
            raise ValueError("an ItemsRequest asks for one element of each namespace at least")
        request: dict[str, object] = {
            "docType": self.doctype,
            "nameSpaces": {namespace: dict(wanted) for namespace, wanted in self.elements.items()},
        }
        if self.info:
            request["requestInfo"] = dict(self.info)
        return cbor.encode(request)


@dataclass(frozen=True, slots=True)
class DocRequest:
    """One DocRequest as received: ItemsRequestBytes with tag 24, their content, and readerAuth."""

    items_request_bytes: bytes = field(repr=False)
    items: ItemsRequest
    reader_auth: cose.Cose | None = None


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """A DeviceRequest as received. `device_request_info_bytes` includes tag 24."""

    version: str
    doc_requests: tuple[DocRequest, ...]
    device_request_info_bytes: bytes | None = field(default=None, repr=False)
    reader_auth_all: tuple[cose.Cose, ...] = ()


class HeldKey:
    """A private key of the crypto library as a ReaderSigner: it is in this process's memory."""

    words = "a key in memory"
    waits = False

    def __init__(self, key: SigningPrivateKey) -> None:
        """Hold a key. Raises Malformed(UNSUPPORTED) for one on another curve than the protocol's."""
        self._key = key
        self._row = curve_of(key)
        self._algorithm = cose.algorithm_of(self._row)

    @property
    def public_key(self) -> SignerPublicKey:
        """The public half."""
        return self._key.public_key()

    def sign(self, message: bytes) -> bytes:
        """Return the signature as COSE writes it."""
        return cose.raw_signature(self._key, message, self._row, self._algorithm)

    def prepare(self) -> None:
        """Do nothing: it is always ready."""

    def close(self) -> None:
        """Do nothing."""


class ReaderIdentity:
    """The reader's key and certificate chain, leaf first, root left out.

    All of a readerAuth but its signature is encoded here, once.
    """

    __slots__ = ("_front", "_protected", "chain", "signer")

    def __init__(self, signer: ReaderSigner | SigningPrivateKey, chain: Sequence[bytes]) -> None:
        """Take who signs, or a private key, and DER certificates. Raises Malformed(UNSUPPORTED), ValueError."""
        if not chain:
            raise ValueError("a reader's identity has one certificate at least")
        if isinstance(signer, (ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)):
            signer = HeldKey(signer)
        self.signer: ReaderSigner = signer
        self.chain = tuple(chain)
        self._protected = cbor.encode({cose.ALG: cose.algorithm_of(curve_of(signer.public_key)).number})
        header: object = self.chain[0] if len(self.chain) == 1 else list(self.chain)
        unprotected = cbor.encode({cose.X5CHAIN: header})
        self._front = b"\x84" + cbor.bstr(self._protected) + unprotected + b"\xf6"

    def sign(self, payload: bytes) -> bytes:
        """Return an encoded COSE_Sign1 over a detached payload, x5chain unprotected. Raises SignerError."""
        return self._front + cbor.bstr(self.signer.sign(cose.signature_structure(self._protected, payload)))


def reader_authentication_bytes(session_transcript: bytes, items_request_bytes: bytes) -> bytes:
    """Return ReaderAuthenticationBytes: what readerAuth signs. `items_request_bytes` includes tag 24."""
    return cbor.embed(b"\x83" + cbor.tstr("ReaderAuthentication") + session_transcript + items_request_bytes)


def reader_authentication_all_bytes(
    session_transcript: bytes, items_request_bytes: Sequence[bytes], device_request_info_bytes: bytes | None
) -> bytes:
    """Return ReaderAuthenticationAllBytes (second edition); every part as it travels, with its tag 24."""
    items = cbor.head(4, len(items_request_bytes)) + b"".join(items_request_bytes)
    label = cbor.tstr("ReaderAuthenticationAll")
    return cbor.embed(b"\x84" + label + session_transcript + items + (device_request_info_bytes or b"\xf6"))


def build_device_request(
    items: Sequence[bytes],
    session_transcript: bytes,
    *,
    reader: ReaderIdentity | None = None,
    all_at_once: bool = False,
    use_cases: Sequence[UseCase] = (),
) -> bytes:
    """Return an encoded DeviceRequest.

    Args:
        items: encoded ItemsRequests without tag 24, made ahead of time.
        session_transcript: bare encoding; what reader authentication binds to.
        reader: signs each DocRequest where given.
        all_at_once: adds readerAuthAll; only for a wallet whose Capabilities say so.
        use_cases: second edition; only for a wallet that reads extended requests.
    """
    wrapped = [cbor.embed(item) for item in items]
    info = cbor.embed(cbor.encode({"useCases": [case.as_map() for case in use_cases]})) if use_cases else None
    signed_all = reader is not None and all_at_once
    parts = [cbor.tstr("version") + cbor.tstr("1.1" if info or signed_all else "1.0"), cbor.tstr("docRequests")]
    parts[-1] += cbor.head(4, len(wrapped))
    for item in wrapped:
        entry = cbor.tstr("itemsRequest") + item
        if reader is not None:
            proof = reader.sign(reader_authentication_bytes(session_transcript, item))
            entry = b"\xa2" + entry + cbor.tstr("readerAuth") + proof
        else:
            entry = b"\xa1" + entry
        parts[-1] += entry
    if info:
        parts.append(cbor.tstr("deviceRequestInfo") + info)
    if reader is not None and all_at_once:
        proof = reader.sign(reader_authentication_all_bytes(session_transcript, wrapped, info))
        parts.append(cbor.tstr("readerAuthAll") + b"\x81" + proof)
    return cbor.head(5, len(parts)) + b"".join(parts)


def parse_items_request(content: bytes, path: str = "itemsRequest") -> ItemsRequest:
    """Read an encoded ItemsRequest. Raises Malformed."""
    entry = cbor.as_map(cbor.decode(content, LIMITS), path)
    elements: dict[str, dict[str, bool]] = {}
    for namespace, wanted in cbor.as_map(cbor.need(entry, "nameSpaces", path), f"{path}.nameSpaces").items():
        where = f"{path}.nameSpaces"
        elements[cbor.as_text(namespace, where)] = {
            cbor.as_text(identifier, where): cbor.as_bool(retain, where)
            for identifier, retain in cbor.as_map(wanted, where).items()
        }
    if not elements or not all(elements.values()):
        raise Malformed(MalformedCode.BAD_VALUE, f"{path}.nameSpaces", detail="nothing is asked")
    info = entry.get("requestInfo")
    named = None
    if info is not None:
        wishes = cbor.as_map(info, f"{path}.requestInfo")
        named = {cbor.as_text(key, f"{path}.requestInfo"): value for key, value in wishes.items()}
    return ItemsRequest(cbor.as_text(cbor.need(entry, "docType", path), f"{path}.docType"), elements, named)


def parse_device_request(message: bytes) -> DeviceRequest:
    """Read a DeviceRequest. Raises Malformed."""
    top = cbor.as_map(cbor.decode(message, LIMITS), "DeviceRequest")
    version = cbor.as_text(cbor.need(top, "version", ""), "version", maximum=16)
    if version.partition(".")[0] != "1":
        raise Malformed(MalformedCode.UNSUPPORTED, "version", detail="major version 1 is expected")
    slices = cbor.Slices(message)
    doc_requests = []
    entries = cbor.as_array(cbor.need(top, "docRequests", ""), "docRequests", maximum=_MAX_DOC_REQUESTS)
    for index, value in enumerate(entries):
        path = f"docRequests[{index}]"
        entry = cbor.as_map(value, path)
        content = cbor.as_embedded(cbor.need(entry, "itemsRequest", path), f"{path}.itemsRequest")
        proof = entry.get("readerAuth")
        doc_requests.append(
            DocRequest(
                slices.of(content),
                parse_items_request(content, f"{path}.itemsRequest"),
                None if proof is None else cose.parse(proof, "COSE_Sign1", f"{path}.readerAuth"),
            )
        )
    if not doc_requests:
        raise Malformed(MalformedCode.BAD_VALUE, "docRequests", detail="nothing is asked")
    info = top.get("deviceRequestInfo")
    proofs = cbor.as_array(top.get("readerAuthAll", []), "readerAuthAll", maximum=8)
    return DeviceRequest(
        version,
        tuple(doc_requests),
        None if info is None else slices.of(cbor.as_embedded(info, "deviceRequestInfo")),
        tuple(cose.parse(proof, "COSE_Sign1", f"readerAuthAll[{index}]") for index, proof in enumerate(proofs)),
    )


def verify_reader_proof(proof: cose.Cose, signed_bytes: bytes, key: PublicKey) -> bool:
    """Check readerAuth or readerAuthAll under the reader's public key; its certificate path is another question."""
    row = curve_of(key)
    algorithm = cose.algorithm_for(proof, row)
    return algorithm is not None and cose.verify_signature(proof, key, row, algorithm, signed_bytes)
