"""Slices of a certificate as it was received: what was signed, names, key, extensions (RFC 5280; X.690).

The crypto library has read the certificate before this looks at it; it would build and encode these parts anew, at a
cost that shows while a person waits. Only single-byte tags and definite lengths occur where this looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

_SEQUENCE, _SET, _INTEGER, _BITS, _OCTETS = 0x30, 0x31, 0x02, 0x03, 0x04
_BOOLEAN, _VERSION, _EXTENSIONS, _OID = 0x01, 0xA0, 0xA3, 0x06
_VERSION_ALONE = b"\xa0\x03\x02\x01"  # all but its number
_TEXT = {0x0C: "utf-8", 0x13: "ascii", 0x16: "ascii", 0x14: "latin-1", 0x1E: "utf-16-be", 0x1C: "utf-32-be"}
_MAX_ATTRIBUTES = 64
_MAX_EXTENSIONS = 64
_MAX_PARTS = 10
COUNTRY = b"\x06\x03\x55\x04\x06"
STATE = b"\x06\x03\x55\x04\x08"
COMMON_NAME = b"\x06\x03\x55\x04\x03"
SUBJECT_KEY_IDENTIFIER = b"\x06\x03\x55\x1d\x0e"
_DIGEST_IDENTIFIER = SUBJECT_KEY_IDENTIFIER + b"\x04\x16\x04\x14"
"""The same with what goes before a key identifier of twenty octets, as nearly all are."""


@dataclass(frozen=True, slots=True)
class CertificateSlices:
    """Parts of one certificate, each with its tag and length.

    `key` is the SubjectPublicKeyInfo; `extensions` their SEQUENCE, empty where there are none; `promised` and
    `algorithm` the signature algorithm as the signed part and as the certificate around it name it.
    """

    signed: bytes
    issuer: bytes
    subject: bytes
    key: bytes = b""
    extensions: bytes = b""
    promised: bytes = b""
    algorithm: bytes = b""


def _open(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Return tag, start of the content and offset behind it. Raises ValueError where it does not fit before `end`."""
    if at + 2 > end:
        raise ValueError("DER ends too early")
    length, body = data[at + 1], at + 2
    if length >= 0x80:
        width = length & 0x7F
        if not 1 <= width <= 4:
            raise ValueError("a DER length that no certificate has")
        body += width
        if width == 2 and body <= end:  # what is as long as a certificate: spared a call
            length = data[at + 2] << 8 | data[at + 3]
        else:
            length = int.from_bytes(data[body - width : body], "big")
    if body + length > end:
        raise ValueError("DER ends too early")
    return data[at], body, body + length


def slices(certificate: bytes) -> CertificateSlices:
    """Find the parts of a DER certificate. Raises ValueError."""
    tag, start, end = _open(certificate, 0, len(certificate))
    signed_tag, at, signed_end = _open(certificate, start, end)
    if tag != _SEQUENCE or signed_tag != _SEQUENCE:
        raise ValueError("not a certificate")
    # [version], serial number, signature algorithm, issuer, validity, subject, public key
    tag, _, behind = _open(certificate, at, signed_end)
    if tag == _VERSION:
        at = behind
        tag, _, behind = _open(certificate, at, signed_end)
    if tag != _INTEGER:
        raise ValueError("not a certificate")
    found = []
    for _ in range(5):
        at = behind
        tag, _, behind = _open(certificate, at, signed_end)
        if tag != _SEQUENCE:
            raise ValueError("not a certificate")
        found.append(certificate[at:behind])
    extensions = b""
    while behind < signed_end:  # [unique identifiers], [extensions]
        tag, at, behind = _open(certificate, behind, signed_end)
        if tag == _EXTENSIONS:
            extensions = certificate[at:behind]
    _, _, algorithm_end = _open(certificate, signed_end, end)
    return CertificateSlices(
        certificate[start:signed_end],
        found[1],
        found[3],
        found[4],
        extensions,
        found[0],
        certificate[signed_end:algorithm_end],
    )


def key_parts(key: bytes) -> tuple[bytes, bytes]:
    """Return the algorithm (with tag and length) and the bits of a SubjectPublicKeyInfo. Raises ValueError."""
    _, at, end = _open(key, 0, len(key))
    tag, _, algorithm_end = _open(key, at, end)
    bits_tag, body, behind = _open(key, algorithm_end, end)
    if tag != _SEQUENCE or bits_tag != _BITS or body >= behind:
        raise ValueError("not a public key")
    return key[at:algorithm_end], key[body + 1 : behind]  # the first octet counts unused bits


class CertificateIndex(NamedTuple):
    """What finds a certificate among thousands: subject and key's algorithm with tag and length, and the key's name."""

    subject: bytes
    key_algorithm: bytes
    key_identifier: bytes | None


