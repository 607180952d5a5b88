"""The benchmark of trust runs at its smallest and tells what it promises; its picture is one. No figure is judged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import trust
import trust_case
import trust_page
import trust_plot
from figures import Quartiles

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.timeout(300)
def test_smallest_run_tells_every_aim() -> None:
    done = subprocess.run(
        [sys.executable, str(FOLDER / "trust.py"), "--quick"], capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if line[:2] == "| "]
    aims = rows[1 : 1 + 7]
    assert [row[0].split(" ")[0] for row in aims] == ["memory", "loading", "loading", *["look-up"] * 3, "asking"]
    assert {row[3] for row in aims} <= {"reached", "**not reached**"}
    heads = [row[0] for row in rows if row[0] in {"aim", "anchors", "entries"}]
    assert heads == ["aim", "anchors", "anchors", "anchors", "entries"]


def test_aims_are_judged_by_their_figures() -> None:
    found = trust.Measured(trust.QUICK, 2)
    good = {"cpu_ms": 1.0, "kept_mb": 1.0, "most_mb": 39.0, "ns": 100.0, "traced_mb": 1.0}
    for key, kinds in trust.plan(trust.QUICK).items():
        found.files[key] = 1000
        for what in kinds:
            found.runs[*key, what] = [dict(good), dict(good)]
    assert "not reached" not in trust_page.aims(found)
    for run in found.runs[20, 2000, 1, "believe"]:
        run["most_mb"] = 41.0
    for run in found.runs[20, 0, 0, "folder_load"]:
        run["cpu_ms"] = 2.1
    for run in found.runs[20, 0, 0, "exact"]:
        run["ns"] = 250.0
    missed = [line for line in trust_page.aims(found).splitlines() if "not reached" in line]
    assert [line.split(" ")[1] for line in missed] == ["memory", "loading", "look-up"]
    ET.fromstring(trust_page.picture(found))  # noqa: S314  # made two lines above


def test_status_list_holds_what_was_set() -> None:
    octets = trust_case.make_octets(1000, 8)
    assert len(octets) == 1000
    assert 0 < sum(value != 0 for value in octets) <= 20
    assert set(octets) <= {0, 1, 2, 3}  # 3: revoked and suspended fell on one place
    assert len(trust_case.make_octets(1001, 1)) == 126


def test_flat_files_are_read_back() -> None:
    certificates = [b"one", b"", b"three" * 100]
    assert trust_case.unflat(trust_case.flat(certificates)) == certificates


def test_picture_has_a_mark_for_every_figure() -> None:
    points = tuple((10**power, Quartiles(1.0, 2.0, 3.0)) for power in range(1, 5))
    panel = trust_plot.Panel(
        "t", "n", "ms", (trust_plot.Line("a < b", 0, points), trust_plot.limit("aim", 2.0, [10, 10_000]))
    )
    drawn = ET.fromstring(trust_plot.draw("title", "below", [panel]))  # noqa: S314
    names = [each.tag.rpartition("}")[2] for each in drawn.iter()]
    assert names.count("circle") == 4
    assert "a < b" in [each.text for each in drawn.iter()]
