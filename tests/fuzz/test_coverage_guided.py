"""The coverage-guided run: every parser a hundred thousand times, and the planted bugs to show that it finds things."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from planted import PLANTED
from targets import TARGETS

FUZZ = Path(__file__).resolve().parent / "fuzz.py"
RUNS = 100_000

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this machine (x86-64 only)"
)


def fuzz(target: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(FUZZ), target, *options],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=280,
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("target", TARGETS)
def test_only_our_own_errors_come_out(target: str) -> None:
    done = fuzz(target, "--runs", str(RUNS))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert f"Done {RUNS} runs" in done.stderr, done.stdout[-500:] + done.stderr[-500:]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("bug", PLANTED)
def test_planted_bugs_are_found(bug: str) -> None:
    done = fuzz(f"planted:{bug}", "--runs", str(RUNS))
    assert done.returncode != 0, done.stdout[-500:]
    assert "FOUND" in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]
    assert "--input" in done.stdout
