"""What `mdoc-reader doctor` says of Bluetooth: the bus, bluetoothd, the adapter, and the settings a reader needs.

Asks and reads, and changes nothing: a reader may be running beside it.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping
from pathlib import Path

from mdoc_reader.drivers.bluez_bus import OBJECT_MANAGER, Bus, CallFailed
from mdoc_reader.drivers.bluez_objects import ADAPTER, ADVERTISING, plain
from mdoc_reader.model.check import Check, Health
from mdoc_reader.transport.ports import LinkError

MAIN_CONF = Path("/etc/bluetooth/main.conf")
RECEIVE_BUFFER = Path("/proc/sys/net/core/rmem_default")

_PART = "bluetooth"
_SHIPPED = "copy systemd/bluetooth/main.conf to /etc/bluetooth/ and restart bluetooth.service"
_LARGEST_FILE = 256 * 1024
_LARGEST_MTU = 512
_ENOUGH_BUFFER = 1024 * 1024
# The version of bluetoothd is in the device ID it gives itself.
_MODALIAS = re.compile(r"usb:v1D6Bp0246d0([0-9A-Fa-f])([0-9A-Fa-f]{2})")
_OLDEST = (5, 66)


async def examine(wanted: str | None) -> tuple[Check, ...]:
    """Look at bluetoothd and its adapter (`wanted` by name, or the first). Bounded in time; never raises LinkError."""
    try:
        bus = await Bus.open()
    except LinkError:
        return (Check(_PART, Health.FAULT, "the system bus does not answer", "start dbus.service"), *settings())
    try:
        found = await _adapters(bus)
    finally:
        await bus.close()
    return (*found_checks(found, wanted), *settings())


async def _adapters(bus: Bus) -> Mapping[str, Mapping[str, Mapping[str, object]]] | None:
    """Return the adapters' interfaces by path; None where bluetoothd does not answer."""
    try:
        (objects,) = await bus.call("/", OBJECT_MANAGER, "GetManagedObjects")
    except (CallFailed, LinkError):
        return None
    adapters: dict[str, dict[str, Mapping[str, object]]] = {}
    for path, interfaces in objects.items():
        if ADAPTER in interfaces:
            adapters[path] = {name: plain(properties) for name, properties in interfaces.items()}
    return adapters


def found_checks(
    adapters: Mapping[str, Mapping[str, Mapping[str, object]]] | None, wanted: str | None
) -> tuple[Check, ...]:
    """Judge what bluetoothd tells of its adapters."""
    if adapters is None:
        advice = "systemctl enable --now bluetooth.service"
        return (Check(_PART, Health.FAULT, "bluetoothd does not answer", advice),)
    named = {path.rpartition("/")[2]: interfaces for path, interfaces in adapters.items()}
    name = wanted or min(named, default="")
    interfaces = named.get(name)
    if interfaces is None:
        what = f"there is no adapter {name}" if wanted else "there is no adapter"
        return (Check(_PART, Health.FAULT, what, "plug one in; on a Pi see that dtoverlay=disable-bt is not set"),)
    properties = interfaces[ADAPTER]
    checks = []
    version = _version(properties)
    said = f"adapter {name}, bluetoothd {version[0]}.{version[1]}" if version else f"adapter {name}"
    if properties.get("Powered") is True:
        checks.append(Check(_PART, Health.OK, f"{said}, powered"))
    else:
        advice = (
            "rfkill unblock bluetooth, where `rfkill list` says that it is blocked; else the reader powers it itself"
        )
        checks.append(Check(_PART, Health.WARNING, f"{said}, not powered", advice))
    if ADVERTISING not in interfaces:
        what = f"adapter {name} cannot advertise: only phones that offer peripheral server mode are served"
        checks.append(Check(_PART, Health.FAULT, what, "use an adapter with Bluetooth 4.2 or newer"))
    if version and version < _OLDEST:
        what = f"bluetoothd {version[0]}.{version[1]} is older than any this reader was tried with"
        checks.append(Check(_PART, Health.WARNING, what, "Debian 12 has 5.66, Debian 13 has 5.82"))
    return tuple(checks)


def _version(properties: Mapping[str, object]) -> tuple[int, int] | None:
    match = _MODALIAS.fullmatch(str(properties.get("Modalias", "")))
    return (int(match[1], 16), int(match[2], 16)) if match else None


def settings(main_conf: Path = MAIN_CONF, receive_buffer: Path = RECEIVE_BUFFER) -> tuple[Check, ...]:
    """Judge bluetoothd's settings and the kernel's; where all is well, nothing is said."""
    checks: list[Check] = []
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        with main_conf.open(encoding="utf-8", errors="replace") as file:
            parser.read_string(file.read(_LARGEST_FILE))
    except OSError:
        return (Check(_PART, Health.WARNING, f"{main_conf} cannot be read", _SHIPPED),)
    except configparser.Error as error:
        what = f"{main_conf} is not understood: {type(error).__name__}"
        return (Check(_PART, Health.WARNING, what, _SHIPPED),)
    mtu = parser.get("GATT", "ExchangeMTU", fallback="")
    if not mtu.isdigit() or int(mtu) > _LARGEST_MTU:
        what = (
            f"{main_conf}: [GATT] ExchangeMTU is not {_LARGEST_MTU} or less: bluetoothd 5.66 loses long writes silently"
        )
        checks.append(Check(_PART, Health.WARNING, what, _SHIPPED))
    if parser.get("GATT", "Cache", fallback="always").lower() not in {"no", "yes"}:
        what = f"{main_conf}: [GATT] Cache is not `no`: what is remembered of one phone may mislead about the next"
        checks.append(Check(_PART, Health.WARNING, what, _SHIPPED))
    if parser.get("GATT", "Channels", fallback="") != "1":
        what = (
            f"{main_conf}: [GATT] Channels is not 1: bluetoothd may use several bearers with a phone that knows them,"
            " which this reader was not tried with; 5.66 takes 3 where nothing is said"
        )
        checks.append(Check(_PART, Health.WARNING, what, f"set `Channels = 1` under [GATT] there, or {_SHIPPED}"))
    try:
        room = int(receive_buffer.read_text())
    except (OSError, ValueError):
        room = _ENOUGH_BUFFER
    if room < _ENOUGH_BUFFER:
        what = f"net.core.rmem_default is {room}: the kernel may drop what a fast phone sends, without a word"
        advice = "copy systemd/sysctl.d/mdoc-reader.conf to /etc/sysctl.d/ and run `sysctl --system`"
        checks.append(Check(_PART, Health.WARNING, what, advice))
    return tuple(checks)
