"""A running guest: QEMU with our images, and what the host asks of the agent inside it.

Software emulation alone is counted on (`tcg`); MDOC_GUEST_ACCEL=kvm asks for more where a machine has it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ctypes
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vm.cache import GuestError
from vm.image import Image

_BOOT_S = 180.0
_LINE = 32 * 1024 * 1024
_PR_SET_PDEATHSIG = 1
_MEMORY_MB = "900"


@dataclass(frozen=True, slots=True)
class Done:
    """A command that ran to its end."""

    rc: int
    out: str
    err: str


class Process:
    """A process in the guest."""

    def __init__(self, guest: Guest, number: int) -> None:
        """Take the events of one request."""
        self.pid = 0
        self._guest = guest
        self._number = number
        self._lines: asyncio.Queue[tuple[str, str] | None] = asyncio.Queue()
        self._code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._started: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    async def lines(self) -> AsyncIterator[tuple[str, str]]:
        """Yield ("out" or "err", line) as they come, until the process has ended."""
        while (line := await self._lines.get()) is not None:
            yield line

    async def write(self, text: str | None) -> None:
        """Write to its standard input; None closes it."""
        if text is None:
            await self._guest.send("close", self._number)
        else:
            await self._guest.send("write", self._number, data=base64.b64encode(text.encode()).decode())

    async def signal(self, number: int, *, group: bool = False) -> None:
        """Send a signal to it, or to all it has started. One that has ended takes it without complaint."""
        if not self._code.done():
            await self._guest.send("signal", self._number, signal=number, group=group)

    async def wait(self) -> int:
        """Wait for its end; return its exit code."""
        return await asyncio.shield(self._code)

    async def facts(self) -> dict[str, int]:
        """Return its open files, memory in KiB, threads and CPU time in ms."""
        return await self._guest.facts(self.pid)

    async def started(self) -> None:
        """Wait until it runs. Raises GuestError when it cannot be started."""
        await self._started

    def on_event(self, event: dict[str, Any]) -> None:
        """Take what the agent says of it."""
        match event["event"]:
            case "started":
                self.pid = event["pid"]
                self._settle(self._started, None)
            case "out" | "err":
                self._lines.put_nowait((event["event"], event["text"].rstrip("\n")))
            case "exit":
                self._settle(self._code, event["code"])
                self._lines.put_nowait(None)
            case _:
                self.on_lost(GuestError(event.get("error", "the agent refused")))

    def on_lost(self, error: GuestError) -> None:
        """Take the end of the guest."""
        for future in (self._started, self._code):
            if not future.done():
                future.set_exception(error)
                future.exception()
        self._lines.put_nowait(None)

    @staticmethod
    def _settle(future: asyncio.Future[Any], value: object) -> None:
        if not future.done():
            future.set_result(value)


class Guest:
    """One guest; an async context manager. Not shared between event loops.

    Args:
        image: what it boots from.
        project: the squashfs of this project (`vm.project`).
        hci: Unix sockets that each offer a Bluetooth controller (`mdoc_reader.lab.air.Air.listen`), in the guest
            hci0, hci1 and so on once attached.
        name: for messages.
    """

    def __init__(self, image: Image, project: Path, hci: Sequence[Path] = (), name: str = "") -> None:
        """Prepare; entering the context boots it."""
        self.image = image
        self.name = name or f"{image.dist.name}-{image.arch.debian}"
        self.boot_s = 0.0
        self.bluetoothd: Process | None = None
        self.bluetoothd_log: list[str] = []
        self._project = project
        self._hci = tuple(hci)
        self._attached: dict[int, Process] = {}
        self._folder = Path()
        self._qemu: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._processes: dict[int, Process] = {}
        self._numbers = 0
        self._ready: asyncio.Future[dict[str, Any]] | None = None

    async def __aenter__(self) -> Self:
        """Boot. Raises GuestError with the end of its console when it does not come up."""
        began = time.monotonic()
        self._folder = Path(tempfile.mkdtemp(prefix="mdoc-guest-"))
        self._ready = asyncio.get_running_loop().create_future()
        up = False
        try:
            await self._launch()
            async with asyncio.timeout(_BOOT_S):
                await self._connect()
                await self._ready
            up = True
        except TimeoutError:
            raise GuestError(f"{self.name} did not come up within {_BOOT_S:.0f} s:\n{self.console()}") from None
        finally:
            if not up:
                await self.close()
        self.boot_s = time.monotonic() - began
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Switch off."""
        await self.close()

    async def close(self) -> None:
        """Switch the guest off at once."""
        if self._qemu is not None and self._qemu.returncode is None:
            self._qemu.kill()
            await self._qemu.wait()
        if self._writer is not None:
            self._writer.close()
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        shutil.rmtree(self._folder, ignore_errors=True)

    def console(self) -> str:
        """Return the end of what the guest's kernel and first process have said."""
        with contextlib.suppress(OSError):
            return (self._folder / "console").read_text(errors="replace")[-3000:]
        return ""

    async def _launch(self) -> None:
        image = self.image
        accel = os.environ.get("MDOC_GUEST_ACCEL", "tcg")
        command = [image.arch.program, *image.arch.machine]
        command += ["-accel", "tcg,thread=multi,tb-size=256" if accel == "tcg" else accel]
        command += ["-smp", "2", "-m", _MEMORY_MB, "-nodefaults", "-display", "none", "-no-reboot", "-nic", "none"]
        command += ["-chardev", f"file,id=console,path={self._folder / 'console'}", "-serial", "chardev:console"]
        command += ["-device", "virtio-serial-pci", "-device", "virtio-rng-pci"]
        for number, path in enumerate(self._hci):
            command += ["-chardev", f"socket,id=hci{number},path={path},reconnect=1"]
            command += ["-device", f"virtconsole,chardev=hci{number}"]
        command += ["-chardev", f"socket,id=control,path={self._folder / 'control'},server=on,wait=off"]
        command += ["-device", "virtserialport,chardev=control,name=mdoc.guest.control"]
        for serial, path in (("root", image.root), ("packages", image.packages), ("project", self._project)):
            command += ["-drive", f"if=none,id={serial},file={path},format=raw,readonly=on"]
            command += ["-device", f"virtio-blk-pci,drive={serial},serial={serial}"]
        command += ["-kernel", str(image.kernel), "-initrd", str(image.initramfs)]
        command += ["-append", f"console={image.arch.console} quiet panic=-1 mitigations=off nokaslr tsc=reliable"]
        with (self._folder / "qemu.log").open("wb") as log:
            self._qemu = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_die_with_parent
            )
        self._keep(asyncio.create_task(self._watch(self._qemu)))

    async def _watch(self, qemu: asyncio.subprocess.Process) -> None:
        code = await qemu.wait()
        told = (self._folder / "qemu.log").read_text(errors="replace")[-1000:]
        self._lose(GuestError(f"{self.name} ended with {code}: {told}\n{self.console()}"))

    def _lose(self, error: GuestError) -> None:
        waiting = [*self._waiting.values(), *([self._ready] if self._ready is not None else [])]
        for future in waiting:
            if not future.done():
                future.set_exception(error)
                future.exception()
        for process in self._processes.values():
            process.on_lost(error)

    async def _connect(self) -> None:
        path = self._folder / "control"
        while not path.exists():  # noqa: ASYNC110 -- QEMU makes it when it does
            await asyncio.sleep(0.02)
        reader, self._writer = await asyncio.open_unix_connection(path, limit=_LINE)
        self._keep(asyncio.create_task(self._listen(reader)))

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                event: dict[str, Any] = json.loads(line)
                number = event["id"]
                if event["event"] == "ready":
                    if self._ready is not None and not self._ready.done():
                        self._ready.set_result(event)
                elif number in self._processes:
                    self._processes[number].on_event(event)
                    if event["event"] == "exit":
                        del self._processes[number]
                elif number in self._waiting:
                    future = self._waiting.pop(number)
                    if future.done():
                        continue
                    if event["event"] == "done":
                        future.set_result(event)
                    else:
                        future.set_exception(GuestError(f"{self.name}: {event.get('error')}"))

    async def send(self, do: str, number: int, **fields: object) -> None:
        """Ask something of the agent under a number. Raises GuestError when the guest is gone."""
        writer = self._writer
        if writer is None or self._qemu is None or self._qemu.returncode is not None:
            raise GuestError(f"{self.name} is gone:\n{self.console()}")
        writer.write(json.dumps({"do": do, "id": number, **fields}).encode() + b"\n")
        await writer.drain()

    async def ask(self, do: str, *, seconds: float = 30.0, **fields: object) -> dict[str, Any]:
        """Ask, and return the agent's answer. Raises GuestError."""
        self._numbers += 1
        number = self._numbers
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        await self.send(do, number, **fields)
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError:
            raise GuestError(f"{self.name}: no answer to {do!r} within {seconds:.0f} s") from None
        finally:
            self._waiting.pop(number, None)

    async def start(self, argv: Sequence[str], *, env: dict[str, str] | None = None) -> Process:
        """Start a process. Raises GuestError."""
        self._numbers += 1
        process = Process(self, self._numbers)
        self._processes[self._numbers] = process
        await self.send("start", self._numbers, argv=list(argv), env=env or {}, cwd="")
        await process.started()
        return process

    async def run(
        self, argv: Sequence[str], *, seconds: float = 60.0, stdin: str = "", env: dict[str, str] | None = None
    ) -> Done:
        """Run a command to its end; it is killed when time is up. Raises GuestError."""
        process = await self.start(argv, env=env)
        if stdin:
            await process.write(stdin)
        await process.write(None)
        told: dict[str, list[str]] = {"out": [], "err": []}
        try:
            async with asyncio.timeout(seconds):
                async for stream, text in process.lines:
                    told[stream].append(text)
                code = await process.wait()
        except TimeoutError:
            await process.signal(signal.SIGKILL, group=True)
            raise GuestError(f"{self.name}: {argv[0]} took longer than {seconds:.0f} s: {told}") from None
        return Done(code, "\n".join(told["out"]), "\n".join(told["err"]))

    async def write_file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Write a file, making its folder."""
        await self.ask("save", path=path, data=base64.b64encode(data).decode(), mode=mode)

    async def read_file(self, path: str) -> bytes:
        """Read a file."""
        return base64.b64decode((await self.ask("load", path=path))["data"])

    async def until_path(self, path: str, *, there: bool = True, seconds: float = 30.0) -> None:
        """Wait until a path exists, or does not. Raises GuestError."""
        answer = await self.ask("wait", path=path, there=there, patience=seconds, seconds=seconds + 10)
        if not answer["right"]:
            raise GuestError(f"{self.name}: {path} is {'missing' if there else 'still there'} after {seconds:.0f} s")

    async def facts(self, pid: int) -> dict[str, int]:
        """Return facts of a process: fds, rss_kib, peak_kib, threads, cpu_ms."""
        answer = await self.ask("facts", pid=pid)
        return {name: value for name, value in answer.items() if name not in {"event", "id"}}

    # Bluetooth

    async def attach_hci(self, number: int = 0) -> None:
        """Plug an adapter in: HCI over the virtio console `number`."""
        argv = ["btattach", "-B", f"/dev/hvc{number}", "-P", "h4", "-N"]
        self._attached[number] = process = await self.start(argv)
        self._keep(asyncio.create_task(_ignored(process)))

    async def detach_hci(self, number: int = 0) -> None:
        """Pull an adapter out."""
        process = self._attached.pop(number)
        await process.signal(signal.SIGTERM)
        await process.wait()

    async def start_bluetoothd(
        self, main_conf: str | None = None, *, arguments: Sequence[str] = (), again_s: float | None = None
    ) -> None:
        """Start bluetoothd, with this main.conf or Debian's own; its log is kept in `bluetoothd_log`.

        `again_s`: started again so many seconds after it has ended, as a service manager does with Restart=always.
        """
        argv = ["/usr/libexec/bluetooth/bluetoothd", "-n", *arguments]
        if main_conf is not None:
            await self.write_file("/tmp/main.conf", main_conf.encode())  # noqa: S108 -- in the guest
            argv += ["-f", "/tmp/main.conf"]  # noqa: S108 -- in the guest
        if again_s is not None:
            loop = f'while :; do "$@"; echo "bluetoothd ended with $?" >&2; sleep {again_s}; done'
            argv = ["busybox", "sh", "-c", loop, "sh", *argv]
        self.bluetoothd = await self.start(argv)
        self._keep(asyncio.create_task(self._read_bluetoothd(self.bluetoothd)))

    async def _read_bluetoothd(self, process: Process) -> None:
        async for _, text in process.lines:
            self.bluetoothd_log.append(text)
            del self.bluetoothd_log[:-2000]

    async def crash_bluetoothd(self, number: int = signal.SIGKILL) -> None:
        """End bluetoothd; it comes back where it was started to."""
        await self.run(["busybox", "killall", f"-{number:d}", "bluetoothd"])

    async def kill_bluetoothd(self, number: int = signal.SIGKILL) -> None:
        """End bluetoothd for good."""
        if self.bluetoothd is not None:
            await self.bluetoothd.signal(number, group=True)
            await self.bluetoothd.wait()
            self.bluetoothd = None

    async def objects(self) -> list[str]:
        """Return the paths of bluetoothd's objects."""
        done = await self.run(
            ["dbus-send", "--system", "--print-reply", "--dest=org.bluez", "/", f"{_MANAGER}.GetManagedObjects"]
        )
        return [line.split('"')[1] for line in done.out.splitlines() if "object path" in line and '"/org/bluez' in line]

    async def hci_up(self, seconds: float = 60.0) -> None:
        """Wait until bluetoothd has an adapter. Raises GuestError."""
        end = time.monotonic() + seconds
        while not any(path.startswith("/org/bluez/hci") for path in await self.objects()):
            if time.monotonic() > end:
                raise GuestError(f"{self.name}: no adapter: " + "\n".join(self.bluetoothd_log[-30:]))
            await asyncio.sleep(0.2)


_MANAGER = "org.freedesktop.DBus.ObjectManager"


async def _ignored(process: Process) -> None:
    async for _ in process.lines:
        pass


def _die_with_parent() -> None:
    # A test that is killed must not leave a guest behind.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
