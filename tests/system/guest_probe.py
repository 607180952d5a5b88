"""Run inside a unit of ours, with all that shuts it in: tries what is to be impossible, and says what came of it.

Standard library only; one line of JSON on standard output. "done" or an error's name for each try.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

FAMILIES = ("AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_BLUETOOTH", "AF_VSOCK")
WRITTEN = ("/etc/x", "/usr/x", "/opt/mdoc-reader/x", "/var/lib/x", "/tmp/x")  # noqa: S108 -- in the guest
OPENED = ("/dev/null", "/dev/mem", "/dev/kmsg", "/dev/vda", "/dev/ttyS0", "/dev/gpiochip0")
_NEWNET = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)


def tried(what: Callable[[], object]) -> str:
    """Try, and name the outcome."""
    try:
        what()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "done"


def make(family: str) -> None:
    """Make a socket of a family."""
    kind = {"AF_NETLINK": socket.SOCK_RAW, "AF_PACKET": socket.SOCK_RAW, "AF_BLUETOOTH": socket.SOCK_SEQPACKET}
    socket.socket(getattr(socket, family), kind.get(family, socket.SOCK_STREAM)).close()


def open_device(path: str) -> None:
    """Open a device to read and write."""
    os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY))


def names(path: str) -> list[str]:
    """Return what a folder holds."""
    return [each.name for each in Path(path).iterdir()]


def call(number: int) -> None:
    """Raise what a C function reported."""
    if number < 0:
        raise OSError(ctypes.get_errno(), "")


def execute_what_was_written() -> None:
    """Write a program where the unit may write, and run it."""
    program = Path(os.environ["STATE_DIRECTORY"]) / "program"
    program.write_bytes(Path("/usr/bin/true").read_bytes())
    program.chmod(0o700)
    try:
        subprocess.run([program], check=True)
    finally:
        program.unlink()


def main() -> None:
    """Try everything."""
    found = {family: tried(lambda family=family: make(family)) for family in FAMILIES}
    found |= {f"write {path}": tried(lambda path=path: Path(path).touch()) for path in WRITTEN}
    found |= {f"open {path}": tried(lambda path=path: open_device(path)) for path in OPENED}
    executable = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    found["write and execute memory"] = tried(lambda: mmap.mmap(-1, 4096, prot=executable).close())
    found["execute what was written"] = tried(execute_what_was_written)
    found["make a namespace"] = tried(lambda: call(libc.unshare(_NEWNET)))
    found["mount"] = tried(lambda: call(libc.mount(b"x", b"/mnt", b"tmpfs", 0, None)))
    found["set the clock"] = tried(lambda: time.clock_settime(time.CLOCK_REALTIME, 0.0))
    found["see the spool"] = tried(lambda: names("/var/lib/mdoc-reader-spool/incoming"))
    found["networks"] = " ".join(names("/sys/class/net"))
    found["processes"] = str(sum(name.isdigit() for name in names("/proc")))
    for line in Path("/proc/self/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key in {"CapBnd", "CapEff", "NoNewPrivs", "Seccomp"}:
            found[key] = value.strip()
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
