"""What tells the engine of people: the camera and the NFC front end, as configured."""

from __future__ import annotations

import asyncio

from mdoc_reader.app import watchdog, wiring
from mdoc_reader.app.settings import Settings
from mdoc_reader.app.watchdog import Watched
from mdoc_reader.engagement.scanner import Scanner, ScannerLimits
from mdoc_reader.engagement.tapper import Tapper, TapperLimits
from mdoc_reader.reader.engine import Engine
from mdoc_reader.reader.presentation import Equipment
from mdoc_reader.reader.taps import Said, Taps


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
                limits=ScannerLimits(
                    max_fps=settings.scan.fps,
                    idle_fps=settings.scan.idle_fps,
                    idle_after_s=settings.scan.idle_after,
                ),
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
        for source in (self.scanner, self.tapper):
            if source is not None and receptive:
                source.resume()
            elif source is not None:
                source.pause()

    def watched(self) -> tuple[Watched, ...]:
        """Name whose life the watchdog asks for."""
        found = []
        if self.scanner is not None:
            found.append(Watched("camera", self.scanner, watchdog.HEALS * ScannerLimits().overrun_s))
        if self.tapper is not None:
            found.append(Watched("nfc", self.tapper, watchdog.HEALS * self.tapper.limits.overrun_s))
        return tuple(found)

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
