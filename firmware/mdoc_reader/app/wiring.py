"""Wiring: from settings to open parts. The only place where drivers are loaded, by name, and only those named."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from mdoc_reader.app import profiles
from mdoc_reader.app.badges import badge_maker
from mdoc_reader.app.identity import identity_from
from mdoc_reader.app.profile_settings import ProfileError
from mdoc_reader.app.settings import DriverSettings, Settings, SettingsError, located
from mdoc_reader.app.trust_settings import RevocationSettings, TrustSettings
from mdoc_reader.engagement.ports import Camera, Decoder
from mdoc_reader.mdoc.request import ReaderIdentity
from mdoc_reader.model.sign import By
from mdoc_reader.nfc.ports import NfcDevice
from mdoc_reader.outputs import languages
from mdoc_reader.outputs.languages import Language
from mdoc_reader.outputs.ports import Building, Display, Pins
from mdoc_reader.pictures.decoder import PortraitDecoder
from mdoc_reader.policy.profile import Profile
from mdoc_reader.policy.revocation import Reaction, RevocationPolicy, RevocationRule
from mdoc_reader.reader.armed import ArmedService
from mdoc_reader.reader.beliefs import Beliefs
from mdoc_reader.reader.keypool import KeyPool
from mdoc_reader.reader.phases import Deadlines, Route
from mdoc_reader.reader.presentation import Equipment, cannot_decode
from mdoc_reader.transport.ble import BleLimits
from mdoc_reader.transport.ports import BleRadio
from mdoc_reader.trust import anchors, store
from mdoc_reader.trust.clock import Clock, load_floor, system_was_set
from mdoc_reader.trust.codes import Grading
from mdoc_reader.trust.generation import StoreError

_OTHERS = "*"
KINDS = ("camera", "decoder", "bluetooth", "nfc", "key", "pins", "display", "building")


@dataclass(frozen=True, slots=True)
class Driver:
    """A loaded driver module with its checked options."""

    kind: str
    name: str
    module: ModuleType
    options: object

    @property
    def disabled(self) -> bool:
        """Whether this is the driver that does nothing."""
        return self.name == "disabled"


def places() -> Mapping[str, str]:
    """Return what `{runtime}`, `{state}` and `{credentials}` stand for: systemd's directories, or the user's."""
    home = Path.home()
    return {
        "runtime": os.environ.get("RUNTIME_DIRECTORY", f"/tmp/mdoc-reader-{os.getuid()}"),  # noqa: S108 -- a fallback
        "state": os.environ.get("STATE_DIRECTORY", str(home / ".local" / "state" / "mdoc-reader")),
        "credentials": os.environ.get("CREDENTIALS_DIRECTORY", "/run/credentials/mdoc-reader.service"),
    }


def make_runtime_folder() -> None:
    """Make the runtime folder where systemd has not. Raises OSError."""
    Path(places()["runtime"]).mkdir(mode=0o700, parents=True, exist_ok=True)


def expand(value: object, where: Mapping[str, str]) -> object:
    """Replace the placeholders in every string of an option tree."""
    if isinstance(value, str):
        for name, path in where.items():
            value = value.replace(f"{{{name}}}", path)
        return value
    if isinstance(value, dict):
        return {key: expand(item, where) for key, item in value.items()}
    if isinstance(value, list):
        return [expand(item, where) for item in value]
    return value


def load_driver(kind: str, chosen: DriverSettings, *, product: bool, file: str) -> Driver:
    """Load the driver a configuration names. Raises SettingsError."""
    known = {point.name: point for point in entry_points(group=f"mdoc_reader.{kind}")}
    point = known.get(chosen.driver)
    if point is None:
        raise SettingsError(f"{file}: {kind}.driver: no driver {chosen.driver!r}; there are {', '.join(sorted(known))}")
    if product and point.name == "simulated":
        # Said before anything of it is loaded.
        raise SettingsError(_simulated(file, kind, point.name))
    try:
        module = point.load()
    except ImportError as error:
        what = (
            f"the Python package {error.name!r}, which is not installed" if error.name else f"what is missing: {error}"
        )
        raise SettingsError(f"{file}: {kind}.driver: {chosen.driver!r} needs {what}") from None
    if product and module.SIMULATED:
        raise SettingsError(_simulated(file, kind, point.name))
    try:
        options = msgspec.convert(expand(chosen.options, places()), module.Options)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{file}: {kind}.options ({chosen.driver}): {error}") from None
    return Driver(kind, chosen.driver, module, options)


def _simulated(file: str, kind: str, name: str) -> str:
    return f"{file}: {kind}.driver: {name!r} is simulated; a product refuses it (reader.product = false allows it)"


def load_drivers(settings: Settings, file: str) -> dict[str, Driver]:
    """Load every driver that is used: no decoder without a camera. Raises SettingsError."""
    return {
        kind: load_driver(kind, getattr(settings, kind), product=settings.reader.product, file=file)
        for kind in used_kinds(settings)
    }


def used_kinds(settings: Settings) -> tuple[str, ...]:
    """Name the kinds of driver that a configuration needs."""
    no_camera = settings.camera.driver == "disabled"
    return tuple(kind for kind in KINDS if not (kind == "decoder" and no_camera))


def path_of(written: str) -> Path:
    """Return a path of the settings with its placeholders filled in."""
    return Path(str(expand(written, places())))


def profile_of(settings: Settings, file: str, *, lists: bool = True) -> Profile:
    """Return the profile with its questions encoded. Raises SettingsError.

    `lists`: load the lists it names; without them it can be explained on any machine, and lets nobody in by a list.
    """
    try:
        return profiles.profile_of(settings.profile, profiles.site_of(settings.profile, path_of, lists=lists))
    except ProfileError as error:
        raise located(file, error.key, str(error)) from None


def deadlines_of(settings: Settings) -> Deadlines:
    """Return the machine's deadlines."""
    given = settings.deadlines
    return Deadlines(
        connecting=given.connecting,
        requesting=given.requesting,
        consent=given.consent,
        receiving=given.receiving,
        verifying=given.verifying,
        comparing=given.comparing,
        showing=given.showing,
        tap_again=given.tap_again,
        closing=given.closing,
        total=given.total,
        max_rounds=settings.profile.max_rounds,
        asleep=given.asleep,
    )


