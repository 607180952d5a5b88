"""Resolve the dependencies anew into lock files that carry hashes and no download addresses.

One universal resolution for Python 3.11 and newer on Linux; `./dev demo` and `./dev test` install from these files.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = {"device": ["pi"], "demo": ["lab"], "test": ["dev"]}
# What packages that come as source are built with: installed first, so that pip fetches nothing that has no hash.
BUILD = ("setuptools>=80", "swig>=4.3", "hatchling>=1.27", "editables>=0.5")


def main() -> None:
    """Write requirements/*.lock; the test lock is resolved first and constrains the others."""
    build = ROOT / "build" / "build.in"
    build.parent.mkdir(exist_ok=True)
    build.write_text("\n".join(BUILD) + "\n")
    for name, extras in [*sorted(LOCKS.items(), reverse=True), ("build", None)]:
        target = ROOT / "requirements" / f"{name}.lock"
        command = ["uv", "pip", "compile", "--universal", "--python-version", "3.11", "--generate-hashes"]
        command += [
            "--no-header",
            "--no-emit-index-url",
            "--no-emit-find-links",
            "--no-annotate",
            "-q",
            "-o",
            str(target),
        ]
        command += [part for extra in extras or () for part in ("--extra", extra)]
        if name != "test":
            command += ["-c", str(ROOT / "requirements" / "test.lock")]
        print(f"resolving {target.relative_to(ROOT)} ...", flush=True)
        scripts = str(Path(sys.executable).parent)
        subprocess.run(
            [*command, str(build if extras is None else ROOT / "pyproject.toml")],
            check=True,
            env={**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"},
        )


if __name__ == "__main__":
    main()
