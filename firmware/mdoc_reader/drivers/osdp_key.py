"""The secure channel base key of an OSDP line: 16 octets as 32 hexadecimal digits, in a secret file or a credential.

Never in the configuration. A key that a panel sets replaces the file whole: written beside it, made durable, renamed.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from mdoc_reader.drivers.secret_file import read_secret
from mdoc_reader.model.signer import SignerError

OCTETS = 16
DEFAULT = bytes(range(0x30, 0x40))
"""SCBK-D, which everybody knows: for a panel that gives a key in install mode, and for nothing else."""


def usable(key: bytes) -> bool:
    """Say whether this can be anybody's secret."""
    return len(key) == OCTETS and key != DEFAULT and len(set(key)) > 1


def load(file: str | None, credential: str | None) -> bytes:
    """Read the key. Raises OSError with what is wrong, and never the key."""
    try:
        text = read_secret(file, credential)
    except SignerError as error:
        raise OSError(f"no OSDP key: {error}") from None
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if not usable(key):
        raise OSError("no OSDP key: it is 32 hexadecimal digits, not all octets the same and not the default key")
    return key


def store(path: Path, key: bytes) -> None:
    """Put a key in the place of another one: whole and durable, or not at all. Raises OSError."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(key.hex().encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        raise
    # The new key is in its place by now, whatever becomes of this.
    with suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
