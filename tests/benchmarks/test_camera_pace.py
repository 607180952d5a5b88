"""The benchmark of the camera's pace runs and tells both paces. No processor time is judged here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "camera_pace.py"


def test_it_tells_both_paces() -> None:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "--quick"], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if "|" in line][2:]
    assert [(row[0], row[1]) for row in rows] == [
        ("640x360", "full"),
        ("640x360", "idle"),
        ("960x540", "full"),
        ("960x540", "idle"),
    ]
    for full, idle in (rows[:2], rows[2:]):
        assert float(idle[2]) < float(full[2])
