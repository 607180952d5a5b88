"""The commands of the emulated chip (UM0701-02 clause 7), from parameters to response."""

from __future__ import annotations

from collections.abc import Callable

from mdoc_reader.lab.nfc_air import Kind
from mdoc_reader.lab.nfc_deliver import Delivery, change_rates, present
from mdoc_reader.lab.nfc_find import Target, find_a, find_b, find_f, put_aside, take_up
from mdoc_reader.lab.nfc_radio import Radio, Status, timer
from mdoc_reader.lab.nfc_uart import BAUD_RATES

FIRMWARE = bytes.fromhex("32010607")
"""What GetFirmwareVersion says: a PN532, firmware 1.6, for types A, B and 18092."""

DATA_EXCHANGE = 0x40
COMMUNICATE_THRU = 0x42
LIST_PASSIVE_TARGET = 0x4A
SET_SERIAL_BAUD_RATE = 0x10

_AUTOMATIC_RATS = 0x10
_BARE_FRAMES = 0x40
_FOR_EVER = 0xFF
_ITEM_LENGTHS = {0x01: 1, 0x02: 3, 0x04: 1, 0x05: 3, 0x0A: 11, 0x0B: 8, 0x0C: 3, 0x0D: 9}
_CARD_TYPES = {Kind.A: 0x10, Kind.B: 0x03, Kind.F: 0x00}
_BETWEEN_TRIES_S = 0.002


class WrongCommand(Exception):  # noqa: N818 -- the host's mistake, answered with the error frame
    """A command the chip does not know, or one with parameters of another length."""


