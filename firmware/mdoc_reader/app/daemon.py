"""The daemon: opens the parts a configuration names, runs the engine, and closes everything on any way out."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
from collections.abc import Sequence
from typing import TextIO

from mdoc_reader.app import wiring
from mdoc_reader.app.settings import Settings
from mdoc_reader.engagement import lines
from mdoc_reader.engagement.scanner import Scanner
from mdoc_reader.engagement.tapper import Tapper, TapperLimits
from mdoc_reader.model.reasons import ReasonCode
from mdoc_reader.model.sign import Sign
from mdoc_reader.outputs.panel import Panel
from mdoc_reader.reader.engine import Engine, Observer, PresentationRecord
from mdoc_reader.reader.machine import Phase
from mdoc_reader.reader.presentation import Equipment
from mdoc_reader.reader.taps import Said, Taps

log = logging.getLogger(__name__)

_PANEL_LOOK_S = 2.0


class EventStream:
    """Writes what happens as JSON lines: phases, outcomes and faults; nothing personal. An `Observer`.

    A reader that is not read from stops writing: the door matters more than its diary.
    """

    def __init__(self, stream: TextIO) -> None:
        """Write to an open text stream."""
        self._stream: TextIO | None = stream

    def write(self, event: str, **values: object) -> None:
        """Write one line."""
        if self._stream is None:
            return
        try:
            self._stream.write(json.dumps({"event": event, **values}) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None

    def on_phase(self, at: float, presentation: int, phase: Phase) -> None:
        """Tell of a phase."""
        self.write("phase", at=at, presentation=presentation, phase=phase.value)

    def on_concluded(self, record: PresentationRecord) -> None:
        """Tell how a presentation ended."""
        self.write(
            "concluded",
            at=record.at,
            presentation=record.presentation,
            outcome=record.decision.outcome.value,
            reasons=[str(reason) for reason in record.decision.reasons],
            transport=record.transport,
            phases=[[name, milliseconds] for name, milliseconds in record.phases],
            decided_to_light_ms=record.decided_to_light_ms,
        )

    def on_fault(self, at: float, part: str, code: ReasonCode | None, *, raised: bool) -> None:
        """Tell of a part that failed, and why, or came back."""
        self.write("fault", at=at, part=part, raised=raised, code=None if code is None else str(code))


def notify_service(message: str) -> None:
    """Tell systemd how we are (sd_notify protocol), when it asked to be told."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.connect("\0" + address[1:] if address.startswith("@") else address)
            channel.send(message.encode())
    except OSError as error:
        log.warning("the service manager could not be told: %s", error.strerror)


async def run(settings: Settings, file: str, events: EventStream | None = None, codes: TextIO | None = None) -> None:
    """Run the reader until SIGTERM or SIGINT. Raises SettingsError before anything is opened.

    `codes` gives QR texts as lines, beside the camera or in its place.
    """
    drivers = wiring.load_drivers(settings, file)
    beliefs, clock, skipped = wiring.load_beliefs(settings, file)
    for item in skipped:
        log.warning("trust anchor %s skipped: %s", item.source, item.code)
    limits = wiring.deadlines_of(settings)
    for name in limits.unconforming():
        log.warning("deadlines.%s is shorter than ISO 18013-5 asks for: this profile is non-conforming by choice", name)
    wiring.make_runtime_folder()
    radio = await wiring.open_bluetooth(drivers["bluetooth"])
    try:
        equipment = wiring.equipment_of(settings, file, radio, beliefs, clock)
        pins = wiring.open_pins(drivers["pins"])
        with Panel(pins, wiring.display_opener(drivers["display"]), relay_pulse_s=settings.panel.relay_pulse) as panel:
            routes = wiring.routes_of(settings, codes=codes is not None)
            engine = Engine(equipment, panel, limits, _observers(events), routes)
            sources = Sources(settings, drivers, engine, equipment)
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(beliefs.watch(), name="trust")
                try:
                    await _serve(engine, sources, panel, events, codes)
                finally:
                    watching.cancel()
                    if equipment.identity is not None:
                        equipment.identity.signer.close()
    finally:
        await radio.close()


def _observers(events: EventStream | None) -> Sequence[Observer]:
    return () if events is None else (events,)


async def _watch(panel: Panel, events: EventStream | None) -> None:
    """Tell when lamps or display stop working, and when they are back: the door goes on deciding without them."""
    works = True
    while True:
        if panel.healthy is not works:
            works = not works
            log.warning("the panel %s", "works again" if works else "has a part that does not answer")
            if events is not None:
                events.write("panel", works=works)
        await asyncio.sleep(_PANEL_LOOK_S)


class Sources:
    """What tells the engine of people: the camera's scanner and the NFC front end's tapper, as configured."""

    def __init__(
        self, settings: Settings, drivers: dict[str, wiring.Driver], engine: Engine, equipment: Equipment
    ) -> None:
        """Prepare; nothing is opened until `start`."""
        self.scanner: Scanner | None = None
        self.tapper: Tapper[Said] | None = None
        if not drivers["camera"].disabled:
            self.scanner = Scanner(
                wiring.camera_opener(drivers["camera"]),
                wiring.open_decoder(drivers["decoder"]),
                lambda sighting: engine.offer_text(sighting.text, sighting.seen_at),
                lambda available: engine.availability("camera", available=available),
            )
        if not drivers["nfc"].disabled:
            taps = Taps(equipment, engine, transfer=settings.tap.transfer)
            self.tapper = Tapper(
                wiring.nfc_opener(drivers["nfc"]),
                taps.engage,
                taps.on_tap,
                taps.on_refused,
                on_available=lambda works, why: engine.availability("nfc", available=works, code=why),
                limits=TapperLimits(period_s=settings.tap.period),
            )
            engine.on_receptive(self._receptive)

    def _receptive(self, receptive: bool) -> None:
        if self.tapper is not None:
            if receptive:
                self.tapper.resume()
            else:
                self.tapper.pause()

    def start(self) -> None:
        """Start the owner threads."""
        if self.scanner is not None:
            self.scanner.start()
        if self.tapper is not None:
            self.tapper.start()

    async def close(self) -> None:
        """Stop them. Bounded."""
        closing = [source.close() for source in (self.scanner, self.tapper) if source is not None]
        await asyncio.gather(*closing)


async def _serve(
    engine: Engine,
    sources: Sources,
    panel: Panel,
    events: EventStream | None,
    codes: TextIO | None,
) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    radio = engine.radio

    def tell_radio(available: bool) -> None:
        engine.availability("bluetooth", available=available, code=radio.trouble)

    if not radio.available:
        tell_radio(False)
    radio.on_availability(tell_radio)
    running = asyncio.create_task(engine.run(), name="engine")
    watching = asyncio.create_task(_watch(panel, events), name="panel-health")
    try:
        sources.start()
        if codes is not None:
            lines.follow(codes, engine.offer_text, loop)
        await asyncio.sleep(0)  # the engine's first look: who reads of `ready` knows already what does not work
        notify_service("READY=1")
        if events is not None:
            events.write("ready", at=loop.time())
        log.info("ready")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if running.done():
            running.result()  # a defect of the engine itself: let it be seen, and the service manager start anew
    finally:
        notify_service("STOPPING=1")
        await sources.close()
        running.cancel()
        watching.cancel()
        await asyncio.wait({running, watching}, timeout=10.0)
        panel.signal(Sign.FAULT)
