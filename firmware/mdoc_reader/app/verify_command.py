"""`mdoc-reader verify`: judge a response at a desk, with every finding. Its JSON and exit codes are a contract.

Exit codes: 0 valid, 1 invalid, 2 input that could not be read, 3 undetermined.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from cbor2 import CBORTag
from cryptography.hazmat.primitives.asymmetric import ec, x448, x25519
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mdoc_reader.app.inputs import InputError, decode_text_forms, read_input
from mdoc_reader.app.verify_report import report
from mdoc_reader.mdoc import cbor, keys, request, response, transcript
from mdoc_reader.mdoc.keys import AgreementPrivateKey
from mdoc_reader.model.reasons import Malformed
from mdoc_reader.model.verdict import DocumentVerdict, Finding, ResponseVerdict, Validity
from mdoc_reader.trust import anchors, store
from mdoc_reader.trust.generation import StoreError
from mdoc_reader.verification.certificate import SignerCache
from mdoc_reader.verification.document import Evidence
from mdoc_reader.verification.verify import requested_elements, verify_response

EXIT_CODES = {Validity.VALID: 0, Validity.INVALID: 1, Validity.UNDETERMINED: 3}
UNREADABLE = 2
_LIMITS = cbor.Limits(max_bytes=16 * 1024 * 1024)
_MAX_KEY_BYTES = 64 * 1024
_Read = TypeVar("_Read")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("verify", help="judge a DeviceResponse", description=__doc__)
    parser.add_argument("response", metavar="RESPONSE", help="DeviceResponse: raw CBOR, hex or base64url; - for stdin")
    parser.add_argument("--transcript", required=True, metavar="T", help="SessionTranscript, bare or in tag 24")
    parser.add_argument("--reader-key", metavar="K", help="the reader's ephemeral private key: PEM, JWK or COSE_Key")
    parser.add_argument(
        "--anchors",
        action="append",
        metavar="PATH",
        help="a trusted certificate, a folder of them, or a store (see trust)",
    )
    parser.add_argument("--at", metavar="TIME", help="judge as of this moment (RFC 3339); default: now")
    parser.add_argument("--request", metavar="REQ", help="the DeviceRequest that was sent")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(function=verify_main)


def verify_main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    try:
        verdict, skipped = _judge(arguments)
    except InputError as error:
        print(error, file=sys.stderr)
        return UNREADABLE
    for item in skipped:
        print(f"anchor {item.source} skipped: {item.code} ({item.code.operator})", file=sys.stderr)
    if arguments.json:
        print(json.dumps(verdict_as_json(verdict), indent=1, ensure_ascii=False))
    else:
        print(report(verdict, colour=sys.stdout.isatty()))
    return EXIT_CODES[verdict.validity]


def _judge(arguments: argparse.Namespace) -> tuple[ResponseVerdict, Sequence[anchors.Skipped]]:
    at = _moment(arguments.at)
    answer = _read(arguments.response, "response", lambda data: response.parse(data, _LIMITS))
    spoken = _read(arguments.transcript, "transcript", transcript.unwrap)
    asked = None
    if arguments.request is not None:
        asked = requested_elements(_read(arguments.request, "request", request.parse_device_request))
    reader_key = None if arguments.reader_key is None else _reader_key(arguments.reader_key)
    signers, skipped = None, tuple[anchors.Skipped, ...]()
    if arguments.anchors is not None:
        try:
            trusted, skipped = store.load_all([Path(path) for path in arguments.anchors])
        except OSError as error:
            raise InputError(f"anchors: {error.filename}: {error.strerror}") from None
        except StoreError as error:
            raise InputError(f"anchors: {error}") from None
        signers = SignerCache(trusted)
    return verify_response(answer, Evidence(spoken, at, signers, reader_key, asked)), skipped


def _read(argument: str, what: str, parse: Callable[[bytes], _Read]) -> _Read:
    try:
        return parse(decode_text_forms(read_input(argument)))
    except InputError as error:
        raise InputError(f"{what}: {error}") from None
    except Malformed as problem:
        raise InputError(f"{what}: {argument[:200]}: {problem}") from None


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"--at: {text[:64]!r} is no RFC 3339 time such as 2026-01-31T12:00:00Z") from None
    if moment.tzinfo is None:
        raise InputError(f"--at: {text[:64]!r} names no time zone; add Z for UTC")
    return moment.astimezone(UTC)


def _reader_key(argument: str) -> AgreementPrivateKey:
    data = read_input(argument)
    if len(data) > _MAX_KEY_BYTES:
        raise InputError(f"reader key: {argument[:200]}: too large for a key")
    try:
        if b"-----BEGIN" in data:
            return _agreement(load_pem_private_key(data, None))
        stripped = data.strip()
        if stripped.startswith(b"{"):
            return _from_parameters(_jwk(stripped))
        return _from_parameters(_cose_key(decode_text_forms(data)))
    except InputError:
        raise
    except (Malformed, ValueError, TypeError, KeyError, binascii.Error) as error:
        # The text of a key error could hold a part of the key: only its kind is told.
        raise InputError(f"reader key: {argument[:200]}: not a usable private key ({type(error).__name__})") from None


def _agreement(key: object) -> AgreementPrivateKey:
    if isinstance(key, (ec.EllipticCurvePrivateKey, x25519.X25519PrivateKey, x448.X448PrivateKey)):
        keys.curve_of(key)
        return key
    raise InputError("reader key: this kind of key has no key agreement")


def _jwk(data: bytes) -> tuple[keys.Curve, bytes]:
    jwk = json.loads(data)
    names = {"BP-256": "brainpoolP256r1", "BP-384": "brainpoolP384r1", "BP-512": "brainpoolP512r1"}
    curve = keys.CURVES_BY_NAME[names.get(jwk["crv"], jwk["crv"])]
    secret = str(jwk["d"])
    return curve, base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))


def _cose_key(data: bytes) -> tuple[keys.Curve, bytes]:
    given = cbor.as_map(cbor.decode(data), "COSE_Key")
    curve = keys.CURVES[cbor.as_int(cbor.need(given, -1, "COSE_Key"), "COSE_Key.crv")]
    return curve, cbor.as_bytes(cbor.need(given, -4, "COSE_Key"), "COSE_Key.d")


def _from_parameters(parameters: tuple[keys.Curve, bytes]) -> AgreementPrivateKey:
    curve, secret = parameters
    if curve.number == 4:
        return x25519.X25519PrivateKey.from_private_bytes(secret)
    if curve.number == 5:
        return x448.X448PrivateKey.from_private_bytes(secret)
    if curve.ec is None:
        raise InputError(f"reader key: no key agreement on {curve.name}")
    return ec.derive_private_key(int.from_bytes(secret, "big"), curve.ec)


def verdict_as_json(verdict: ResponseVerdict) -> dict[str, object]:
    """Return the contract's object."""
    return {
        "verdict": verdict.validity.value,
        "documents": [_document(document) for document in verdict.documents],
        "findings": [_finding(finding) for finding in verdict.findings],
    }


def _document(document: DocumentVerdict) -> dict[str, object]:
    return {
        "doctype": document.doctype,
        "verdict": document.validity.value,
        "checks": {check.value: state.value for check, state in document.checks.items()},
        "findings": [_finding(finding) for finding in document.findings],
        "elements": plain(document.elements),
    }


def _finding(finding: Finding) -> dict[str, str]:
    message = f"{finding.message} [{finding.where}]" if finding.where else finding.message
    return {"code": str(finding.code), "severity": finding.severity.value, "message": message}


def plain(value: object) -> object:
    """Return a decoded CBOR value as JSON has it: bytes as base64url without padding, dates as text."""
    if isinstance(value, bytes):
        return base64.urlsafe_b64encode(value).decode().rstrip("=")
    if isinstance(value, Mapping):
        return {_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, CBORTag):
        return plain(value.value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def _key(key: object) -> str:
    simple = plain(key)
    return simple if isinstance(simple, str) else json.dumps(simple, ensure_ascii=False)
