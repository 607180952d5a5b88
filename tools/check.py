"""Format, lint, types, import rules, tests: what `./dev test` runs, in that order, stopping at the first that fails."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PYTHON_FILES = ["firmware", "tests", "benchmarks", "tools"]
STATIC = [
    ("format", [str(BIN / "ruff"), "format", "--check", "--quiet", *PYTHON_FILES]),
    ("lint", [str(BIN / "ruff"), "check", "--quiet", *PYTHON_FILES]),
    ("types", [str(BIN / "mypy"), "--no-error-summary"]),
    ("import rules", [str(BIN / "lint-imports"), "--no-cache"]),
]


def run(name: str, command: list[str], *, quiet: bool) -> None:
    """Run one step with its name and seconds; its output is shown when it fails, or as it comes."""
    started = time.monotonic()
    print(f"{name:14}", end="" if quiet else "\n", flush=True)
    path = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(
        command, cwd=ROOT, check=False, text=True, capture_output=quiet, env={**os.environ, "PATH": path}
    )
    if done.returncode:
        print(f"FAILED\n{done.stdout or ''}{done.stderr or ''}", flush=True)
        sys.exit(done.returncode)
    print(f"ok {time.monotonic() - started:6.1f} s", flush=True)


def main() -> None:
    """Run everything; arguments go to pytest, and then the static steps are left out."""
    arguments = sys.argv[1:]
    if not arguments:
        for name, command in STATIC:
            run(name, command, quiet=True)
    run("tests", [sys.executable, "-m", "pytest", *arguments], quiet=False)


if __name__ == "__main__":
    main()
