"""The site key in its file: made on the device, for the reader's user alone, and read back with the same care.

64 hexadecimal digits in one line, so that a person can put the same key on each reader of a site.
"""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from mdoc_reader.policy.identifier import KEY_BYTES, SiteKey

_LONGEST = 2 * KEY_BYTES + 2
_OTHERS = 0o077
_OTHERS_CREDENTIAL = 0o007  # systemd lets a service at its credentials by an ACL, which shows as the group's right


def make(path: Path) -> SiteKey:
    """Make a key in a new file. Raises OSError: FileExistsError for a file that is there, which is never replaced."""
    key = SiteKey(secrets.token_bytes(KEY_BYTES))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(stream.fileno(), 0o600)
            stream.write(key.octets.hex().encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError:
        with suppress(OSError):
            path.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return key


def load(path: Path, *, credential: bool = False) -> SiteKey:
    """Read a key. `credential` for a file of the service manager's. Raises OSError, ValueError, without the key."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{path} is not a file")
        if status.st_uid not in {0, os.geteuid()} and os.geteuid() != 0:
            raise ValueError(f"{path} belongs to another user, who could change it")
        if status.st_mode & (_OTHERS_CREDENTIAL if credential else _OTHERS):
            mode = stat.S_IMODE(status.st_mode)
            raise ValueError(f"{path} may be read or changed by others (mode {mode:04o}): chmod 600")
        text = os.read(descriptor, _LONGEST + 1)
    finally:
        os.close(descriptor)
    try:
        digits = text.decode("ascii").strip()
        return SiteKey(bytes.fromhex(digits) if len(text) <= _LONGEST and " " not in digits else b"")
    except ValueError:
        raise ValueError(f"{path} holds no site key: {2 * KEY_BYTES} hexadecimal digits") from None
