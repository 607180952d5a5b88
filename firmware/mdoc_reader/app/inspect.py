"""`mdoc-reader inspect`: whatever it is, as an annotated tree. Reads, names and shows; believes nothing."""

from __future__ import annotations

import argparse
import json
import sys

from mdoc_reader.app import inspect_tree
from mdoc_reader.app.inputs import InputError, decode_text_forms, read_input
from mdoc_reader.app.inspect_tree import Node
from mdoc_reader.mdoc import cbor, engagement
from mdoc_reader.model.reasons import Malformed, MalformedCode

UNREADABLE = 2


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "inspect", help="show what something is, as an annotated tree", description=__doc__, prefix_chars="-"
    )
    parser.add_argument("input", metavar="FILE|-|mdoc:...", help="raw CBOR, NDEF, DER or PEM, hex, base64url, QR text")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(function=inspect_main)


def inspect_main(arguments: argparse.Namespace) -> int:
    """Run the command: 0 shown, 2 unreadable."""
    try:
        kind, tree = identify(read_input(arguments.input))
    except InputError as error:
        print(error, file=sys.stderr)
        return UNREADABLE
    except Malformed as problem:
        print(f"{arguments.input[:200]}: {problem}", file=sys.stderr)
        return UNREADABLE
    if arguments.json:
        print(json.dumps({"kind": kind, "tree": tree.as_json()}, indent=1))
        return 0
    text = "\n".join([kind, *tree.lines(colour=sys.stdout.isatty())])
    # A terminal that is not UTF-8 gets escapes where it has no character, never an error.
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding))
    return 0


def identify(data: bytes) -> tuple[str, Node]:
    """Return what `data` is, with its tree. Raises Malformed when it is nothing this reader can read."""
    stripped = data.strip()
    if stripped[:5].lower() == b"mdoc:" and len(stripped) < 8192:
        raw = engagement.from_qr(stripped.decode("utf-8", "replace")).raw
        return "DeviceEngagement from a QR code", inspect_tree.cbor_tree(raw, "DeviceEngagement")
    if b"-----BEGIN CERTIFICATE-----" in data:
        return "certificate", inspect_tree.certificates_tree(data)
    if b"-----BEGIN " in data:
        raise Malformed(MalformedCode.UNSUPPORTED, offset=data.index(b"-----BEGIN "), detail="PEM, but no certificate")
    plain = decode_text_forms(data)
    if plain[:1] == b"\x30":
        found = inspect_tree.try_certificate(plain)
        if found is not None:
            return "certificate", found
    try:
        tree = inspect_tree.cbor_tree(plain, "")
    except Malformed as problem:
        handed = inspect_tree.try_handover(plain)
        if handed is None and len(plain) > 2 and int.from_bytes(plain[:2], "big") == len(plain) - 2:
            handed = inspect_tree.try_handover(plain[2:])  # with NLEN before it, as read from the tag
        if handed is None:
            raise _placed(problem, plain) from None
        return "NFC handover message", handed
    return tree.label, tree


def _placed(problem: Malformed, data: bytes) -> Malformed:
    """Return the complaint with its offset, where walking the heads finds the same one."""
    if problem.offset is None:
        try:
            cbor.scan(data)
        except Malformed as found:
            if found.code is problem.code:
                return found
    return problem
