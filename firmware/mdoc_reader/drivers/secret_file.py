"""Files that hold a secret, or unlock one: only their owner may read them.

A secret comes from a file of ours, or from the service manager's credentials (systemd.exec(5), LoadCredential=,
LoadCredentialEncrypted=), which it decrypts into a folder for this service alone.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mdoc_reader.model.signer import SignerError, SignerTrouble

MAX_BYTES = 64 * 1024
_MAX_SECRET = 1024
_FOLDER = "CREDENTIALS_DIRECTORY"


def credential_path(name: str) -> Path:
    """Return where the service manager put a credential. Raises SignerError NO_SECRET."""
    folder = os.environ.get(_FOLDER)
    if not folder:
        detail = f"the service manager gave no credentials: add LoadCredentialEncrypted={name} to the unit"
        raise SignerError(SignerTrouble.NO_SECRET, detail)
    return Path(folder) / name


def credential_name(name: str) -> str:
    """Check the name of a credential. Raises ValueError."""
    if not name or "/" in name or name in {".", ".."} or len(name) > 255 or "\0" in name:
        raise ValueError("the name of a credential is a file name")
    return name


def read_guarded(path: Path, lacking: SignerTrouble, *, credential: bool = False) -> bytes:
    """Read a file that nobody but its owner may read. Raises SignerError UNSAFE, UNSUITABLE, or `lacking`.

    systemd gives a service access to its credentials by an ACL, whose mask shows up as the group's permission to read:
    their folder guards them, and only what everybody may read is refused there.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise SignerError(lacking, f"{path}: {error.strerror}") from None
    try:
        _guard(path, os.fstat(descriptor), 0o007 if credential else 0o077)
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise SignerError(lacking, f"{path}: {error.strerror}") from None
    finally:
        os.close(descriptor)
    if len(data) > MAX_BYTES:
        raise SignerError(SignerTrouble.UNSUITABLE, f"{path} is larger than {MAX_BYTES} bytes")
    return data


def _guard(path: Path, status: os.stat_result, others: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise SignerError(SignerTrouble.UNSAFE, f"{path} is not a file")
    if os.geteuid() not in {0, status.st_uid} and status.st_uid != 0:
        raise SignerError(SignerTrouble.UNSAFE, f"{path} belongs to another user, who could change it")
    if status.st_mode & others:
        detail = f"{path} may be read or changed by others (mode {stat.S_IMODE(status.st_mode):04o}): chmod 600"
        raise SignerError(SignerTrouble.UNSAFE, detail)


def read_secret(file: str | None, credential: str | None) -> bytes:
    """Read a PIN or passphrase: one line, whose end does not belong to it. Raises SignerError."""
    path = credential_path(credential) if credential is not None else Path(file or "")
    data = read_guarded(path, SignerTrouble.NO_SECRET, credential=credential is not None)
    secret = data.removesuffix(b"\n").removesuffix(b"\r")
    if not secret or len(secret) > _MAX_SECRET or b"\n" in secret or b"\0" in secret:
        raise SignerError(SignerTrouble.NO_SECRET, f"{path} holds one line of 1 to {_MAX_SECRET} bytes")
    return secret
