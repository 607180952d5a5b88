"""What `mdoc-reader doctor` says of a PC/SC reader: the service, who may use it, the reader, and what it lacks."""

from __future__ import annotations

import asyncio
import os
import pwd
from pathlib import Path

from mdoc_reader.drivers.pcsc_open import device_error, longest_data, open_reader
from mdoc_reader.drivers.pcsc_readers import AUTO, choose, is_contactless
from mdoc_reader.drivers.pcsc_service import PcscError, Service
from mdoc_reader.model.check import Check, Health
from mdoc_reader.nfc.ports import NfcDeviceError, NfcTrouble

MODULES = Path("/sys/module")

_PART = "nfc"
_KERNEL_DRIVERS = ("pn533_usb", "port100")
_MOST_NAMED = 6
_SHORT_DATA = 256
_START = "apt-get install pcscd, then `systemctl enable --now pcscd.socket`"
_ALLOW = (
    "let polkit allow the user {user!r} the actions org.debian.pcsc-lite.access_pcsc and "
    "org.debian.pcsc-lite.access_card, by a rule in /etc/polkit-1/rules.d"
)
_PLUG = "plug the reader in; `pcsc_scan -r` of the package pcsc-tools says which ones the service knows"
_TAKEN = "keep the kernel's own driver off the reader: put `blacklist {name}` in /etc/modprobe.d/nfc.conf and restart"
_NOT_ANNOUNCED = "PC/SC readers do not send the frame that announces a reader of identity documents"
_QUIET = (
    "some phones bring their document up by themselves only where the PN532 on a serial port is used; "
    "with others, open it on the phone before the tap"
)
_LONGER = "set `extended_apdus = true`: documents over NFC then take fewer exchanges"


async def examine(wanted: str, *, extended_apdus: bool) -> tuple[Check, ...]:
    """Look at the service and at the reader. Bounded by the service; never raises NfcDeviceError."""
    return tuple(await asyncio.to_thread(_examine, wanted, extended_apdus))


def _examine(wanted: str, extended: bool) -> list[Check]:
    try:
        service, reader = open_reader(wanted)
    except NfcDeviceError as error:
        return [not_open(error, wanted, _names())]
    try:
        return _reader_checks(service, reader, wanted, extended=extended)
    except PcscError as error:
        return [not_open(device_error(error), wanted, ())]
    finally:
        service.close()


def _names() -> tuple[str, ...]:
    try:
        service = Service()
    except PcscError:
        return ()
    try:
        return service.readers()
    except PcscError:
        return ()
    finally:
        service.close()


def not_open(error: NfcDeviceError, wanted: str, names: tuple[str, ...], modules: Path = MODULES) -> Check:
    """Say why the reader cannot be used and what to do. `names` are the readers there are."""
    said = f"{error.code.log} ({error.detail})" if error.detail else error.code.log
    match error.code:
        case NfcTrouble.NO_SERVICE:
            return Check(_PART, Health.FAULT, said, _START)
        case NfcTrouble.NOT_ALLOWED:
            return Check(_PART, Health.FAULT, said, _ALLOW.format(user=_user()))
        case NfcTrouble.BUSY:
            advice = "where that is the running reader, all is well: stop it to look closer"
            return Check(_PART, Health.WARNING, said, advice)
        case NfcTrouble.NO_DEVICE if names and wanted != AUTO:
            listed = ", ".join(repr(name) for name in names[:_MOST_NAMED])
            return Check(_PART, Health.FAULT, said, f"set `reader` to a part of one of these names: {listed}")
        case NfcTrouble.NO_DEVICE:
            for name in _KERNEL_DRIVERS:
                if (modules / name).exists():
                    return Check(_PART, Health.FAULT, said, _TAKEN.format(name=name))
            return Check(_PART, Health.FAULT, said, _PLUG)
        case _:
            return Check(_PART, Health.FAULT, said, _PLUG)


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _reader_checks(service: Service, reader: str, wanted: str, *, extended: bool) -> list[Check]:
    return [
        Check(_PART, Health.OK, f"{reader} through PC/SC"),
        *choice(reader, service.readers(), wanted),
        *_lengths(service, reader, extended=extended),
        Check(_PART, Health.WARNING, _NOT_ANNOUNCED, _QUIET),
    ]


def choice(reader: str, names: tuple[str, ...], wanted: str) -> list[Check]:
    """Say what there is to say of the reader that was chosen among these."""
    if wanted == AUTO and not is_contactless(reader):
        listed = ", ".join(repr(name) for name in names[:_MOST_NAMED])
        what = f"nothing in the name {reader!r} says that it is for contactless cards"
        return [Check(_PART, Health.WARNING, what, f"see that it is, or set `reader`; there are {listed}")]
    fitting = tuple(name for name in names if name != reader)
    if wanted != AUTO and choose(fitting, wanted) is not None:
        what = f"more than one reader has {wanted!r} in its name; {reader!r} is used"
        return [Check(_PART, Health.WARNING, what, "set more of the name in `reader`")]
    return []


def _lengths(service: Service, reader: str, *, extended: bool) -> list[Check]:
    """Ask the driver how long an APDU may be. It is only asked with a card in the field: it may power it otherwise."""
    if not service.state(reader).present:
        return []
    try:
        joined = service.join(reader)
    except PcscError:  # it went, or another program has it: there is another time to ask
        return []
    try:
        data = longest_data(service, joined)
    finally:
        service.leave(joined)
    if data is None:
        return []
    if extended and data <= _SHORT_DATA:
        what = f"the reader's driver carries no extended APDUs (at most {data} bytes of data)"
        return [Check(_PART, Health.WARNING, what, "set `extended_apdus = false`")]
    if not extended and data > _SHORT_DATA:
        return [Check(_PART, Health.OK, f"the reader's driver carries APDUs with {data} bytes of data", _LONGER)]
    return []
