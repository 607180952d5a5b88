"""The reader's key in a PKCS#11 token: SoftHSM, a TPM (tpm2-pkcs11), a secure element, a smart card.

The key is made in the token, cannot be taken out, and signs there. The session is opened ahead of time and kept; when
the token goes away it is looked for anew, at most every few seconds. A PIN that was refused is not tried again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from statistics import median

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from pkcs11.constants import Attribute
from pkcs11.exceptions import PKCS11Error
from pkcs11.mechanisms import Mechanism
from pkcs11.types import Session, SignMixin

from mdoc_reader.drivers.key_curves import SigningCurve, curve_named
from mdoc_reader.drivers.pkcs11_objects import KeyName, find_private, find_public, make_pair, unprotected
from mdoc_reader.drivers.pkcs11_session import find_token, log_in, meaning, module_lock
from mdoc_reader.drivers.secret_file import credential_name, read_secret
from mdoc_reader.model.check import Check, Health
from mdoc_reader.model.signer import ReaderSigner, SignerError, SignerPublicKey, SignerTrouble

log = logging.getLogger(__name__)

SIMULATED = False
PAUSE_S = 2.0
"""Seconds from one vain look for a token to the next."""
_PART = "key"
_STICKY = frozenset({SignerTrouble.WRONG_SECRET, SignerTrouble.LOCKED})
_SLOW_S = 0.5


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the key is.

    `module` is the shared library, `token` the token's label; `key_label` and `key_id` (hexadecimal) name the key, one
    of them at least; the PIN is the one line of `pin_file` or of the credential `pin_credential`.
    """

    module: str
    token: str
    key_label: str | None = None
    key_id: str | None = None
    pin_file: str | None = None
    pin_credential: str | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for a choice that cannot be."""
        if not self.key_label and not self.key_id:
            raise ValueError("give key_label, key_id or both")
        if self.key_id is not None and not bytes.fromhex(self.key_id):
            raise ValueError("key_id is hexadecimal")
        if (self.pin_file is None) == (self.pin_credential is None):
            raise ValueError("give one of pin_file and pin_credential")
        if self.pin_credential is not None:
            credential_name(self.pin_credential)

    @property
    def name(self) -> KeyName:
        """What the key answers to."""
        return KeyName(self.key_label, None if self.key_id is None else bytes.fromhex(self.key_id))

    def pin(self) -> str:
        """Read the PIN; nothing keeps it. Raises SignerError NO_SECRET, UNSAFE."""
        try:
            return read_secret(self.pin_file, self.pin_credential).decode()
        except UnicodeDecodeError:
            raise SignerError(SignerTrouble.NO_SECRET, "the PIN is not UTF-8") from None


class Pkcs11Key:
    """A key in a token, with an open session. Its `repr` names neither PIN nor key."""

    waits = True

    def __init__(self, options: Options) -> None:
        """Open a session and see that the key signs. Raises SignerError."""
        self._options = options
        self._session: Session | None = None
        self._key: SignMixin | None = None
        self._known: tuple[SigningCurve, ec.EllipticCurvePublicKey] | None = None
        self._failure: SignerError | None = None
        self._not_before = 0.0
        self._closed = False
        self.words = f"key {options.name} in token {options.token!r}"
        self.extractable = False
        with module_lock(options.module):
            key = self._open()
            self._try_out(key)

    @property
    def public_key(self) -> SignerPublicKey:
        """The public half."""
        return self._pair[1]

    @property
    def _pair(self) -> tuple[SigningCurve, ec.EllipticCurvePublicKey]:
        if self._known is None:
            raise SignerError(SignerTrouble.NO_KEY)
        return self._known

    def sign(self, message: bytes) -> bytes:
        """Return r || s. A session that died is opened anew, once. Raises SignerError."""
        row = self._pair[0]
        digest = row.digest(message)
        with module_lock(self._options.module):
            if self._key is not None:
                try:
                    return signed(self._key, row, digest)
                except PKCS11Error as error:
                    log.warning("%s: %s; opening it anew", self.words, type(error).__name__)
                    self._drop()
            key = self._reopened()
            try:
                return signed(key, row, digest)
            except PKCS11Error as error:
                self._drop()
                raise self._vain(meaning(error)) from None

    def prepare(self) -> None:
        """Open a session where there is none that works. Raises SignerError."""
        with module_lock(self._options.module):
            if self._key is not None:
                try:
                    self._key[Attribute.KEY_TYPE]  # a word with the token: a dead session says so
                    return
                except PKCS11Error as error:
                    log.warning("%s: %s; opening it anew", self.words, type(error).__name__)
                    self._drop()
            self._reopened()

    def close(self) -> None:
        """Log out and let go of the token; a module that is stuck is left alone."""
        self._closed = True
        try:
            with module_lock(self._options.module):
                self._drop()
        except SignerError as error:
            log.warning("%s: not closed: %s", self.words, error.code)

    def __repr__(self) -> str:
        """Return the class alone."""
        return "<Pkcs11Key>"

    def _reopened(self) -> SignMixin:
        if self._closed:
            raise SignerError(SignerTrouble.FAILED, "the key is closed")
        if self._failure is not None and (self._failure.code in _STICKY or time.monotonic() < self._not_before):
            raise SignerError(self._failure.code, self._failure.detail)
        key = self._open()
        log.info("%s: open again", self.words)
        return key

    def _vain(self, failure: SignerError) -> SignerError:
        """Remember a failure, so that the next signature does not pay for the same search."""
        self._failure, self._not_before = failure, time.monotonic() + PAUSE_S
        return failure

    def _open(self) -> SignMixin:
        try:
            token = find_token(self._options.module, self._options.token)
            self._session = log_in(token, self._options.pin, write=False)
            key = find_private(self._session, self._options.name)
            found = find_public(self._session, self._options.name)
        except PKCS11Error as error:
            self._drop()
            raise self._vain(meaning(error)) from None
        except SignerError as failure:
            self._drop()
            self._vain(failure)
            raise
        if self._known is not None and found[1] != self._known[1]:
            self._drop()
            raise self._vain(SignerError(SignerTrouble.NO_KEY, "the token came back with another key"))
        self._key, self._known, self._failure = key, found, None
        self.extractable = unprotected(key)
        return key

    def _try_out(self, key: SignMixin) -> None:
        """Sign something: the first signature is made ahead of time, and the public half is seen to belong."""
        row, public = self._pair
        digest = row.digest(b"mdoc reader: is this the key?")
        try:
            raw = signed(key, row, digest)
        except PKCS11Error as error:
            self._drop()
            raise meaning(error) from None
        if not row.holds(public, digest, raw):
            self._drop()
            raise SignerError(SignerTrouble.UNSUITABLE, "the token's public key is not that of its private key")

    def _drop(self) -> None:
        session, self._session, self._key = self._session, None, None
        if session is not None:
            try:
                session.close()
            except PKCS11Error as error:
                log.debug("%s: the session did not close: %s", self.words, type(error).__name__)


def signed(key: SignMixin, row: SigningCurve, digest: bytes) -> bytes:
    """Let a token's key sign a digest. Raises SignerError FAILED; PKCS11Error."""
    raw = key.sign(digest, mechanism=Mechanism.ECDSA)
    if len(raw) != 2 * row.octets:
        raise SignerError(SignerTrouble.FAILED, "the token gave a signature of another length")
    return raw


