"""Certificates as they lie in files and folders: PEM bundles, DER, and DER in hex.

A folder may hold ten thousand of them, and a reader waits for all at its start: what the system knows of a file from
its folder is not asked again.
"""

from __future__ import annotations

import binascii
import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

MAX_FILE_BYTES = 1024 * 1024
SUFFIXES = frozenset({".pem", ".der", ".crt", ".cer"})
_MOST_AT_ONCE = 4096
_PEM_BEGIN = b"-----BEGIN CERTIFICATE-----"
_PEM_END = b"-----END CERTIFICATE-----"


def certificates_in(data: bytes) -> Sequence[bytes]:
    """Return every certificate in a PEM bundle, or the data itself as one DER certificate, plain or in hex."""
    if _PEM_BEGIN not in data:
        if data[:1] == b"3":  # the first digit of 30, where DER begins with the octet itself
            with contextlib.suppress(ValueError):
                return [bytes.fromhex(data.decode("ascii"))]
        return [data]
    found = []
    end = 0
    while (start := data.find(_PEM_BEGIN, end)) >= 0:
        start += len(_PEM_BEGIN)
        end = data.find(_PEM_END, start)
        if end < 0:
            found.append(_der(data[start:]))
            break
        found.append(_der(data[start:end]))
        end += len(_PEM_END)
    return found


def _der(block: bytes) -> bytes:
    try:
        return binascii.a2b_base64(block)
    except binascii.Error:
        return b""


def contents_of(path: Path) -> Iterator[tuple[str, bytes]]:
    """Give name and contents of a file, or of each file of a folder with one of `SUFFIXES`, by their names.

    What is larger than MAX_FILE_BYTES is cut one octet behind it. Raises OSError for what is not there.
    """
    if not path.is_dir():
        yield path.name, _contents(str(path), plain=False)
        return
    with os.scandir(path) as entries:
        files = sorted(
            (entry.name, entry.path, entry.is_file(follow_symlinks=False))
            for entry in entries
            if entry.name[1:][-4:].lower() in SUFFIXES
        )
    for name, place, plain in files:
        yield name, _contents(place, plain=plain)


def _contents(place: str, *, plain: bool) -> bytes:
    """Read a file. `plain`: it is known to be one, so that a short read is its end, and its size need not be asked.

    What is read stays in memory as an anchor: no buffer may be larger for long than what came into it.
    """
    descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(descriptor, _MOST_AT_ONCE)
        if plain and len(data) < _MOST_AT_ONCE:
            return data
        # Pipes and the like have no size and come in pieces.
        while len(data) <= MAX_FILE_BYTES and (more := os.read(descriptor, MAX_FILE_BYTES + 1 - len(data))):
            data += more
        return data
    finally:
        os.close(descriptor)
