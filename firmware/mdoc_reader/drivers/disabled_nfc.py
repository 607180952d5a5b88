"""No NFC: the reader lives by what else it has."""

from __future__ import annotations

import msgspec

from mdoc_reader.nfc.ports import NfcDevice, NfcDeviceError, NfcTrouble

SIMULATED = False


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """There is nothing to choose."""


def open_nfc(options: Options) -> NfcDevice:
    """Raise NfcDeviceError: there is nothing to open."""
    del options
    raise NfcDeviceError(NfcTrouble.DISABLED)
