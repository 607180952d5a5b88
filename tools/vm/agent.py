"""The agent: runs in the guest and does what the host asks over the control port. Standard library only.

Each request and each event is one JSON object on one line. A request carries `do` and an `id` of the host's choice;
what belongs to it comes back with the same `id`. The host's silence is patience, its absence ends the guest.
"""

from __future__ import annotations

import base64
import json
import os
import platform
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

PORT = "mdoc.guest.control"
_PORTS = Path("/sys/class/virtio-ports")
_LONGEST_LINE = 64 * 1024
_LARGEST_REQUEST = 16 * 1024 * 1024
_LARGEST_FILE = 8 * 1024 * 1024
_MOST_UNWRITTEN = 4096

Request = Mapping[str, Any]


class Agent:
    """The requests of one host, and the processes it has started."""

    def __init__(self, port: IO[bytes]) -> None:
        """Speak through an open port."""
        self._port = port
        self._sending = threading.Lock()
        self._processes: dict[int, _Running] = {}

    def send(self, event: str, number: int, **fields: object) -> None:
        """Send an event to the host, whole, waiting while it does not read."""
        data = json.dumps({"event": event, "id": number, **fields}).encode() + b"\n"
        with self._sending:
            view = memoryview(data)
            while view:
                view = view[self._port.write(view) :]

    def serve(self) -> None:
        """Do what the host asks until it goes."""
        self.send("ready", 0, python=platform.python_version(), uptime=time.clock_gettime(time.CLOCK_BOOTTIME))
        rest = b""
        while data := os.read(self._port.fileno(), 65536):
            *lines, rest = (rest + data).split(b"\n") if b"\n" in data else (rest + data,)
            if len(rest) > _LARGEST_REQUEST:
                return
            for line in lines:
                request = json.loads(line)
                try:
                    self._do(request)
                except (OSError, ValueError, KeyError, TypeError) as error:
                    self.send("failed", request["id"], error=f"{type(error).__name__}: {error}")

    def ended(self, number: int) -> None:
        """Forget a process."""
        self._processes.pop(number, None)

    def _do(self, request: Request) -> None:
        number = int(request["id"])
        match request["do"]:
            case "start":
                started = _Running(self, number, request)
                self._processes[number] = started
                started.follow()
            case "write":
                self._processes[number].write(base64.b64decode(request["data"]))
            case "close":
                self._processes[number].write(None)
            case "signal":
                # One that has just ended needs no signal.
                if running := self._processes.get(number):
                    running.signal(int(request["signal"]), group=bool(request["group"]))
            case "save":
                path = Path(request["path"])
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(base64.b64decode(request["data"]))
                path.chmod(int(request["mode"]))
                self.send("done", number)
            case "load":
                with Path(request["path"]).open("rb") as file:
                    data = file.read(_LARGEST_FILE + 1)
                if len(data) > _LARGEST_FILE:
                    raise ValueError("file too large")
                self.send("done", number, data=base64.b64encode(data).decode())
            case "list":
                path = Path(request["path"])
                self.send("done", number, names=sorted(each.name for each in path.iterdir()) if path.is_dir() else [])
            case "facts":
                self.send("done", number, **_facts(int(request["pid"])))
            case "wait":
                threading.Thread(target=self._wait, args=(number, request), daemon=True).start()
            case unknown:
                raise ValueError(f"cannot {unknown}")

    def _wait(self, number: int, request: Request) -> None:
        path, there = Path(request["path"]), bool(request["there"])
        end = time.monotonic() + float(request["patience"])
        while path.exists() != there and time.monotonic() < end:
            time.sleep(0.02)
        self.send("done", number, right=path.exists() == there)


class _Running:
    """A process with a thread for each of its pipes."""

    def __init__(self, agent: Agent, number: int, request: Request) -> None:
        self._agent = agent
        self._number = number
        env = {**os.environ, **request["env"]}
        self._process = subprocess.Popen(
            request["argv"],
            env=env,
            cwd=request["cwd"] or "/root",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        agent.send("started", number, pid=self._process.pid)
        self._unwritten: queue.Queue[bytes | None] = queue.Queue(_MOST_UNWRITTEN)
        out, err = self._process.stdout, self._process.stderr
        self._readers = [
            threading.Thread(target=self._read, args=(stream, name), daemon=True)
            for stream, name in ((out, "out"), (err, "err"))
        ]

    def follow(self) -> None:
        """Begin to carry its pipes, and to wait for its end."""
        for thread in (*self._readers, threading.Thread(target=self._write, daemon=True)):
            thread.start()
        threading.Thread(target=self._finish, daemon=True).start()

    def write(self, data: bytes | None) -> None:
        try:
            self._unwritten.put_nowait(data)
        except queue.Full:
            raise ValueError("the process does not read") from None

    def signal(self, number: int, *, group: bool) -> None:
        try:
            if group:
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)
        except ProcessLookupError:
            pass

    def _read(self, stream: IO[bytes], name: str) -> None:
        while line := stream.readline(_LONGEST_LINE):
            self._agent.send(name, self._number, text=line.decode(errors="replace"))
        stream.close()

    def _write(self) -> None:
        stdin = self._process.stdin
        if stdin is None:
            return
        try:
            while (data := self._unwritten.get()) is not None:
                stdin.write(data)
                stdin.flush()
            stdin.close()
        except (BrokenPipeError, ValueError):
            pass

    def _finish(self) -> None:
        code = self._process.wait()
        # A child that was left behind may hold the pipes; what came until now is all that is waited for.
        for reader in self._readers:
            reader.join(1.0)
        self._agent.ended(self._number)
        self._unwritten.put(None)
        self._agent.send("exit", self._number, code=code)


def _facts(pid: int) -> dict[str, int]:
    folder = Path("/proc") / str(pid)
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
    after_name = (folder / "stat").read_text().rpartition(")")[2].split()
    return {
        "fds": len(list((folder / "fd").iterdir())),
        "rss_kib": int(status.get("VmRSS", "0 kB").split()[0]),
        "peak_kib": int(status.get("VmHWM", "0 kB").split()[0]),
        "threads": int(status["Threads"]),
        "cpu_ms": (int(after_name[11]) + int(after_name[12])) * 1000 // os.sysconf("SC_CLK_TCK"),
    }


def main() -> None:
    """Find the control port and serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for port in _PORTS.iterdir():
        name = port / "name"
        if name.exists() and name.read_text().strip() == PORT:
            with open(f"/dev/{port.name}", "r+b", buffering=0) as file:  # noqa: PTH123 - raw, unbuffered
                Agent(file).serve()
            return
    sys.exit("no control port")


if __name__ == "__main__":
    main()
