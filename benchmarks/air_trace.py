"""Counted traffic as a trace for `air_model`: from recorded L2CAP packets, and to and from a JSON file.

The file is one object, or a list of them, one a presentation:

    {"way": "phone-server",            phone-server, reader-server, phone-channel or reader-channel
     "request_bytes": 600,             the whole session messages
     "response_bytes": 30720,
     "mtu": 517,                       the ATT MTU agreed; 0 or absent where none was
     "phone_mtu": 517,                 the largest the phone takes; 517 where absent
     "sightings": 3,                   advertisements until CONNECT_IND; 2 where absent
     "advertising_ms": 100,            the advertiser's interval; 100 where absent
     "gated": true,                    the reader's host begins after the feature exchange; false where absent
     "pdus": [
       {"phase": "setup",              setup, request, response or end
        "from": "reader",              reader or phone
        "kind": "request",             request, response, stream, frame, credit or terminate: see air_model
        "octets": 3,                   inside the L2CAP header, so with ATT opcode and handle
        "name": "Exchange MTU Request",
        "grants": 0,                   credits given to the other side
        "by_phone": false,             what the phone chose to do
        "beside": false,               nothing of the rest waits for it: see air_model
        "times": 1}                    how often this very word comes in a row
     ]}

Only phase, from, kind and octets are needed. Signalling and ATT go into the same list, in the order they were on the
air; link layer procedures do not, but for the last terminate: the model makes them from its conditions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import msgspec

from air_model import Kind, Pdu, Phase, Side, Trace, Way

ATT, SIGNALLING = 4, 5
_MOST = 1_000_000
_LARGEST = 16_000_000
_MOST_FILE_BYTES = 50_000_000
_ATT_NAMES = {
    0x01: "Error Response",
    0x02: "Exchange MTU Request",
    0x03: "Exchange MTU Response",
    0x04: "Find Information Request",
    0x05: "Find Information Response",
    0x06: "Find By Type Value Request",
    0x07: "Find By Type Value Response",
    0x08: "Read By Type Request",
    0x09: "Read By Type Response",
    0x0A: "Read Request",
    0x0B: "Read Response",
    0x0C: "Read Blob Request",
    0x0D: "Read Blob Response",
    0x10: "Read By Group Type Request",
    0x11: "Read By Group Type Response",
    0x12: "Write Request",
    0x13: "Write Response",
    0x1B: "Handle Value Notification",
    0x1D: "Handle Value Indication",
    0x1E: "Handle Value Confirmation",
    0x52: "Write Command",
}
_INDICATION, _CONFIRMATION, _NOTIFICATION, _COMMAND = 0x1D, 0x1E, 0x1B, 0x40
# Signalling codes (Vol 3 Part A 4): name, kind, and where the credits stand that it grants.
_SIGNALS: dict[int, tuple[str, Kind, int | None]] = {
    0x01: ("Command Reject", Kind.RESPONSE, None),
    0x06: ("Disconnection Request", Kind.REQUEST, None),
    0x07: ("Disconnection Response", Kind.RESPONSE, None),
    0x12: ("Connection Parameter Update Request", Kind.REQUEST, None),
    0x13: ("Connection Parameter Update Response", Kind.RESPONSE, None),
    0x14: ("LE Credit Based Connection Request", Kind.REQUEST, 12),
    0x15: ("LE Credit Based Connection Response", Kind.RESPONSE, 10),
    0x16: ("Flow Control Credit", Kind.CREDIT, 6),
}
_PARAMETER_UPDATE = range(0x12, 0x14)


@dataclass(frozen=True, slots=True)
class Recorded:
    """One whole L2CAP packet as it was on the air: who sent it, its channel, what is inside its header."""

    sender: Side
    cid: int
    payload: bytes


def from_recorded(
    way: Way,
    packets: Iterable[Recorded],
    request_bytes: int,
    response_bytes: int,
    *,
    sightings: int = 2,
    advertising_us: int = 100_000,
    gated: bool = False,
    att_beside: bool = False,
) -> Trace:
    """Return the trace of one presentation that was recorded from connection to disconnection, without its end.

    Phases are told by the order: setup until the reader's first message, request until the phone answers with a
    message, end once as many octets have come as the response has. What the phone asks by ATT is its choice, and so
    are the answers, during setup or where the reader is the client; so are its wishes for connection parameters.
    `att_beside`: the session is on a channel the engagement named, and needs nothing of what is said by ATT.
    Raises ValueError for more packets than any presentation has.
    """
    pdus: list[Pdu] = []
    mtu: dict[Side, int] = {}
    phase, left = Phase.SETUP, response_bytes
    started = way in {Way.PHONE_CHANNEL, Way.READER_CHANNEL}  # over GATT by the central's first command, State=01
    for packet in packets:
        if len(pdus) >= _MOST:
            raise ValueError("more packets than a presentation has")
        kind, name, grants = _read(packet)
        data = kind in {Kind.STREAM, Kind.FRAME}
        if att_beside and packet.cid == ATT:
            by_phone = _chosen_by_phone(packet, kind, always=True)
            pdus.append(Pdu(phase, packet.sender, kind, len(packet.payload), name, 0, by_phone, beside=True))
            continue
        if phase is Phase.SETUP and data and started and packet.sender is Side.READER:
            phase = Phase.REQUEST
        elif phase is Phase.REQUEST and packet.sender is Side.PHONE and data:
            phase = Phase.RESPONSE
        elif phase is Phase.RESPONSE and left <= 0 and packet.sender is Side.READER and kind is not Kind.CREDIT:
            phase = Phase.END
        if phase is Phase.SETUP and kind is Kind.STREAM and packet.sender is way.central:
            started = True
        if phase is Phase.RESPONSE and packet.sender is Side.PHONE:
            left -= _carried(packet, kind)
        if packet.cid == ATT and packet.payload[0] in {0x02, 0x03} and len(packet.payload) == 3:
            mtu[packet.sender] = int.from_bytes(packet.payload[1:], "little")
        by_phone = _chosen_by_phone(packet, kind, always=phase is Phase.SETUP or way.central is Side.READER)
        pdus.append(Pdu(phase, packet.sender, kind, len(packet.payload), name, grants, by_phone))
    pdus.append(Pdu(Phase.END, way.central, Kind.TERMINATE, 2, "LL_TERMINATE_IND"))
    agreed = max(23, min(mtu.values())) if len(mtu) == 2 else 0
    return Trace(
        way,
        tuple(pdus),
        request_bytes,
        response_bytes,
        mtu=agreed,
        sightings=sightings,
        advertising_us=advertising_us,
        gated=gated,
        phone_mtu=mtu.get(Side.PHONE, 517),
    )


def _read(packet: Recorded) -> tuple[Kind, str, int]:
    """Return kind, name and credits granted. Raises ValueError for an empty packet."""
    if not packet.payload:
        raise ValueError("an L2CAP packet with nothing inside")
    code = packet.payload[0]
    if packet.cid == ATT:
        name = _ATT_NAMES.get(code, f"ATT 0x{code:02X}")
        if code == _NOTIFICATION or code & _COMMAND:
            return Kind.STREAM, name, 0
        answers = code == _CONFIRMATION or (code % 2 == 1 and code != _INDICATION)
        return Kind.RESPONSE if answers else Kind.REQUEST, name, 0
    if packet.cid == SIGNALLING:
        name, kind, at = _SIGNALS.get(code, (f"signal 0x{code:02X}", Kind.REQUEST, None))
        return kind, name, 0 if at is None else int.from_bytes(packet.payload[at : at + 2], "little")
    return Kind.FRAME, "K-frame", 0


def _carried(packet: Recorded, kind: Kind) -> int:
    """Return how many octets of the message a packet carries at most; lengths of SDUs are counted as octets."""
    write_request = packet.cid == ATT and packet.payload[0] == 0x12
    if kind is Kind.STREAM or write_request:
        return len(packet.payload) - 4
    return len(packet.payload) if kind is Kind.FRAME else 0


def _chosen_by_phone(packet: Recorded, kind: Kind, *, always: bool) -> bool:
    asked = (packet.sender is Side.PHONE) is (kind is Kind.REQUEST) and kind in {Kind.REQUEST, Kind.RESPONSE}
    if packet.cid == SIGNALLING:
        return asked and packet.payload[0] in _PARAMETER_UPDATE
    return asked and packet.cid == ATT and always


class _Word(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    phase: Phase
    from_: Side = msgspec.field(name="from")
    kind: Kind
    octets: int
    name: str = ""
    grants: int = 0
    by_phone: bool = False
    beside: bool = False
    times: int = 1


class _File(msgspec.Struct, forbid_unknown_fields=True):
    way: Way
    request_bytes: int
    response_bytes: int
    pdus: list[_Word]
    mtu: int = 0
    sightings: int = 2
    advertising_ms: float = 100
    gated: bool = False
    phone_mtu: int = 517


def load(path: Path) -> list[Trace]:
    """Return the traces of a file. Raises ValueError, with the place in the file, for what is none."""
    if path.stat().st_size > _MOST_FILE_BYTES:
        raise ValueError("the file is too large for a trace")
    raw = path.read_bytes()
    try:
        files = msgspec.json.decode(raw, type=list[_File] | _File)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path.name}: {error}") from None
    return [_trace(each) for each in (files if isinstance(files, list) else [files])]


def _trace(read: _File) -> Trace:
    if not 1 <= read.sightings <= 1000 or not 20 <= read.advertising_ms <= 10_485.76:
        raise ValueError("advertising is every 20 ms to 10.24 s, and seen 1 to 1000 times")
    if any(word.times < 1 for word in read.pdus) or not 0 < sum(word.times for word in read.pdus) <= _MOST:
        raise ValueError(f"a trace has 1 to {_MOST} words")
    pdus = tuple(
        Pdu(word.phase, word.from_, word.kind, word.octets, word.name, word.grants, word.by_phone, word.beside)
        for word in read.pdus
        for _ in range(word.times)
    )
    if not 23 <= read.phone_mtu <= 0xFFFF or not 0 <= read.mtu <= 0xFFFF:
        raise ValueError("an ATT MTU is 23 to 65535")
    if (
        not 0
        <= min(read.request_bytes, read.response_bytes)
        <= max(read.request_bytes, read.response_bytes)
        <= _LARGEST
    ):
        raise ValueError(f"a message has up to {_LARGEST} bytes")
    return Trace(
        way=read.way,
        pdus=pdus,
        request_bytes=read.request_bytes,
        response_bytes=read.response_bytes,
        mtu=read.mtu,
        sightings=read.sightings,
        advertising_us=round(read.advertising_ms * 1000),
        gated=read.gated,
        phone_mtu=read.phone_mtu,
    )


def dump(traces: Iterable[Trace]) -> str:
    """Return traces as the text of a file, one word a line."""
    return "[" + ",\n".join(_text(trace) for trace in traces) + "]\n"


def _text(trace: Trace) -> str:
    head = {
        "way": trace.way,
        "request_bytes": trace.request_bytes,
        "response_bytes": trace.response_bytes,
        "mtu": trace.mtu,
        "sightings": trace.sightings,
        "advertising_ms": trace.advertising_us / 1000,
        "gated": trace.gated,
        "phone_mtu": trace.phone_mtu,
    }
    words = ",\n  ".join(_words(trace.pdus))
    return json.dumps(head)[:-1] + f', "pdus": [\n  {words}\n]}}'


def _words(pdus: Iterable[Pdu]) -> Iterator[str]:
    for pdu, same in groupby(pdus):
        word = _Word(
            pdu.phase,
            pdu.sender,
            pdu.kind,
            pdu.octets,
            pdu.name,
            pdu.grants,
            pdu.by_phone,
            pdu.beside,
            sum(1 for _ in same),
        )
        yield msgspec.json.encode(word).decode()
