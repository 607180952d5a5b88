"""A Bluetooth service shown before anybody taps: registering and advertising cost time that a tap does not have.

A negotiated NFC handover names the UUID we advertise, so it must be on the air before the phone is. Each presentation
gets its own: a UUID is handed out once, and a phone that comes late for an earlier one finds nothing under it. A phone
that begins a session before one was engaged is sent away (ISO 18013-5 9.2, 11.1).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import dataclass
from uuid import UUID

from mdoc_reader.transport.ble import BleLimits, CentralServer, serve_for_central
from mdoc_reader.transport.ports import BleRadio, LinkError
from mdoc_reader.transport.tasks import to_its_end

log = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0


@dataclass(frozen=True, slots=True)
class Armed:
    """A service on the air, and the UUID it is on the air under."""

    uuid: UUID
    server: CentralServer


class ArmedService:
    """Keeps one fresh service on the air between presentations, as long as the radio is there."""

    def __init__(self, radio: BleRadio, limits: BleLimits) -> None:
        """Prepare; nothing is shown until `arm`."""
        self._radio = radio
        self._limits = limits
        self._armed: Armed | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        radio.on_availability(lambda _: self._changed.set())

    @property
    def uuid(self) -> UUID | None:
        """The UUID phones can see now; None while there is none."""
        return None if self._armed is None or not self._radio.available else self._armed.uuid

    def arm(self) -> None:
        """Show a service under a fresh UUID as soon as the radio allows. Repeating it changes nothing."""
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep(), name="armed-service")

    async def take(self) -> Armed | None:
        """Hand the service over to the presentation that begins; None where none is on the air.

        From now on a phone may begin there; the caller names the Ident, waits and closes.
        """
        armed = self._armed if self._radio.available else None
        if armed is None:
            await self.disarm()
            return None
        self._armed = None
        await self._stop()
        armed.server.expect()
        return armed

    async def disarm(self) -> None:
        """Take the service off the air and leave the radio to others. Never raises."""
        await to_its_end(self._disarm())

    async def _disarm(self) -> None:
        await self._stop()
        armed, self._armed = self._armed, None
        if armed is not None:
            await armed.server.close()

    async def _stop(self) -> None:
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            await asyncio.wait({keeping})

    async def _keep(self) -> None:
        pause = _FIRST_PAUSE_S
        while True:
            await self._until(available=True)
            uuid = UUID(bytes=secrets.token_bytes(16), version=4)
            try:
                server = await serve_for_central(self._radio, uuid, None, expected=False, limits=self._limits)
            except LinkError as error:
                log.info("no service can be shown ahead of a tap: %s", error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
                continue
            pause = _FIRST_PAUSE_S
            self._armed = Armed(uuid, server)
            await self._until(available=False)
            self._armed = None
            await to_its_end(server.close())

    async def _until(self, *, available: bool) -> None:
        while self._radio.available is not available:
            self._changed.clear()
            await self._changed.wait()
