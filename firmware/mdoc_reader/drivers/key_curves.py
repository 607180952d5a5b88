"""What every place a reader's key can be has in common: the curves, their hashes, and how a raw signature looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature

from mdoc_reader.model.signer import SignerError, SignerTrouble


@dataclass(frozen=True, slots=True)
class SigningCurve:
    """A curve by its name in COSE: the crypto library's object, its identifier, its hash, octets of a coordinate."""

    name: str
    curve: ec.EllipticCurve
    oid: str
    hash: hashes.HashAlgorithm
    octets: int

    def digest(self, message: bytes) -> bytes:
        """Return the curve's hash of a message."""
        hasher = hashes.Hash(self.hash)
        hasher.update(message)
        return hasher.finalize()

    def holds(self, key: ec.EllipticCurvePublicKey, digest: bytes, raw: bytes) -> bool:
        """Check r || s over a digest."""
        if len(raw) != 2 * self.octets:
            return False
        r, s = int.from_bytes(raw[: self.octets], "big"), int.from_bytes(raw[self.octets :], "big")
        try:
            key.verify(encode_dss_signature(r, s), digest, ec.ECDSA(Prehashed(self.hash)))
        except InvalidSignature:
            return False
        return True

    def raw(self, der: bytes) -> bytes:
        """Turn the crypto library's ECDSA signature into r || s."""
        r, s = decode_dss_signature(der)
        return r.to_bytes(self.octets, "big") + s.to_bytes(self.octets, "big")


_ROWS = (
    SigningCurve("P-256", ec.SECP256R1(), "1.2.840.10045.3.1.7", hashes.SHA256(), 32),
    SigningCurve("P-384", ec.SECP384R1(), "1.3.132.0.34", hashes.SHA384(), 48),
    SigningCurve("P-521", ec.SECP521R1(), "1.3.132.0.35", hashes.SHA512(), 66),
    SigningCurve("brainpoolP256r1", ec.BrainpoolP256R1(), "1.3.36.3.3.2.8.1.1.7", hashes.SHA256(), 32),
    SigningCurve("brainpoolP384r1", ec.BrainpoolP384R1(), "1.3.36.3.3.2.8.1.1.11", hashes.SHA384(), 48),
    SigningCurve("brainpoolP512r1", ec.BrainpoolP512R1(), "1.3.36.3.3.2.8.1.1.13", hashes.SHA512(), 64),
)
CURVES: Mapping[str, SigningCurve] = {row.name: row for row in _ROWS}
BY_EC_NAME: Mapping[str, SigningCurve] = {row.curve.name: row for row in _ROWS}


def curve_named(name: str) -> SigningCurve:
    """Return a curve by its name. Raises SignerError UNSUITABLE."""
    try:
        return CURVES[name]
    except KeyError:
        raise SignerError(SignerTrouble.UNSUITABLE, f"the curve is one of {', '.join(CURVES)}") from None
