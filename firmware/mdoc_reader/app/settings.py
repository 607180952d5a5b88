"""Settings: one typed tree from one TOML file. A wrong key or value stops the start and says what would be right."""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Annotated, TypeVar, get_args, get_type_hints

import msgspec

from mdoc_reader.app.door_settings import ButtonSettings, DoorSettings
from mdoc_reader.app.profile_settings import Identifier, ProfileError, ProfileSettings, check_requests
from mdoc_reader.app.trust_settings import TrustSettings

MAX_BYTES = 256 * 1024

Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]
Pixels = Annotated[int, msgspec.Meta(ge=16, le=1024)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class SettingsError(Exception):
    """A configuration that cannot be used. The text names file, line, key and what would be right."""


class Section(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Base of every table: unknown keys are refused."""


class ReaderSettings(Section, frozen=True):
    """The reader as a whole. `product = false` allows simulated drivers and must be said aloud."""

    name: Name = "mdoc reader"
    product: bool = True
    trust_anchors: tuple[Name, ...] = ()
    reader_key: Name | None = None
    reader_certificates: Name | None = None
    prefer_server: bool = True


class DeadlineSettings(Section, frozen=True):
    """Seconds; see the machine's Deadlines. Shorter than the standard's minimum is named at the start."""

    connecting: Seconds = 30.0
    requesting: Seconds = 30.0
    consent: Seconds = 300.0
    receiving: Seconds = 300.0
    verifying: Seconds = 5.0
    comparing: Seconds = 30.0
    """How long a portrait is shown to be compared; then it is gone, and the answer with it."""
    showing: Annotated[float, msgspec.Meta(ge=0.1, le=60)] = 3.0
    tap_again: Annotated[float, msgspec.Meta(ge=0.1, le=120)] = 20.0
    closing: Annotated[float, msgspec.Meta(ge=0.1, le=30)] = 3.0
    total: Seconds = 660.0
    asleep: Annotated[float, msgspec.Meta(ge=5, le=86400)] | None = None
    """After how long without anybody the reader sleeps, to be woken by a button; without this: never."""


class DriverSettings(Section, frozen=True):
    """A driver by name, with options that the driver itself checks."""

    driver: Name
    options: dict[str, object] = {}


class PanelSettings(Section, frozen=True):
    """Lights, buzzer, relay and display."""

    relay_pulse: Annotated[float, msgspec.Meta(gt=0, le=60)] = 3.0
    languages: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=8)] = ("en",)
    """By their tags; the first is spoken first, a button goes on to the next."""
    words: Name | None = None
    """A folder of further languages, or of other words for those there are."""
    code: Annotated[str, msgspec.Meta(max_length=120)] = ""
    """Shown as a QR code while the reader waits, such as an address that says which wallet to get."""
    portrait: tuple[Pixels, Pixels] = (240, 240)
    """Width and height a portrait is decoded to at the most; the display's."""


class BuildingSettings(DriverSettings, frozen=True):
    """A line to a controller of the building that takes card numbers."""

    driver: Name = "disabled"
    needed: bool = True
    """Whether the reader is out of order while the line does not work."""


class BleSettings(Section, frozen=True):
    """Bounds of the Bluetooth transport."""

    message_cap: Annotated[int, msgspec.Meta(ge=4096, le=64 * 1024 * 1024)] = 4 * 1024 * 1024
    l2cap: bool = True
    """Use L2CAP channels where a phone offers one and offer one ourselves; GATT takes over where they fail."""
    advertise_ahead: bool | None = None
    """Show a service under a fresh UUID between presentations, as an NFC handover request needs it; by default where
    there is an NFC front end."""


class ScanSettings(Section, frozen=True):
    """How often the camera's pictures are looked at, in a second."""

    fps: Annotated[float, msgspec.Meta(ge=1, le=60)] = 30.0
    idle_fps: Annotated[float, msgspec.Meta(ge=1, le=60)] = 5.0
    """While nothing moves."""
    idle_after: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 10.0
    """Seconds without movement."""


class TapSettings(Section, frozen=True):
    """How taps are served, where there is an NFC front end."""

    period: Annotated[float, msgspec.Meta(ge=0.02, le=2)] = 0.1
    """Seconds from one look for a phone to the next."""
    transfer: bool = True
    """Let NFC carry the documents where a phone offers it and Bluetooth cannot: slow, and the phone must stay."""
    prefer_transfer: bool = False
    """Let NFC carry them wherever a phone offers it."""


_DISABLED = DriverSettings(driver="disabled")


class Settings(Section, frozen=True):
    """The whole tree."""

    profile: ProfileSettings
    reader: ReaderSettings = ReaderSettings()
    deadlines: DeadlineSettings = DeadlineSettings()
    panel: PanelSettings = PanelSettings()
    ble: BleSettings = BleSettings()
    scan: ScanSettings = ScanSettings()
    tap: TapSettings = TapSettings()
    trust: TrustSettings = TrustSettings()
    camera: DriverSettings = _DISABLED
    decoder: DriverSettings = DriverSettings(driver="zxing")
    bluetooth: DriverSettings = _DISABLED
    nfc: DriverSettings = _DISABLED
    key: DriverSettings = _DISABLED
    pins: DriverSettings = _DISABLED
    door: DoorSettings = DoorSettings()
    buttons: ButtonSettings = ButtonSettings()
    building: BuildingSettings = BuildingSettings()
    display: DriverSettings = _DISABLED


def load(path: Path) -> Settings:
    """Read and check a configuration file. Raises SettingsError."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    if len(raw) > MAX_BYTES:
        raise SettingsError(f"{path}: larger than {MAX_BYTES} bytes")
    try:
        text = raw.decode()
        tree = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8 (byte {error.start})") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"{path}: not TOML: {error}") from None
    settings = _settled(convert(tree, Settings, str(path), text))
    try:
        check_requests(settings.profile)
    except ProfileError as error:
        raise SettingsError(f"{path}:{line_of(text, error.key)}: {error.key}: {error}") from None
    return settings


def _settled(settings: Settings) -> Settings:
    """Return the settings with what one table leaves to another."""
    if settings.profile.identifier is not None:
        return settings
    identifier: Identifier = "none" if settings.building.driver == "disabled" else "pseudonym"
    profile = msgspec.structs.replace(settings.profile, identifier=identifier)
    return msgspec.structs.replace(settings, profile=profile)


def located(file: str, key: str, what: str) -> SettingsError:
    """Return the error of a value that is of the right form and still cannot be used, with its line in the file."""
    try:
        with Path(file).open("rb") as stream:
            line = f":{line_of(stream.read(MAX_BYTES).decode(errors='replace'), key)}"
    except OSError:
        line = ""
    return SettingsError(f"{file}{line}: {key}: {what}")


_T = TypeVar("_T")
_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?P<where>[^`]*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>[^`]*)`")


def convert(tree: object, kind: type[_T], file: str, text: str, prefix: str = "") -> _T:
    """Check a tree against a type. Raises SettingsError with file, line, key and what would be right."""
    try:
        return msgspec.convert(tree, kind)
    except msgspec.ValidationError as error:
        match = _AT.match(str(error))
        what, where = (match["what"], match["where"] or "$") if match else (str(error), "$")
        key = ".".join(part for part in (prefix, where.removeprefix("$").removeprefix(".")) if part)
        unknown = _UNKNOWN.search(what)
        if unknown:
            name = unknown["name"]
            key = f"{key}.{name}" if key else name
            known = _fields(kind, where)
            close = difflib.get_close_matches(name, known, 1)
            what = f"unknown key; {f'did you mean {close[0]!r}?' if close else 'known here: ' + ', '.join(known)}"
        raise SettingsError(f"{file}:{line_of(text, key)}: {key or 'the file'}: {what}") from None


def _fields(kind: type, where: str) -> list[str]:
    """Return the keys known at a place of the tree."""
    for part in re.findall(r"[A-Za-z_]\w*", where):
        hints = get_type_hints(kind)
        found = hints.get(part)
        candidates = [found, *get_args(found)]
        inner = [c for c in candidates if isinstance(c, type) and issubclass(c, msgspec.Struct)]
        if not inner:
            return []
        kind = inner[0]
    return [field.encode_name for field in msgspec.structs.fields(kind)]


_KEY_PART = re.compile(r"\"([^\"]*)\"|'([^']*)'|([A-Za-z0-9_-]+)")


def line_of(text: str, key: str) -> int:
    """Return the line (from 1) where a dotted key is set, or its table begins; 1 when it is nowhere."""
    wanted = re.sub(r"\[[^\]]*\]", "", key).split(".")
    best, best_length, table = 1, 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("["):
            path = table = _key_parts(stripped.strip("[]").partition("]")[0])
        elif "=" in stripped and not stripped.startswith("#"):
            path = table + _key_parts(stripped.partition("=")[0])
        else:
            continue
        shared = min(len(path), len(wanted))
        if shared > best_length and path[:shared] == wanted[:shared]:
            best, best_length = number, shared
    return best


def _key_parts(written: str) -> list[str]:
    return [match[1] or match[2] or match[3] or "" for match in _KEY_PART.finditer(written)]
