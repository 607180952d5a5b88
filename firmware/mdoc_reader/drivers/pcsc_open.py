"""Opening a PC/SC reader: the service, the reader that is meant, what stands against it, and what it can carry."""

from __future__ import annotations

from mdoc_reader.drivers import pcsc_service as pcsc
from mdoc_reader.drivers.pcsc_readers import AUTO, choose
from mdoc_reader.drivers.pcsc_service import Joined, PcscError, Service
from mdoc_reader.nfc.ports import NfcDeviceError, NfcTrouble

_FEATURES = 0x42000000 + 3400
_FEATURE_PROPERTIES = 0x12
_PROPERTY_LONGEST_DATA = 0x0A


def open_reader(wanted: str) -> tuple[Service, str]:
    """Open the service, and return it with the name of the reader to use. Raises NfcDeviceError."""
    try:
        service = Service()
    except PcscError as error:
        raise device_error(error) from error
    try:
        return service, _chosen(service, wanted)
    except PcscError as error:
        service.close()
        raise device_error(error) from error
    except NfcDeviceError:
        service.close()
        raise


def _chosen(service: Service, wanted: str) -> str:
    names = service.readers()
    name = choose(names, wanted)
    if name is None:
        missing = "no reader" if wanted == AUTO else f"no reader with {wanted!r} in its name"
        raise NfcDeviceError(NfcTrouble.NO_DEVICE, f"{missing}; there are {len(names)}")
    if service.state(name).exclusive:
        raise NfcDeviceError(NfcTrouble.BUSY, name)
    return name


def device_error(error: PcscError) -> NfcDeviceError:
    """Say what a failed call means for the front end."""
    code = NfcTrouble.LOST
    if error.code in pcsc.SERVICE_GONE:
        code = NfcTrouble.NO_SERVICE
    elif error.code in pcsc.REFUSED:
        code = NfcTrouble.NOT_ALLOWED
    elif error.code == pcsc.SHARING_VIOLATION:
        code = NfcTrouble.BUSY
    elif error.code == pcsc.NO_READERS:
        code = NfcTrouble.NO_DEVICE
    return NfcDeviceError(code, str(error))


def longest_data(service: Service, joined: Joined) -> int | None:
    """Return how many bytes of data in an APDU the reader's driver says it carries (PC/SC part 10); None if nothing.

    Raises PcscError.
    """
    features = service.control(joined, _FEATURES) or b""
    for tag, value in _tlv(features):
        if tag == _FEATURE_PROPERTIES and len(value) == 4:
            properties = service.control(joined, int.from_bytes(value, "big")) or b""
            said = dict(_tlv(properties)).get(_PROPERTY_LONGEST_DATA, b"")
            return int.from_bytes(said, "little") or None if len(said) == 4 else None
    return None


def _tlv(data: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at + 2 <= len(data):
        end = at + 2 + data[at + 1]
        found.append((data[at], data[at + 2 : end]))
        at = end
    return found
