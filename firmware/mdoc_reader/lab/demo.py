"""`mdoc-lab demo`: the reader as a process of its own, and the lab at the far end of every wire it has.

Starts the daemon on the demo's configuration, then plays the cast in front of it: each phone shows its code to the
simulated camera, or is held to the emulated NFC chip, and talks over the simulated air. What came out is compared with
what should have.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mdoc_reader.lab import certificates, pictures
from mdoc_reader.lab.air import Air
from mdoc_reader.lab.bench_panel import Bench
from mdoc_reader.lab.camera import CameraScene
from mdoc_reader.lab.cast import CAST, Act
from mdoc_reader.lab.demo_view import DemoView, print_table
from mdoc_reader.lab.nfc_behaviour import STATIC
from mdoc_reader.lab.nfc_card import Picc
from mdoc_reader.lab.nfc_chip import Pn532Chip
from mdoc_reader.lab.nfc_field import RfField
from mdoc_reader.lab.phone_app import offer, present
from mdoc_reader.lab.phone_nfc import TapPhone
from mdoc_reader.lab.phone_nfc_app import tap_and_present
from mdoc_reader.lab.phone_radio import PhoneRadio
from mdoc_reader.lab.situations import SITUATIONS

CONFIG = Path(__file__).resolve().parents[3] / "config" / "demo.toml"
_ACT_S = 40.0
_START_S = 30.0
_FASTER = 0x33  # 212 and 424 kbit/s both ways


@dataclass(slots=True)
class Result:
    """What came out of an act. `phases` are (name, start, end) in milliseconds from the moment it began."""

    name: str
    title: str
    expected: str
    outcome: str = "nothing"
    reasons: list[str] = field(default_factory=list)
    transport: str = ""
    opened: bool = False
    light_ms: float | None = None
    phases: list[tuple[str, float, float]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def as_expected(self) -> bool:
        """Whether everything came out as it should."""
        return not self.complaints

    @property
    def total_ms(self) -> float:
        """From the code being shown, or the phone being held there, to the decision."""
        return self.phases[-1][2] if self.phases else 0.0


class Daemon:
    """The reader's process, and what it tells about itself."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Take a process started by `started`."""
        self.process = process
        self.phase = ""
        self.phase_at = 0.0
        self.concluded: asyncio.Queue[dict[str, object]] = asyncio.Queue()
        self.faults: set[str] = set()
        self._changed = asyncio.Condition()

    @classmethod
    @contextlib.asynccontextmanager
    async def started(cls, config: Path, runtime: Path, log: Path) -> AsyncIterator[Daemon]:
        """Start the daemon; stop it by SIGTERM, as its service manager would."""
        with log.open("wb") as stream:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "mdoc_reader.app.cli",
                "run",
                "--config",
                str(config),
                "--events",
                "-",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=stream,
                env={**os.environ, "RUNTIME_DIRECTORY": str(runtime)},
            )
        daemon = cls(process)
        listening = asyncio.create_task(daemon.listen())
        try:
            yield daemon
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(10):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
            await listening

    async def listen(self) -> None:
        """Read events until the process ends."""
        stream = self.process.stdout
        while stream is not None and (line := await stream.readline()):
            event = json.loads(line)
            async with self._changed:
                if event["event"] == "phase":
                    self.phase, self.phase_at = event["phase"], event["at"]
                elif event["event"] == "fault":
                    (self.faults.add if event["raised"] else self.faults.discard)(event["part"])
                elif event["event"] == "concluded":
                    self.concluded.put_nowait(event)
                self._changed.notify_all()
        async with self._changed:
            self.phase = "gone"
            self._changed.notify_all()

    async def idle(self) -> None:
        """Wait until the reader waits for the next person, whole. Raises ChildProcessError when it is gone."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.phase == "gone" or (self.phase == "idle" and not self.faults))
        if self.phase == "gone":
            raise ChildProcessError(f"the reader ended with exit code {await self.process.wait()}")


@dataclass(slots=True)
class Stage:
    """Everything the acts play on."""

    daemon: Daemon
    air: Air
    scene: CameraScene
    field: RfField
    bench: Bench
    iaca: certificates.Credential
    signer: certificates.Credential
    view: DemoView


async def play(act: Act, stage: Stage) -> Result:
    """Play one act and compare."""
    result = Result(act.name, act.title, act.outcome.value)
    await stage.daemon.idle()
    async with contextlib.AsyncExitStack() as stack:
        beginning = _tapped(act, stage) if act.taps else _shown(act, stage)
        shown = await stack.enter_async_context(beginning)
        try:
            async with asyncio.timeout(_ACT_S):
                event = await stage.daemon.concluded.get()
        except TimeoutError:
            result.complaints.append("the reader never came to a decision")
            event = None
        if event is not None:
            _fill(result, event, shown)
        await asyncio.sleep(0.3)
        result.opened = bool(stage.bench.state.events("relay", shown) and _energised(stage.bench, shown))
    await stage.daemon.idle()
    _compare(act, result)
    return result


@contextlib.asynccontextmanager
async def _shown(act: Act, stage: Stage) -> AsyncIterator[float]:
    """Show a code until the act is over; gives the moment it began."""
    async with contextlib.AsyncExitStack() as stack:
        text = act.qr_text or ""
        if act.situation is not None:
            wallet = SITUATIONS[act.situation].wallet(stage.iaca, stage.signer)
            engagement = offer(wallet, act.mode)
            radio = await stack.enter_async_context(PhoneRadio(stage.air, act.name))
            text = engagement.qr_text
            await stack.enter_async_context(_played(present(radio, wallet, engagement, act.manner)))
        began = time.monotonic()
        showing = asyncio.create_task(stage.scene.show(text, act.condition))
        try:
            yield began
        finally:
            stage.scene.show_nothing()
            await showing


@contextlib.asynccontextmanager
async def _tapped(act: Act, stage: Stage) -> AsyncIterator[float]:
    """Hold a phone, or something else, to the reader until the act is over; gives the moment it began."""
    async with contextlib.AsyncExitStack() as stack:
        if act.thing is not None:
            thing = act.thing()
        else:
            wallet = SITUATIONS[act.situation or "adult"].wallet(stage.iaca, stage.signer)
            phone = TapPhone(wallet, act.tap or STATIC)
            thing = Picc(phone, ta=_FASTER)
            radio = await stack.enter_async_context(PhoneRadio(stage.air, act.name))
            await stack.enter_async_context(_played(tap_and_present(radio, phone, act.manner)))
        began = time.monotonic()
        stage.field.put(thing)
        try:
            yield began
        finally:
            stage.field.take(thing)


@contextlib.asynccontextmanager
async def _played(play: Coroutine[Any, Any, int]) -> AsyncIterator[None]:
    phone = asyncio.create_task(play)
    try:
        yield
    finally:
        phone.cancel()
        await asyncio.wait({phone}, timeout=5)


def _energised(bench: Bench, since: float) -> bool:
    return any(event.value for event in bench.state.events("relay", since))


def _fill(result: Result, event: dict[str, object], shown: float) -> None:
    phases = event["phases"]
    decided = float(str(event["at"]))
    result.outcome = str(event["outcome"])
    result.transport = str(event["transport"])
    reasons, light = event["reasons"], event["decided_to_light_ms"]
    result.reasons = [str(reason) for reason in reasons] if isinstance(reasons, list) else []
    result.light_ms = float(light) if isinstance(light, (int, float)) else None
    spent = [(str(name), float(ms)) for name, ms in phases] if isinstance(phases, list) else []
    at = max(0.0, (decided - shown) * 1000 - sum(ms for _, ms in spent))
    result.phases.append(("scan", 0.0, at))
    for name, milliseconds in spent:
        result.phases.append((name, at, at + milliseconds))
        at += milliseconds


def _compare(act: Act, result: Result) -> None:
    if result.outcome != act.outcome:
        result.complaints.append(f"expected {act.outcome}")
    if act.reason not in result.reasons:
        result.complaints.append(f"expected the reason {act.reason}")
    if result.opened != act.opens:
        result.complaints.append("the relay was energised" if result.opened else "the relay stayed at rest")


async def perform(acts: Sequence[Act], config: Path, runtime: Path, output: Path, view: DemoView) -> list[Result]:
    """Start everything, play the acts, stop everything."""
    iaca = certificates.make_iaca()
    reader_ca = certificates.make_reader_ca()
    reader = certificates.make_reader(reader_ca)
    (runtime / "anchors").mkdir()
    (runtime / "anchors" / "iaca.pem").write_bytes(iaca.pem)
    (runtime / "reader.chain.pem").write_bytes(reader.pem)
    key = runtime / "reader.key.pem"
    key.touch(0o600)
    key.write_bytes(reader.key_pem)
    signer = certificates.make_document_signer(iaca)
    results: list[Result] = []
    async with contextlib.AsyncExitStack() as stack:
        air = await stack.enter_async_context(Air())
        await air.listen(runtime / "hci.sock")
        scene = CameraScene(runtime / "camera.sock")
        stack.push_async_callback(scene.close)
        await scene.start()
        field = RfField()
        stack.enter_context(Pn532Chip(field, path=runtime / "nfc"))
        bench = await stack.enter_async_context(Bench(runtime / "pins.sock"))
        view.attach(bench.state, runtime / "display" / "latest.png")
        daemon = await stack.enter_async_context(Daemon.started(config, runtime, output / "reader.log"))
        async with asyncio.timeout(_START_S):
            await daemon.idle()
        stage = Stage(daemon, air, scene, field, bench, iaca, signer, view)
        drawing = asyncio.create_task(view.draw(daemon))
        try:
            for act in acts:
                view.begin(act)
                result = await play(act, stage)
                results.append(result)
                view.done(result)
        finally:
            drawing.cancel()
            await asyncio.wait({drawing})
    if daemon.process.returncode != 0 and results:
        results[-1].complaints.append(f"the reader ended with exit code {daemon.process.returncode}")
    return results


def keep_pictures(results: Sequence[Result], runtime: Path, output: Path) -> None:
    """Write the sheet of screens and the timeline."""
    screens = runtime / "display"
    if screens.is_dir() and any(screens.glob("*.png")):
        pictures.display_sheet(screens, output / "display.png")
    told = [(result.title, result.phases, result.outcome) for result in results if result.phases]
    if told:
        pictures.timeline(told, output / "timeline.png")


def main(arguments: Sequence[str]) -> int:
    """Run the demo; 0 when everything came out as it should, 1 otherwise, 2 when it could not run."""
    parser = argparse.ArgumentParser(prog="mdoc-lab demo", description="The reader and the lab's cast, live.")
    names = [act.name for act in CAST]
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=f"one of {', '.join(names)}")
    parser.add_argument("--tap", action="store_true", help="only those who tap")
    parser.add_argument("--loop", type=int, default=1, metavar="N", help="play everything N times; default: 1")
    parser.add_argument("--json", action="store_true", help="print the results as JSON and nothing else")
    parser.add_argument("--config", type=Path, default=CONFIG, metavar="FILE", help="default: config/demo.toml")
    parser.add_argument("--output", type=Path, default=Path("demo-output"), metavar="DIR", help="where pictures go")
    chosen = parser.parse_args(arguments)
    cast = [act for act in CAST if act.taps or not chosen.tap]
    acts = [act for _ in range(chosen.loop) for act in cast if not chosen.only or act.name in chosen.only]
    chosen.output.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(level=logging.ERROR)  # the far ends' chatter; the reader's own log goes to reader.log
    view = DemoView([act.title for act in acts], silent=chosen.json)
    try:
        with tempfile.TemporaryDirectory(prefix="mdoc-demo-") as folder:
            runtime = Path(folder)
            with view:
                results = asyncio.run(perform(acts, chosen.config, runtime, chosen.output, view))
            keep_pictures(results, runtime, chosen.output)
    except KeyboardInterrupt:
        return 130
    except (OSError, TimeoutError) as error:
        log = chosen.output / "reader.log"
        why = str(error) or "the reader did not start in time"
        print(f"the demo could not run: {why}; see {log}", file=sys.stderr)
        return 2
    good = all(result.as_expected for result in results) and len(results) == len(acts)
    if chosen.json:
        told = [{**asdict(result), "as_expected": result.as_expected} for result in results]
        print(json.dumps({"as_expected": good, "results": told}, indent=1))
    else:
        print_table(results)
        print(f"In {chosen.output}: timeline.png, display.png, and the reader's log, reader.log")
    return 0 if good else 1
