"""Byte code for guests, made on the host by the guest's own Python: emulated, it would take longer than the tests.

The interpreter runs with its own loader, libraries and library of modules, so the host's release does not matter.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from vm.command import run

_LIBRARIES = ("libc.so.6", "libm.so.6", "libz.so.1", "libexpat.so.1")


def compile_tree(python: Path, version: str, *trees: Path) -> None:
    """Compile folders of modules, beside them, whatever errors some old file in them has. Raises GuestError.

    Args:
        python: a root, or what `keep` has kept of one.
        version: its Python, as in "3.13".
        trees: what to compile. Sources that change afterwards are not looked at again.
    """
    run(
        str(python / "usr/lib64/ld-linux-x86-64.so.2"),
        "--library-path",
        str(python / "usr/lib/x86_64-linux-gnu"),
        str(python / f"usr/bin/python{version}"),
        "-S",
        "-c",
        "import compileall, py_compile, sys\n"
        "mode = py_compile.PycInvalidationMode.UNCHECKED_HASH\n"
        "for tree in sys.argv[1:]:\n"
        "    compileall.compile_dir(tree, quiet=2, invalidation_mode=mode)\n",
        *map(str, trees),
        seconds=600,
        PYTHONHOME=str(python / "usr"),
        PYTHONPATH="",
    )


def keep(root: Path, version: str, target: Path) -> None:
    """Copy what of a root is needed to compile more for it later."""
    libraries = target / "usr" / "lib" / "x86_64-linux-gnu"
    for folder in (libraries, target / "usr" / "lib64", target / "usr" / "bin"):
        folder.mkdir(parents=True)
    found = root / "usr" / "lib" / "x86_64-linux-gnu"
    for name in _LIBRARIES:
        shutil.copy(found / name, libraries / name)
    shutil.copy(root / "usr/lib64/ld-linux-x86-64.so.2", target / "usr" / "lib64")
    shutil.copy(root / f"usr/bin/python{version}", target / "usr" / "bin")
    shutil.copytree(root / f"usr/lib/python{version}", target / f"usr/lib/python{version}", symlinks=True)