def load_anchors(
    settings: Settings, file: str
) -> tuple[anchors.TrustAnchors | None, tuple[anchors.Skipped, ...], Grading]:
    """Load the anchors of folders (None without any), and how findings weigh. Raises SettingsError."""
    fixed: anchors.TrustAnchors | None = None
    skipped: tuple[anchors.Skipped, ...] = ()
    paths = [path_of(path) for path in settings.reader.trust_anchors]
    try:
        if paths:
            fixed, skipped = store.load_all(paths)
        return fixed, skipped, Grading.of(settings.trust.grade)
    except OSError as error:
        raise SettingsError(f"{file}: reader.trust_anchors: {error.filename}: {error.strerror}") from None
    except StoreError as error:
        raise SettingsError(f"{file}: reader.trust_anchors: {error}") from None
    except ValueError as error:
        raise SettingsError(f"{file}: trust.grade: {error}") from None


def _floor() -> Path:
    return Path(places()["state"]) / "clock-floor"


def clock_of(settings: Settings) -> Clock:
    """Return the clock, with the floor that was kept."""
    kept = settings.trust.clock == "kept"
    return Clock(load_floor(_floor()), was_set=(lambda: True) if kept else system_was_set)


def load_beliefs(settings: Settings, file: str) -> tuple[Beliefs, Clock, tuple[anchors.Skipped, ...]]:
    """Load what is believed, and the clock that goes with it. Raises SettingsError for a path that is not there."""
    fixed, skipped, grading = load_anchors(settings, file)
    floor, clock = _floor(), clock_of(settings)
    folder = None if settings.trust.store is None else path_of(settings.trust.store)
    ages = revocation_policy(settings).ages
    beliefs = Beliefs(fixed, folder, grading=grading, keeps_time=clock, floor=floor, ages=ages)
    beliefs.load()
    return beliefs, clock, skipped


def revocation_policy(settings: Settings) -> RevocationPolicy:
    """Return what doubts about revocation mean here."""
    trust = settings.trust
    doctypes = {*trust.revocation, *(name for name in trust.max_age if "." in name)} - {_OTHERS}
    rules = {name: _revocation_rule(trust, name) for name in doctypes}
    return RevocationPolicy(_revocation_rule(trust, _OTHERS), rules)


def _revocation_rule(trust: TrustSettings, doctype: str) -> RevocationRule:
    chosen = trust.revocation.get(doctype) or trust.revocation.get(_OTHERS) or RevocationSettings()
    age = trust.max_age.get(doctype, trust.max_age.get(_OTHERS))
    reactions = {name: Reaction(value) for name, value in msgspec.structs.asdict(chosen).items()}
    return RevocationRule(**reactions, max_age=None if age is None else timedelta(seconds=age))


def load_identity(settings: Settings, file: str) -> ReaderIdentity | None:
    """Load the reader's key and certificates for reader authentication; None when not configured."""
    key_path, chain_path = settings.reader.reader_key, settings.reader.reader_certificates
    if settings.key.driver != "disabled":
        if key_path is not None or chain_path is None:
            raise SettingsError(
                f"{file}: [key] takes the place of reader.reader_key, beside reader.reader_certificates"
            )
        driver = load_driver("key", settings.key, product=settings.reader.product, file=file)
        return identity_from(driver, Path(str(expand(chain_path, places()))), file)
    if key_path is None and chain_path is None:
        return None
    if key_path is None or chain_path is None:
        raise SettingsError(f"{file}: reader.reader_key and reader.reader_certificates belong together")
    try:
        key = load_pem_private_key(Path(str(expand(key_path, places()))).read_bytes(), None)
        chain = x509.load_pem_x509_certificates(Path(str(expand(chain_path, places()))).read_bytes())
    except OSError as error:
        raise SettingsError(f"{file}: reader.reader_key: {error.filename}: {error.strerror}") from None
    except (ValueError, TypeError) as error:
        raise SettingsError(f"{file}: reader.reader_key: not usable: {error}") from None
    if not isinstance(key, (ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)):
        raise SettingsError(f"{file}: reader.reader_key: a key for COSE signatures is needed")
    if key.public_key() != chain[0].public_key():
        raise SettingsError(f"{file}: reader.reader_certificates: the first certificate is not that of reader_key")
    leaf_first = [certificate for certificate in chain if certificate.subject != certificate.issuer]
    return ReaderIdentity(key, tuple(certificate.public_bytes(Encoding.DER) for certificate in leaf_first))


