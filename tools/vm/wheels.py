"""Python for guests, as disks: the locked packages that run there, and this project as it is now."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from vm import bytecode, cache
from vm.cache import say
from vm.command import run, squash

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def packages(python: str, platform: str, lock: str, compiler: Path | None = None) -> Path:
    """Return a squashfs with the packages of a lock file, wheels alone. Raises GuestError.

    Args:
        python: the guest's Python, as in "3.13".
        platform: uv's name of the guest's platform.
        lock: a lock file's text, with hashes.
        compiler: the guest's Python (`bytecode.keep`), where byte code is wanted.
    """
    kind = "compiled" if compiler is not None else "packages"
    name = f"{kind}-{python}-{platform.partition('-')[0]}-{cache.digest(lock)}"

    def make(target: Path) -> None:
        say(f"{name}: installing the locked Python packages ...")
        (target / "lock").write_text(lock)
        tree = target / "tree"
        run(
            str(ROOT / ".venv" / "bin" / "uv"),
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            "--only-binary=:all:",
            f"--python-version={python}",
            f"--python-platform={platform}",
            f"--target={tree}",
            "-r",
            str(target / "lock"),
            seconds=600,
        )
        if compiler is not None:
            bytecode.compile_tree(compiler, python, tree)
        squash(tree, target / "packages.squashfs", seconds=120)
        shutil.rmtree(tree)

    return cache.entry(name, ("packages.squashfs",), make) / "packages.squashfs"


def locked(wanted: frozenset[str], extra: str) -> str:
    """Return the parts of the device's lock file for these packages, and a lock file of this folder."""
    blocks = re.split(r"(?m)^(?=\S)", (ROOT / "requirements" / "device.lock").read_text())
    return "".join(block for block in blocks if re.split(r"[=\[; ]", block)[0] in wanted) + (HERE / extra).read_text()


def project(target: Path, python: str = "", compiler: Path | None = None) -> Path:
    """Install this project into a squashfs in a folder, as it is now, and return its path. Raises GuestError.

    Byte code comes with it where a guest's Python is named, as for `packages`.
    """
    tree, disk = target / "project", target / "project.squashfs"
    run(
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
    if compiler is not None:
        bytecode.compile_tree(compiler, python, tree)
    squash(tree, disk, seconds=60)
    shutil.rmtree(tree)
    return disk
