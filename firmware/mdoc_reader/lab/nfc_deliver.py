"""The emulated chip's own block protocol: what InDataExchange does with a target of ISO/IEC 14443-4 (reader's side)."""

from __future__ import annotations

from mdoc_reader.lab.nfc_air import Kind
from mdoc_reader.lab.nfc_blocks import LONGEST_FWT_S
from mdoc_reader.lab.nfc_find import Target
from mdoc_reader.lab.nfc_radio import LONGEST_ANSWER, Radio, Status

_CHAINED = 0x10
_MOST_BLOCKS = 10_000


class Delivery:
    """The chip's state with one target between commands: what the host has still to fetch."""

    def __init__(self) -> None:
        """Start with nothing to fetch."""
        self._rest = b""
        self._fetching = False

    def exchange(self, radio: Radio, target: Target, data: bytes, *, more: bool, retries: int) -> tuple[int, bytes]:
        """Carry a command, or a part of it when `more` follows; return the status byte and what fits of the answer.

        Bit 6 of the status says that more of the answer is to be fetched, with an empty command.
        """
        if self._fetching and not data:
            return self._give(self._rest)
        self._fetching, self._rest = False, b""
        room = target.fsc - 3 - (1 if target.cid is not None else 0)
        parts = [data[place : place + room] for place in range(0, len(data), room)] or [b""]
        block = b""
        for index, part in enumerate(parts):
            last = index == len(parts) - 1 and not more
            sent = _with_cid(target, 0x02 | (0 if last else _CHAINED) | target.number) + part
            status, block = _answered(radio, target, sent, retries)
            if status is not Status.FINE:
                return status, b""
            target.number ^= 1
            if not last and block[0] & 0xE0 != 0xA0:
                return Status.PROTOCOL, b""
        if more:
            return Status.FINE, b""
        found = b""
        for _ in range(_MOST_BLOCKS):
            if block[0] & 0xE2 != 0x02:
                return Status.PROTOCOL, b""
            found += block[1 if target.cid is None else 2 :]
            if not block[0] & _CHAINED:
                return self._give(found)
            status, block = _answered(radio, target, _with_cid(target, 0xA2 | target.number), retries)
            if status is not Status.FINE:
                return status, b""
            target.number ^= 1
        return Status.PROTOCOL, b""

    def _give(self, found: bytes) -> tuple[int, bytes]:
        part, self._rest = found[:LONGEST_ANSWER], found[LONGEST_ANSWER:]
        self._fetching = bool(self._rest)
        return (0x40 if self._fetching else Status.FINE), part


def _with_cid(target: Target, pcb: int) -> bytes:
    return bytes((pcb,)) if target.cid is None else bytes((pcb | 0x08, target.cid))


def _answered(radio: Radio, target: Target, block: bytes, retries: int) -> tuple[Status, bytes]:
    """Send a block until it is answered, giving the target the time it asks for."""
    waiting_s = target.fwt_s
    sent = block
    for _ in range(_MOST_BLOCKS):
        status, said = radio.ask(sent, waiting_s, kind=target.kind, rates=target.rates)
        waiting_s = target.fwt_s
        if status is not Status.FINE:
            if retries <= 0:
                return status, b""
            retries -= 1
            sent = _with_cid(target, 0xB2 | target.number) if block[0] & 0xE0 != 0xA0 else block
            continue
        pcb = said[0] & ~0x08
        if pcb == 0xF2:
            multiplier = said[-1] & 0x3F
            waiting_s = min(target.fwt_s * multiplier, LONGEST_FWT_S)
            sent = _with_cid(target, 0xF2) + bytes((multiplier,))
            continue
        if pcb & 0xF6 == 0xA2 and pcb & 1 != target.number and block[0] & 0xE0 != 0xA0:
            if retries <= 0:
                return Status.PROTOCOL, b""
            retries -= 1
            sent = block  # rule 6: it never came
            continue
        if pcb & 1 != target.number:
            return Status.PROTOCOL, b""
        return Status.FINE, said
    return Status.PROTOCOL, b""


def present(radio: Radio, target: Target) -> bool:
    """Ask a target whether it is there (Diagnose 06): a negative acknowledgement it has to answer."""
    status, _ = radio.ask(_with_cid(target, 0xB2 | target.number), target.fwt_s, kind=target.kind, rates=target.rates)
    return status is Status.FINE


def change_rates(radio: Radio, target: Target, to_card: int, from_card: int) -> Status:
    """Negotiate bit rates with PPS (InPSL); the codes are 0 for 106 kbit/s, 1 for 212, 2 for 424."""
    if target.kind is not Kind.A or not target.iso_dep:
        return Status.CONTEXT
    status, said = radio.ask(bytes((0xD0, 0x11, from_card << 2 | to_card)), target.fwt_s, rates=target.rates)
    if status is Status.FINE and said == b"\xd0":
        target.rates = (1 << to_card, 1 << from_card)
        radio.set_mode(Kind.A, crc=True, tx_rate=target.rates[0], rx_rate=target.rates[1])
        return Status.FINE
    return status or Status.PROTOCOL
