"""Signed JSON in its compact form: reading and verifying, nothing guessed (RFC 7515, RFC 7518, RFC 8037; JAdES).

The algorithm is the one the header names, and must fit the key. RSA is here for the sake of European lists, whose
signers mostly have such keys; nothing that a wallet shows is ever signed with one. What has no signature, names an
algorithm with a shared secret, or says that something is critical which is not known here, is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from mdoc_reader.model.reasons import Malformed, MalformedCode
from mdoc_reader.trust import strict_json
from mdoc_reader.trust.facts import CertificateKey
from mdoc_reader.trust.list_codes import ListCode

MAX_HEADER = 256 * 1024
_MAX_SIGNATURE = 2048
_MAX_CERTIFICATES, _MAX_CERTIFICATE = 8, 64 * 1024
_HEADER = strict_json.Limits(max_bytes=MAX_HEADER, max_depth=8, max_items=512)
_SHA256, _SHA384, _SHA512 = hashes.SHA256(), hashes.SHA384(), hashes.SHA512()
_ECDSA: Mapping[str, tuple[str, int, hashes.HashAlgorithm]] = {
    "ES256": ("secp256r1", 32, _SHA256),
    "ES384": ("secp384r1", 48, _SHA384),
    "ES512": ("secp521r1", 66, _SHA512),
}
_RSA: Mapping[str, hashes.HashAlgorithm] = {"256": _SHA256, "384": _SHA384, "512": _SHA512}
_EDWARDS: Mapping[str, tuple[type, ...]] = {
    "EdDSA": (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey),
    "Ed25519": (ed25519.Ed25519PublicKey,),
    "Ed448": (ed448.Ed448PublicKey,),
}
_UNDERSTOOD = frozenset({"sigT", "b64"})
"""What a header may call critical: when it was signed (JAdES), which nothing here depends on; and that the payload is
encoded, which it always is here."""


@dataclass(frozen=True, slots=True)
class Jws:
    """A compact JWS as received. `signed` is what the signature is over."""

    header: Mapping[str, object]
    payload: bytes = field(repr=False)
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @property
    def type(self) -> str:
        """Return the header's `typ`, or nothing."""
        kind = self.header.get("typ")
        return kind if isinstance(kind, str) else ""


def parse(data: bytes, path: str, most: int) -> Jws:
    """Read a compact JWS of at most `most` bytes; white space around it does not count. Raises Malformed."""
    if len(data) > most:
        raise Malformed(MalformedCode.TOO_LARGE, path, detail=f"{len(data)} bytes, at most {most}")
    data = data.strip(b" \t\r\n")
    if data.count(b".") != 2:
        raise Malformed(MalformedCode.WRONG_TYPE, path, detail="three parts are expected")
    head, _, rest = data.partition(b".")
    payload, _, signature = rest.partition(b".")
    if len(head) > MAX_HEADER or len(signature) > _MAX_SIGNATURE:
        raise Malformed(MalformedCode.TOO_LARGE, path, detail="header or signature")
    header = strict_json.as_object(
        strict_json.decode(from_base64url(head, f"{path}.header"), f"{path}.header", _HEADER), f"{path}.header"
    )
    _refuse_unknown(header, f"{path}.header")
    return Jws(
        header,
        from_base64url(payload, f"{path}.payload"),
        data[: len(head) + 1 + len(payload)],
        from_base64url(signature, f"{path}.signature"),
    )


def _refuse_unknown(header: Mapping[str, object], path: str) -> None:
    if header.get("b64", True) is not True:
        raise Malformed(MalformedCode.UNSUPPORTED, path, detail="the payload is not encoded")
    if "sigD" in header:
        raise Malformed(MalformedCode.UNSUPPORTED, path, detail="what was signed lies elsewhere")
    if "crit" not in header:
        return
    critical = strict_json.as_list(header["crit"], f"{path}.crit", maximum=16)
    if not critical or any(not isinstance(name, str) or name not in header for name in critical):
        raise Malformed(MalformedCode.BAD_VALUE, f"{path}.crit")
    if any(name not in _UNDERSTOOD for name in critical):
        raise Malformed(MalformedCode.UNSUPPORTED, f"{path}.crit", detail="a critical header is not known")


