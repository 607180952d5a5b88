"""Bytes for the desk's commands: from a file, standard input or the command line, raw or written as text.

How the form is told: data that is one whole CBOR item as it stands is taken raw; else text of hexadecimal digits is
hex; else text of the base64 alphabets is base64url. Long text is no CBOR item by accident: its first character would be
the head of a text or byte string of just that length.
"""

from __future__ import annotations

import base64
import binascii
import re
import sys
from pathlib import Path

from mdoc_reader.mdoc import cbor
from mdoc_reader.model.reasons import Malformed

MAX_BYTES = 16 * 1024 * 1024
_HEX = re.compile(rb"(?:0x)?[0-9A-Fa-f\s:]+")
_BASE64 = re.compile(rb"[A-Za-z0-9_+/=\s-]+")
_LIMITS = cbor.Limits(max_bytes=MAX_BYTES)


class InputError(Exception):
    """Input that could not be read; the text says what and where in one line."""


def read_input(argument: str) -> bytes:
    """Return the bytes of a file, of standard input (`-`), or of a literal `mdoc:` text. Raises InputError."""
    if argument.lower().startswith("mdoc:"):
        return argument.encode()
    try:
        if argument == "-":
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(argument).open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InputError(f"{argument}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"{argument}: larger than {MAX_BYTES} bytes")
    if not data:
        raise InputError(f"{argument}: empty")
    return data


def decode_text_forms(data: bytes) -> bytes:
    """Return the bytes that `data` stands for: itself, or what it says in hex or base64url (see the module)."""
    data = data.removeprefix(b"\xef\xbb\xbf") if data[3:].isascii() else data  # the mark some editors put before text
    if _is_cbor(data):
        return data
    if _HEX.fullmatch(data):
        digits = re.sub(rb"[\s:]", b"", data.removeprefix(b"0x"))
        if digits and len(digits) % 2 == 0:
            return binascii.unhexlify(digits)
    if _BASE64.fullmatch(data):
        digits = re.sub(rb"\s", b"", data).rstrip(b"=").replace(b"+", b"-").replace(b"/", b"_")
        try:
            return base64.urlsafe_b64decode(digits + b"=" * (-len(digits) % 4))
        except (binascii.Error, ValueError):
            return data
    return data


def _is_cbor(data: bytes) -> bool:
    # One printable character is also a whole CBOR item (a small number): text has more than one.
    try:
        return cbor.scan(data, limits=_LIMITS) == len(data) and not (len(data) < 3 and data.isalnum())
    except Malformed:
        return False