def open_key(options: Options) -> ReaderSigner:
    """Open the key. Raises SignerError."""
    return Pkcs11Key(options)


def make_key(options: Options, curve: str) -> ReaderSigner:
    """Make a key in the token, that cannot leave it; never over another. Raises SignerError."""
    row = curve_named(curve)
    with module_lock(options.module):
        try:
            token = find_token(options.module, options.token)
            with log_in(token, options.pin, write=True) as session:
                make_pair(session, options.name, row)
        except PKCS11Error as error:
            raise meaning(error) from None
    return Pkcs11Key(options)


async def examine(options: Options) -> Sequence[Check]:
    """Open the key as the reader would, and sign a few times. Never raises SignerError."""
    return await asyncio.to_thread(_examined, options)


def _examined(options: Options) -> Sequence[Check]:
    try:
        key = Pkcs11Key(options)
    except SignerError as error:
        return (Check(_PART, Health.FAULT, str(error), _ADVICE.get(error.code, "")),)
    try:
        took = []
        for _ in range(5):
            began = time.perf_counter()
            key.sign(b"")
            took.append(time.perf_counter() - began)
    except SignerError as error:
        return (Check(_PART, Health.FAULT, str(error)),)
    finally:
        key.close()
    typical = median(took)
    what = f"{key.words} signs in {1000 * typical:.1f} ms"
    checks = [Check(_PART, Health.OK, what)]
    if typical > _SLOW_S:
        checks = [Check(_PART, Health.WARNING, what, "each tap waits for this: a faster token would be noticed")]
    if key.extractable:
        advice = "make a new one with `mdoc-reader key create`, and have it certified"
        checks.append(Check(_PART, Health.WARNING, "the key can be taken out of its token", advice))
    return checks


_ADVICE = {
    SignerTrouble.NO_MODULE: "install the token's PKCS#11 library, and correct `module`",
    SignerTrouble.NO_TOKEN: "see that the token is plugged in, and that `token` is its label",
    SignerTrouble.NO_KEY: "make one with `mdoc-reader key create`",
    SignerTrouble.UNSAFE: "let the reader's user alone read the PIN",
    SignerTrouble.NO_SECRET: "put the PIN where the configuration says, readable by the reader's user alone",
    SignerTrouble.WRONG_SECRET: "correct the stored PIN before another try: tokens lock after a few",
}