def languages_of(settings: Settings, file: str) -> tuple[Language, ...]:
    """Return what the display speaks. Raises SettingsError."""
    chosen = settings.panel
    try:
        return languages.chosen(chosen.languages, None if chosen.words is None else path_of(chosen.words))
    except languages.WordsError as error:
        raise located(file, "panel.languages", str(error)) from None
    except OSError as error:
        raise located(file, "panel.words", f"{error.filename}: {error.strerror}") from None


def equipment_of(
    settings: Settings,
    file: str,
    radio: BleRadio,
    beliefs: Beliefs,
    clock: Clock,
    *,
    portraits: PortraitDecoder | None = None,
) -> Equipment:
    """Return what presentations share. `portraits` decodes them, where they are compared. Raises SettingsError."""
    profile = profile_of(settings, file)
    try:
        badges = badge_maker(settings.profile, profile.rule, path_of)
    except ProfileError as error:
        raise located(file, error.key, str(error)) from None
    ble_limits = BleLimits(message_cap=settings.ble.message_cap, l2cap=settings.ble.l2cap)
    ahead = settings.ble.advertise_ahead
    if ahead is None:
        ahead = settings.nfc.driver != "disabled"
    return Equipment(
        profile,
        radio,
        KeyPool(),
        lambda: beliefs.signers,
        clock.read,
        time.monotonic,
        load_identity(settings, file),
        settings.reader.prefer_server,
        ble_limits,
        ArmedService(radio, ble_limits) if ahead else None,
        settings.tap.prefer_transfer,
        revocations=lambda: beliefs.revocations,
        revocation=revocation_policy(settings),
        floor=lambda: clock.floor,
        badge=badges,
        decode=cannot_decode if portraits is None else portraits.decode,
        refuse_in_doubt=settings.trust.untrusted_clock == "refuse",
    )


def open_building(driver: Driver) -> Building | None:
    """Open the line to the building; None where there is none. Raises OSError."""
    if driver.disabled:
        return None
    building: Building = driver.module.open_building(driver.options)
    return building


def routes_of(settings: Settings, *, codes: bool) -> tuple[Route, ...]:
    """Return the ways people can be served. `codes`: texts of QR codes come from elsewhere than the camera, too."""
    routes = []
    if settings.camera.driver != "disabled":
        routes.append(Route(By.CODE, frozenset({"camera", "bluetooth"})))
    if codes:
        routes.append(Route(By.CODE, frozenset({"bluetooth"})))
    if settings.nfc.driver != "disabled":
        routes.append(Route(By.TAP, frozenset({"nfc"} if settings.tap.transfer else {"nfc", "bluetooth"})))
    if settings.bluetooth.driver == "disabled":
        # Where something can be served without it, its absence is how this reader is meant to be.
        routes = [route for route in routes if "bluetooth" not in route.parts] or routes
    if settings.building.driver != "disabled" and settings.building.needed:
        routes = [Route(route.by, route.parts | {"building"}) for route in routes]
    return tuple(routes)


def nfc_opener(driver: Driver) -> Callable[[], NfcDevice]:
    """Return what opens the NFC front end, on its owner thread."""

    def opener() -> NfcDevice:
        device: NfcDevice = driver.module.open_nfc(driver.options)
        return device

    return opener


def camera_opener(driver: Driver) -> Callable[[], Camera]:
    """Return what opens the camera, on its owner thread."""

    def opener() -> Camera:
        camera: Camera = driver.module.open_camera(driver.options)
        return camera

    return opener


def open_decoder(driver: Driver) -> Decoder:
    """Open the decoder."""
    decoder: Decoder = driver.module.open_decoder(driver.options)
    return decoder


async def open_bluetooth(driver: Driver) -> BleRadio:
    """Open the radio; it may become available later."""
    radio: BleRadio = await driver.module.open_bluetooth(driver.options)
    return radio


def open_pins(driver: Driver) -> Pins:
    """Open the pins. Raises OSError."""
    pins: Pins = driver.module.open_pins(driver.options)
    return pins


def display_opener(driver: Driver) -> Callable[[], Display]:
    """Return what opens the display, on its owner thread."""

    def opener() -> Display:
        display: Display = driver.module.open_display(driver.options)
        return display

    return opener
