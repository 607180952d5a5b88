"""Keys on every curve the protocol names: COSE_Key in and out, ECDH, key generation (RFC 9053; ISO 18013-5 curves).

brainpoolP320r1 is named by the standard and missing from the crypto library: it is refused as unsupported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, x448, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mdoc_reader.mdoc import cbor
from mdoc_reader.model.reasons import Malformed, MalformedCode

EcPublic = ec.EllipticCurvePublicKey
EdPublic = ed25519.Ed25519PublicKey | ed448.Ed448PublicKey
XPublic = x25519.X25519PublicKey | x448.X448PublicKey
PublicKey = EcPublic | EdPublic | XPublic
SignaturePublicKey = EcPublic | EdPublic
XPrivate = x25519.X25519PrivateKey | x448.X448PrivateKey
AgreementPrivateKey = ec.EllipticCurvePrivateKey | XPrivate
AgreementPublicKey = EcPublic | XPublic
SigningPrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey

KTY_OKP, KTY_EC2 = 1, 2


@dataclass(frozen=True, slots=True)
class Curve:
    """One row of the table: COSE number, name, key type, octets of a coordinate (or of an OKP key)."""

    number: int
    name: str
    kty: int
    octets: int
    ec: ec.EllipticCurve | None = None
    agreement: bool = True
    signature: bool = True


_ROWS = (
    Curve(1, "P-256", KTY_EC2, 32, ec.SECP256R1()),
    Curve(2, "P-384", KTY_EC2, 48, ec.SECP384R1()),
    Curve(3, "P-521", KTY_EC2, 66, ec.SECP521R1()),
    Curve(4, "X25519", KTY_OKP, 32, signature=False),
    Curve(5, "X448", KTY_OKP, 56, signature=False),
    Curve(6, "Ed25519", KTY_OKP, 32, agreement=False),
    Curve(7, "Ed448", KTY_OKP, 57, agreement=False),
    Curve(256, "brainpoolP256r1", KTY_EC2, 32, ec.BrainpoolP256R1()),
    Curve(257, "brainpoolP320r1", KTY_EC2, 40),
    Curve(258, "brainpoolP384r1", KTY_EC2, 48, ec.BrainpoolP384R1()),
    Curve(259, "brainpoolP512r1", KTY_EC2, 64, ec.BrainpoolP512R1()),
)
CURVES: Mapping[int, Curve] = {row.number: row for row in _ROWS}
CURVES_BY_NAME: Mapping[str, Curve] = {row.name: row for row in _ROWS}
_BY_EC_NAME: Mapping[str, Curve] = {row.ec.name: row for row in _ROWS if row.ec}

_OKP_PUBLIC: Mapping[int, Callable[[bytes], EdPublic | XPublic]] = {
    4: x25519.X25519PublicKey.from_public_bytes,
    5: x448.X448PublicKey.from_public_bytes,
    6: ed25519.Ed25519PublicKey.from_public_bytes,
    7: ed448.Ed448PublicKey.from_public_bytes,
}


def curve_of(key: object) -> Curve:
    """Return the table row of a public or private key. Raises Malformed(UNSUPPORTED) for any other kind of key."""
    if isinstance(key, (ec.EllipticCurvePublicKey, ec.EllipticCurvePrivateKey)):
        row = _BY_EC_NAME.get(key.curve.name)
        if row is not None:
            return row
    for kinds, number in (
        ((x25519.X25519PublicKey, x25519.X25519PrivateKey), 4),
        ((x448.X448PublicKey, x448.X448PrivateKey), 5),
        ((ed25519.Ed25519PublicKey, ed25519.Ed25519PrivateKey), 6),
        ((ed448.Ed448PublicKey, ed448.Ed448PrivateKey), 7),
    ):
        if isinstance(key, kinds):
            return CURVES[number]
    raise Malformed(MalformedCode.UNSUPPORTED, detail="a key type that the protocol does not use")


def parse_cose_key(value: object, path: str = "COSE_Key") -> tuple[Curve, PublicKey]:
    """Read a COSE_Key map; EC points may be compressed (y is a sign bit). Other parameters are ignored.

    Raises Malformed: BAD_KEY for a point off the curve or of the wrong length, UNSUPPORTED for an unknown curve.
    """
    key = cbor.as_map(value, path)
    kty = cbor.need(key, 1, path)
    number = cbor.need(key, -1, path)
    row = CURVES.get(number) if isinstance(number, int) and not isinstance(number, bool) else None
    if row is None or row.kty != kty:
        raise Malformed(MalformedCode.UNSUPPORTED, path, detail="unknown key type or curve")
    x = cbor.as_bytes(cbor.need(key, -2, path), f"{path}.x")
    if len(x) != row.octets:
        raise Malformed(MalformedCode.BAD_KEY, f"{path}.x", detail=f"{row.octets} octets are expected")
    try:
        if row.kty == KTY_OKP:
            return row, _OKP_PUBLIC[row.number](x)
        if row.ec is None:
            raise Malformed(MalformedCode.UNSUPPORTED, path, detail=f"{row.name} is not supported")
        y = cbor.need(key, -3, path)
        if isinstance(y, bool):
            point = (b"\x03" if y else b"\x02") + x
        else:
            y = cbor.as_bytes(y, f"{path}.y")
            if len(y) != row.octets:
                raise Malformed(MalformedCode.BAD_KEY, f"{path}.y", detail=f"{row.octets} octets are expected")
            point = b"\x04" + x + y
        return row, ec.EllipticCurvePublicKey.from_encoded_point(row.ec, point)
    except (ValueError, UnsupportedAlgorithm):
        raise Malformed(MalformedCode.BAD_KEY, path, detail="not a point of its curve") from None


def encode_cose_key(key: PublicKey, *, compressed: bool = False) -> bytes:
    """Encode a public key as COSE_Key, by default uncompressed, as EReaderKey must be."""
    row = curve_of(key)
    if isinstance(key, ec.EllipticCurvePublicKey):
        point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        x, y = point[1 : 1 + row.octets], point[1 + row.octets :]
        return cbor.encode({1: KTY_EC2, -1: row.number, -2: x, -3: bool(y[-1] & 1) if compressed else y})
    return cbor.encode({1: KTY_OKP, -1: row.number, -2: key.public_bytes_raw()})


def generate_agreement_key(row: Curve) -> AgreementPrivateKey:
    """Make a fresh ephemeral private key on the given curve. Raises Malformed(UNSUPPORTED)."""
    if row.number == 4:
        return x25519.X25519PrivateKey.generate()
    if row.number == 5:
        return x448.X448PrivateKey.generate()
    if row.ec is None or not row.agreement:
        raise Malformed(MalformedCode.UNSUPPORTED, detail=f"no key agreement on {row.name}")
    return ec.generate_private_key(row.ec)


def agree(private: AgreementPrivateKey, public: PublicKey) -> bytes:
    """ECDH: return the raw shared secret (the x coordinate). Raises Malformed(BAD_KEY) when the curves do not fit."""
    try:
        if isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(public, ec.EllipticCurvePublicKey):
            return private.exchange(ec.ECDH(), public)
        if isinstance(private, x25519.X25519PrivateKey) and isinstance(public, x25519.X25519PublicKey):
            return private.exchange(public)
        if isinstance(private, x448.X448PrivateKey) and isinstance(public, x448.X448PublicKey):
            return private.exchange(public)
    except ValueError:  # another curve, or a low-order point
        pass
    raise Malformed(MalformedCode.BAD_KEY, detail="the keys are not of one curve")
