"""`mdoc-reader profile explain | key | entry`: what a profile does in plain words, and what its lists are made with."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mdoc_reader.app import profiles, settings, wiring
from mdoc_reader.policy import allow_list, site_key
from mdoc_reader.policy.identifier import Use, key_for

_MAX_LINES = 100_000


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser("profile", help="explain a profile; make the keys and entries of its lists")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    explain = actions.add_parser("explain", help="say in plain words what it asks and when it opens")
    explain.add_argument("file", type=Path, metavar="FILE", help="the TOML file the reader runs by")
    explain.set_defaults(function=_explain)
    key = actions.add_parser("key", help="make a site's key, with which lists and pseudonyms are hashed")
    key.add_argument("file", type=Path, metavar="FILE", help="where to keep it; it must not be there yet")
    key.set_defaults(function=_key)
    entry = actions.add_parser("entry", help="make a list's entries from document numbers on standard input")
    entry.add_argument("--key", type=Path, required=True, metavar="FILE", help="the site's key")
    entry.add_argument("--country", required=True, metavar="CC", help="issuing country, such as DE")
    entry.add_argument("--jurisdiction", default="", metavar="NAME", help="where a state or province gives the numbers")
    entry.add_argument("--header", action="store_true", help="write the line a new list begins with first")
    entry.set_defaults(function=_entry)


def _explain(arguments: argparse.Namespace) -> int:
    loaded = settings.load(arguments.file)
    profile = wiring.profile_of(loaded, str(arguments.file), lists=False)
    print("\n".join(profiles.explained(loaded.profile, profile)))
    return 0


def _key(arguments: argparse.Namespace) -> int:
    try:
        site_key.make(arguments.file)
    except FileExistsError:
        print(f"{arguments.file}: is there already; lists made with it would be worth nothing", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{arguments.file}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"{arguments.file}: made; keep a copy: without it no list of this site can be read or added to")
    return 0


def _entry(arguments: argparse.Namespace) -> int:
    """Write a line for each `NUMBER` or `NUMBER BADGE` read: by standard input, so that no shell remembers them."""
    try:
        key = key_for(site_key.load(arguments.key), Use.ALLOW_LIST)
        if arguments.header:
            print(allow_list.header(key))
    except (OSError, ValueError) as error:
        print(f"{arguments.key}: {getattr(error, 'strerror', None) or error}", file=sys.stderr)
        return 1
    if sys.stdin.isatty():
        print("document numbers, a line each, perhaps a badge number behind one; end with Ctrl-D", file=sys.stderr)
    wrong = 0
    for number, line in enumerate(sys.stdin, 1):
        parts = line.split()
        if not parts:
            continue
        badge = int(parts.pop()) if len(parts) > 1 and parts[-1].isdecimal() else None
        if number > _MAX_LINES:
            print(f"line {number}: a list has at most {_MAX_LINES} entries", file=sys.stderr)
            return 1
        try:
            print(
                allow_list.make_entry(
                    key, arguments.country, "".join(parts), jurisdiction=arguments.jurisdiction, badge=badge
                )
            )
        except ValueError as error:
            print(f"line {number}: {error}", file=sys.stderr)
            wrong += 1
    return 1 if wrong else 0
