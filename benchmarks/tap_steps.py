"""Tap to engagement, step by step: the driver's look, and the conversation with the phone after it."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID

from mdoc_reader.drivers.pn532_chip import Pn532Chip, TargetA
from mdoc_reader.drivers.pn532_device import Options, Pn532Device
from mdoc_reader.drivers.pn532_line import FIRST_BAUD, SerialLine
from mdoc_reader.engagement import tap
from mdoc_reader.engagement.tap import TapOffer, Tapped
from mdoc_reader.lab.nfc_behaviour import NEGOTIATED, STATIC, TapBehaviour
from mdoc_reader.nfc import apdu
from mdoc_reader.nfc.apdu import Way
from mdoc_reader.nfc.ports import Card
from mdoc_reader.nfc.procedure import Pause, Procedure, Response
from tap_far import Far, Taps
from tap_figures import Engaging, Step

KINDS: dict[str, TapBehaviour] = {"static": STATIC, "negotiated": NEGOTIATED}
SETTINGS = ((106, 115200), (424, 921600))
FOUND, PROTOCOL, ALONE = "field on, phone found", "block protocol", "is it alone"
APPLICATION, CONTAINER, MESSAGE = "NDEF application", "capability container", "message"
SERVICE, HANDOVER = "service selected", "handover negotiated"
WAITED = "wait the phone asked for"
NAMES = (FOUND, PROTOCOL, ALONE, APPLICATION, CONTAINER, MESSAGE, SERVICE, HANDOVER, WAITED)
_CONTAINER = b"\xe1\x03"


class Traced(Pn532Chip):
    """The driver's chip, with the moments at which it looked for cards."""

    def __init__(self, line: SerialLine) -> None:
        """Open it."""
        self.lists: list[tuple[float, float]] = []
        super().__init__(line)

    def list_a(self) -> TargetA | None:
        """Look, and note when."""
        began = time.perf_counter()
        found = super().list_a()
        self.lists.append((began, time.perf_counter()))
        return found


class _Trace:
    """Steps as they come; what follows one of the same name belongs to it."""

    def __init__(self, began: float) -> None:
        self._began = began
        self.steps: list[Step] = []

    def add(self, name: str, began: float, ended: float, apdus: int = 0) -> None:
        last = self.steps[-1] if self.steps else None
        start, end = (began - self._began) * 1000, (ended - self._began) * 1000
        if last is not None and last.name == name:
            self.steps[-1] = Step(name, last.began_ms, end, last.apdus + apdus)
        else:
            self.steps.append(Step(name, start, end, apdus))


def _name(command: bytes, before: str) -> str:
    """Return the step a command belongs to."""
    asked = apdu.parse(command)
    if asked.ins == apdu.SELECT:
        if asked.p1 == 0x04:
            return APPLICATION
        return CONTAINER if asked.data == _CONTAINER else MESSAGE
    if asked.ins == apdu.UPDATE_BINARY:
        return SERVICE if before == MESSAGE else HANDOVER if before == SERVICE else before
    return before


def _walk(procedure: Procedure[Tapped], card: Card, trace: _Trace) -> Tapped:
    """Walk the procedure of a tap as the owner thread does, with a note at each step."""
    answer: Response | None = None
    stage, ended = "", time.perf_counter()
    asked = next(procedure)
    while True:
        began = ended
        if isinstance(asked, Pause):
            time.sleep(asked.seconds)
            answer = None
        else:
            raw = card.transmit(asked.encoded)
            answer = Response(raw[:-2], int.from_bytes(raw[-2:], "big"))
            stage = _name(asked.encoded, stage)
        pausing = isinstance(asked, Pause)
        try:
            asked = procedure.send(answer)
        except StopIteration as done:
            trace.add(stage, began, time.perf_counter(), 1)
            result: Tapped = done.value
            return result
        ended = time.perf_counter()
        trace.add(WAITED if pausing else stage, began, ended, 0 if pausing else 1)


def engaging(far: Far, kind: str, rate: int, baud: int) -> Engaging:
    """Put a phone there and engage with it."""
    chip = Traced(SerialLine(far.port, FIRST_BAUD))
    chip.change_baud(baud)
    device = Pn532Device(chip, Options(path=far.port, baud=baud, max_rate=rate))  # type: ignore[arg-type]
    try:
        device.look()
        device.rest()
        chip.lists.clear()
        far.put(Taps(KINDS[kind]))
        time.sleep(0.05)
        before = far.spent().floor_s
        began = time.perf_counter()
        card = device.look().card
        seen = time.perf_counter()
        assert card is not None
        trace = _Trace(began)
        (_, found), (alone, _) = chip.lists
        trace.add(FOUND, began, found)
        trace.add(PROTOCOL, found, alone)
        trace.add(ALONE, alone, seen)
        offer = TapOffer(b"\x12\x34", UUID(int=0x1234567890ABCDEF1234567890ABCDEF))
        tapped = _walk(tap.engage(offer, Way.to(card)), card, trace)
        floor = far.spent().floor_s - before
        assert tapped.negotiated is (kind == "negotiated")
        assert tapped.methods
        card.leave()
        device.rest()
    finally:
        device.close()
        far.put(None)
    return Engaging(kind=kind, rate=rate, baud=baud, steps=trace.steps, floor_ms=floor * 1000)


def measure(far: Far, rounds: int, say: Callable[[str], None]) -> list[Engaging]:
    """Take turns within every round."""
    found = []
    for number in range(rounds):
        for rate, baud in SETTINGS:
            found += [engaging(far, kind, rate, baud) for kind in KINDS]
        say(f"tap to engagement, round {number + 1} of {rounds}")
    return found
