"""What is verified in `verification.py`: one signed response, and the bare cryptography that it cannot do without.

An mDL with a portrait of 20 KB, five more elements, thirty digests, ES256 throughout, a device signature, a signer
under one of a hundred trusted roots. Made by the lab's issuer; the phone's part (device signature, response) is put
together here. Everything is valid: the cost of saying yes is what a person at a door waits for.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from mdoc_reader.lab import issuer
from mdoc_reader.mdoc import cbor, cose, response
from mdoc_reader.mdoc.keys import encode_cose_key
from mdoc_reader.mdoc.transcript import session_transcript
from mdoc_reader.trust import anchors

DOCTYPE = "org.iso.18013.5.1.mDL"
NAMESPACE = "org.iso.18013.5.1"
DIGESTS = 30
ROOTS = 100
PORTRAIT_BYTES = 20 * 1024


@dataclass(frozen=True, slots=True)
class Signature:
    """One ECDSA verification with nothing left to prepare: key loaded, signature as DER, message at hand."""

    key: ec.EllipticCurvePublicKey
    der: bytes
    message: bytes


@dataclass(frozen=True, slots=True)
class Case:
    """A response with what is needed to judge it. `roots` are DER, `root` the right one among them."""

    response: bytes = field(repr=False)
    transcript: bytes = field(repr=False)
    roots: tuple[bytes, ...] = field(repr=False)
    root: bytes = field(repr=False)
    requested: dict[str, dict[str, frozenset[str]]]
    path: Signature = field(repr=False)
    issuer: Signature = field(repr=False)
    device: Signature = field(repr=False)
    hashed: tuple[bytes, ...] = field(repr=False)
    digests: int

    def floor(self, *, first_seen: bool) -> Callable[[], None]:
        """Return a function that does the bare cryptography: the path's signature only for a signer not seen before."""
        signatures = (self.path, self.issuer, self.device) if first_seen else (self.issuer, self.device)
        algorithm = ec.ECDSA(hashes.SHA256())
        calls = [(one.key.verify, one.der, one.message) for one in signatures]
        hashed, sha256 = self.hashed, hashlib.sha256

        def bare() -> None:
            for verify, der, message in calls:
                verify(der, message, algorithm)
            for data in hashed:
                sha256(data).digest()

        return bare


def _der(proof: bytes) -> bytes:
    return encode_dss_signature(int.from_bytes(proof[:32], "big"), int.from_bytes(proof[32:], "big"))


def _ec(key: object) -> ec.EllipticCurvePublicKey:
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise TypeError("a key on an elliptic curve is expected")
    return key


def make(root_count: int = ROOTS) -> Case:
    """Make a fresh case: new keys, new certificates, new random portrait; `root_count` roots, one of them right."""
    iaca = issuer.make_iaca()
    signer = issuer.make_document_signer(iaca)
    others = [issuer.make_iaca(common_name=f"Utopia Lab IACA {number}").der for number in range(1, root_count)]
    # The right root stands in the middle: who tries one after the other tries half of them.
    roots = (*others[: root_count // 2], iaca.der, *others[root_count // 2 :])
    device_key = ec.generate_private_key(ec.SECP256R1())
    today = issuer.now().date()
    elements: dict[str, object] = {
        "family_name": "Muster",
        "given_name": "Erika",
        "birth_date": issuer.full_date(today - timedelta(days=12_500)),
        "portrait": os.urandom(PORTRAIT_BYTES),
        "issuing_country": "UT",
        "age_over_18": True,
    }
    document = issuer.issue(
        signer, device_key.public_key(), DOCTYPE, {NAMESPACE: elements}, decoys=DIGESTS - len(elements)
    )
    reader_key, e_device_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    engagement = cbor.encode({0: "1.0", 1: [1, cbor.decode(cbor.embed(encode_cose_key(e_device_key.public_key())))]})
    transcript = session_transcript(engagement, encode_cose_key(reader_key.public_key()))
    encoded, device_message, device_proof = _respond(document, device_key, transcript)
    issuer_auth = cose.parse(cbor.decode(document.issuer_auth), "COSE_Sign1", "issuerAuth")
    issuer_message = cose.signature_structure(issuer_auth.protected_bytes, issuer_auth.payload or b"")
    leaf = x509.load_der_x509_certificate(signer.der)
    return Case(
        response=encoded,
        transcript=transcript,
        roots=roots,
        root=iaca.der,
        requested={DOCTYPE: {NAMESPACE: frozenset(elements)}},
        path=Signature(_ec(iaca.key.public_key()), leaf.signature, leaf.tbs_certificate_bytes),
        issuer=Signature(_ec(signer.key.public_key()), _der(issuer_auth.proof), issuer_message),
        device=Signature(device_key.public_key(), _der(device_proof), device_message),
        hashed=tuple(item.encoded for item in document.namespaces[NAMESPACE]),
        digests=DIGESTS,
    )


def _respond(
    document: issuer.IssuedDocument, device_key: ec.EllipticCurvePrivateKey, transcript: bytes
) -> tuple[bytes, bytes, bytes]:
    """Return the encoded DeviceResponse, the message the device signed, and its raw signature."""
    nothing = cbor.embed(b"\xa0")
    shell = response.Document(document.doctype, cose.Cose(b"", {}, {}, None, b""), {}, None, None, nothing)
    signed = response.device_authentication_bytes(transcript, shell)
    device_auth = cose.sign(device_key, signed, detached=True)
    proof = cbor.as_bytes(device_auth[3], "signature")
    # Put together from encoded parts: the issuer's items and signature travel as they were issued.
    items = b"".join(item.encoded for item in document.namespaces[NAMESPACE])
    name_spaces = b"\xa1" + cbor.tstr(NAMESPACE) + cbor.head(4, len(document.namespaces[NAMESPACE])) + items
    issuer_signed = b"\xa2" + cbor.tstr("nameSpaces") + name_spaces + cbor.tstr("issuerAuth") + document.issuer_auth
    device_signed = b"\xa2" + cbor.tstr("nameSpaces") + nothing + cbor.tstr("deviceAuth")
    device_signed += cbor.encode({"deviceSignature": device_auth})
    entry = b"\xa3" + cbor.tstr("docType") + cbor.tstr(document.doctype) + cbor.tstr("issuerSigned") + issuer_signed
    entry += cbor.tstr("deviceSigned") + device_signed
    encoded = b"\xa3" + cbor.tstr("version") + cbor.tstr("1.0") + cbor.tstr("documents") + b"\x81" + entry
    encoded += cbor.tstr("status") + b"\x00"
    message = cose.signature_structure(cbor.as_bytes(device_auth[0], "protected"), signed)
    return encoded, message, proof


def trusted(case: Case) -> anchors.TrustAnchors:
    """Return the case's roots as trust anchors: made once at start, ahead of any presentation."""
    found, skipped = anchors.build((f"root {number}", der) for number, der in enumerate(case.roots))
    if skipped:
        raise ValueError("a root was skipped")
    return found
