"""The command line: `mdoc-reader run | rest | doctor | profile | nfc | inspect | verify | trust | key | config |
maintenance`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from mdoc_reader.app.settings import SettingsError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the process's exit code."""
    parser = argparse.ArgumentParser(prog="mdoc-reader", description="A headless ISO/IEC 18013-5 mdoc reader.")
    parser.add_argument("--version", action="version", version=f"mdoc-reader {version('mdoc-reader')}")
    # The X.509 library warns about certificates that break a rule; verification has findings for that.
    warnings.filterwarnings("ignore", ".*serial number")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_run(commands)
    _add_config(commands)
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] not in {"run", "config"}:  # a door may wait for `rest`
        from mdoc_reader.app import rest_command

        rest_command.add_parser(commands)
    # The desk's commands are loaded only when one is used: the daemon starts without them.
    if not given or given[0] not in {"run", "config", "rest"}:
        from mdoc_reader.app import (
            doctor,
            inspect,
            key_command,
            maintenance_command,
            nfc_probe,
            profile_command,
            trust_command,
            verify_command,
        )

        doctor.add_parser(commands)
        inspect.add_parser(commands)
        key_command.add_parser(commands)
        maintenance_command.add_parser(commands)
        nfc_probe.add_parser(commands)
        profile_command.add_parser(commands)
        trust_command.add_parser(commands)
        verify_command.add_parser(commands)
    chosen = parser.parse_args(given)
    try:
        code: int = chosen.function(chosen)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("run", help="run the reader")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the TOML file to run by")
    parser.add_argument("--events", metavar="FILE", help="write what happens as JSON lines to FILE, or - for stdout")
    parser.add_argument("--codes", metavar="FILE", help="read QR texts, a line each, from FILE, or - for stdin")
    parser.add_argument("--log", default="info", choices=["debug", "info", "warning", "error"], help="how much to log")
    parser.set_defaults(function=_run)


def _run(arguments: argparse.Namespace) -> int:
    from mdoc_reader.app import daemon, settings
    from mdoc_reader.app.event_stream import EventStream

    logging.basicConfig(level=arguments.log.upper(), format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    loaded = settings.load(arguments.config)
    try:
        with contextlib.ExitStack() as stack:
            events, codes = None, None
            if arguments.events is not None:
                told = sys.stdout
                if arguments.events != "-":
                    told = stack.enter_context(Path(arguments.events).open("a", encoding="utf-8"))
                events = EventStream(told)
            if arguments.codes is not None:
                codes = sys.stdin
                if arguments.codes != "-":
                    # Not closed by us: a thread may be reading it, and would keep the process from ending.
                    codes = Path(arguments.codes).open(encoding="utf-8", errors="replace")  # noqa: SIM115
            asyncio.run(daemon.run(loaded, str(arguments.config), events, codes))
    except OSError as error:
        print(f"{arguments.config}: a part could not be opened: {error}", file=sys.stderr)
        return 1
    return 0


def _add_config(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("config", help="work on configuration files")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser("check", help="check a configuration file and the drivers it names")
    check.add_argument("file", type=Path, metavar="FILE")
    check.set_defaults(function=_check)


def _check(arguments: argparse.Namespace) -> int:
    from mdoc_reader.app import fit, profiles, settings, wiring

    file = str(arguments.file)
    loaded = settings.load(arguments.file)
    fit.refuse(loaded, file)
    drivers = wiring.load_drivers(loaded, file)
    profile = wiring.profile_of(loaded, file, lists=False)
    print(f"{file}: profile {profile.name!r}: {len(profile.questions)} request(s) at most")
    for question in profile.questions:
        for items in question.items:
            for namespace, elements in items.elements.items():
                kept = [name for name, retain in elements.items() if retain]
                print(f"  asks {items.doctype}: {namespace}: {', '.join(elements)}")
                if kept:
                    print(f"    with the intent to retain: {', '.join(kept)}")
    print(f"  opens for: {profiles.rule_text(loaded.profile)}")
    for line in profiles.oddities(loaded.profile, profile):
        print(f"  warning: profile {line}")
    for doubt in fit.doubts(loaded, drivers):
        print(f"  warning: {doubt.part}: {doubt.what} ({doubt.advice})")
    for kind, driver in drivers.items():
        simulated = " (simulated)" if driver.module.SIMULATED else ""
        print(f"  {kind}: {driver.name}{simulated}")
    for name in wiring.deadlines_of(loaded).unconforming():
        print(f"  note: deadlines.{name} is shorter than ISO 18013-5 asks for: non-conforming by choice")
    if not loaded.reader.trust_anchors:
        print("  warning: no trust anchors: no document can be more than undetermined")
    print("ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
