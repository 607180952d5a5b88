"""The lab's issuer: data elements in, a signed mobile document out (ISO 18013-5 clauses 8.3.2.1.2.2 and 9.1.2.4).

The certificates it works with come from `certificates`, and are offered here under the same roof.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from cbor2 import CBORTag
from cryptography.hazmat.primitives.asymmetric import x448, x25519

from mdoc_reader.lab.certificates import (
    AUTHORITY_CURVES,
    PROFILE,
    SIGNER_CURVES,
    Changes,
    Credential,
    generate_signing_key,
    make_document_signer,
    make_iaca,
    make_reader,
    make_reader_ca,
    now,
    reader_identity,
)
from mdoc_reader.mdoc import cbor, cose
from mdoc_reader.mdoc.keys import PublicKey, SigningPrivateKey, XPrivate, encode_cose_key
from mdoc_reader.mdoc.mso import DIGEST_ALGORITHMS, KeyAuthorizations

__all__ = [
    "AUTHORITY_CURVES",
    "DEVICE_CURVES",
    "PROFILE",
    "SIGNER_CURVES",
    "Changes",
    "Credential",
    "DevicePrivateKey",
    "IssuedDocument",
    "IssuedItem",
    "encode_item",
    "full_date",
    "generate_device_key",
    "generate_signing_key",
    "issue",
    "make_document_signer",
    "make_iaca",
    "make_reader",
    "make_reader_ca",
    "now",
    "reader_identity",
    "tdate",
]

DevicePrivateKey = SigningPrivateKey | XPrivate
DEVICE_CURVES = (*SIGNER_CURVES, "X25519", "X448")
Elements = Mapping[str, Mapping[str, object]]
"""Namespace to element identifier to value, ready for the CBOR encoder."""


@dataclass(frozen=True, slots=True)
class IssuedItem:
    """One element as issued. `encoded` is IssuerSignedItemBytes, with tag 24."""

    identifier: str
    value: object = field(repr=False)
    encoded: bytes = field(repr=False)
    digest_id: int = 0


@dataclass(frozen=True, slots=True)
class IssuedDocument:
    """A document as the issuer hands it to a wallet. `issuer_auth` is an encoded, untagged COSE_Sign1."""

    doctype: str
    issuer_auth: bytes = field(repr=False)
    namespaces: Mapping[str, tuple[IssuedItem, ...]] = field(repr=False)

    def item(self, namespace: str, identifier: str) -> IssuedItem | None:
        """Return one element, or None."""
        items = self.namespaces.get(namespace, ())
        return next((item for item in items if item.identifier == identifier), None)


def generate_device_key(curve_name: str = "P-256") -> DevicePrivateKey:
    """Make a device key; on X25519 and X448 it can answer with a MAC only. Raises ValueError."""
    if curve_name == "X25519":
        return x25519.X25519PrivateKey.generate()
    if curve_name == "X448":
        return x448.X448PrivateKey.generate()
    return generate_signing_key(curve_name)


def full_date(day: date) -> CBORTag:
    """Return a full-date (tag 1004)."""
    return CBORTag(cbor.FULL_DATE, day.isoformat())


def tdate(moment: datetime) -> CBORTag:
    """Return a tdate (tag 0) in UTC and whole seconds. `moment` knows its zone."""
    return CBORTag(cbor.TDATE, moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))


def issue(
    signer: Credential,
    device_public_key: PublicKey,
    doctype: str,
    elements: Elements,
    *,
    signed: datetime | None = None,
    valid_from: datetime | None = None,
    valid_until: datetime | None = None,
    expected_update: datetime | None = None,
    digest_algorithm: str = "SHA-256",
    key_authorizations: KeyAuthorizations | None = None,
    status: Mapping[str, object] | None = None,
    decoys: int = 0,
    compressed_device_key: bool = False,
    signature_algorithm: int | None = None,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> IssuedDocument:
    """Sign a document. Raises ValueError for an unknown digest algorithm, or an algorithm the signer's key cannot use.

    Args:
        signer: document signer; its certificate travels as the x5chain.
        device_public_key: the key the phone must prove to hold.
        doctype: written to the MSO.
        elements: values as the CBOR encoder takes them; dates by full_date and tdate.
        signed: default: yesterday. `valid_from` defaults to it, `valid_until` to thirty days from it.
        valid_from: start of validity.
        valid_until: end of validity.
        expected_update: written where given.
        digest_algorithm: SHA-256, SHA-384 or SHA-512.
        key_authorizations: what the device key may sign.
        status: written to the MSO as it is: status_list or identifier_list.
        decoys: digests of nothing, so many in each namespace.
        compressed_device_key: writes the y coordinate as a sign bit.
        signature_algorithm: COSE number, instead of the curve's own.
        random_bytes: where salts come from; something repeatable for fixed vectors.
    """
    if digest_algorithm not in DIGEST_ALGORITHMS:
        raise ValueError(f"no digest algorithm {digest_algorithm}: choose one of {', '.join(DIGEST_ALGORITHMS)}")
    hash_name = digest_algorithm.replace("-", "").lower()
    namespaces: dict[str, tuple[IssuedItem, ...]] = {}
    digests: dict[str, dict[int, bytes]] = {}
    for namespace, given in elements.items():
        # The numbers are dealt at random: their order must not tell which elements exist.
        numbers = sorted(range(len(given) + decoys), key=lambda _: random_bytes(8))
        items = [_item(numbers.pop(), identifier, value, random_bytes(32)) for identifier, value in given.items()]
        known = {item.digest_id: hashlib.new(hash_name, item.encoded).digest() for item in items}
        known |= {number: random_bytes(DIGEST_ALGORITHMS[digest_algorithm]) for number in numbers}
        namespaces[namespace] = tuple(items)
        digests[namespace] = dict(sorted(known.items()))
    signed_at = signed or now() - timedelta(days=1)
    validity: dict[str, object] = {
        "signed": tdate(signed_at),
        "validFrom": tdate(valid_from or signed_at),
        "validUntil": tdate(valid_until or signed_at + timedelta(days=30)),
    }
    if expected_update is not None:
        validity["expectedUpdate"] = tdate(expected_update)
    device_key = cbor.decode(encode_cose_key(device_public_key, compressed=compressed_device_key))
    key_info: dict[str, object] = {"deviceKey": device_key}
    if key_authorizations is not None:
        key_info["keyAuthorizations"] = _authorizations(key_authorizations)
    security: dict[str, object] = {
        "version": "1.0",
        "digestAlgorithm": digest_algorithm,
        "valueDigests": digests,
        "deviceKeyInfo": key_info,
        "docType": doctype,
        "validityInfo": validity,
    }
    if status is not None:
        security["status"] = dict(status)
    payload = cbor.embed(cbor.encode(security))
    auth = cose.sign(signer.key, payload, unprotected={cose.X5CHAIN: signer.der}, algorithm=signature_algorithm)
    return IssuedDocument(doctype, cbor.encode(auth), namespaces)


def encode_item(digest_id: int, random: bytes, identifier: str, value: object) -> bytes:
    """Return IssuerSignedItemBytes, with tag 24."""
    content = {"digestID": digest_id, "random": random, "elementIdentifier": identifier, "elementValue": value}
    return cbor.embed(cbor.encode(content))


def _item(digest_id: int, identifier: str, value: object, random: bytes) -> IssuedItem:
    return IssuedItem(identifier, value, encode_item(digest_id, random, identifier, value), digest_id)


def _authorizations(authorizations: KeyAuthorizations) -> dict[str, object]:
    encoded: dict[str, object] = {}
    if authorizations.namespaces:
        encoded["nameSpaces"] = sorted(authorizations.namespaces)
    if authorizations.elements:
        encoded["dataElements"] = {name: sorted(names) for name, names in authorizations.elements.items()}
    return encoded
