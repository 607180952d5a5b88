"""How the device itself is: clock, trust, the reader's certificates, disk, temperature and power.

Each check takes a look at files and answers at once; nothing here opens a device that a running reader uses. `doctor`
prints the answers, the daemon looks now and then and says what changed, and the maintenance screen names what is not
well. Parts are called as `outputs.languages.PARTS` calls them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from mdoc_reader.app import wiring
from mdoc_reader.app.identity import chain_checks
from mdoc_reader.app.settings import Settings, SettingsError
from mdoc_reader.model.check import Check, Health
from mdoc_reader.model.signer import SignerPublicKey
from mdoc_reader.reader.beliefs import Beliefs
from mdoc_reader.trust import ageing, anchors
from mdoc_reader.trust.clock import Clock, ClockCode

MIB = 1024 * 1024
LOW_DISK, NO_DISK = 200 * MIB, 20 * MIB
WARM_C, HOT_C = 75.0, 85.0
_THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
# Bits of what the Raspberry Pi's firmware says of itself (`vcgencmd get_throttled`).
_UNDER_VOLTAGE, _WAS_UNDER_VOLTAGE = 0x1, 0x10000
_ROOT = Path("/")
_MOST_NAMED = 4


def device_checks(
    settings: Settings, clock: Clock, root: Path = _ROOT, *, key: SignerPublicKey | None = None
) -> tuple[Check, ...]:
    """Look at everything that is no driver's, but for trust.

    Args:
        settings: the reader's.
        clock: the reader's.
        root: where /sys hangs, for tests.
        key: of the reader, whose certificate must be that key's; None to leave that out.
    """
    return (
        *clock_checks(settings, clock),
        *certificate_checks(settings, clock, key),
        *disk_checks(Path(wiring.places()["state"])),
        *temperature_checks(root),
        *power_checks(root),
    )


def clock_checks(settings: Settings, clock: Clock) -> tuple[Check, ...]:
    """Say whether the time can be relied on."""
    moment = clock.read()
    if moment.doubt is None:
        how = (
            "looked after by somebody (trust.clock)"
            if settings.trust.clock == "kept"
            else "set by a battery or network"
        )
        return (Check("clock", Health.OK, f"{moment.at:%Y-%m-%d %H:%M} UTC, {how}"),)
    refuses = settings.trust.untrusted_clock == "refuse"
    health = Health.FAULT if refuses else Health.WARNING
    advice = {
        ClockCode.BEHIND: "set the clock; a battery for it (RTC) keeps it over a power cut",
        ClockCode.NOT_SET: "fit a battery-backed clock, or let systemd-timesyncd or chrony set it",
        ClockCode.FAR_AHEAD: "set the clock",
    }[moment.doubt]
    opens = "; nothing opens until it is right (trust.untrusted_clock)" if refuses else ""
    return (Check("clock", health, f"{moment.doubt.operator.rstrip('.')}{opens}", advice),)


def trust_checks(settings: Settings, file: str, clock: Clock) -> tuple[Check, ...]:
    """Read what is to be believed, as a reader would at its start, and say how it stands. Writes nothing."""
    try:
        fixed, skipped, _ = wiring.load_anchors(settings, file)
    except SettingsError as error:
        return (Check("lists", Health.FAULT, str(error), "bring what it names, or correct the configuration"),)
    advice = "remove it from the folder, or bring a whole one"
    named = [
        Check("lists", Health.WARNING, f"{item.source} skipped: {item.code}", advice) for item in skipped[:_MOST_NAMED]
    ]
    if len(skipped) > _MOST_NAMED:
        named.append(Check("lists", Health.WARNING, f"and {len(skipped) - _MOST_NAMED} more skipped", advice))
    now, held = clock.read().at, fixed or anchors.NONE
    if settings.trust.store is None:
        return (*ageing.checks(None, now, held), *named)
    return (*ageing.look(wiring.path_of(settings.trust.store), now, held), *named)


def belief_checks(settings: Settings, beliefs: Beliefs, clock: Clock) -> tuple[Check, ...]:
    """Say how what a running reader believes stands. A store that it could not take up is looked at for the reason."""
    now, fixed = clock.read().at, beliefs.fixed or anchors.NONE
    if settings.trust.store is not None and beliefs.believed is None:
        return ageing.look(wiring.path_of(settings.trust.store), now, fixed)
    return ageing.checks(beliefs.believed, now, fixed)


def certificate_checks(settings: Settings, clock: Clock, key: SignerPublicKey | None = None) -> tuple[Check, ...]:
    """Say how the reader's own certificates are, and whether they are the key's; nothing where it asks without any."""
    chain = settings.reader.reader_certificates
    return () if chain is None else chain_checks(wiring.path_of(chain), key, clock.read().at)


def disk_checks(folder: Path) -> tuple[Check, ...]:
    """Say how much room there is where the state is kept."""
    there = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    try:
        room = os.statvfs(there)
    except OSError as error:
        return (Check("disk", Health.FAULT, f"{there}: {error.strerror}", "look at the card or disk"),)
    free = room.f_bavail * room.f_frsize
    advice = "remove what is not needed; a full disk cannot take new lists"
    if room.f_flag & os.ST_RDONLY:
        return (Check("disk", Health.FAULT, f"{there} is read-only", "the card may be worn out: replace it"),)
    health = Health.FAULT if free < NO_DISK else Health.WARNING if free < LOW_DISK else Health.OK
    return (Check("disk", health, f"{free // MIB} MiB free at {there}", "" if health is Health.OK else advice),)


def temperature_checks(root: Path = _ROOT) -> tuple[Check, ...]:
    """Say how warm the processor is; nothing where it does not tell."""
    found = [degrees for degrees in _temperatures(root) if -50 < degrees < 200]
    if not found:
        return ()
    hottest = max(found)
    health = Health.FAULT if hottest >= HOT_C else Health.WARNING if hottest >= WARM_C else Health.OK
    advice = "" if health is Health.OK else "give it air or shade; above 85 degrees it slows itself down"
    return (Check("temperature", health, f"{hottest:.0f} degrees Celsius", advice),)


def _temperatures(root: Path) -> Iterator[float]:
    for path in sorted((root / "sys/class/thermal").glob("thermal_zone*/temp"))[:32]:
        value = _number(path, 10)
        if value is not None:
            yield value / 1000


def power_checks(root: Path = _ROOT) -> tuple[Check, ...]:
    """Say whether a Raspberry Pi gets enough power; nothing on other boards."""
    advice = "use the board's own power supply and a short, thick cable"
    flags = _number(root / _THROTTLED, 16)
    alarms = [
        _number(path.parent / "in0_lcrit_alarm", 10)
        for path in sorted((root / "sys/class/hwmon").glob("hwmon*/name"))[:32]
        if _text(path) == "rpi_volt"
    ]
    if flags is None and not alarms:
        return ()
    if (flags or 0) & _UNDER_VOLTAGE or 1 in alarms:
        return (Check("power", Health.FAULT, "the voltage is too low now", advice),)
    if (flags or 0) & _WAS_UNDER_VOLTAGE:
        return (Check("power", Health.WARNING, "the voltage was too low since the start", advice),)
    return (Check("power", Health.OK, "enough voltage since the start"),)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(64).decode("ascii", "replace").strip()
    except OSError:
        return ""


def _number(path: Path, base: int) -> int | None:
    try:
        return int(_text(path), base)
    except ValueError:
        return None


def not_well(checks: Sequence[Check]) -> tuple[str, ...]:
    """Name the parts that need somebody, the worst first, each once."""
    worst_first = [
        check.part.split()[0] for health in (Health.FAULT, Health.WARNING) for check in checks if check.health is health
    ]
    return tuple(dict.fromkeys(worst_first))
