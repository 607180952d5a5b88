"""Surgery on certificates: parts put in that no builder makes, and the whole signed anew (X.690; RFC 5280).

A certificate's signed part is taken apart into its elements, a function changes the list, and it is put together and
signed as if an issuer had made it so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from mdoc_reader.mdoc.keys import SigningPrivateKey

Surgery = Callable[[list[bytes]], list[bytes]]
"""Changes the elements of a signed part: version, serial, algorithm, issuer, validity, subject, key, extensions."""

VERSION, SERIAL, ALGORITHM, ISSUER, VALIDITY, SUBJECT, KEY, EXTENSIONS = range(8)
_HASHES: dict[str, tuple[hashes.HashAlgorithm, bytes]] = {
    "sha1": (hashes.SHA1(), bytes.fromhex("300906072a8648ce3d0401")),  # noqa: S303 -- what must be refused
    "sha224": (hashes.SHA224(), bytes.fromhex("300a06082a8648ce3d040301")),
    "sha256": (hashes.SHA256(), bytes.fromhex("300a06082a8648ce3d040302")),
    "sha384": (hashes.SHA384(), bytes.fromhex("300a06082a8648ce3d040303")),
    "sha512": (hashes.SHA512(), bytes.fromhex("300a06082a8648ce3d040304")),
}
_EDWARDS = {32: bytes.fromhex("300506032b6570"), 57: bytes.fromhex("300506032b6571")}
_BRAINPOOL_320 = bytes.fromhex("301406072a8648ce3d020106092b2403030208010109")
_RSA_KEY = bytes.fromhex("300d06092a864886f70d0101010500")


def tlv(tag: int, content: bytes) -> bytes:
    """Return one element with its tag and length."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    width = (size.bit_length() + 7) // 8
    return bytes((tag, 0x80 | width)) + size.to_bytes(width, "big") + content


def elements(data: bytes) -> list[bytes]:
    """Return the elements inside a constructed one. Raises IndexError for data that is cut."""
    at, end = _body(data, 0)
    found = []
    while at < end:
        _, behind = _body(data, at)
        found.append(data[at:behind])
        at = behind
    return found


def _body(data: bytes, at: int) -> tuple[int, int]:
    length, body = data[at + 1], at + 2
    if length >= 0x80:
        width = length & 0x7F
        length, body = int.from_bytes(data[body : body + width], "big"), body + width
    return body, body + length


def operate(certificate: bytes, surgery: Surgery, key: SigningPrivateKey, hash_name: str, outside: str = "") -> bytes:
    """Change the elements of a DER certificate and sign it anew with the issuer's key.

    Args:
        certificate: as some builder made it.
        surgery: gets the eight elements, version and extensions with their tags.
        key: of the issuer.
        hash_name: what it is signed with, and named inside; no matter for Edwards keys.
        outside: the hash named outside of the signed part, where that is to differ.
    """
    signed = elements(elements(certificate)[0])
    if isinstance(key, ec.EllipticCurvePrivateKey):
        digest, algorithm = _HASHES[hash_name]
        signed[ALGORITHM] = algorithm
        whole = tlv(0x30, b"".join(surgery(signed)))
        signature = key.sign(whole, ec.ECDSA(digest))
        named = _HASHES[outside][1] if outside else algorithm
    else:
        named = _EDWARDS[len(key.public_key().public_bytes_raw())]
        signed[ALGORITHM] = named
        whole = tlv(0x30, b"".join(surgery(signed)))
        signature = key.sign(whole)
    return tlv(0x30, whole + named + tlv(0x03, b"\x00" + signature))


def put(place: int, element: bytes) -> Surgery:
    """Replace one element."""

    def change(parts: list[bytes]) -> list[bytes]:
        return [*parts[:place], element, *parts[place + 1 :]]

    return change


def as_version_1(parts: list[bytes]) -> list[bytes]:
    """Make it a version without extensions."""
    return parts[SERIAL:EXTENSIONS]


def turn_times(parts: list[bytes]) -> list[bytes]:
    """Let the validity end before it begins."""
    begin, end = elements(parts[VALIDITY])
    return put(VALIDITY, tlv(0x30, end + begin))(parts)


def repeat_extension(parts: list[bytes]) -> list[bytes]:
    """Have the first extension twice."""
    listed = elements(elements(parts[EXTENSIONS])[0])
    return put(EXTENSIONS, tlv(0xA3, tlv(0x30, b"".join([listed[0], *listed]))))(parts)


BRAINPOOL_320_BITS = b"\x04" + bytes(range(1, 81))
"""A point that is on no curve: libraries give up before they look."""
RSA_BITS = tlv(0x30, tlv(0x02, b"\x00" + b"\xc5" * 256) + tlv(0x02, b"\x01\x00\x01"))
"""A key of 2048 bits; nobody has its private part."""


def key_on_brainpool_320(parts: list[bytes]) -> list[bytes]:
    """Have a key on a curve that the standard names and crypto libraries lack."""
    return put(KEY, tlv(0x30, _BRAINPOOL_320 + tlv(0x03, b"\x00" + BRAINPOOL_320_BITS)))(parts)


def key_of_rsa(parts: list[bytes]) -> list[bytes]:
    """Have an RSA key."""
    return put(KEY, tlv(0x30, _RSA_KEY + tlv(0x03, b"\x00" + RSA_BITS)))(parts)


def self_named(both: bytes) -> Surgery:
    """Have another name, DER, as subject and as issuer."""

    def change(parts: list[bytes]) -> list[bytes]:
        return put(SUBJECT, both)(put(ISSUER, both)(parts))

    return change


def name(attributes: Sequence[tuple[str, str, int]]) -> bytes:
    """Return a DER name of (last arcs of 2.5.4 in hex, text, tag of the kind of text)."""
    return tlv(
        0x30,
        b"".join(
            tlv(0x31, tlv(0x30, bytes.fromhex("06035504" + arc) + tlv(tag, text.encode())))
            for arc, text, tag in attributes
        ),
    )
