"""No key: the reader asks without saying who it is, and wallets that insist on knowing decline."""

from __future__ import annotations

import msgspec

from mdoc_reader.model.signer import ReaderSigner, SignerError, SignerTrouble

SIMULATED = False


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """There is nothing to choose."""


def open_key(options: Options) -> ReaderSigner:
    """Raise SignerError: there is nothing to open."""
    del options
    raise SignerError(SignerTrouble.DISABLED)


def make_key(options: Options, curve: str) -> ReaderSigner:
    """Raise SignerError: there is nowhere to make it."""
    del options, curve
    raise SignerError(SignerTrouble.DISABLED)
