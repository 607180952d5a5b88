"""Status lists and identifier lists of the lab's issuer, as CWT and JWT: of every width, and with every fault."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cbor2 import CBORTag
from cryptography import x509

from mdoc_reader.lab.certificates import PROFILE, Changes, Credential, make_document_signer, now
from mdoc_reader.mdoc import cbor, cose
from mdoc_reader.mdoc.keys import curve_of

CWT_TYPE, JWT_TYPE = "application/statuslist+cwt", "statuslist+jwt"
IDENTIFIER_TYPE = "application/identifierlist+cwt"
URI = "https://lab.invalid/status/1"
_JWS = {-7: "ES256", -35: "ES384", -36: "ES512", -8: "EdDSA"}
_CWT_CLAIMS: Mapping[str, int] = {
    "sub": 2,
    "exp": 4,
    "iat": 6,
    "ttl": 65534,
    "status_list": 65533,
    "identifier_list": 65530,
}


def make_list_signer(
    authority: Credential,
    curve_name: str = "P-256",
    *,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    changes: Changes = PROFILE,
) -> Credential:
    """Make a signer of status lists under an issuing authority, without a purpose of its own."""
    return make_document_signer(
        authority,
        curve_name,
        common_name="Utopia Lab Status Lists",
        not_before=not_before,
        not_after=not_after,
        changes=Changes((x509.ExtendedKeyUsage, *changes.leave_out), changes.put),
    )


def octets_of(values: Sequence[int], bits: int = 1) -> bytes:
    """Pack values of so many bits, the first in the lowest bits of the first octet."""
    packed = bytearray((len(values) * bits + 7) // 8)
    for index, value in enumerate(values):
        place = index * bits
        packed[place >> 3] |= value << (place & 7)
    return bytes(packed)


@dataclass(frozen=True, slots=True)
class TokenShape:
    """How a token is made: `claims` replace those of the profile, None leaves them out.

    `alter` changes what was signed; `chain` None: the signer alone; `headers` go into the
    protected header, by COSE label or JWT name.
    """

    jwt: bool = False
    tags: Sequence[int] = (18,)
    type: str | None = None
    issued: datetime | None = None
    lasts: timedelta | None = timedelta(days=7)
    claims: Mapping[str, object] = field(default_factory=dict)
    chain: Sequence[bytes] | None = None
    protected_chain: bool = True
    headers: Mapping[object, object] = field(default_factory=dict)
    alter: Callable[[bytes], bytes] | None = None


PLAIN = TokenShape()


def status_claims(octets: bytes, bits: int = 1, *, level: int = 9) -> dict[str, object]:
    """Return a list as it stands in a token: `lst` is compressed."""
    return {"bits": bits, "lst": zlib.compress(octets, level)}


def make_status_list(
    signer: Credential, octets: bytes, bits: int = 1, *, uri: str = URI, shape: TokenShape = PLAIN
) -> bytes:
    """Make a status list for an address: issued an hour ago, good for a week."""
    kind = shape.type if shape.type is not None else JWT_TYPE if shape.jwt else CWT_TYPE
    claims = _claims(uri, shape) | {"status_list": status_claims(octets, bits)}
    return _token(signer, claims | dict(shape.claims), kind, shape)


def make_identifier_list(
    signer: Credential, identifiers: Iterable[bytes], *, uri: str = URI, shape: TokenShape = PLAIN
) -> bytes:
    """Make an identifier list for an address: issued an hour ago, good for a week."""
    kind = shape.type if shape.type is not None else IDENTIFIER_TYPE
    listed: dict[str, object] = {"identifiers": {identifier: {} for identifier in identifiers}}
    return _token(signer, _claims(uri, shape) | {"identifier_list": listed} | dict(shape.claims), kind, shape)


def _claims(uri: str, shape: TokenShape) -> dict[str, object]:
    issued = shape.issued or now() - timedelta(hours=1)
    claims: dict[str, object] = {"sub": uri, "iat": int(issued.timestamp()), "ttl": 43200}
    if shape.lasts is not None:
        claims["exp"] = int((issued + shape.lasts).timestamp())
    return claims


def _token(signer: Credential, claims: Mapping[str, object], kind: str, shape: TokenShape) -> bytes:
    given = {name: value for name, value in claims.items() if value is not None}
    if shape.jwt:
        return sign_jwt(signer, json.dumps(given, default=_json).encode(), kind, shape)
    return cwt(signer, _by_number(given), kind, shape)


def _by_number(claims: Mapping[str, object]) -> bytes:
    return cbor.encode({_CWT_CLAIMS.get(name, name): value for name, value in claims.items()})


def cwt(signer: Credential, payload: bytes, kind: str, shape: TokenShape = PLAIN) -> bytes:
    """Sign a payload as a CWT, whatever it is."""
    row = curve_of(signer.key)
    algorithm = cose.algorithm_of(row)
    chain = list([signer.der] if shape.chain is None else shape.chain)
    header = {cose.X5CHAIN: chain[0] if len(chain) == 1 else chain} if chain else {}
    headers: dict[object, object] = {1: algorithm.number, **({16: kind} if kind else {}), **shape.headers}
    protected = cbor.encode(headers | header if shape.protected_chain else headers)
    proof = cose.raw_signature(signer.key, cose.signature_structure(protected, payload), row, algorithm)
    sent = shape.alter(payload) if shape.alter else payload
    made: object = [protected, {} if shape.protected_chain else header, sent, proof]
    for tag in shape.tags:
        made = CBORTag(tag, made)
    return cbor.encode(made)


def base64url(data: bytes) -> str:
    """Encode without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign_jwt(signer: Credential, payload: bytes, kind: str, shape: TokenShape = PLAIN) -> bytes:
    """Sign a payload as a JWT, whatever it is."""
    row = curve_of(signer.key)
    algorithm = cose.algorithm_of(row)
    chain = [signer.der] if shape.chain is None else shape.chain
    header = {"alg": _JWS[algorithm.number], "typ": kind, **shape.headers}
    if chain:
        header["x5c"] = [base64.b64encode(each).decode() for each in chain]
    head = base64url(json.dumps(header).encode())
    proof = cose.raw_signature(signer.key, f"{head}.{base64url(payload)}".encode(), row, algorithm)
    sent = shape.alter(payload) if shape.alter else payload
    return f"{head}.{base64url(sent)}.{base64url(proof)}".encode()


def _json(value: object) -> str:
    if isinstance(value, bytes):
        return base64url(value)
    raise TypeError(type(value).__name__)
