"""Flavours of guests: what a root holds, and what is done to it where no maintainer script runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

COMMON = ("busybox-static", "dbus", "iproute2", "kmod", "procps", "python3")
UNUSED_MODULES = (
    "drivers/gpu",
    "drivers/infiniband",
    "drivers/scsi",
    "drivers/iio",
    "drivers/staging",
    "drivers/net/ethernet",
    "drivers/net/wireless",
    "drivers/isdn",
    "drivers/ata",
    "drivers/md",
    "fs/xfs",
    "fs/btrfs",
    "fs/ocfs2",
    "fs/nfs",
    "fs/nfsd",
    "fs/ceph",
    "fs/smb",
    "net/netfilter",
    "sound",
)
"""Kernel modules no guest here needs: most of an image otherwise."""

_USERS = "root:x:0:0:root:/root:/bin/sh\nmessagebus:x:100:100::/nonexistent:/usr/sbin/nologin\n"
_GROUPS = "root:x:0:\nmessagebus:x:100:\nbluetooth:x:101:\nnetdev:x:102:\ndialout:x:20:\n"


@dataclass(frozen=True, slots=True)
class Flavour:
    """One kind of guest.

    `finish` is given the unpacked root and a folder with the Debian archives that `fetch` asked for: a shell command in
    which $1 is the root, run in that folder where apt is set up for the guest's release. `first` is the first process,
    as arguments of a shell. `compiled` asks for byte code on the disks. `sources` are the files whose change makes an
    image stale.
    """

    name: str
    packages: tuple[str, ...]
    tools: tuple[str, ...]
    first: str
    python: frozenset[str]
    lock: str
    finish: Callable[[Path, Path], None]
    sources: tuple[str, ...]
    fetch: str = ""
    compiled: bool = False


def finish_bluetooth(root: Path, _archives: Path) -> None:
    """Write what the shell that is this flavour's first process counts on."""
    for name, text in (("passwd", _USERS), ("group", _GROUPS), ("hostname", "guest\n"), ("machine-id", "")):
        (root / "etc" / name).write_text(text)
    (modules,) = (root / "lib" / "modules").iterdir()
    shutil.rmtree(modules / "kernel" / "drivers" / "media", ignore_errors=True)


BLUETOOTH = Flavour(
    name="bluetooth",
    packages=("bluez", "python3-dbus", "python3-gi", "rfkill"),
    tools=("mmdebstrap", "mksquashfs", "depmod"),
    first="/run/guest/busybox sh /run/guest/init root",
    python=frozenset({"cbor2", "cffi", "cryptography", "dbus-fast", "msgspec", "pycparser", "typing-extensions"}),
    lock="peer.lock",
    finish=finish_bluetooth,
    sources=(),
)
"""bluetoothd and nothing else: its first process is a shell that starts D-Bus and the agent."""
