"""What the worst megabyte costs: under a second and under 64 MiB over its size, for every parser that may meet it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MEASURE = Path(__file__).resolve().parent / "measure_bounds.py"


@pytest.mark.timeout(300)
def test_the_worst_megabyte_is_bounded_in_time_and_memory() -> None:
    done = subprocess.run([sys.executable, str(MEASURE)], capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert len(told) > 60
    slow = {name: cost for name, cost in told.items() if cost["seconds"] > 1.0}
    assert not slow, slow
    large = {name: cost for name, cost in told.items() if cost["mebibytes"] > 64}
    assert not large, large