def index(certificate: bytes) -> CertificateIndex:
    """Find these three and nothing else: a fraction of what reading a certificate costs. Raises ValueError."""
    _, start, end = _open(certificate, 0, len(certificate))
    _, first, end = _open(certificate, start, end)
    try:
        # [version], serial number, signature algorithm, issuer, validity, subject, public key: all short in nearly
        # every certificate, so that an addition steps over each.
        at = first + 5 if certificate[first : first + 4] == _VERSION_ALONE else first
        at += 2 + (serial := certificate[at + 1])
        at += 2 + (algorithm := certificate[at + 1])
        at += 2 + (issuer := certificate[at + 1])
        at += 2 + (validity := certificate[at + 1])
        key = at + 2 + (subject := certificate[at + 1])
        behind = key + 2 + (info := certificate[key + 1])
        if serial | algorithm | issuer | validity | subject | info >= 0x80 or certificate[behind] != _EXTENSIONS:
            at, key, behind = _places(certificate, first, end)
        _, kind, info_end = _open(certificate, key, end)
        length = certificate[kind + 1]
        bits = kind + 2 + length if length < 0x80 else _open(certificate, kind, info_end)[2]
        identifier = _identifier_in(certificate, behind, end) if behind < end else None
    except IndexError:
        raise ValueError("DER ends too early") from None
    if bits > info_end:
        raise ValueError("DER ends too early")
    return CertificateIndex(certificate[at:key], certificate[kind:bits], identifier)


def _places(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Return where subject, key and extensions begin, the last at `end` without any. Raises ValueError, IndexError."""
    places = []
    while at < end:
        places.append(at)
        if len(places) > _MAX_PARTS:
            raise ValueError("more parts than any certificate has")
        at = _open(data, at, end)[2]
    first = 1 if data[places[0]] == _VERSION else 0
    last = places[-1]
    return places[first + 4], places[first + 5], last if data[last] == _EXTENSIONS else end


def _identifier_in(data: bytes, at: int, end: int) -> bytes | None:
    """Return the subject key identifier of extensions, as `subject_key_identifier`, but where they lie."""
    _, whole, _ = _open(data, at, end)
    _, at, end = _open(data, whole, end)
    for _ in range(_MAX_EXTENSIONS):
        if at >= end:
            return None
        body, length = at + 2, data[at + 1]
        if length < 0x80:
            behind = body + length
        else:
            _, body, behind = _open(data, at, end)
        if data.startswith(SUBJECT_KEY_IDENTIFIER, body):
            if data.startswith(_DIGEST_IDENTIFIER, body) and behind == body + len(_DIGEST_IDENTIFIER) + 20 <= end:
                return data[behind - 20 : behind]
            return subject_key_identifier(data[whole:end])
        at = behind
    raise ValueError("more extensions than any certificate has")


def extension(extensions: bytes, identifier: bytes) -> bytes | None:
    """Return the value of one extension, by its identifier with tag and length, or None. Raises ValueError."""
    if not extensions:
        return None
    _, at, end = _open(extensions, 0, len(extensions))
    for _ in range(_MAX_EXTENSIONS):
        if at >= end:
            return None
        length = extensions[at + 1] if at + 1 < end else 0x80
        if length < 0x80 and at + 2 + length <= end:  # nearly all of them: spares a call
            body, behind = at + 2, at + 2 + length
        else:
            _, body, behind = _open(extensions, at, end)
        if extensions.startswith(identifier, body):
            tag, value, value_end = _open(extensions, body + len(identifier), behind)
            if tag == _BOOLEAN:
                tag, value, value_end = _open(extensions, value_end, behind)
            if tag != _OCTETS:
                raise ValueError("not an extension")
            return extensions[value:value_end]
        at = behind
    raise ValueError("more extensions than any certificate has")


def subject_key_identifier(extensions: bytes) -> bytes | None:
    """Return the subject key identifier, or None. Raises ValueError."""
    value = extension(extensions, SUBJECT_KEY_IDENTIFIER)
    if value is None:
        return None
    tag, body, behind = _open(value, 0, len(value))
    if tag != _OCTETS:
        raise ValueError("not a key identifier")
    return value[body:behind]


def attributes(name: bytes) -> Iterator[tuple[bytes, bytes, str | None]]:
    """Give identifier (with tag and length), value (with tag and length) and text of each attribute of a DER name.

    The text is None where the value is of no kind of text. Raises ValueError.
    """
    _, at, end = _open(name, 0, len(name))
    count = 0
    while at < end:
        _, pair, at = _open(name, at, end)
        while pair < at:
            count += 1
            if count > _MAX_ATTRIBUTES:
                raise ValueError("more attributes than any name has")
            _, body, behind = _open(name, pair, at)
            tag, _, value = _open(name, body, behind)
            if tag != _OID:
                raise ValueError("not a name")
            tag, text, stop = _open(name, value, behind)
            encoding = _TEXT.get(tag)
            yield name[body:value], name[value:stop], None if encoding is None else name[text:stop].decode(encoding)
            pair = behind


def name_text(name: bytes, attribute: bytes) -> str | None:
    """Return the first value of one attribute (`COUNTRY`, `STATE`) of a DER name, or None. Raises ValueError."""
    for identifier, _, text in attributes(name):
        if identifier == attribute:
            if text is None:
                raise ValueError("not a kind of text")
            return text
    return None


def alike(one: bytes, other: bytes) -> bool:
    """Say whether two DER names are the same name, written in another kind of text or case (RFC 5280 7.1, shortened).

    Raises ValueError.
    """

    def plain(name: bytes) -> list[tuple[bytes, object]]:
        return [
            (identifier, value if text is None else " ".join(text.split()).casefold())
            for identifier, value, text in attributes(name)
        ]

    return one == other or plain(one) == plain(other)
