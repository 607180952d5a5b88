"""Every parser that takes bytes from outside, with seeds: the one table behind all hostile-input tests."""

from __future__ import annotations

import base64
import functools
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import card_targets
import isodep_targets
import revocation_targets
import rule_targets
import trust_targets

from mdoc_reader.mdoc import cbor, cose, engagement, handover, keys, mso, ndef, request, response, session, transcript
from mdoc_reader.model.reasons import Malformed
from mdoc_reader.transport.chunks import Reassembler
from mdoc_reader.transport.frames import Deframer
from mdoc_reader.transport.ports import LinkError
from mdoc_reader.trust import anchors
from mdoc_reader.verification.certificate import SignerCache
from mdoc_reader.verification.document import Evidence
from mdoc_reader.verification.verify import verify_response

HERE = Path(__file__).resolve().parent
ALLOWED = (Malformed, LinkError, *card_targets.REFUSALS)
"""Whatever else comes out of a parser is a defect."""
LONGEST = 8192
"""The longest seed, and the longest input of a coverage-guided run, in bytes."""


@functools.cache
def vectors() -> dict[str, bytes]:
    """Return the project's own P-256 vector, its hexadecimal fields as bytes."""
    told = json.loads((HERE.parent / "vectors" / "p256.json").read_text())
    found: dict[str, bytes] = {}

    def collect(value: object, name: str) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                collect(item, f"{name}.{key}" if name else key)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                collect(item, f"{name}[{index}]")
        elif isinstance(value, str):
            try:
                found[name] = bytes.fromhex(value)
            except ValueError:
                found[name] = value.encode()

    collect(told, "")
    return found


@functools.cache
def _of_kind(kind: str) -> tuple[bytes, ...]:
    """Return every vector that is a valid example for a parser: those it accepts."""
    parse = PARSERS[kind]
    accepted = []
    for data in (*vectors().values(), *_annex_d(), *_made()):
        if len(data) > LONGEST:
            continue
        try:
            parse(data)
        except ALLOWED:
            continue
        accepted.append(data)
    return tuple(accepted[:12]) or (b"\xa0",)


def _annex_d() -> list[bytes]:
    folder = Path(os.environ.get("MDOC_VECTORS", HERE.parents[2] / "shared" / "vectors")) / "iso18013-5-annexD"
    return [bytes.fromhex(file.read_text()) for file in sorted(folder.glob("*.hex"))] if folder.is_dir() else []


def _made() -> list[bytes]:
    answer = next(data for name, data in vectors().items() if "device_response" in name)
    document = response.parse(answer).documents[0]
    proof = document.issuer_auth
    payload = proof.payload or b""
    security = cbor.as_embedded(cbor.decode(payload), "MSO")
    return [
        payload,
        security,
        cbor.encode([proof.protected_bytes, {33: cose.certificate_chain(proof, "")[0][0]}, payload, proof.proof]),
        keys.encode_cose_key(mso.parse(payload).device_key()[1]),
        cose.certificate_chain(proof, "")[0][0],
        b"\x01" + answer[:200],
        b"\x06\0\0\0\3abc\x03\0\0\0\2\x01ok",  # a piece's size less one, then the piece: two framed messages
        engagement.from_qr(vectors()["qr"].decode()).raw,
        _handover(),
        bytes.fromhex("d1010a55036170706c653a2f2f78"),
        *card_targets.examples(_handover()),
        *trust_targets.examples(),
        *revocation_targets.examples(),
        *rule_targets.examples(),
        *isodep_targets.examples(),
    ]


def _handover() -> bytes:
    """Return a Handover Select message: version 1.5, one Bluetooth carrier, and the device engagement."""

    def record(flags: int, kind: bytes, identifier: bytes, payload: bytes) -> bytes:
        sizes = bytes((len(kind),)) + len(payload).to_bytes(4, "big") + bytes((len(identifier),))
        return bytes((flags | 0x08,)) + sizes + kind + identifier + payload

    carrier = bytes.fromhex("d102046163") + b"\x01\x010\x00"
    out_of_band = bytes.fromhex("021c00") + b"\x11\x07" + bytes(range(16))
    raw = engagement.from_qr(vectors()["qr"].decode()).raw
    return (
        record(0x81, b"Hs", b"", b"\x15" + carrier)
        + record(0x02, b"application/vnd.bluetooth.le.oob", b"0", out_of_band)
        + record(0x44, b"iso.org:18013:deviceengagement", b"mdoc", raw)
    )


def _cose(data: bytes) -> None:
    parsed = cose.parse(cbor.decode(data), "COSE_Sign1", "proof")
    cose.certificate_chain(parsed, "x5chain")


def _walk(data: bytes) -> None:
    cbor.scan(data)
    for content in (data[:40], data):
        cbor.Slices(cbor.embed(content) + data).of(content)


def _qr(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    engagement.from_qr(text if text[:5].lower() == "mdoc:" else "mdoc:" + base64.urlsafe_b64encode(data).decode())


def _chunks(data: bytes) -> None:
    parts = Reassembler(4096)
    position = 0
    while position < len(data):
        size = 1 + data[position] % 64
        parts.feed(data[position + 1 : position + 1 + size])
        position += 1 + size


def _frames(data: bytes) -> None:
    parts = Deframer(4096)
    position = 0
    while position < len(data):
        size = 1 + data[position] % 64
        list(parts.feed(data[position + 1 : position + 1 + size]))
        position += 1 + size


@functools.cache
def _evidence() -> Evidence:
    trusted, _ = anchors.build([("anchor", data) for data in vectors().values() if data[:1] == b"\x30"])
    bare = next(data for name, data in vectors().items() if "transcript" in name)
    return Evidence(transcript.unwrap(bare), datetime(2026, 11, 1, tzinfo=UTC), SignerCache(trusted), None, None, (18,))


def _verdict(data: bytes) -> None:
    verify_response(response.parse(data), _evidence())


def _anchors(data: bytes) -> None:
    anchors.build([("fuzz", der) for der in anchors.certificates_in(data)])


PARSERS: dict[str, Callable[[bytes], object]] = {
    "cbor": cbor.decode,
    "walk": _walk,
    "cose_key": lambda data: keys.parse_cose_key(cbor.decode(data)),
    "cose": _cose,
    "engagement": engagement.parse,
    "qr": _qr,
    "establishment": session.parse_session_establishment,
    "session_data": session.parse_session_data,
    "request": request.parse_device_request,
    "response": response.parse,
    "mso": mso.parse_content,
    "transcript": transcript.unwrap,
    "ndef": ndef.parse,
    "handover": handover.parse,
    "chunks": _chunks,
    "frames": _frames,
    "anchors": _anchors,
    "verdict": _verdict,
    **card_targets.PARSERS,
    **trust_targets.PARSERS,
    **revocation_targets.PARSERS,
    **rule_targets.PARSERS,
    **isodep_targets.PARSERS,
}


@dataclass(frozen=True)
class Target:
    """A parser with its seeds: valid examples, which are made when first asked for."""

    name: str
    parse: Callable[[bytes], object]
    make_seeds: Callable[[], tuple[bytes, ...]]

    @property
    def seeds(self) -> tuple[bytes, ...]:
        """Valid examples, or the smallest map where there is none."""
        return self.make_seeds()

    def __call__(self, data: bytes) -> bool:
        """Parse; True when accepted, False when refused by one of our own errors."""
        try:
            self.parse(data)
        except ALLOWED:
            return False
        return True


TARGETS = {name: Target(name, parse, functools.partial(_of_kind, name)) for name, parse in PARSERS.items()}
