"""The demo as a stranger runs it: the daemon in its own process, every visitor, the exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mdoc_reader.lab.cast import CAST
from mdoc_reader.lab.demo import CONFIG
from mdoc_reader.lab.frames import CONDITIONS
from mdoc_reader.lab.situations import SITUATIONS


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "import sys; from mdoc_reader.lab.cli import main; sys.exit(main())", "demo"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=180)


def test_the_cast_is_of_known_situations_under_known_conditions() -> None:
    assert all(act.condition in CONDITIONS for act in CAST)
    assert all(act.situation is None or act.situation in SITUATIONS for act in CAST)
    assert len({act.name for act in CAST}) == len(CAST)


@pytest.mark.timeout(240)
def test_every_visitor_comes_out_as_expected(tmp_path: Path) -> None:
    done = demo("--json", "--output", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr + (tmp_path / "reader.log").read_text()
    told = json.loads(done.stdout)
    assert [result["name"] for result in told["results"]] == [act.name for act in CAST]
    assert {result["transport"] for result in told["results"]} >= {"BLE, reader is server", "BLE, phone is server"}
    for result in told["results"]:
        if result["transport"]:
            assert result["light_ms"] < 20
    assert (tmp_path / "timeline.png").stat().st_size > 5000
    assert (tmp_path / "display.png").stat().st_size > 5000
    log = (tmp_path / "reader.log").read_text()
    assert "non-conforming by choice" in log
    assert "Muster" not in log


@pytest.mark.timeout(120)
def test_a_surprise_shows_in_the_exit_code_and_the_table(tmp_path: Path) -> None:
    strict = tmp_path / "strict.toml"
    strict.write_text(CONFIG.read_text().replace("age_over = 18", "age_over = 80"))
    done = demo("--only", "adult", "--config", str(strict), "--output", str(tmp_path))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "expected granted" in " ".join(done.stdout.split())
    assert "1 not as expected" in done.stdout


def test_a_reader_that_cannot_start_is_told_apart(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text(CONFIG.read_text().replace('driver = "bumble"', 'driver = "none"'))
    done = demo("--config", str(broken), "--output", str(tmp_path))
    assert done.returncode == 2
    assert "could not run" in done.stderr
    assert "no driver 'none'" in (tmp_path / "reader.log").read_text()
