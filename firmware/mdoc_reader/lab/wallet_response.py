"""What a lab wallet shows: the elements asked for, the nearest ages, and the proof of the device key.

ISO 18013-5 clauses 7.2.5, 8.3.2.1.2.2 and 9.1.3. Messages are put together from encoded parts, so that what was
issued or signed travels as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec, x448, x25519

from mdoc_reader.lab.issuer import DevicePrivateKey, IssuedDocument, IssuedItem, encode_item, generate_device_key
from mdoc_reader.lab.wallet_behaviour import WalletBehaviour
from mdoc_reader.mdoc import cbor, cose, session
from mdoc_reader.mdoc.keys import AgreementPrivateKey, PublicKey, SigningPrivateKey, curve_of
from mdoc_reader.mdoc.request import ItemsRequest
from mdoc_reader.mdoc.response import DeviceAuthKind

_AGE_OVER = re.compile(r"age_over_([0-9]{2})")


@dataclass(frozen=True, slots=True)
class Holding:
    """A document in the wallet. `device_elements` are values the phone may sign itself when asked for them."""

    document: IssuedDocument
    device_key: DevicePrivateKey = field(repr=False)
    device_elements: Mapping[str, Mapping[str, object]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Proof:
    """What a proof of the device key needs besides the document."""

    transcript: bytes
    manner: WalletBehaviour
    reader_key: PublicKey | None


def nearest_age(answers: Mapping[int, bool], age: int) -> int | None:
    """Return which age_over_NN answers the question for `age`: the nearest true above, or false below."""
    over = [stated for stated, value in answers.items() if value and stated >= age]
    if over:
        return min(over)
    under = [stated for stated, value in answers.items() if not value and stated <= age]
    return max(under) if under else None


def _answer(items: Sequence[IssuedItem], identifier: str) -> IssuedItem | None:
    match = _AGE_OVER.fullmatch(identifier)
    if match is None:
        return next((item for item in items if item.identifier == identifier), None)
    ages: dict[int, IssuedItem] = {}
    for item in items:
        stated = _AGE_OVER.fullmatch(item.identifier)
        if stated is not None and isinstance(item.value, bool):
            ages[int(stated[1])] = item
    nearest = nearest_age({age: item.value is True for age, item in ages.items()}, int(match[1]))
    return None if nearest is None else ages[nearest]


Selection = tuple[dict[str, list[IssuedItem]], dict[str, dict[str, object]], dict[str, list[str]]]


def select(holding: Holding, asked: ItemsRequest, manner: WalletBehaviour) -> Selection:
    """Return by namespace: issued items to show, elements to sign, and identifiers without an answer."""
    issued: dict[str, list[IssuedItem]] = {}
    own: dict[str, dict[str, object]] = {name: dict(given) for name, given in manner.device_signed.items()}
    unanswered: dict[str, list[str]] = {}
    for namespace, wanted in asked.elements.items():
        items = holding.document.namespaces.get(namespace, ())
        available = [item for item in items if item.identifier not in manner.withhold]
        device_elements = holding.device_elements.get(namespace, {})
        for identifier in (*wanted, *manner.extra):
            item = _answer(available, identifier)
            if item is not None:
                shown = issued.setdefault(namespace, [])
                if item not in shown:
                    shown += [item] * (2 if item.identifier in manner.duplicate else 1)
            elif identifier in device_elements and identifier not in manner.withhold:
                own.setdefault(namespace, {})[identifier] = device_elements[identifier]
            elif identifier in wanted:
                unanswered.setdefault(namespace, []).append(identifier)
    return issued, own, unanswered


def encode_document(
    holding: Holding,
    issued: Mapping[str, Sequence[IssuedItem]],
    own: Mapping[str, Mapping[str, object]],
    unanswered: Mapping[str, Sequence[str]],
    proof: Proof,
) -> bytes:
    manner = proof.manner
    doctype = manner.claimed_doctype or holding.document.doctype
    issuer_signed = []
    if issued:
        shown = cbor.head(5, len(issued))
        for namespace, items in issued.items():
            encoded = [_altered(item, manner) for item in items]
            shown += cbor.tstr(namespace) + cbor.head(4, len(encoded)) + b"".join(encoded)
        issuer_signed.append(cbor.tstr("nameSpaces") + shown)
    issuer_signed.append(cbor.tstr("issuerAuth") + holding.document.issuer_auth)
    parts = [
        cbor.tstr("docType") + cbor.tstr(doctype),
        cbor.tstr("issuerSigned") + cbor.head(5, len(issuer_signed)) + b"".join(issuer_signed),
    ]
    if not manner.no_device_auth:
        namespaces = cbor.embed(cbor.encode({name: dict(given) for name, given in own.items()}))
        kind, encoded_proof = _prove(holding.device_key, doctype, namespaces, proof)
        parts.append(
            cbor.tstr("deviceSigned")
            + b"\xa2"
            + cbor.tstr("nameSpaces")
            + namespaces
            + cbor.tstr("deviceAuth")
            + b"\xa1"
            + cbor.tstr(kind)
            + encoded_proof
        )
    if manner.element_errors and unanswered:
        errors = {name: dict.fromkeys(identifiers, 0) for name, identifiers in unanswered.items()}
        parts.append(cbor.tstr("errors") + cbor.encode(errors))
    return cbor.head(5, len(parts)) + b"".join(parts)


def _altered(item: IssuedItem, manner: WalletBehaviour) -> bytes:
    if item.identifier not in manner.altered:
        return item.encoded
    content = cbor.as_map(cbor.decode(cbor.as_embedded(cbor.decode(item.encoded), "item")), "item")
    salt = cbor.as_bytes(content["random"], "random")
    return encode_item(item.digest_id, salt, item.identifier, manner.altered[item.identifier])


def _prove(key: DevicePrivateKey, doctype: str, namespaces: bytes, proof: Proof) -> tuple[DeviceAuthKind, bytes]:
    row = curve_of(key)
    transcript = proof.transcript
    if proof.manner.wrong_device_key:
        key = generate_device_key(row.name)
    if proof.manner.wrong_transcript:
        transcript = transcript[:-1] + b"\x80"
    label = cbor.tstr("DeviceAuthentication")
    signed = cbor.embed(b"\x84" + label + transcript + cbor.tstr(doctype) + namespaces)
    wants_mac = (proof.manner.device_auth is DeviceAuthKind.MAC and row.agreement) or not row.signature
    if not wants_mac:
        return DeviceAuthKind.SIGNATURE, cbor.encode(cose.sign(_signing(key), signed, detached=True))
    if proof.reader_key is None or curve_of(proof.reader_key) is not row:
        raise ValueError(f"a MAC by a device key on {row.name} needs the reader's key on the same curve")
    mac_key = session.e_mac_key(_agreement(key), proof.reader_key, transcript)
    return DeviceAuthKind.MAC, cbor.encode(cose.mac(mac_key, signed))


def _signing(key: DevicePrivateKey) -> SigningPrivateKey:
    if isinstance(key, (x25519.X25519PrivateKey, x448.X448PrivateKey)):
        raise TypeError("this key makes no signatures")
    return key


def _agreement(key: DevicePrivateKey) -> AgreementPrivateKey:
    if isinstance(key, (ec.EllipticCurvePrivateKey, x25519.X25519PrivateKey, x448.X448PrivateKey)):
        return key
    raise TypeError("this key has no key agreement")


def encode_response(documents: Sequence[bytes], missing: Sequence[str], status: int) -> bytes:
    parts = [cbor.tstr("version") + cbor.tstr("1.0")]
    if documents:
        parts.append(cbor.tstr("documents") + cbor.head(4, len(documents)) + b"".join(documents))
    if missing:
        parts.append(cbor.tstr("documentErrors") + cbor.encode([{doctype: 0} for doctype in missing]))
    parts.append(cbor.tstr("status") + cbor.encode(status))
    return cbor.head(5, len(parts)) + b"".join(parts)
