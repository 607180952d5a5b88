"""A smart card service of one's own: the real pcscd with virtual readers, beside whatever the machine has.

pcscd has its socket in one fixed place, but takes one from whoever starts it, as systemd does; clients find it by the
environment, where their library looks once in a process's life: a process has one such service at a time, and has to
`claim` it before its first use of PC/SC. Where the kernel lets anybody have name spaces it sees neither the machine's
own service nor its readers, and needs no rights; elsewhere it has to be started by root.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

SOCKET_VARIABLE = "PCSCLITE_CSOCK_NAME"
READER = "Virtual PCD"

_SYSTEM_PATHS = "/usr/sbin:/sbin:/usr/local/sbin"
_INSTALLED_READER = Path("/etc/reader.conf.d/vpcd")
_LIBRARIES = ("usr/lib/pcsc/drivers/serial/libifdvpcd.so", "usr/lib/*/pcsc/drivers/serial/libifdvpcd.so")
_UNSHARE = ("unshare", "--user", "--map-root-user", "--mount", "--")
_SCRIPT = """
if [ "$1" = alone ]; then
    for place in /run /dev/bus/usb; do [ ! -d $place ] || mount -t tmpfs none $place || exit 1; done
fi
shift
exec 3<&0 0</dev/null
LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"
"""
_START_S = 10.0
_STOP_S = 5.0
_PAIR_TRIES = 20


@functools.cache
def _home() -> Path:
    home = Path(tempfile.mkdtemp(prefix="pcscd-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    return home


def claim() -> str:
    """Have this process, and those it starts, use its own service from now on, running or not. Return its socket."""
    os.environ[SOCKET_VARIABLE] = path = str(_home() / "pcscd.comm")
    return path


class PcscDaemon:
    """A running service, of which a process can have one. `with` starts and stops it.

    Args:
        readers: how many virtual readers to have, each with two slots; of none, the service has nothing.
    """

    def __init__(self, readers: int = 1) -> None:
        """Be ready to start. ValueError for more readers than one service can have."""
        if not 0 <= readers <= 4:
            raise ValueError("from none to four readers")
        self.readers = readers
        self.ports: tuple[int, ...] = ()
        """Where the first slot of each reader listens; the second slot's port is one more."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    @staticmethod
    def missing() -> str:
        """Say what is not installed, or empty."""
        absent = [name for name, there in (("pcscd", _pcscd()), ("vsmartcard-vpcd", _library())) if there is None]
        if absent:
            return f"not installed: {', '.join(absent)} (./dev setup system)"
        if os.getuid() != 0 and not _name_spaces():
            return "pcscd needs root here: this kernel gives nobody else name spaces"
        return ""

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    def start(self) -> None:
        """Start it, after it was stopped too: under the same name, with fresh ports. Raises RuntimeError."""
        self.stop()
        pcscd, library = _pcscd(), _library()
        if pcscd is None or library is None:
            raise RuntimeError(self.missing())
        path = Path(claim())
        path.unlink(missing_ok=True)
        self.ports = tuple(_free_pairs(self.readers))
        places = _described(self.ports, library)
        alone = _name_spaces()
        with socket.socket(socket.AF_UNIX) as listener, _log().open("wb") as log:
            listener.bind(str(path))
            listener.listen(16)
            command = [*(_UNSHARE if alone else ()), "sh", "-c", _SCRIPT, "sh", "alone" if alone else "beside"]
            command += [pcscd, "--foreground", "--error", "--config", str(places)]
            if _has_option(pcscd, "--disable-polkit"):
                command.append("--disable-polkit")
            self._process = subprocess.Popen(command, stdin=listener.fileno(), stdout=log, stderr=subprocess.STDOUT)
        self._wait_ready()

    def stop(self) -> None:
        """Stop it in an orderly way."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Have it hang for a while."""
        process = self._process
        if process is None:
            raise RuntimeError("it does not run")
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _wait_ready(self) -> None:
        """Wait until it listens for cards, which it does before it takes clients."""
        end = time.monotonic() + _START_S
        while not all(_listening(port + slot) for port in self.ports for slot in (0, 1)):
            if self._process is None or self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                said = _log().read_text(encoding="utf-8", errors="replace")
                raise RuntimeError(f"pcscd does not start: {said[-500:]}")
            time.sleep(0.01)


def _log() -> Path:
    return _home() / "log"


def _described(ports: tuple[int, ...], library: str) -> Path:
    """Describe the virtual readers to the service, and return where."""
    places = _home() / "reader.conf.d"
    shutil.rmtree(places, ignore_errors=True)
    places.mkdir()
    for number, port in enumerate(ports):
        name = READER if number == 0 else f"{READER} {'ABCD'[number]}"
        lines = (f'FRIENDLYNAME "{name}"', f"DEVICENAME /dev/null:{port}", f"LIBPATH {library}", f"CHANNELID {port}")
        (places / f"reader{number}").write_text("\n".join(lines) + "\n", encoding="ascii")
    return places


def _pcscd() -> str | None:
    return shutil.which("pcscd", path=f"{os.environ.get('PATH', '')}:{_SYSTEM_PATHS}")


def _library() -> str | None:
    with contextlib.suppress(OSError):
        said = re.search(r"^\s*LIBPATH\s+(\S+)", _INSTALLED_READER.read_text(encoding="utf-8"), re.MULTILINE)
        if said and Path(said[1]).exists():
            return said[1]
    return next((str(found) for pattern in _LIBRARIES for found in Path("/").glob(pattern)), None)


@functools.cache
def _name_spaces() -> bool:
    if shutil.which("unshare") is None:
        return False
    mount = [*_UNSHARE, "mount", "-t", "tmpfs", "none", "/run"]
    return subprocess.run(mount, check=False, capture_output=True, timeout=_START_S).returncode == 0


@functools.cache
def _has_option(pcscd: str, option: str) -> bool:
    said = subprocess.run([pcscd, "--help"], check=False, capture_output=True, timeout=_START_S)
    return option.encode() in said.stdout + said.stderr


def _free_pairs(count: int) -> Iterator[int]:
    """Find pairs of neighbouring ports that nobody listens on."""
    for _ in range(count):
        for _ in range(_PAIR_TRIES):
            with socket.socket() as first, socket.socket() as second:
                first.bind(("127.0.0.1", 0))
                port = int(first.getsockname()[1])
                with contextlib.suppress(OSError, OverflowError):
                    second.bind(("127.0.0.1", port + 1))
                    yield port
                    break
        else:
            raise RuntimeError("no two neighbouring ports are free")


def _listening(port: int) -> bool:
    """Whether somebody listens, without connecting: to the virtual reader, a connection is a card."""
    wanted = f":{port:04X} "
    with Path("/proc/net/tcp").open(encoding="ascii") as table:
        return any(wanted in f"{row.split()[1]} " and row.split()[3] == "0A" for row in table if ":" in row)
