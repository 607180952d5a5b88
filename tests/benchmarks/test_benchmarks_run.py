"""The benchmarks run and tell what they promise. No figure is judged here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


def run(name: str) -> list[list[str]]:
    """Run one benchmark with --quick; return the cells of its tables' rows."""
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py"), "--quick"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if line[:2] == "| "]


@pytest.mark.timeout(300)
def test_verification_tells_floor_reader_and_peers() -> None:
    rows = run("verification")
    names = [row[0] for row in rows]
    assert [name.partition(",")[0] for name in names[1:6]] == [
        "bare cryptography",
        "the libraries' calls alone",
        "mdoc-reader",
        "bare cryptography",
        "mdoc-reader",
    ]
    assert names[6].startswith("pymdoccbor ")
    assert names[7].startswith("@auth0/mdl ")
    assert all(float(row[1].partition(" ")[0]) > 0 for row in rows[1:])


@pytest.mark.timeout(300)
def test_startup_tells_both_configurations() -> None:
    rows = run("startup")
    assert [row[0].partition(" ")[0] for row in rows] == ["configuration", "device", "demo"]
    assert all(float(cell) > 0 for row in rows[1:] for cell in row[4:])