def from_base64url(data: bytes, path: str) -> bytes:
    """Decode base64url as RFC 7515 writes it: no padding, nothing in between, no bits left over. Raises Malformed."""
    rest = len(data) % 4
    plain = data.translate(_TO_PLAIN)
    try:
        decoded = binascii.a2b_base64(plain + b"=" * (-rest % 4), strict_mode=True)
    except ValueError:
        raise Malformed(MalformedCode.BAD_VALUE, path, detail="not base64url") from None
    if b"=" in data or (rest and binascii.b2a_base64(decoded[1 - rest :])[:rest] != plain[-rest:]):
        raise Malformed(MalformedCode.BAD_VALUE, path, detail="not base64url")
    return decoded


# `+` and `/` are no part of the alphabet: they become what is refused.
_TO_PLAIN = bytes.maketrans(b"-_+/", b"+/!!")


def from_base64(text: str, path: str, most: int) -> bytes:
    """Decode base64 of at most `most` characters; line breaks and missing padding are forgiven. Raises Malformed."""
    if len(text) > most:
        raise Malformed(MalformedCode.TOO_LARGE, path)
    plain = "".join(text.split()).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        raise Malformed(MalformedCode.BAD_VALUE, path, detail="not base64") from None


def chain(jws: Jws, path: str) -> tuple[bytes, ...]:
    """Return the certificates of the header's `x5c` as DER, leaf first; empty where there is none. Raises Malformed."""
    if "x5c" not in jws.header:
        return ()
    given = strict_json.as_list(jws.header["x5c"], f"{path}.x5c", maximum=_MAX_CERTIFICATES)
    return tuple(
        from_base64(
            strict_json.as_text(item, f"{path}.x5c[{index}]", maximum=_MAX_CERTIFICATE),
            f"{path}.x5c[{index}]",
            _MAX_CERTIFICATE,
        )
        for index, item in enumerate(given)
    )


def names_other_signer(jws: Jws, leaf: bytes) -> bool:
    """Say whether the header's `x5t#S256` is that of another certificate than `leaf`."""
    thumb = jws.header.get("x5t#S256")
    return thumb is not None and thumb != thumbprint(leaf)


def thumbprint(certificate: bytes) -> str:
    """Return a certificate's `x5t#S256`."""
    return base64.urlsafe_b64encode(hashlib.sha256(certificate).digest()).rstrip(b"=").decode()


def signature_fault(jws: Jws, key: CertificateKey | None) -> ListCode | None:
    """Return why `key` did not sign this: ALGORITHM, or SIGNATURE; None where it did."""
    name = jws.header.get("alg")
    if not isinstance(name, str):
        return ListCode.ALGORITHM
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            return _verify_ecdsa(jws, key, name)
        if isinstance(key, rsa.RSAPublicKey):
            digest = _RSA.get(name[2:])
            if digest is None or name[:2] not in {"RS", "PS"}:
                return ListCode.ALGORITHM
            scheme = padding.PKCS1v15() if name[0] == "R" else padding.PSS(padding.MGF1(digest), digest.digest_size)
            key.verify(jws.signature, jws.signed, scheme, digest)
        elif isinstance(key, _EDWARDS.get(name, ())) and key is not None:
            key.verify(jws.signature, jws.signed)
        else:
            return ListCode.ALGORITHM
    except InvalidSignature:
        return ListCode.SIGNATURE
    return None


def _verify_ecdsa(jws: Jws, key: ec.EllipticCurvePublicKey, name: str) -> ListCode | None:
    row = _ECDSA.get(name)
    if row is None or key.curve.name != row[0]:
        return ListCode.ALGORITHM
    _, octets, digest = row
    if len(jws.signature) != 2 * octets:
        return ListCode.SIGNATURE
    r, s = (int.from_bytes(part, "big") for part in (jws.signature[:octets], jws.signature[octets:]))
    key.verify(encode_dss_signature(r, s), jws.signed, ec.ECDSA(digest))
    return None
