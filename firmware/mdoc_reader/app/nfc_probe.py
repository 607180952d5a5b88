"""`mdoc-reader nfc probe`: what NFC reader there is, what lies in its field, and what that offers, in words.

It only reads: nothing is negotiated and nothing is asked of anybody.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

from mdoc_reader.app import doctor, wiring
from mdoc_reader.app.nfc_report import (
    Report,
    describe_card,
    describe_container,
    describe_message,
    describe_select,
    describe_services,
)
from mdoc_reader.app.settings import DriverSettings, SettingsError, load
from mdoc_reader.engagement import tap
from mdoc_reader.engagement.tap import TapEnded, TapOffer
from mdoc_reader.mdoc import handover, ndef
from mdoc_reader.mdoc.ndef import Tnf
from mdoc_reader.model.reasons import Malformed
from mdoc_reader.nfc import tnep, type4
from mdoc_reader.nfc.apdu import Refused, Way
from mdoc_reader.nfc.ports import Card, CardError, Field, FieldKind, NfcDevice, NfcDeviceError
from mdoc_reader.nfc.procedure import Procedure, perform

_PERIOD_S = 0.1
_LONGEST_WAIT_S = 3600.0
_SAID = {
    FieldKind.EMPTY: "nothing",
    FieldKind.SEVERAL: "more than one card or phone",
}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser("nfc", help="look at the NFC reader")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    probe = actions.add_parser("probe", help="say what the NFC reader is, and what lies on it")
    chosen = probe.add_mutually_exclusive_group()
    chosen.add_argument("--config", type=Path, metavar="FILE", help="the TOML file the reader runs by")
    chosen.add_argument("--driver", default="pn532", metavar="NAME", help="a driver: pn532 (the default) or pcsc")
    probe.add_argument("--path", help="where the PN532 is, or `auto`; short for --option path=...")
    probe.add_argument("--reader", help="a part of the PC/SC reader's name; short for --option reader=...")
    probe.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="an option of the driver")
    probe.add_argument("--wait", type=_seconds, default=5.0, metavar="SECONDS", help="how long to wait for something")
    probe.add_argument("--json", action="store_true", help="print JSON")
    probe.set_defaults(function=_probe)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= _LONGEST_WAIT_S:
        raise argparse.ArgumentTypeError(f"0 to {_LONGEST_WAIT_S:.0f} seconds")
    return seconds


def _probe(arguments: argparse.Namespace) -> int:
    """Print the findings. Exit code 0: something is in the field, 1: nothing is, 2: the reader cannot be used."""
    chosen, product, file = _chosen(arguments)
    driver = wiring.load_driver("nfc", chosen, product=product, file=file)
    if driver.disabled:
        raise SettingsError(f"{file}: nfc.driver: 'disabled' has nothing to probe")
    try:
        device = wiring.nfc_opener(driver)()
    except NfcDeviceError as error:
        return _not_open(error, chosen, product, file, as_json=arguments.json)
    report = Report()
    try:
        report.add("reader", device.words, device.words, "reader")
        seen = _looked(device, arguments.wait)
        _describe(report, seen)
    except NfcDeviceError as error:
        report.add("trouble", str(error.code), error.code.log, "trouble")
        _print(report, as_json=arguments.json)
        return 2
    finally:
        device.close()
    _print(report, as_json=arguments.json)
    return 1 if seen.kind is FieldKind.EMPTY else 0


def _chosen(arguments: argparse.Namespace) -> tuple[DriverSettings, bool, str]:
    """Return the driver to use, whether it has to be a real one, and what to call its source."""
    options: dict[str, object] = {}
    for name in ("path", "reader"):
        if getattr(arguments, name) is not None:
            options[name] = getattr(arguments, name)
    for text in arguments.option:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise SettingsError(f"--option {text}: KEY=VALUE is expected")
        options[name] = _value(value)
    if arguments.config is None:
        return DriverSettings(arguments.driver, options), False, "the command line"
    settings = load(arguments.config)
    return (
        DriverSettings(settings.nfc.driver, {**settings.nfc.options, **options}),
        settings.reader.product,
        str(arguments.config),
    )


def _value(text: str) -> object:
    """Read a value as TOML has it; what is none is a text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _not_open(error: NfcDeviceError, chosen: DriverSettings, product: bool, file: str, *, as_json: bool) -> int:
    """Say why the reader cannot be used, and what the driver advises."""
    checks = doctor.examined("nfc", chosen, product=product, file=file)
    if as_json:
        rows = [{"part": c.part, "health": c.health, "what": c.what, "advice": c.advice} for c in checks]
        print(json.dumps({"trouble": str(error.code), "detail": error.detail, "checks": rows}, indent=2))
    else:
        print(error.code.log, file=sys.stderr)
        print(doctor.told(checks))
    return 2


def _looked(device: NfcDevice, wait_s: float) -> Field:
    """Look until there is something, or the time has passed."""
    until = time.monotonic() + wait_s
    while True:
        seen = device.look()
        if seen.kind is not FieldKind.EMPTY or time.monotonic() >= until:
            return seen
        device.rest()
        time.sleep(_PERIOD_S)


def _describe(report: Report, seen: Field) -> None:
    said = _SAID.get(seen.kind, seen.words or str(seen.kind))
    report.add("field", {"kind": str(seen.kind), "words": seen.words}, said, "field")
    card = seen.card
    if card is None:
        return
    describe_card(report, card)
    way = Way.to(card)
    try:
        perform(_read(report, way), card, time.sleep)
    except Refused as refused:
        report.add("refused", refused.detail, f"refused: {refused.detail}")
        _name(report, card, way)
    except CardError as error:
        report.add("trouble", str(error.code), error.code.log, "trouble")
    except Malformed as error:
        report.add("trouble", str(error.code), f"what it says cannot be read ({error.code})", "trouble")
    finally:
        card.leave()


def _read(report: Report, way: Way) -> Procedure[None]:
    """Read what the NDEF application shows, as far as it goes."""
    yield from type4.select_application()
    tag = yield from type4.open_tag(way)
    describe_container(report, tag.cc)
    if not tag.cc.readable:
        return
    message = yield from type4.read_message(tag)
    records: Sequence[ndef.Record] = ndef.parse(message, "initial") if message else ()
    describe_message(report, len(message), records)
    describe_services(report, tnep.services(records))
    if records and records[0].is_a(Tnf.WELL_KNOWN, handover.SELECT):
        describe_select(report, handover.parse_select(message))


def _name(report: Report, card: Card, way: Way) -> None:
    """Say what it is that has no NDEF application, as far as that can be found out."""
    try:
        perform(tap.engage(TapOffer(b"\x00\x00", ble=False, nfc=False), way), card, time.sleep)
    except TapEnded as ended:
        report.add("verdict", str(ended.code), ended.code.log, "verdict")
    except (CardError, Malformed) as error:
        report.add("verdict", str(error.code), error.code.log, "verdict")


def _print(report: Report, *, as_json: bool) -> None:
    print(json.dumps(report.facts, indent=2) if as_json else report.text())
