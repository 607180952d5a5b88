"""`mdoc-reader maintenance on|off`: nobody is served while somebody works on the reader.

A file in the runtime folder says so, for as long as it is there; a running reader looks for it every other second. The
folder goes with the service, so that a device that starts anew serves again.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path

FILE = "maintenance"
SERVICE_FOLDER = Path("/run/mdoc-reader")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser("maintenance", help="serve nobody while somebody works on the reader")
    parser.add_argument("switch", choices=["on", "off"], help="begin or end it")
    parser.add_argument("--runtime", type=Path, metavar="DIR", help=f"the reader's runtime folder; {SERVICE_FOLDER}")
    parser.set_defaults(function=_switch)


def _switch(arguments: argparse.Namespace) -> int:
    folder = arguments.runtime or Path(os.environ.get("RUNTIME_DIRECTORY", SERVICE_FOLDER))
    try:
        switch(folder, on=arguments.switch == "on")
    except FileNotFoundError:
        print(f"{folder} is not there: does the reader run? (--runtime names another folder)", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{folder / FILE}: {error.strerror}", file=sys.stderr)
        return 1
    print("maintenance is on: nobody is served" if arguments.switch == "on" else "maintenance is off")
    return 0


def switch(folder: Path, *, on: bool) -> None:
    """Make or remove the file. Repeating it changes nothing. Raises OSError."""
    path = folder / FILE
    if not on:
        path.unlink(missing_ok=True)
        return
    with contextlib.suppress(FileExistsError):
        # The folder is the reader's, and this may be root: no link is followed.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def is_on(folder: Path) -> bool:
    """Say whether the file is there. One system call."""
    with contextlib.suppress(OSError):
        return (folder / FILE).exists()
    return False
