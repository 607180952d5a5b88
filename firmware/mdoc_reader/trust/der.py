"""Slices of a certificate as it was received: what was signed, and the names of issuer and subject (RFC 5280; X.690).

The crypto library has read the certificate before this looks at it; it would build and encode these parts anew, at a
cost that shows while a person waits. Only single-byte tags and definite lengths occur where this looks.
"""

from __future__ import annotations

from dataclasses import dataclass

_SEQUENCE, _SET, _INTEGER, _VERSION, _NAME_OID = 0x30, 0x31, 0x02, 0xA0, 0x06
_TEXT = {0x0C: "utf-8", 0x13: "ascii", 0x16: "ascii", 0x14: "latin-1", 0x1E: "utf-16-be", 0x1C: "utf-32-be"}
COUNTRY = b"\x06\x03\x55\x04\x06"
STATE = b"\x06\x03\x55\x04\x08"


@dataclass(frozen=True, slots=True)
class CertificateSlices:
    """Parts of one certificate, each with its tag and length."""

    signed: bytes
    issuer: bytes
    subject: bytes


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
    # [version], serial number, signature algorithm, issuer, validity, subject
    expected = [_INTEGER, _SEQUENCE, _SEQUENCE, _SEQUENCE, _SEQUENCE]
    tag, _, behind = _open(certificate, at, signed_end)
    if tag == _VERSION:
        at = behind
    found = []
    for wanted in expected:
        tag, _, behind = _open(certificate, at, signed_end)
        if tag != wanted:
            raise ValueError("not a certificate")
        found.append(certificate[at:behind])
        at = behind
    return CertificateSlices(certificate[start:signed_end], found[2], found[4])


def name_text(name: bytes, attribute: bytes) -> str | None:
    """Return the first value of one attribute (`COUNTRY`, `STATE`) of a DER name, or None. Raises ValueError."""
    _, at, end = _open(name, 0, len(name))
    while at < end:
        _, pair, at = _open(name, at, end)
        while pair < at:
            _, body, behind = _open(name, pair, at)
            if name.startswith(attribute, body):
                tag, text, stop = _open(name, body + len(attribute), behind)
                if tag not in _TEXT:
                    raise ValueError("not a kind of text")
                return name[text:stop].decode(_TEXT[tag])
            pair = behind
    return None
