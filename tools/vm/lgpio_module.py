"""lgpio for the guest's Python: Raspberry Pi OS packages it, Debian does not, and PyPI has no wheel for Debian 13's.

It is built from its source on PyPI, statically, as its authors build wheels, and put where a Pi has it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from vm.command import run

HERE = Path(__file__).resolve().parent
_BIN = HERE.parent.parent / ".venv" / "bin"

FETCH = "apt-get download -q libpython3.13-dev"
TOOLS = ("dpkg-deb", "gcc")
LOCK = "lgpio.lock"

_PYTHON = "python3.13"
_MODULE = "_lgpio.cpython-313-x86_64-linux-gnu.so"
# lgpio's own conversions call these; SWIG gave them their names of today until 4.3, and does no more.
_NAMES_OF_PYTHON_2 = (
    "-DPyInt_AsLong=PyLong_AsLong",
    "-DPyInt_Check=PyLong_Check",
    "-DPyInt_FromLong=PyLong_FromLong",
    "-DPyString_FromString=PyUnicode_FromString",
)


def build(root: Path, archives: Path) -> None:
    """Build lgpio and put it into a root. Raises GuestError."""
    (archive,) = archives.glob("libpython3*-dev_*.deb")
    run("dpkg-deb", "-x", str(archive), str(archives / "python"), seconds=120)
    include = archives / "python" / "usr" / "include"
    run(
        str(_BIN / "python"),
        "-m",
        "pip",
        "download",
        "--disable-pip-version-check",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-binary=:all:",
        "--require-hashes",
        "-r",
        str(HERE / LOCK),
        seconds=300,
        folder=archives,
    )
    (tarball,) = archives.glob("lgpio-*.tar.gz")
    run("tar", "-xzf", str(tarball), seconds=60, folder=archives)
    source = archives / tarball.name.removesuffix(".tar.gz")
    # The virtual environment has one as a package that others are built with.
    swig = shutil.which("swig", path=f"{_BIN}{os.pathsep}{os.environ.get('PATH', '')}") or "swig"
    run(swig, "-python", "lgpio.i", seconds=60, folder=source)
    run(
        "gcc",
        "-shared",
        "-fPIC",
        "-O1",
        "-pthread",
        "-w",
        *_NAMES_OF_PYTHON_2,
        "-Isrc",
        f"-I{include / _PYTHON}",
        f"-I{include}",
        "-o",
        _MODULE,
        "lgpio_wrap.c",
        *(f"src/{file.name}" for file in (source / "src").glob("lg*.c")),
        "src/rgpiod.c",
        seconds=300,
        folder=source,
    )
    target = root / "usr" / "lib" / "python3" / "dist-packages"
    for name in (_MODULE, "lgpio.py"):
        shutil.copyfile(source / name, target / name)
