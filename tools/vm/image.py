"""Guest images, made from Debian packages: a kernel, a small initramfs, and a root as a squashfs.

No maintainer script runs: the packages are unpacked, the few files their scripts would have written are written here,
and the guest's first process is our own. That makes an image in well under a minute, with or without being root.
"""

from __future__ import annotations

import lzma
import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from vm import cache, cpio
from vm.cache import GuestError, say

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

_MIRROR = os.environ.get("MDOC_DEBIAN_MIRROR", "http://deb.debian.org/debian")
_MODULES = ("virtio_pci", "virtio_mmio", "virtio_blk", "virtio_console", "virtio_rng", "squashfs", "overlay")
_PACKAGES = (
    "bluez",
    "busybox-static",
    "dbus",
    "iproute2",
    "kmod",
    "procps",
    "python3",
    "python3-dbus",
    "python3-gi",
    "rfkill",
)
_UNUSED = ("usr/share/doc", "usr/share/locale", "usr/share/man", "var/cache/apt", "var/lib/apt", "usr/share/info")
# Kernel modules no guest here needs: most of an image otherwise.
_UNUSED_MODULES = (
    "drivers/gpu",
    "drivers/media",
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
_USERS = "root:x:0:0:root:/root:/bin/sh\nmessagebus:x:100:100::/nonexistent:/usr/sbin/nologin\n"
_GROUPS = "root:x:0:\nmessagebus:x:100:\nbluetooth:x:101:\nnetdev:x:102:\ndialout:x:20:\n"


@dataclass(frozen=True, slots=True)
class Dist:
    """A Debian release as a guest: its name, its Python, its BlueZ."""

    name: str
    python: str
    bluez: str


DISTS = {
    "bookworm": Dist("bookworm", "3.11", "5.66"),
    "trixie": Dist("trixie", "3.13", "5.82"),
}
"""Debian 12 and Debian 13."""


@dataclass(frozen=True, slots=True)
class Arch:
    """A processor architecture: Debian's name, uv's, QEMU's program and the arguments of its machine."""

    debian: str
    wheels: str
    program: str
    machine: tuple[str, ...]
    console: str


ARCHS = {
    "amd64": Arch("amd64", "x86_64-manylinux_2_28", "qemu-system-x86_64", ("-M", "q35", "-cpu", "max"), "ttyS0"),
    "arm64": Arch(
        "arm64", "aarch64-manylinux_2_28", "qemu-system-aarch64", ("-M", "virt", "-cpu", "cortex-a72"), "ttyAMA0"
    ),
}


@dataclass(frozen=True, slots=True)
class Image:
    """What a guest boots from."""

    dist: Dist
    arch: Arch
    kernel: Path
    initramfs: Path
    root: Path
    packages: Path


def missing_tools(arch: str = "amd64") -> tuple[str, ...]:
    """Name the programs that are not installed here."""
    needed = (ARCHS[arch].program, "mmdebstrap", "mksquashfs", "depmod")
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return tuple(name for name in needed if shutil.which(name, path=path) is None)


def build(dist: str, arch: str = "amd64") -> Image:
    """Return the image of a release, made now if it is not in the cache. Raises GuestError."""
    of, on = DISTS[dist], ARCHS[arch]
    recipe = cache.digest(
        Path(__file__).read_bytes(), (HERE / "init.sh").read_bytes(), (HERE / "agent.py").read_bytes()
    )
    name = f"{dist}-{arch}-{recipe}"
    folder = cache.entry(name, ("kernel", "initramfs", "root.squashfs"), lambda target: _make(of, on, target))
    return Image(of, on, folder / "kernel", folder / "initramfs", folder / "root.squashfs", _packages(of, on))


def _make(dist: Dist, arch: Arch, target: Path) -> None:
    say(f"{dist.name} {arch.debian}: unpacking Debian packages (a minute or so) ...")
    root = target / "root"
    kernel = f"linux-image-{arch.debian}"
    mode = "root" if os.geteuid() == 0 else "chrootless"
    _run(
        "mmdebstrap",
        f"--mode={mode}",
        "--variant=extract",
        f"--architectures={arch.debian}",
        f"--include={','.join((kernel, *_PACKAGES))}",
        '--aptopt=APT::Install-Recommends "false"',
        "--format=directory",
        dist.name,
        str(root),
        _MIRROR,
        seconds=1500,
    )
    _finish(root)
    (version,) = (path.name for path in (root / "lib" / "modules").iterdir())
    say(f"{dist.name} {arch.debian}: making the file systems ...")
    shutil.copyfile(root / "boot" / f"vmlinuz-{version}", target / "kernel")
    (target / "initramfs").write_bytes(_initramfs(root, version))
    shutil.rmtree(root / "boot")
    _run("mksquashfs", str(root), str(target / "root.squashfs"), *_SQUASH, seconds=600)
    shutil.rmtree(root)


_SQUASH = ("-comp", "lz4", "-noappend", "-quiet", "-no-progress", "-no-xattrs", "-all-root")


def _finish(root: Path) -> None:
    """Write what maintainer scripts would have written, and leave out what no guest needs."""
    for name, text in (("passwd", _USERS), ("group", _GROUPS), ("hostname", "guest\n"), ("machine-id", "")):
        (root / "etc" / name).write_text(text)
    for unused in _UNUSED:
        shutil.rmtree(root / unused, ignore_errors=True)
    (modules,) = (root / "lib" / "modules").iterdir()
    for unused in _UNUSED_MODULES:
        shutil.rmtree(modules / "kernel" / unused, ignore_errors=True)
    _run("depmod", "-b", str(root), modules.name, seconds=120)
    if not (root / "bin" / "sh").exists():
        (root / "bin" / "sh").symlink_to("busybox")
    for name in ("opt/packages", "opt/project", "root", "run", "tmp", "proc", "sys", "dev"):
        (root / name).mkdir(parents=True, exist_ok=True)


def _initramfs(root: Path, version: str) -> bytes:
    modules = root / "lib" / "modules" / version
    busybox = next(path for path in (root / "usr/bin/busybox", root / "bin/busybox") if path.exists())
    entries: dict[str, tuple[int, bytes | None]] = {}
    for folder in ("bin", "dev", "proc", "sys", "modules", "disk"):
        entries[folder] = (0o755, None)
    entries["bin/busybox"] = (0o755, busybox.read_bytes())
    entries["init"] = (0o755, (HERE / "init.sh").read_bytes())
    entries["agent.py"] = (0o644, (HERE / "agent.py").read_bytes())
    entries["disks"] = (0o644, b"root packages project\n")
    for number, path in enumerate(_in_order(modules)):
        entries[f"modules/{number:02}-{path.name.removesuffix('.xz')}"] = (0o644, _plain(path))
    return cpio.archive(entries)


def _in_order(modules: Path) -> list[Path]:
    """Return the module files to load, what they depend on first (modules.dep lists it last first)."""
    needs: dict[str, tuple[str, list[str]]] = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        needs[Path(path).name.split(".")[0].replace("-", "_")] = (path, rest.split())
    order: dict[str, None] = {}
    for name in _MODULES:
        if name in needs:  # else it is built in
            path, before = needs[name]
            order.update(dict.fromkeys([*reversed(before), path]))
    return [modules / path for path in order]


def _plain(path: Path) -> bytes:
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def _packages(dist: Dist, arch: Arch) -> Path:
    """Return a squashfs with the locked Python packages the daemon needs in a guest, and bluezero."""
    lock = _picked((ROOT / "requirements" / "device.lock").read_text())
    lock += (HERE / "peer.lock").read_text()
    name = f"packages-{dist.python}-{arch.debian}-{cache.digest(lock)}"

    def make(target: Path) -> None:
        say(f"{dist.name} {arch.debian}: installing the locked Python packages ...")
        (target / "lock").write_text(lock)
        tree = target / "tree"
        _run(
            str(ROOT / ".venv" / "bin" / "uv"),
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            "--only-binary=:all:",
            f"--python-version={dist.python}",
            f"--python-platform={arch.wheels}",
            f"--target={tree}",
            "-r",
            str(target / "lock"),
            seconds=600,
        )
        _run("mksquashfs", str(tree), str(target / "packages.squashfs"), *_SQUASH, seconds=120)
        shutil.rmtree(tree)

    return cache.entry(name, ("packages.squashfs",), make) / "packages.squashfs"


_WANTED = frozenset({"cbor2", "cffi", "cryptography", "dbus-fast", "msgspec", "pycparser", "typing-extensions"})


def _picked(lock: str) -> str:
    """Return the parts of a lock file that belong to what runs in a guest: no camera, pins or display is there."""
    blocks = re.split(r"(?m)^(?=\S)", lock)
    return "".join(block for block in blocks if re.split(r"[=\[; ]", block)[0] in _WANTED)


def project(target: Path) -> Path:
    """Install this project into a squashfs in a folder, as it is now, and return its path. Raises GuestError."""
    tree, disk = target / "project", target / "project.squashfs"
    _run(
        str(ROOT / ".venv" / "bin" / "python"),
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        str(tree),
        str(ROOT),
        seconds=120,
    )
    _run("mksquashfs", str(tree), str(disk), *_SQUASH, seconds=60)
    shutil.rmtree(tree)
    return disk


def _run(*command: str, seconds: float) -> None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PATH": path, "LC_ALL": "C.UTF-8"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GuestError(f"{command[0]}: {error}") from error
    if done.returncode:
        raise GuestError(f"{' '.join(command[:3])} ... failed with {done.returncode}:\n{done.stderr[-3000:]}")


def here() -> str:
    """Return Debian's name of this machine's architecture."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
