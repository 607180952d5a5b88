"""COSE_Sign1 and COSE_Mac0 as mdoc messages carry them (RFC 9052, RFC 9053; ISO 18013-5 clauses 9 and 12).

Structures are untagged; tags 17 and 18 are accepted. `external_aad` is always empty. The algorithm is read from the
protected header alone, and must fit the curve of the key: a signature is never tried under a guess.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import cast

from cbor2 import CBORTag
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from mdoc_reader.mdoc import cbor
from mdoc_reader.mdoc.keys import KTY_EC2, Curve, EcPublic, EdPublic, PublicKey, SigningPrivateKey, curve_of
from mdoc_reader.model.reasons import Malformed, MalformedCode

ALG, CRIT, X5CHAIN = 1, 2, 33
HMAC_256 = 5
_TAGS = {"COSE_Sign1": 18, "COSE_Mac0": 17}
_MAX_CERTIFICATES, _MAX_CERTIFICATE_BYTES = 8, 16 * 1024
_HEADER = cbor.Limits(max_bytes=256 * 1024, max_depth=8, max_items=256, uncounted=64)


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A signature algorithm: its COSE number, name, hash (None for EdDSA), and the curves it may be used with."""

    number: int
    name: str
    hash: hashes.HashAlgorithm | None
    curves: frozenset[str]


_BRAINPOOL_384 = "brainpoolP384r1"
_ALGORITHMS = (
    Algorithm(-7, "ES256", hashes.SHA256(), frozenset({"P-256", "brainpoolP256r1"})),
    Algorithm(-35, "ES384", hashes.SHA384(), frozenset({"P-384", _BRAINPOOL_384})),
    Algorithm(-36, "ES512", hashes.SHA512(), frozenset({"P-521", "brainpoolP512r1"})),
    Algorithm(-8, "EdDSA", None, frozenset({"Ed25519", "Ed448"})),
    # Fully specified identifiers (RFC 9864).
    Algorithm(-9, "ESP256", hashes.SHA256(), frozenset({"P-256"})),
    Algorithm(-51, "ESP384", hashes.SHA384(), frozenset({"P-384"})),
    Algorithm(-52, "ESP512", hashes.SHA512(), frozenset({"P-521"})),
    Algorithm(-19, "Ed25519", None, frozenset({"Ed25519"})),
    Algorithm(-53, "Ed448", None, frozenset({"Ed448"})),
    Algorithm(-265, "ESB256", hashes.SHA256(), frozenset({"brainpoolP256r1"})),
    Algorithm(-267, "ESB384", hashes.SHA384(), frozenset({_BRAINPOOL_384})),
    Algorithm(-268, "ESB512", hashes.SHA512(), frozenset({"brainpoolP512r1"})),
)
ALGORITHMS: Mapping[int, Algorithm] = {row.number: row for row in _ALGORITHMS}
_DEFAULT_FOR_CURVE: Mapping[str, Algorithm] = {
    curve: row for row in _ALGORITHMS if row.number in {-7, -35, -36, -8} for curve in row.curves
}
# One ECDSA object for each hash: building it costs more than looking it up on the hot path.
_ECDSA = {row.number: ec.ECDSA(row.hash) for row in _ALGORITHMS if row.hash is not None}


@dataclass(frozen=True, slots=True)
class Cose:
    """A COSE_Sign1 or COSE_Mac0. `proof` is the signature or the tag; `payload` is None where detached."""

    protected_bytes: bytes
    protected: Mapping[object, object]
    unprotected: Mapping[object, object]
    payload: bytes | None
    proof: bytes

    @property
    def algorithm(self) -> object:
        """Return the protected `alg`, of whatever type, or None."""
        return self.protected.get(ALG)


def parse(value: object, kind: str, path: str) -> Cose:
    """Read a decoded COSE array; `kind` is COSE_Sign1 or COSE_Mac0. Raises Malformed.

    A critical header (label 2) is refused: this reader knows none beyond those it reads anyway.
    """
    if isinstance(value, CBORTag) and value.tag == _TAGS[kind]:
        value = value.value
    parts = cbor.as_array(value, path)
    if len(parts) != 4:
        raise Malformed(MalformedCode.WRONG_TYPE, path, detail=f"{kind} has four parts")
    try:
        protected_bytes = cbor.as_bytes(parts[0], "")
        protected = _protected(protected_bytes) if protected_bytes else _NOTHING
    except Malformed as error:
        raise error.under(f"{path}.protected") from None
    if CRIT in protected:
        raise Malformed(MalformedCode.UNSUPPORTED, f"{path}.protected", detail="a critical header is present")
    payload = parts[2]
    if type(parts[1]) is dict and type(parts[3]) is bytes and (payload is None or type(payload) is bytes):
        return Cose(protected_bytes, protected, parts[1], payload, parts[3])  # the usual one, without naming places
    payload = None if payload is None else cbor.as_bytes(payload, f"{path}.payload")
    return Cose(
        protected_bytes,
        protected,
        cbor.as_map(parts[1], f"{path}.unprotected"),
        payload,
        cbor.as_bytes(parts[3], f"{path}.{'signature' if kind == 'COSE_Sign1' else 'tag'}"),
    )


# A handful of headers serve every message, {1: -7} above all. Long ones are not remembered.
_remembered: dict[bytes, Mapping[object, object]] = {}


