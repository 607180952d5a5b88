"""Guest images, made from Debian packages: a kernel, a small initramfs, and a root as a squashfs.

No maintainer script runs: the packages are unpacked, the few files their scripts would have written are written here,
and the guest's first process is our own. That makes an image in well under a minute, with or without being root.
"""

from __future__ import annotations

import lzma
import os
import platform
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from vm import bytecode, cache, cpio, wheels
from vm.cache import say
from vm.command import missing, run, squash
from vm.device import DEVICE
from vm.flavour import BLUETOOTH, COMMON, UNUSED_MODULES, Flavour

HERE = Path(__file__).resolve().parent

_MIRROR = os.environ.get("MDOC_DEBIAN_MIRROR", "http://deb.debian.org/debian")
_MODULES = ("virtio_pci", "virtio_mmio", "virtio_blk", "virtio_console", "virtio_rng", "squashfs", "overlay")
_UNUSED = ("usr/share/doc", "usr/share/locale", "usr/share/man", "var/cache/apt", "var/lib/apt", "usr/share/info")
FLAVOURS = {flavour.name: flavour for flavour in (BLUETOOTH, DEVICE)}
"""What a guest is for: Bluetooth alone, or a whole device with systemd."""


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
    compiler: Path | None = None
    """The guest's Python for the host, where its disks hold byte code."""


def missing_tools(arch: str = "amd64", flavour: str = "bluetooth") -> tuple[str, ...]:
    """Name the programs that are not installed here."""
    return missing((ARCHS[arch].program, *FLAVOURS[flavour].tools))


def build(dist: str, arch: str = "amd64", flavour: str = "bluetooth") -> Image:
    """Return the image of a release, made now if it is not in the cache. Raises GuestError."""
    of, on, kind = DISTS[dist], ARCHS[arch], FLAVOURS[flavour]
    recipe = cache.digest(*((HERE / name).read_bytes() for name in ("image.py", "flavour.py", *kind.sources)))
    name = f"{dist}-{arch}-{kind.name}-{recipe}"
    folder = cache.entry(name, ("kernel", "base.cpio", "root.squashfs"), lambda target: _make(of, on, kind, target))
    compiler = folder / "python" if kind.compiled else None
    packages = wheels.packages(of.python, on.wheels, wheels.locked(kind.python, kind.lock), compiler)
    start = _initramfs(name, folder, kind)
    return Image(of, on, folder / "kernel", start, folder / "root.squashfs", packages, compiler)


def _make(dist: Dist, arch: Arch, kind: Flavour, target: Path) -> None:
    label = f"{dist.name} {arch.debian} {kind.name}"
    say(f"{label}: unpacking Debian packages ...")
    root, archives = target / "root", target / "archives"
    archives.mkdir()
    mode = "root" if os.geteuid() == 0 else "chrootless"
    include = (f"linux-image-{arch.debian}", *COMMON, *kind.packages)
    fetch = f'cd {shlex.quote(str(archives))} && export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" && {{ {kind.fetch}; }}'
    run(
        "mmdebstrap",
        f"--mode={mode}",
        "--variant=extract",
        f"--architectures={arch.debian}",
        f"--include={','.join(include)}",
        '--aptopt=APT::Install-Recommends "false"',
        *([f"--extract-hook={fetch}"] if kind.fetch else []),
        "--format=directory",
        dist.name,
        str(root),
        _MIRROR,
        seconds=1500,
    )
    say(f"{label}: making the file systems ...")
    _finish(root, archives, kind)
    shutil.rmtree(archives)
    (version,) = (path.name for path in (root / "lib" / "modules").iterdir())
    shutil.copyfile(root / "boot" / f"vmlinuz-{version}", target / "kernel")
    (target / "base.cpio").write_bytes(_base(root, version))
    shutil.rmtree(root / "boot")
    if kind.compiled:
        modules = (root / "usr" / "lib" / name for name in (f"python{dist.python}", "python3"))
        bytecode.compile_tree(root, dist.python, *modules)
        bytecode.keep(root, dist.python, target / "python")
    squash(root, target / "root.squashfs", seconds=600)
    shutil.rmtree(root)


def _finish(root: Path, archives: Path, kind: Flavour) -> None:
    """Write what maintainer scripts would have written, and leave out what no guest needs."""
    for unused in _UNUSED:
        shutil.rmtree(root / unused, ignore_errors=True)
    (modules,) = (root / "lib" / "modules").iterdir()
    for unused in UNUSED_MODULES:
        shutil.rmtree(modules / "kernel" / unused, ignore_errors=True)
    if not (root / "bin" / "sh").exists():
        (root / "bin" / "sh").symlink_to("busybox")
    for name in ("opt/packages", "opt/project", "root", "run", "tmp", "proc", "sys", "dev"):
        (root / name).mkdir(parents=True, exist_ok=True)
    kind.finish(root, archives)
    run("depmod", "-b", str(root), modules.name, seconds=120)


def _base(root: Path, version: str) -> bytes:
    """Return the part of the initramfs that comes from Debian: busybox and the modules that find the disks."""
    modules = root / "lib" / "modules" / version
    busybox = next(path for path in (root / "usr/bin/busybox", root / "bin/busybox") if path.exists())
    entries: dict[str, tuple[int, bytes | None]] = {}
    for folder in ("bin", "dev", "proc", "sys", "modules", "disk"):
        entries[folder] = (0o755, None)
    entries["bin/busybox"] = (0o755, busybox.read_bytes())
    for number, path in enumerate(_in_order(modules)):
        entries[f"modules/{number:02}-{path.name.removesuffix('.xz')}"] = (0o644, _plain(path))
    return cpio.archive(entries)


def _initramfs(name: str, folder: Path, kind: Flavour) -> Path:
    """Return the whole initramfs: our own files change more often than the rest, and are put behind it."""
    own = cpio.archive(
        {
            "init": (0o755, (HERE / "init.sh").read_bytes()),
            "agent.py": (0o644, (HERE / "agent.py").read_bytes()),
            "disks": (0o644, b"root packages project\n"),
            "first": (0o644, kind.first.encode() + b"\n"),
        }
    )

    def make(target: Path) -> None:
        (target / "initramfs").write_bytes((folder / "base.cpio").read_bytes() + own)

    return cache.entry(f"{name}-start-{cache.digest(own)}", ("initramfs",), make) / "initramfs"


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


def here() -> str:
    """Return Debian's name of this machine's architecture."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
