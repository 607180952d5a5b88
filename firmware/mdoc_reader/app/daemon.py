"""The daemon: opens the parts a configuration names, runs the engine, and closes everything on any way out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from mdoc_reader.app import fit, profiles, upkeep, watchdog, wiring
from mdoc_reader.app.event_stream import EventStream
from mdoc_reader.app.front import Front, Rules, keep_hours
from mdoc_reader.app.settings import Settings
from mdoc_reader.app.sources import Sources
from mdoc_reader.app.upkeep import Upkeep
from mdoc_reader.app.watchdog import Heart, Watchdog, Watched
from mdoc_reader.engagement import lines
from mdoc_reader.model.sign import Sign
from mdoc_reader.outputs.panel import Panel
from mdoc_reader.outputs.ports import Building, Pins
from mdoc_reader.pictures.decoder import DecoderLimits, PortraitDecoder
from mdoc_reader.reader.engine import Engine, Observer

log = logging.getLogger(__name__)

_PANEL_LOOK_S = 2.0
_PINS_SILENT_S = 10.0


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


@dataclass(frozen=True, slots=True)
class _Device:
    """The parts of a reader, open."""

    engine: Engine
    sources: Sources
    pins: Pins
    panel: Panel
    front: Front
    building: Building | None
    upkeep: Upkeep
    tasks: Sequence[asyncio.Task[None]]


async def run(settings: Settings, file: str, events: EventStream | None = None, codes: TextIO | None = None) -> None:
    """Run the reader until SIGTERM or SIGINT. Raises SettingsError before anything is opened.

    `codes` gives QR texts as lines, beside the camera or in its place.
    """
    async with _open(settings, file, events, codes=codes is not None) as device:
        await _serve(device, events, codes)


@contextlib.asynccontextmanager
async def _open(settings: Settings, file: str, events: EventStream | None, *, codes: bool) -> AsyncIterator[_Device]:
    """Open the parts in the order they need each other; close them the other way round, whatever happens."""
    fit.refuse(settings, file)
    drivers = wiring.load_drivers(settings, file)
    languages = wiring.languages_of(settings, file)
    beliefs, clock, skipped = wiring.load_beliefs(settings, file)
    for item in skipped:
        log.warning("trust anchor %s skipped: %s", item.source, item.code)
    for name in wiring.deadlines_of(settings).unconforming():
        log.warning("deadlines.%s is shorter than ISO 18013-5 asks for: this profile is non-conforming by choice", name)
    wiring.make_runtime_folder()
    async with contextlib.AsyncExitStack() as stack:
        radio = await wiring.open_bluetooth(drivers["bluetooth"])
        stack.push_async_callback(radio.close)
        portraits = None
        if settings.profile.compare:
            width, height = settings.panel.portrait
            portraits = PortraitDecoder(DecoderLimits(width=width, height=height))
            stack.push_async_callback(portraits.close)
        equipment = wiring.equipment_of(settings, file, radio, beliefs, clock, portraits=portraits)
        for line in profiles.oddities(settings.profile, equipment.profile):
            log.warning("the profile %s", line)
        for doubt in fit.doubts(settings, drivers):
            log.warning("%s: %s -> %s", doubt.part, doubt.what, doubt.advice)
        if equipment.identity is not None:
            stack.callback(equipment.identity.signer.close)
        pins = wiring.open_pins(drivers["pins"])
        pulse_s = settings.panel.relay_pulse
        panel = stack.enter_context(
            Panel(pins, wiring.display_opener(drivers["display"]), relay_pulse_s=pulse_s, languages=languages)
        )
        rules = Rules(settings.door.rules(), settings.buttons.rules())
        front = Front(panel, pins, pulse_s, rules, time.monotonic, code=settings.panel.code)
        stack.callback(front.close)
        if events is not None:
            front.door.on_event(events.on_door)
        building = wiring.open_building(drivers["building"])
        if building is not None:
            stack.callback(building.close)
        routes = wiring.routes_of(settings, codes=codes)
        observers: tuple[Observer, ...] = () if events is None else (events,)
        engine = Engine(
            equipment,
            front,
            wiring.deadlines_of(settings),
            observers,
            routes,
            on_badge=(lambda badge: None) if building is None else building.present,
        )
        look = upkeep.device_look(settings, beliefs, clock)
        care = Upkeep(look, Path(wiring.places()["runtime"]), engine, events)
        stack.callback(care.close)
        tasks = [asyncio.create_task(beliefs.watch(), name="trust")]
        if portraits is not None:
            tasks.append(asyncio.create_task(_ready(portraits), name="portraits"))
        hours = equipment.profile.rule.site.hours
        if hours is not None:
            tasks.append(asyncio.create_task(keep_hours(hours, clock.read, engine, time.monotonic), name="hours"))
        sources = Sources(settings, drivers, engine, equipment)
        yield _Device(engine, sources, pins, panel, front, building, care, tasks)


async def _ready(portraits: PortraitDecoder) -> None:
    """Start what decodes portraits ahead of the first; it is started again when it is needed and not there."""
    if not await portraits.start():
        log.error("portraits cannot be decoded: nobody can be compared with one")
    elif not portraits.filtered:
        log.warning("this kernel does not filter the system calls of what decodes portraits")


async def _watch(device: _Device, events: EventStream | None, heart: Heart) -> None:
    """Tell when lamps, display or the line to the building stop working, and when they are back."""
    works = line_works = True
    while True:
        if device.panel.healthy is not works:
            works = not works
            log.warning("the panel %s", "works again" if works else "has a part that does not answer")
            if events is not None:
                events.write("panel", works=works)
        if device.building is not None and device.building.healthy is not line_works:
            line_works = not line_works
            device.engine.availability("building", available=line_works)
        silent = () if device.panel.healthy else ("display",) if device.pins.healthy else ("pins",)
        device.upkeep.turn(dict.fromkeys(silent, "it does not answer"))
        heart.beat()
        await asyncio.sleep(_PANEL_LOOK_S)


async def _serve(device: _Device, events: EventStream | None, codes: TextIO | None) -> None:
    engine, sources = device.engine, device.sources
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
    device.upkeep.turn({})  # under maintenance nobody is invited first
    running = asyncio.create_task(engine.run(), name="engine")
    heart = Heart(time.monotonic)
    beside = [*device.tasks, asyncio.create_task(_watch(device, events, heart), name="health")]
    dog = Watchdog(
        engine,
        (
            *sources.watched(),
            Watched("panel", heart, watchdog.HEALS * _PANEL_LOOK_S),
            Watched("pins", device.pins, _PINS_SILENT_S),
        ),
        notify_service,
        time.monotonic,
        lambda: _how(engine),
    )
    fed_every = watchdog.asked_for()
    try:
        sources.start()
        device.front.start(engine)
        if codes is not None:
            lines.follow(codes, engine.offer_text, loop)
        await asyncio.sleep(0)  # the engine's first look: who reads of `ready` knows already what does not work
        notify_service(f"READY=1\nSTATUS={_how(engine)}")
        if fed_every is not None:
            beside.append(asyncio.create_task(dog.run(fed_every), name="watchdog"))
        if events is not None:
            events.write("ready", at=loop.time())
        log.info("ready")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait({running, stopping, *_endless(beside)}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for ended in (running, *_endless(beside)):
            if ended.done():
                ended.result()  # a defect of ours: let it be seen, and the service manager start anew
    finally:
        notify_service("STOPPING=1")
        await sources.close()
        for task in (running, *beside):
            task.cancel()
        await asyncio.wait({running, *beside}, timeout=10.0)
        device.panel.signal(Sign.FAULT)


def _endless(tasks: Sequence[asyncio.Task[None]]) -> list[asyncio.Task[None]]:
    """Return the tasks that never end by themselves."""
    return [task for task in tasks if task.get_name() != "portraits"]


def _how(engine: Engine) -> str:
    """Return one line for `systemctl status`."""
    faults = sorted(engine.state.faults)
    return f"{engine.state.phase.value}; out of order: {', '.join(faults)}" if faults else engine.state.phase.value
