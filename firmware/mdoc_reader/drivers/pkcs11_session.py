"""One way into a PKCS#11 module: loading, finding a token, logging in, what errors mean (OASIS PKCS#11 2.40).

The library initialises modules without asking them for locks of their own, so that every call into a module is made
under one lock for the whole process. A login counts for the process too: a session opened while another is logged in
shares it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pkcs11
from pkcs11._pkcs11 import lib as pkcs11_library
from pkcs11.constants import TokenFlag
from pkcs11.exceptions import (
    MultipleObjectsReturned,
    MultipleTokensReturned,
    NoSuchKey,
    PinExpired,
    PinIncorrect,
    PinInvalid,
    PinLenRange,
    PinLocked,
    PKCS11Error,
    SlotIDInvalid,
    TokenNotPresent,
    TokenNotRecognised,
    TokenWriteProtected,
    UserAlreadyLoggedIn,
    UserPinNotInitialized,
)
from pkcs11.types import Session, Token

from mdoc_reader.model.signer import SignerError, SignerTrouble

log = logging.getLogger(__name__)

LOCK_S = 5.0
_guard = threading.Lock()
_locks: dict[str, threading.Lock] = {}

_MEANINGS: Mapping[type[PKCS11Error], tuple[SignerTrouble, str]] = {
    PinIncorrect: (SignerTrouble.WRONG_SECRET, "the token refuses the PIN"),
    PinInvalid: (SignerTrouble.WRONG_SECRET, "the token refuses the PIN"),
    PinLenRange: (SignerTrouble.WRONG_SECRET, "the PIN is shorter or longer than the token's"),
    PinLocked: (SignerTrouble.LOCKED, "the token's PIN is locked: its security officer can unlock it"),
    PinExpired: (SignerTrouble.LOCKED, "the token's PIN has expired"),
    UserPinNotInitialized: (SignerTrouble.LOCKED, "the token's user PIN was never set"),
    TokenNotPresent: (SignerTrouble.NO_TOKEN, "its slot is empty"),
    TokenNotRecognised: (SignerTrouble.NO_TOKEN, "the module does not recognise what is in its slot"),
    SlotIDInvalid: (SignerTrouble.NO_TOKEN, "its slot is gone"),
    MultipleTokensReturned: (SignerTrouble.UNSUITABLE, "several tokens have this label"),
    NoSuchKey: (SignerTrouble.NO_KEY, "the token has no such key"),
    MultipleObjectsReturned: (SignerTrouble.UNSUITABLE, "several keys of the token answer to this: give key_id too"),
    TokenWriteProtected: (SignerTrouble.FAILED, "the token is write protected"),
}


@contextmanager
def module_lock(path: str) -> Iterator[None]:
    """Hold the lock of a module. Raises SignerError BUSY when a call of another thread does not come back."""
    with _guard:
        lock = _locks.setdefault(path, threading.Lock())
    if not lock.acquire(timeout=LOCK_S):
        raise SignerError(SignerTrouble.BUSY)
    try:
        yield
    finally:
        lock.release()


def meaning(error: PKCS11Error) -> SignerError:
    """Return what an error of the library means here. It quotes none of the error's own text."""
    for kind, (code, words) in _MEANINGS.items():
        if isinstance(error, kind):
            return SignerError(code, words)
    return SignerError(SignerTrouble.FAILED, f"the token says {type(error).__name__}")


def find_token(module: str, label: str) -> Token:
    """Find a token by its label, under the module's lock. Raises SignerError NO_MODULE, NO_TOKEN; PKCS11Error.

    Modules remember slots, and some see a token that was away only after they were initialised anew. That is done where
    the token is not seen, and ends every other session of the module in this process.
    """
    if not Path(module).is_file():
        raise SignerError(SignerTrouble.NO_MODULE, f"{module}: there is no such file")
    try:
        library = pkcs11.lib(module)
    except PKCS11Error as error:
        if type(error) is PKCS11Error:  # from the loader, not from the module
            raise SignerError(SignerTrouble.NO_MODULE, f"{module} is no PKCS#11 module") from None
        detail = f"the module does not start ({type(error).__name__}): it may need its device or its configuration"
        raise SignerError(SignerTrouble.NO_TOKEN, detail) from None
    try:
        return library.get_token(token_label=label)
    except MultipleTokensReturned:
        raise
    except PKCS11Error:
        return _looked_for_anew(library, label)


def _looked_for_anew(library: pkcs11_library, label: str) -> Token:
    try:
        library.reinitialize()
        return library.get_token(token_label=label)
    except PKCS11Error as error:
        detail = f"the module sees no token {label!r} ({type(error).__name__})"
        raise SignerError(SignerTrouble.NO_TOKEN, detail) from None


def log_in(token: Token, pin: Callable[[], str], *, write: bool) -> Session:
    """Open a session and log in, under the module's lock. Raises SignerError, PKCS11Error.

    The last try that a token leaves is a person's: a restarting service would use it up.
    """
    flags = token.flags
    if flags & TokenFlag.USER_PIN_LOCKED:
        raise SignerError(SignerTrouble.LOCKED, "the token's PIN is locked: its security officer can unlock it")
    if flags & TokenFlag.USER_PIN_FINAL_TRY:
        detail = (
            "one try is left: correct the stored PIN, then log in once by hand (pkcs11-tool --login --list-objects)"
        )
        raise SignerError(SignerTrouble.LOCKED, detail)
    if flags & TokenFlag.USER_PIN_COUNT_LOW:
        log.warning("token %r was last given a wrong PIN", token.label)
    try:
        return token.open(rw=write, user_pin=pin())
    except UserAlreadyLoggedIn:
        return token.open(rw=write)
