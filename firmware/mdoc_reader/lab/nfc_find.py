"""How the emulated chip finds targets: InListPassiveTarget for types A, B and F (UM0701-02 clause 7.3.5).

With two targets asked for, the first is put aside while the chip looks for the second: halted, or left in its
protocol, where it does not answer requests. A first one alone is selected again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mdoc_reader.lab.nfc_air import FRAME_SIZES, Kind, RfFrame, from_bits, to_bits, with_crc
from mdoc_reader.lab.nfc_blocks import FWT_UNIT_S, frame_waiting_time
from mdoc_reader.lab.nfc_card import read_ats
from mdoc_reader.lab.nfc_radio import Radio, Status
from mdoc_reader.lab.nfc_type_a import REQA, WUPA

_REQUEST_S = 0.001
_ACTIVATION_S = 65536 / 13.56e6
_ISO_DEP = 0x20
_CASCADE = 0x04
_FSDI_64 = 5
_SELECT_LEVELS = (0x93, 0x95, 0x97)


@dataclass(slots=True)
class Target:
    """A target the chip has found.

    Args:
        kind: its technology.
        listed: what InListPassiveTarget says of it, without its number.
        uid: of type A.
        iso_dep: whether the chip has begun the block protocol with it.
        number: the chip's block number with it.
        fsc: bytes of the largest frame it takes, with CRC; the chip itself sends no more than 64.
        fwt_s: its frame waiting time in seconds.
        cid: what was given to a type B target; None for none.
        aside: whether it is halted or deselected at present.
        rates: bit rates to and from it, as multiples of 106 kbit/s.
    """

    kind: Kind
    listed: bytes = field(repr=False)
    uid: bytes = field(default=b"", repr=False)
    iso_dep: bool = False
    number: int = 0
    fsc: int = 32
    fwt_s: float = FWT_UNIT_S * 16
    cid: int | None = None
    aside: bool = False
    rates: tuple[int, int] = (1, 1)


@dataclass(frozen=True, slots=True)
class _Selected:
    atqa: bytes
    sak: int
    uid: bytes


def select_a(radio: Radio, request: int, uid: bytes = b"") -> _Selected | None:
    """Request, anticollision and selection of one type A target; of the one with this identifier when given."""
    radio.set_mode(Kind.A, crc=False, last_bits=7)
    answer = radio.exchange(RfFrame(bytes((request,)), last_bits=7), _REQUEST_S, kind=Kind.A, rate=1)
    if answer is None:
        return None
    atqa = answer.data[:2]
    wanted = _cascade(uid) if uid else []
    found = b""
    for level, code in enumerate(_SELECT_LEVELS):
        known = to_bits(wanted[level]) if level < len(wanted) else _anticollision(radio, code)
        part = from_bits(known) if known is not None else b""
        if len(part) != 5 or part[0] ^ part[1] ^ part[2] ^ part[3] ^ part[4]:
            return None
        status, sak = radio.ask(bytes((code, 0x70)) + part, _REQUEST_S)
        if status is not Status.FINE or len(sak) != 1:
            return None
        if not sak[0] & _CASCADE:
            radio.set_mode(Kind.A, crc=True)
            return _Selected(atqa, sak[0], found + part[:4])
        found += part[1:4]
    return None


def _cascade(uid: bytes) -> list[bytes]:
    """Cut an identifier as the host gives it, with or without cascade tags, into levels with their check bytes."""
    if len(uid) in {8, 12}:
        parts = [uid[place : place + 4] for place in range(0, len(uid), 4)]
    else:
        parts = []
        while len(uid) > 4:
            parts.append(b"\x88" + uid[:3])
            uid = uid[3:]
        parts.append(uid)
    return [part + bytes((part[0] ^ part[1] ^ part[2] ^ part[3],)) for part in parts if len(part) == 4]


def _anticollision(radio: Radio, code: int) -> list[int] | None:
    """Find the 40 bits of one card at a cascade level. Where cards disagree, the chip follows the one bits."""
    known: list[int] = []
    for _ in range(33):
        whole, odd = divmod(len(known), 8)
        data = bytes((code, (2 + whole) << 4 | odd)) + from_bits(known)
        answer = radio.exchange(RfFrame(data, last_bits=odd or 8), _REQUEST_S, kind=Kind.A, rate=1)
        if answer is None:
            return None
        bits = to_bits(answer.data)[: answer.bits]
        if answer.collision is None:
            known += bits
            return known if len(known) == 40 else None
        known += [*bits[: answer.collision], 1]
    return None


def begin_iso_dep(radio: Radio, target: Target) -> bytes | None:
    """Ask a selected type A target for its answer to select, as the firmware does; None when it gives none."""
    status, ats = radio.ask(bytes((0xE0, _FSDI_64 << 4)), _ACTIVATION_S)
    if status is not Status.FINE or not ats:
        return None
    means = read_ats(ats)
    target.iso_dep, target.number, target.rates, target.aside = True, 0, (1, 1), False
    target.fsc = min(FRAME_SIZES[means.fsci], 64)
    target.fwt_s = frame_waiting_time(means.fwi)
    return ats


def find_a(radio: Radio, uid: bytes, *, rats: bool) -> Target | None:
    """Look once for a type A target."""
    chosen = select_a(radio, WUPA if uid else REQA, uid)
    if chosen is None:
        return None
    listed = chosen.atqa[::-1] + bytes((chosen.sak, len(chosen.uid))) + chosen.uid
    target = Target(Kind.A, listed, chosen.uid)
    if rats and chosen.sak & _ISO_DEP:
        ats = begin_iso_dep(radio, target)
        if ats is None:
            return None
        target.listed += ats
    return target


def put_aside(radio: Radio, target: Target) -> Status:
    """Deselect or halt a target; it stays known."""
    if target.aside:
        return Status.FINE
    status = Status.FINE
    if target.iso_dep:
        block = b"\xc2" if target.cid is None else bytes((0xCA, target.cid))
        status, _ = radio.ask(block, max(target.fwt_s, _ACTIVATION_S), kind=target.kind, rates=target.rates)
    elif target.kind is Kind.A:
        radio.ask(b"\x50\x00", _REQUEST_S)
    target.aside = True
    return status


def take_up(radio: Radio, target: Target) -> Status:
    """Select a target again that was put aside."""
    if not target.aside:
        return Status.FINE
    if target.kind is not Kind.A:
        return Status.CONTEXT
    if select_a(radio, WUPA, target.uid) is None:
        return Status.TIMEOUT
    target.aside = False
    if target.iso_dep and begin_iso_dep(radio, target) is None:
        return Status.TIMEOUT
    return Status.FINE


def find_f(radio: Radio, request: bytes, rate: int) -> Target | None:
    """Look once for a FeliCa target at 212 or 424 kbit/s; `request` is the polling command without its length."""
    radio.set_mode(Kind.F, crc=True, tx_rate=rate, rx_rate=rate)
    body = bytes((len(request) + 1,)) + request
    answer = radio.exchange(RfFrame(with_crc(Kind.F, body), Kind.F, rate), 0.005, kind=Kind.F, rate=rate)
    status, data = radio.received(answer, crc=True)
    if status is not Status.FINE or len(data) < 18:
        return None
    return Target(Kind.F, data, rates=(rate, rate))


def find_b(radio: Radio, afi: int) -> Target | None:
    """Look once for a type B target, and open it with ATTRIB."""
    radio.set_mode(Kind.B, crc=True)
    status, atqb = radio.ask(bytes((0x05, afi, 0x00)), 0.005, kind=Kind.B)
    if status is not Status.FINE or len(atqb) < 12 or atqb[0] != 0x50:
        return None
    attrib = b"\x1d" + atqb[1:5] + bytes((0x00, _FSDI_64, 0x01, 0x01))
    status, opened = radio.ask(attrib, _ACTIVATION_S, kind=Kind.B)
    if status is not Status.FINE:
        return None
    target = Target(Kind.B, atqb[:12] + bytes((len(opened),)) + opened, iso_dep=bool(atqb[10] & 1))
    target.fsc = min(FRAME_SIZES[min(atqb[10] >> 4, 12)], 64)
    target.fwt_s = frame_waiting_time(atqb[11] >> 4)
    target.cid = 1 if atqb[11] & 1 else None
    return target
