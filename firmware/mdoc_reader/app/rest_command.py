"""`mdoc-reader rest`: relay, lamps, buzzer and alarm at rest, once the reader has ended, however it ended.

The service manager runs it after every end (`ExecStopPost=`). It matters where the kernel leaves a line that a process
let go of driven as it was, as Raspberry Pi's kernels do by default: a reader that is killed in the middle of a grant
would leave the door open. It reads the table `[pins]` and nothing else, so that an error elsewhere in the file, which
may be why the reader ended, does not keep the relay from its rest; and it loads little, because the door waits for it.

Where there is a fire contact, it is read too, and a relay that fire frees is left free.
"""

from __future__ import annotations

import argparse
import sys
import threading
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

import msgspec

from mdoc_reader.app.settings import MAX_BYTES, DriverSettings, SettingsError, convert
from mdoc_reader.outputs.ports import Contact

FIRE_KNOWN_S = 1.0
# Of contacts fire alone: another that cannot be had is no reason to leave the relay as it is.
_KEPT = frozenset(
    {
        *("factory", "relay", "relay_active_high", "relay_rest", "fire", "fire_fault"),
        *("green", "amber", "red", "lamps_active_high", "alarm", "alarm_active_high", "buzzer", "buzzer_tonal"),
    }
)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `rest`."""
    parser = commands.add_parser("rest", help="put relay and lamps to rest; the service manager does when it ends")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the reader's TOML file")
    parser.set_defaults(function=_rest)


def _rest(arguments: argparse.Namespace) -> int:
    try:
        rest(arguments.config)
    except OSError as error:
        print(f"{arguments.config}: the pins could not be brought to rest: {error}", file=sys.stderr)
        return 1
    return 0


def rest(file: Path) -> None:
    """Claim the outputs at rest, let fire have its say, and release them.

    Raises SettingsError when the table `[pins]` cannot be used, OSError when the pins cannot.
    """
    settings = _pins(file)
    (point,) = entry_points(group="mdoc_reader.pins", name=settings.driver) or (None,)
    if point is None:
        raise SettingsError(f"{file}: pins.driver: no driver {settings.driver!r}")
    try:
        module: ModuleType = point.load()
    except ImportError as error:
        raise SettingsError(f"{file}: pins.driver: {settings.driver!r} needs {error.name or error}") from None
    known = {field.encode_name for field in msgspec.structs.fields(module.Options)}
    kept = {name: value for name, value in settings.options.items() if name in _KEPT & known}
    if module.SIMULATED or not kept:
        return
    options = convert(kept, module.Options, str(file), "", "pins.options")
    told = threading.Event()
    pins = module.open_pins(options)
    try:
        if "fire" in kept:
            pins.on_contact(lambda contact, _active, _at: told.set() if contact is Contact.FIRE else None)
            told.wait(FIRE_KNOWN_S)
    finally:
        pins.close()


def _pins(file: Path) -> DriverSettings:
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise SettingsError(f"{file}: larger than {MAX_BYTES} bytes")
        tree = tomllib.loads(raw.decode())
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{file}: not TOML: {error}") from None
    return convert(tree.get("pins", {"driver": "disabled"}), DriverSettings, str(file), "", "pins")