class Commands:
    """What the firmware knows between two commands. A reset makes a new one."""

    def __init__(self, radio: Radio, *, firmware: bytes = FIRMWARE) -> None:
        """Start with the values of a reset."""
        self._radio = radio
        self._firmware = firmware
        self._parameters = _AUTOMATIC_RATS | 0x04
        self._timer = 0x0A
        self._retries = 0
        self._tries = _FOR_EVER
        self._last_error = 0
        self._targets: dict[int, Target] = {}
        self._deliveries: dict[int, Delivery] = {}
        self.next_baud: int | None = None
        """The bit rate the host has asked for and not yet confirmed."""
        self.powered_down = False
        self._table: dict[int, Callable[[bytes], bytes]] = {
            0x00: self._diagnose,
            0x02: lambda _: self._firmware,
            0x04: self._general_status,
            0x06: self._read_register,
            0x08: self._write_register,
            0x0C: lambda _: b"\x3f\x00\x00",
            0x0E: lambda _: b"",
            SET_SERIAL_BAUD_RATE: self._set_baud_rate,
            0x12: self._set_parameters,
            0x14: self._sam_configuration,
            0x16: self._power_down,
            0x32: self._rf_configuration,
            DATA_EXCHANGE: self._data_exchange,
            COMMUNICATE_THRU: self._communicate_thru,
            0x44: self._deselect,
            0x46: self._nobody_for_dep,
            LIST_PASSIVE_TARGET: self._list_passive_target,
            0x4E: self._psl,
            0x50: self._nobody_for_dep,
            0x52: self._release,
            0x54: self._select,
            0x56: self._nobody_for_dep,
        }

    @property
    def bare_frames(self) -> bool:
        """Whether the host wants no preamble and no postamble."""
        return bool(self._parameters & _BARE_FRAMES)

    def run(self, code: int, parameters: bytes) -> bytes:
        """Carry a command out and return the parameters of its response. Raises WrongCommand, and what waits raise."""
        command = self._table.get(code)
        if command is None:
            raise WrongCommand
        found = command(parameters)
        if code in {DATA_EXCHANGE, COMMUNICATE_THRU}:
            self._last_error = found[0] & 0x3F
        return found

    def _diagnose(self, p: bytes) -> bytes:
        if not p:
            raise WrongCommand
        if p[0] == 0x00:
            return p
        if p[0] == 0x06:
            target = self._targets.get(1)
            if target is None or not target.iso_dep:
                return bytes((Status.CONTEXT,))
            return b"\x00" if present(self._radio, target) else b"\x01"
        if p[0] in {0x01, 0x02, 0x07}:
            return b"\x00"
        raise WrongCommand

    def _general_status(self, _: bytes) -> bytes:
        found = bytes((self._last_error, int(self._radio.field.on), len(self._targets)))
        for number, target in self._targets.items():
            to_card, from_card = (rate.bit_length() - 1 for rate in target.rates)
            found += bytes((number, from_card, to_card, _CARD_TYPES[target.kind]))
        return found + b"\x80"

    def _read_register(self, p: bytes) -> bytes:
        _whole(p, 2)
        return bytes(self._radio.read(int.from_bytes(p[place : place + 2], "big")) for place in range(0, len(p), 2))

    def _write_register(self, p: bytes) -> bytes:
        _whole(p, 3)
        for place in range(0, len(p), 3):
            self._radio.write(int.from_bytes(p[place : place + 2], "big"), p[place + 2])
        return b""

    def _set_baud_rate(self, p: bytes) -> bytes:
        if len(p) != 1 or p[0] >= len(BAUD_RATES):
            raise WrongCommand
        self.next_baud = BAUD_RATES[p[0]]
        return b""

    def _set_parameters(self, p: bytes) -> bytes:
        _exactly(p, 1)
        self._parameters = p[0]
        return b""

    def _sam_configuration(self, p: bytes) -> bytes:
        if not 1 <= len(p) <= 3 or p[0] not in {1, 2, 3, 4}:
            raise WrongCommand
        return b""

    def _power_down(self, p: bytes) -> bytes:
        if not 1 <= len(p) <= 2:
            raise WrongCommand
        self.powered_down = True
        return b"\x00"

    def _rf_configuration(self, p: bytes) -> bytes:
        if not p or _ITEM_LENGTHS.get(p[0]) != len(p) - 1:
            raise WrongCommand
        if p[0] == 0x01:
            self._radio.switch(on=bool(p[1] & 1))
            if not p[1] & 1:
                self._forget()
        elif p[0] == 0x02:
            self._timer = p[3]
        elif p[0] == 0x04:
            self._retries = p[1]
        elif p[0] == 0x05:
            self._tries = p[3]
        return b""

    def _forget(self) -> None:
        self._targets.clear()
        self._deliveries.clear()

    def _communicate_thru(self, p: bytes) -> bytes:
        if not p:
            raise WrongCommand
        status, data = self._radio.through(p, timer(self._timer))
        return bytes((status,)) + data

    def _list_passive_target(self, p: bytes) -> bytes:
        if len(p) < 2 or p[0] not in {1, 2} or p[1] > 4:
            raise WrongCommand
        most, technology, extra = p[0], p[1], p[2:]
        if (technology in {1, 2} and len(extra) < 5) or (technology == 3 and not extra):
            raise WrongCommand
        self._forget()
        self._radio.warm_up()
        first = self._look_until(technology, extra)
        if first is None:
            return b"\x00"
        self._targets[1] = first
        if most == 2 and technology == 0:
            self._second(first)
        for number, target in self._targets.items():
            self._deliveries[number] = Delivery()
            if not target.aside and target.kind is Kind.A:
                self._radio.set_mode(Kind.A, crc=True)
        found = bytes((len(self._targets),))
        return found + b"".join(bytes((number,)) + target.listed for number, target in self._targets.items())

    def _look_until(self, technology: int, extra: bytes) -> Target | None:
        """Look as often as the host has set (RFConfiguration item 05)."""
        tries = self._tries
        while True:
            found = self._look(technology, extra)
            if found is not None:
                return found
            if self._tries == _FOR_EVER:
                self._radio.pace.nap(_BETWEEN_TRIES_S)  # until there is one, or the host gives up
            elif tries == 0:
                return None
            tries -= 1

    def _look(self, technology: int, extra: bytes) -> Target | None:
        if technology == 0:
            return find_a(self._radio, extra, rats=bool(self._parameters & _AUTOMATIC_RATS))
        if technology in {1, 2}:
            return find_f(self._radio, extra, 1 << technology)
        if technology == 3:
            return find_b(self._radio, extra[0])
        return None  # Jewel and Topaz do not lie in this field

    def _second(self, first: Target) -> None:
        """Look once for another target of type A beside the first."""
        if not first.iso_dep:
            put_aside(self._radio, first)
        # Without RATS yet: two with the same card number may not run their protocols at a time.
        other = find_a(self._radio, b"", rats=False)
        if other is None:
            take_up(self._radio, first)
            return
        put_aside(self._radio, first)
        if self._parameters & _AUTOMATIC_RATS and first.iso_dep:
            put_aside(self._radio, other)
            again = find_a(self._radio, other.uid, rats=True)
            other = again if again is not None else other
        self._targets[2] = other

    def _target(self, number: int) -> Target | None:
        """Return a target, selected; the other one is put aside for it."""
        target = self._targets.get(number)
        if target is None:
            return None
        for other in self._targets.values():
            if other is not target:
                put_aside(self._radio, other)
        return target if take_up(self._radio, target) is Status.FINE else None

    def _data_exchange(self, p: bytes) -> bytes:
        if not p:
            raise WrongCommand
        number, data = p[0] & 0x3F, p[1:]
        if number not in self._targets:
            return bytes((Status.CONTEXT,))
        target = self._target(number)
        if target is None:
            return bytes((Status.TIMEOUT,))
        if target.iso_dep:
            delivery = self._deliveries[number]
            status, found = delivery.exchange(self._radio, target, data, more=bool(p[0] & 0x40), retries=self._retries)
            return bytes((status,)) + found
        answered, found = self._radio.ask(data, timer(self._timer), kind=target.kind, rates=target.rates)
        if data[:1] in {b"\x60", b"\x61"} and answered is not Status.FINE:
            answered = Status.AUTHENTICATION
        return bytes((answered,)) + found

    def _several(self, p: bytes) -> list[int] | None:
        """Return the numbers of the targets a command means, None when there is no such one."""
        _exactly(p, 1)
        if p[0] == 0:
            return list(self._targets)
        return [p[0]] if p[0] in self._targets else None

    def _deselect(self, p: bytes) -> bytes:
        numbers = self._several(p)
        if numbers is None:
            return bytes((Status.CONTEXT,))
        return bytes((max((put_aside(self._radio, self._targets[number]) for number in numbers), default=0),))

    def _release(self, p: bytes) -> bytes:
        numbers = self._several(p)
        found = self._deselect(p)
        for number in numbers or ():
            del self._targets[number], self._deliveries[number]
        return found

    def _select(self, p: bytes) -> bytes:
        _exactly(p, 1)
        if p[0] not in self._targets:
            return bytes((Status.CONTEXT,))
        return bytes((Status.FINE if self._target(p[0]) is not None else Status.TIMEOUT,))

    def _psl(self, p: bytes) -> bytes:
        _exactly(p, 3)
        target = self._targets.get(p[0])
        if target is None or p[1] > 2 or p[2] > 2:
            return bytes((Status.CONTEXT if target is None else Status.PARAMETER,))
        return bytes((change_rates(self._radio, target, p[1], p[2]),))

    def _nobody_for_dep(self, _: bytes) -> bytes:
        return bytes((Status.TIMEOUT,))


def _exactly(p: bytes, length: int) -> None:
    if len(p) != length:
        raise WrongCommand


def _whole(p: bytes, length: int) -> None:
    if not p or len(p) % length:
        raise WrongCommand