def _protected(encoded: bytes) -> Mapping[object, object]:
    found = _remembered.get(encoded)
    if found is None:
        found = MappingProxyType(dict(cbor.as_map(cbor.decode(encoded, _HEADER), "")))
        if len(encoded) <= 8 and len(_remembered) < 64:
            _remembered[encoded] = found
    return found


_NOTHING: Mapping[object, object] = MappingProxyType({})


def certificate_chain(cose: Cose, path: str) -> tuple[tuple[bytes, ...], bool]:
    """Return the x5chain as DER, leaf first, and whether it came from the unprotected header. Empty when absent.

    Looked for in the unprotected header first, then in the protected one. Raises Malformed.
    """
    unprotected = X5CHAIN in cose.unprotected
    value = cose.unprotected[X5CHAIN] if unprotected else cose.protected.get(X5CHAIN)
    if value is None:
        return (), unprotected
    certificates = [value] if isinstance(value, bytes) else cbor.as_array(value, path, maximum=_MAX_CERTIFICATES)
    chain = tuple(cbor.as_bytes(item, f"{path}[{index}]") for index, item in enumerate(certificates))
    if any(not der or len(der) > _MAX_CERTIFICATE_BYTES for der in chain):
        raise Malformed(MalformedCode.TOO_LARGE, path, detail="a certificate is empty or too large")
    return chain, unprotected


def algorithm_for(cose: Cose, row: Curve) -> Algorithm | None:
    """Return the algorithm the protected header names if it fits a key on the curve `row`, else None."""
    number = cose.algorithm
    if not isinstance(number, int) or isinstance(number, bool):
        return None
    algorithm = ALGORITHMS.get(number)
    return algorithm if algorithm is not None and row.name in algorithm.curves else None


def signature_structure(protected_bytes: bytes, payload: bytes) -> bytes:
    """Return the Sig_structure of a COSE_Sign1 (RFC 9052 section 4.4)."""
    return b"\x84\x6aSignature1" + cbor.bstr(protected_bytes) + b"\x40" + cbor.bstr(payload)


def mac_structure(protected_bytes: bytes, payload: bytes) -> bytes:
    """Return the MAC_structure of a COSE_Mac0 (RFC 9052 section 6.3)."""
    return b"\x84\x64MAC0" + cbor.bstr(protected_bytes) + b"\x40" + cbor.bstr(payload)


def verify_signature(cose: Cose, key: PublicKey, row: Curve, algorithm: Algorithm, payload: bytes) -> bool:
    """Check a COSE_Sign1 over `payload` (its own, or the detached one). `algorithm` comes from algorithm_for."""
    message = signature_structure(cose.protected_bytes, payload)
    proof = cose.proof
    try:
        if row.kty == KTY_EC2:
            octets = row.octets
            if len(proof) != 2 * octets:
                return False
            der = encode_dss_signature(int.from_bytes(proof[:octets], "big"), int.from_bytes(proof[octets:], "big"))
            cast("EcPublic", key).verify(der, message, _ECDSA[algorithm.number])
        else:
            cast("EdPublic", key).verify(proof, message)  # curves without signatures fit no algorithm
    except InvalidSignature:
        return False
    return True


def verify_mac(cose: Cose, key: bytes, payload: bytes) -> bool:
    """Check a COSE_Mac0 with HMAC-SHA-256 and a 32-octet key, in constant time."""
    expected = hmac.digest(key, mac_structure(cose.protected_bytes, payload), "sha256")
    return hmac.compare_digest(expected, cose.proof)


def algorithm_of(row: Curve) -> Algorithm:
    """Return the algorithm that goes with a curve unless another is asked for. Raises KeyError for one without any."""
    return _DEFAULT_FOR_CURVE[row.name]


def raw_signature(key: SigningPrivateKey, message: bytes, row: Curve, algorithm: Algorithm) -> bytes:
    """Sign as COSE writes it: r || s at full length, or EdDSA. Raises ValueError where the algorithm does not fit."""
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(message)
    if algorithm.hash is None:
        raise ValueError(f"{algorithm.name} does not fit {row.name}")
    r, s = decode_dss_signature(key.sign(message, _ECDSA[algorithm.number]))
    return r.to_bytes(row.octets, "big") + s.to_bytes(row.octets, "big")


def sign(
    key: SigningPrivateKey,
    payload: bytes,
    *,
    detached: bool = False,
    unprotected: Mapping[int, object] | None = None,
    algorithm: int | None = None,
) -> list[object]:
    """Make an untagged COSE_Sign1, ready to be encoded. The algorithm defaults to the curve's own."""
    row = curve_of(key)
    chosen = ALGORITHMS[algorithm] if algorithm is not None else algorithm_of(row)
    protected = cbor.encode({ALG: chosen.number})
    proof = raw_signature(key, signature_structure(protected, payload), row, chosen)
    return [protected, dict(unprotected or {}), None if detached else payload, proof]


def mac(key: bytes, payload: bytes) -> list[object]:
    """Make an untagged COSE_Mac0 with a detached payload, HMAC-SHA-256."""
    protected = cbor.encode({ALG: HMAC_256})
    return [protected, {}, None, hmac.digest(key, mac_structure(protected, payload), "sha256")]
