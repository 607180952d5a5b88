"""Keeping one BlueZ adapter usable: choose it, power it on, notice when it goes, reset it when it is stuck.

Nothing is asked of bluetoothd while it does not run, nothing is written that is right already, and rfkill is never
fought: whoever blocked the radio meant it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from dbus_fast import Variant

from mdoc_reader.drivers.bluez_bus import CALL_S, PROPERTIES, Bus, CallFailed
from mdoc_reader.drivers.bluez_objects import ADAPTER, ADVERTISING, Change, Objects
from mdoc_reader.transport.ports import LinkError, RadioTrouble
from mdoc_reader.transport.tasks import to_its_end

log = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.5
_BLOCKED_PAUSE_S = 2.0
_POWER_S = 8.0
_LASTING_S = 30.0
"""An adapter that is switched off sooner than this after it became available is switched on again with a pause."""
_RFKILL = Path("/sys/class/rfkill")
_SUSPICIOUS = frozenset({"org.bluez.Error.Failed", "org.bluez.Error.InProgress", "org.bluez.Error.NotReady"})
_FAILURES_IN_A_ROW = 3


@dataclass(eq=False, slots=True)
class Adapter:
    """An adapter while it can be used; `gone` is done with the reason once it cannot."""

    bus: Bus
    objects: Objects
    path: str
    gone: asyncio.Future[str]
    doubt: Callable[[LinkError], None]
    """Tell of an operation on the adapter itself that failed."""
    trust: Callable[[], None]
    """Tell that one succeeded."""
    scanning: bool = False
    """Whether bluetoothd was asked to scan, and not yet to stop."""
    hushing: asyncio.Task[None] | None = None
    """The end of the last scan, if it is still being seen to."""
    leaving: set[str] = field(default_factory=set)
    """Devices being let go of; nobody connects to them meanwhile."""
    forgetting: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def properties(self) -> dict[str, object]:
        """What bluetoothd tells of it."""
        return dict(self.objects.adapter(self.path))


class Keeper:
    """Sees to one adapter through all of its troubles."""

    def __init__(
        self,
        wanted: str | None,
        longest_pause_s: float,
        changed: Callable[[Adapter | None, RadioTrouble | None], None],
    ) -> None:
        """Prepare; `run` begins. `changed` hears of each new state: the adapter, or why there is none."""
        self._wanted = wanted
        self._longest_pause_s = longest_pause_s
        self._changed = changed
        self._adapter: Adapter | None = None
        self._trouble: RadioTrouble | None = RadioTrouble.NO_BUS
        self._news = asyncio.Event()
        self._failures = 0
        self._stuck = False
        self._pause_s = _FIRST_PAUSE_S
        self._since = 0.0
        self._not_before = 0.0

    async def run(self) -> None:
        """Keep the adapter until cancelled."""
        while True:
            try:
                bus = await Bus.open()
            except LinkError as error:
                self._lose(RadioTrouble.NO_BUS, error.detail)
                await self._rest()
                continue
            try:
                await self._keep(bus)
                self._lose(RadioTrouble.NO_BUS, "the message bus is gone")
            finally:
                self._part()
                await to_its_end(bus.close())
            await self._rest()

    async def _keep(self, bus: Bus) -> None:
        """Keep the adapter as long as the bus lives."""
        bus.gone.add_done_callback(lambda _: self._wake())
        objects = Objects(bus)
        life = _Life(bus, objects)
        objects.on_owner = lambda: self._on_owner(life)
        objects.listen(self._on_change)
        try:
            await objects.start()
        except LinkError as error:
            self._lose(RadioTrouble.NO_BUS, error.detail)
            return
        while not bus.gone.done():
            self._news.clear()
            pause = await self._step(life)
            if bus.gone.done():
                return
            await self._rest_for(pause)

    def _wake(self) -> None:
        self._news.set()

    def _on_owner(self, life: _Life) -> None:
        life.known = False
        self._failures = 0
        self._stuck = False
        self._pause_s = _FIRST_PAUSE_S
        self._lose(RadioTrouble.NO_DAEMON, "bluetoothd has gone" if not life.bus.owner else "bluetoothd was restarted")
        self._wake()

    def _on_change(self, change: Change) -> None:
        if change.interface not in {ADAPTER, ADVERTISING}:
            return
        adapter = self._adapter
        if adapter is not None and change.path == adapter.path:
            if change.properties is None:
                self._lose(RadioTrouble.NO_ADAPTER, "the adapter was removed")
            elif change.properties.get("Powered") is False:
                blocked = _is_blocked(change.path, adapter.objects)
                trouble = RadioTrouble.BLOCKED if blocked else RadioTrouble.POWERED_OFF
                self._lose(trouble, "the adapter was switched off")
                if asyncio.get_running_loop().time() - self._since < _LASTING_S:
                    # Somebody else wants it off: do not wrestle.
                    self._not_before = asyncio.get_running_loop().time() + self._longer()
                else:
                    self._pause_s = _FIRST_PAUSE_S
        if change.new:
            self._pause_s = _FIRST_PAUSE_S
            self._not_before = 0.0
        self._wake()

    async def _step(self, life: _Life) -> float | None:
        """Look once, mend what can be mended; return after how many seconds to look again, None for `on news`."""
        bus, objects = life.bus, life.objects
        if not bus.owner:
            self._lose(RadioTrouble.NO_DAEMON, "bluetoothd does not run")
            return None
        try:
            if not life.known:
                await objects.load()
                life.known = True
        except LinkError as error:
            self._lose(RadioTrouble.STUCK, error.detail)
            return self._longer()
        path = self._choose(objects)
        if path is None:
            self._lose(RadioTrouble.NO_ADAPTER, "there is no adapter")
            return None
        if self._adapter is not None and not self._stuck:
            return None
        if _is_blocked(path, objects):
            self._lose(RadioTrouble.BLOCKED, "the adapter is blocked")
            return _BLOCKED_PAUSE_S
        wait = self._not_before - asyncio.get_running_loop().time()
        if wait > 0:
            return wait
        try:
            if self._stuck:
                self._lose(RadioTrouble.STUCK, "the adapter is stuck; switching it off and on")
                await _set(bus, path, "Powered", Variant("b", False))
                self._stuck = False
                self._failures = 0
                await _set(bus, path, "Powered", Variant("b", True))
            elif objects.adapter(path).get("Powered") is not True:
                self._lose(RadioTrouble.POWERED_OFF, "the adapter is off; switching it on")
                await _set(bus, path, "Powered", Variant("b", True))
            await _tidy(bus, objects, path)
        except CallFailed as error:
            blocked = error.name == "org.bluez.Error.Blocked" or _is_blocked(path, objects)
            trouble = RadioTrouble.STUCK if error.timed_out or self._stuck else RadioTrouble.POWERED_OFF
            self._lose(RadioTrouble.BLOCKED if blocked else trouble, error.detail)
            return self._longer()
        except LinkError:
            return None
        if bus.owner and path in objects.adapters() and objects.adapter(path).get("Powered") is not False:
            self._gain(life, path)
            return None
        return self._longer()

    def _choose(self, objects: Objects) -> str | None:
        paths = objects.adapters()
        if self._adapter is not None and self._adapter.path in paths:
            return self._adapter.path
        if self._wanted is not None:
            paths = [path for path in paths if path.rpartition("/")[2] == self._wanted]
        return paths[0] if paths else None

    def _gain(self, life: _Life, path: str) -> None:
        if self._trouble is not None:
            log.info("the Bluetooth adapter %s is available", path.rpartition("/")[2])
        gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._adapter = Adapter(life.bus, life.objects, path, gone, self._doubt, self._believe)
        self._trouble = None
        self._since = asyncio.get_running_loop().time()
        self._changed(self._adapter, None)

    def _lose(self, trouble: RadioTrouble, detail: str) -> None:
        adapter, self._adapter = self._adapter, None
        if self._trouble is trouble and adapter is None:
            return
        self._trouble = trouble
        log.warning("Bluetooth is not available (%s): %s", trouble, detail)
        self._changed(None, trouble)
        if adapter is not None:
            adapter.gone.set_result("adapter lost")

    def _part(self) -> None:
        """Let go of the adapter where the reader itself ends."""
        adapter, self._adapter = self._adapter, None
        if adapter is not None:
            self._changed(None, RadioTrouble.DISABLED)
            adapter.gone.set_result("the reader has let go of it")

    def _believe(self) -> None:
        self._failures = 0

    def _doubt(self, error: LinkError) -> None:
        if not isinstance(error, CallFailed) or not (error.timed_out or error.name in _SUSPICIOUS):
            return
        self._failures += 1
        if (error.timed_out or self._failures >= _FAILURES_IN_A_ROW) and not self._stuck:
            log.warning("the Bluetooth adapter seems stuck: %s", error.detail)
            self._stuck = True
            self._wake()

    def _longer(self) -> float:
        pause = self._pause_s
        self._pause_s = min(pause * 2, self._longest_pause_s)
        return pause

    async def _rest(self) -> None:
        await asyncio.sleep(self._longer())

    async def _rest_for(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return


@dataclass(slots=True)
class _Life:
    """One bus connection and what is known through it."""

    bus: Bus
    objects: Objects
    known: bool = False


async def _set(bus: Bus, path: str, name: str, value: Variant) -> None:
    await bus.call(path, PROPERTIES, "Set", "ssv", (ADAPTER, name, value), seconds=_POWER_S)


async def _tidy(bus: Bus, objects: Objects, path: str) -> None:
    """Refuse pairing, and forget the devices of earlier presentations. Raises LinkError."""
    if objects.adapter(path).get("Pairable") is True:
        await _set(bus, path, "Pairable", Variant("b", False))
    for device in tuple(objects.devices.values()):
        if device.path.startswith(path + "/") and not device.paired:
            try:
                await bus.call(path, ADAPTER, "RemoveDevice", "o", (device.path,), seconds=CALL_S)
            except CallFailed as error:
                log.info("a device of earlier could not be forgotten: %s", error.detail)


def _is_blocked(path: str, objects: Objects) -> bool:
    """Whether rfkill blocks the adapter: bluetoothd says so from 5.72 on; the kernel always has."""
    if objects.adapter(path).get("PowerState") == "off-blocked":
        return True
    name = path.rpartition("/")[2]
    for switch in _RFKILL.glob("rfkill*"):
        try:
            if (switch / "name").read_text().strip() == name:
                return any((switch / kind).read_text().strip() == "1" for kind in ("soft", "hard"))
        except OSError:
            continue
    return False
