"""`mdoc-reader doctor`: looks at every part of a reader and says how each is and what to do.

A driver that can tell more than whether it loads has `async def examine(options) -> tuple[Check, ...]`, bounded in
time, which touches nothing a running reader uses; where that cannot be said without opening the device, nothing is
opened while a reader runs, and the reader's own word is passed on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path

from mdoc_reader.app import device_checks, fit, profiles, running, wiring
from mdoc_reader.app.doctor_table import told
from mdoc_reader.app.running import Seen
from mdoc_reader.app.settings import DriverSettings, Settings, SettingsError, load
from mdoc_reader.app.wiring import Driver
from mdoc_reader.model.check import Check, Health
from mdoc_reader.model.signer import ReaderSigner, SignerError, SignerPublicKey
from mdoc_reader.pictures.decoder import PortraitDecoder

__all__ = ["add_parser", "examined", "told"]

_EXAMINE_S = 15.0
_TAKEN = frozenset({"camera", "nfc", "building"})
"""Kinds whose drivers open the device to look at it."""
_ORDER = (
    *("profile", "lists", "clock", "key", "nfc", "bluetooth", "camera", "decoder"),
    *("display", "pins", "building", "portraits", "disk", "temperature", "power"),
)
_SERVICE = {
    "RUNTIME_DIRECTORY": Path("/run/mdoc-reader"),
    "STATE_DIRECTORY": Path("/var/lib/mdoc-reader"),
    "CREDENTIALS_DIRECTORY": Path("/run/credentials/mdoc-reader.service"),
}
_STOP = "`systemctl stop mdoc-reader`, then look again: a reader that does not run is looked at more closely"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser("doctor", help="look at every part and say what to do")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the TOML file the reader runs by")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(function=_doctor)


def _doctor(arguments: argparse.Namespace) -> int:
    """Print the findings. Exit code 0: nothing wrong, 1: warnings, 2: a fault."""
    settings = load(arguments.config)
    seen = _installed()
    checks = asyncio.run(look(settings, str(arguments.config), seen))
    if arguments.json:
        rows = [{"part": c.part, "health": c.health, "what": c.what, "advice": c.advice} for c in checks]
        print(json.dumps(rows, indent=2))
    else:
        print(told(checks))
        if os.geteuid() == 0:
            print("\nroot may open everything: `runuser -u mdoc-reader --` in front shows what the reader may")
    worst = {check.health for check in checks}
    return 2 if Health.FAULT in worst else 1 if Health.WARNING in worst else 0


def _installed() -> Seen:
    """Look where the service keeps things, when it is a person who looks; and whether it runs."""
    runtime = _SERVICE["RUNTIME_DIRECTORY"]
    hidden = "RUNTIME_DIRECTORY" not in os.environ and runtime.exists() and not os.access(runtime, os.R_OK | os.X_OK)
    for name, folder in _SERVICE.items():
        if name not in os.environ and os.access(folder, os.R_OK | os.X_OK):
            os.environ[name] = str(folder)
    return running.look(runtime if hidden else Path(wiring.places()["runtime"]))


async def look(settings: Settings, file: str, seen: Seen | None = None) -> tuple[Check, ...]:
    """Look at everything a configuration names, part by part in the order they are told. `seen`: a running reader."""
    seen = seen or Seen(runs=False)
    drivers, checks = _loaded(settings, file)
    found = await asyncio.gather(*(_part(driver, seen) for driver in drivers.values()))
    checks += [check for checks_of_one in found for check in checks_of_one]
    checks += [
        Check(part, Health.FAULT, f"the running reader says: {why}", _STOP)
        for part, why in (seen.faults or {}).items()
        if part not in _TAKEN or part not in drivers
    ]
    checks += [*fit.refused(settings, file), *fit.doubts(settings, drivers), *profile_checks(settings, file)]
    clock = wiring.clock_of(settings)
    key, wrong = await asyncio.to_thread(_key, settings, file, drivers, checks)
    checks += [*wrong, *device_checks.device_checks(settings, clock, key=key)]
    checks += await asyncio.to_thread(device_checks.trust_checks, settings, file, clock)
    if settings.profile.compare:
        checks += await portrait_checks()
    return tuple(sorted(checks, key=_place))


def _place(check: Check) -> int:
    part = check.part.split()[0]
    return _ORDER.index(part) if part in _ORDER else len(_ORDER)


def _loaded(settings: Settings, file: str) -> tuple[dict[str, Driver], list[Check]]:
    """Load each driver by itself, so that one that is missing hides nothing of the others."""
    drivers: dict[str, Driver] = {}
    checks: list[Check] = []
    for kind in wiring.used_kinds(settings):
        try:
            chosen = getattr(settings, kind)
            drivers[kind] = wiring.load_driver(kind, chosen, product=settings.reader.product, file=file)
        except SettingsError as error:
            checks.append(_not_loaded(kind, error))
    return drivers, checks


def _not_loaded(kind: str, error: SettingsError) -> Check:
    return Check(kind, Health.FAULT, str(error), "correct the configuration, or install what it names")


async def _part(driver: Driver, seen: Seen) -> Sequence[Check]:
    kind = driver.kind
    if driver.disabled or (not (seen.runs and kind in _TAKEN) and not _service_unlocks(driver)):
        return await _examined(driver)
    if not seen.runs:
        what = f"{driver.name}: not opened: what unlocks it is a credential that only the service is given"
        return [Check(kind, Health.WARNING, what, "start the service: it refuses to without its key")]
    why = (seen.faults or {}).get(kind)
    if why is None:
        silent = "" if seen.faults is None else ", and it works"
        return [Check(kind, Health.OK, f"{driver.name}: the running reader has it{silent}")]
    return [Check(kind, Health.FAULT, f"{driver.name}: the running reader says: {why}", _STOP)]


def _service_unlocks(driver: Driver) -> bool:
    """Say whether a key is opened by what systemd hands to the service alone; a reader that runs has opened it."""
    if driver.kind != "key" or "CREDENTIALS_DIRECTORY" in os.environ:
        return False
    names = [name for name in getattr(driver.options, "__struct_fields__", ()) if name.endswith("credential")]
    return any(getattr(driver.options, name) is not None for name in names)


async def _examined(driver: Driver) -> Sequence[Check]:
    kind = driver.kind
    if driver.disabled:
        return [] if kind == "key" else [Check(kind, Health.OK, "disabled by the configuration")]
    examine = getattr(driver.module, "examine", None)
    if examine is None:
        return [Check(kind, Health.OK, f"driver {driver.name!r} loads; it cannot tell more")]
    return await _bounded(kind, examine(driver.options))


async def _bounded(kind: str, work: Awaitable[Sequence[Check]]) -> Sequence[Check]:
    try:
        async with asyncio.timeout(_EXAMINE_S):
            return await work
    except TimeoutError:
        return [Check(kind, Health.FAULT, f"did not answer within {_EXAMINE_S:.0f} s", "restart the device")]


def examined(kind: str, chosen: DriverSettings, *, product: bool, file: str) -> Sequence[Check]:
    """Load one driver and let it look at its part."""
    try:
        driver = wiring.load_driver(kind, chosen, product=product, file=file)
    except SettingsError as error:
        return [_not_loaded(kind, error)]
    return asyncio.run(_examined(driver))


def profile_checks(settings: Settings, file: str) -> tuple[Check, ...]:
    """Say what is odd about the profile, with its lists, and about the words for it."""
    advice = f"see `mdoc-reader profile explain {file}`"
    credential = "{credentials}" in (settings.profile.site_key or "") and "CREDENTIALS_DIRECTORY" not in os.environ
    try:
        profile = wiring.profile_of(settings, file, lists=not credential)
        wiring.languages_of(settings, file)
    except SettingsError as error:
        return (Check("profile", Health.FAULT, str(error), "correct the configuration, or bring the file it names"),)
    odd = profiles.oddities(settings.profile, profile)
    if odd:
        return tuple(Check("profile", Health.WARNING, f"it {line}", advice) for line in odd)
    unread = "; its site key, which only the service is given, was not read" if credential else ""
    return (Check("profile", Health.OK, f"{profile.name!r} opens for: {profiles.rule_text(settings.profile)}{unread}"),)


def _key(
    settings: Settings, file: str, drivers: Mapping[str, Driver], checks: Sequence[Check]
) -> tuple[SignerPublicKey | None, Sequence[Check]]:
    """Return the public half of the reader's key, where it opens; and what is to be said beside the driver's word."""
    driver = drivers.get("key")
    if driver is None or any(check.part == "key" and check.health is Health.FAULT for check in checks):
        return None, ()
    if not driver.disabled:
        if settings.reader.reader_certificates is None:
            advice = "set reader.reader_certificates: see `mdoc-reader key csr`"
            return None, [Check("key", Health.FAULT, "the configuration names no certificates for it", advice)]
        if _service_unlocks(driver):
            return None, ()
        try:
            signer: ReaderSigner = driver.module.open_key(driver.options)
        except SignerError as error:
            return None, [Check("key", Health.FAULT, str(error))]
        try:
            return signer.public_key, ()
        finally:
            signer.close()
    try:
        identity = wiring.load_identity(settings, file)
    except SettingsError as error:
        return None, [Check("key", Health.FAULT, str(error), "correct the configuration, or bring the file it names")]
    if identity is None:
        return None, [Check("key", Health.OK, "none: wallets are not told who asks")]
    return identity.signer.public_key, [Check("key", Health.OK, "opens: it is in a file without a driver of its own")]


async def portrait_checks() -> tuple[Check, ...]:
    """Start what decodes portraits, and end it."""
    decoder = PortraitDecoder()
    try:
        if not await decoder.start():
            advice = "install the extra `panel` whole"
            return (Check("portraits", Health.FAULT, "what decodes portraits does not start", advice),)
        if not decoder.filtered:
            what = "this kernel does not filter the system calls of what decodes portraits"
            return (Check("portraits", Health.WARNING, what, "use a kernel with seccomp: Debian's and Raspberry Pi's"),)
    finally:
        await decoder.close()
    return (Check("portraits", Health.OK, "decoded in a process that can open nothing"),)
