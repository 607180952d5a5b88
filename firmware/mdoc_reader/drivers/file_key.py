"""The reader's key in a file: encrypted PKCS #8, or a credential that the service manager decrypts for this service.

The encrypted file's passphrase comes from another file or from a credential; in its best form the passphrase, or the
key itself, is a systemd credential bound to the board's TPM. The key is in this process's memory while it runs: a token
(`pkcs11`) keeps it out of there.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from mdoc_reader.drivers.key_curves import BY_EC_NAME, curve_named
from mdoc_reader.drivers.secret_file import credential_name, credential_path, read_guarded, read_secret
from mdoc_reader.model.check import Check, Health
from mdoc_reader.model.signer import ReaderSigner, SignerError, SignerPublicKey, SignerTrouble

SIMULATED = False
_PART = "key"


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Either `path`, of an encrypted key, or `credential`, the name of one that holds the key, encrypted or not.

    `passphrase_file` or `passphrase_credential` unlocks an encrypted key.
    """

    path: str | None = None
    credential: str | None = None
    passphrase_file: str | None = None
    passphrase_credential: str | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for a choice that cannot be."""
        if (self.path is None) == (self.credential is None):
            raise ValueError("a key file has either path or credential")
        if self.passphrase_file is not None and self.passphrase_credential is not None:
            raise ValueError("give one of passphrase_file and passphrase_credential")
        for name in (self.credential, self.passphrase_credential):
            if name is not None:
                credential_name(name)
        if self.path is not None and not self.locked:
            raise ValueError("a key file is encrypted: give passphrase_file or passphrase_credential")

    @property
    def locked(self) -> bool:
        """Whether a passphrase belongs to it."""
        return self.passphrase_file is not None or self.passphrase_credential is not None


_Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey


class FileKey:
    """A private key of the crypto library that was read from a file."""

    waits = False

    def __init__(self, key: _Private, words: str) -> None:
        """Hold a key. Raises SignerError UNSUITABLE for one on a curve without a use here."""
        self._public = key.public_key()
        self._sign: Callable[[bytes], bytes] | None
        if isinstance(key, ec.EllipticCurvePrivateKey):
            self._sign = _ecdsa(key, words)
        else:
            self._sign = key.sign
        self.words = words

    @property
    def public_key(self) -> SignerPublicKey:
        """The public half."""
        return self._public

    def sign(self, message: bytes) -> bytes:
        """Return r || s, or an EdDSA signature. Raises SignerError FAILED once closed."""
        if self._sign is None:
            raise SignerError(SignerTrouble.FAILED, "the key is closed")
        return self._sign(message)

    def prepare(self) -> None:
        """Do nothing: it is always ready."""

    def close(self) -> None:
        """Let go of the key."""
        self._sign = None


def _ecdsa(key: ec.EllipticCurvePrivateKey, words: str) -> Callable[[bytes], bytes]:
    row = BY_EC_NAME.get(key.curve.name)
    if row is None:
        raise SignerError(SignerTrouble.UNSUITABLE, f"{words}: no reader signs on {key.curve.name}")
    algorithm = ec.ECDSA(row.hash)
    return lambda message: row.raw(key.sign(message, algorithm))


def open_key(options: Options) -> ReaderSigner:
    """Read the key. Raises SignerError."""
    if options.credential is not None:
        path, what = credential_path(options.credential), f"credential {options.credential}"
    else:
        path, what = Path(options.path or ""), str(options.path)
    data = read_guarded(path, SignerTrouble.NO_KEY, credential=options.credential is not None)
    passphrase = read_secret(options.passphrase_file, options.passphrase_credential) if options.locked else None
    try:
        key = load_pem_private_key(data, passphrase)
    except TypeError:  # the library's word for encrypted or not, against what was expected
        if passphrase is None:
            raise SignerError(
                SignerTrouble.NO_SECRET, f"{what} is encrypted, and no passphrase is configured"
            ) from None
        raise SignerError(SignerTrouble.UNSAFE, f"{what} is not encrypted") from None
    except (ValueError, UnsupportedAlgorithm):
        # One exception for a wrong passphrase and for a broken file: how the file begins tells them apart.
        if passphrase is not None and b"ENCRYPTED" in data:
            raise SignerError(SignerTrouble.WRONG_SECRET, f"the passphrase does not open {what}") from None
        raise SignerError(SignerTrouble.UNSUITABLE, f"{what} is no private key in PEM") from None
    if not isinstance(key, (ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)):
        raise SignerError(SignerTrouble.UNSUITABLE, f"{what}: a key for ECDSA or EdDSA is needed")
    return FileKey(key, what)


def make_key(options: Options, curve: str) -> ReaderSigner:
    """Make a key and write it encrypted, for its owner alone; never over another. Raises SignerError."""
    row = curve_named(curve)
    if options.path is None:
        detail = "a credential is not made here: make a key at a path, or with systemd-creds encrypt"
        raise SignerError(SignerTrouble.UNSUITABLE, detail)
    path = Path(options.path)
    passphrase = read_secret(options.passphrase_file, options.passphrase_credential)
    key = ec.generate_private_key(row.curve)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase))
    try:
        _write_new(path, pem)
    except FileExistsError:
        raise SignerError(SignerTrouble.EXISTS, str(path)) from None
    except OSError as error:
        raise SignerError(SignerTrouble.FAILED, f"{error.filename or path}: {error.strerror}") from None
    return FileKey(key, str(path))


def _write_new(path: Path, data: bytes) -> None:
    """Write a file that nobody else may read, whole or not at all, and never in the place of another."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(descriptor)
        os.link(draft, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


async def examine(options: Options) -> Sequence[Check]:
    """Read the key as the reader would. Never raises SignerError."""
    try:
        signer = await asyncio.to_thread(open_key, options)
    except SignerError as error:
        return (Check(_PART, Health.FAULT, str(error), _ADVICE.get(error.code, "")),)
    signer.close()
    return (Check(_PART, Health.OK, f"{signer.words} opens"),)


_ADVICE = {
    SignerTrouble.NO_KEY: "make one with `mdoc-reader key create`",
    SignerTrouble.UNSAFE: "let its owner alone read it; if others could, make a new key and have it certified",
    SignerTrouble.NO_SECRET: "put the passphrase where the configuration says, readable by the reader's user alone",
    SignerTrouble.WRONG_SECRET: "put the right passphrase where the configuration says",
}
