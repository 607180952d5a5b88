"""Format, lint, types, import rules, tests: what `./dev test` runs, in that order, stopping at the first that fails."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PYTHON_FILES = ["firmware", "tests", "benchmarks", "tools"]
LONG = "tests/fuzz/test_coverage_guided.py"
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


def beside(command: list[str]) -> tuple[subprocess.Popen[str], TextIO]:
    """Start a step that needs processor time and no attention; it yields to everything else."""
    told = tempfile.TemporaryFile("w+")  # noqa: SIM115 -- read when the step has ended
    step = subprocess.Popen(["nice", "-n", "10", *command], cwd=ROOT, stdout=told, stderr=subprocess.STDOUT, text=True)
    return step, told


def main() -> None:
    """Run everything; arguments go to pytest, and then nothing but the tests is run."""
    arguments = sys.argv[1:]
    pytest = [sys.executable, "-m", "pytest"]
    if arguments:
        run("tests", [*pytest, *arguments], quiet=False)
        return
    for name, command in STATIC:
        run(name, command, quiet=True)
    # Most tests wait for something most of the time; the hostile bytes of this one keep two processors busy meanwhile.
    fuzzing, told = beside([*pytest, "-p", "no:cacheprovider", LONG])
    try:
        run("tests", [*pytest, f"--ignore={LONG}"], quiet=False)
        print("fuzzing (ran beside the tests)", flush=True)
        failed = fuzzing.wait()
        told.seek(0)
        print(told.read(), flush=True)
        if failed:
            sys.exit(failed)
    finally:
        fuzzing.terminate()
        fuzzing.wait()


if __name__ == "__main__":
    main()
