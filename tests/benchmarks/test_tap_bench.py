"""The NFC benchmark runs with its far end, and its page has every row. No figure is judged here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import tap_page
import tap_steps
from tap_figures import BAUDS, LONG, MEASURED, NFCPY, OURS, RATES, Engaging, Look, Measured, Move, Polling, Step, load
from tap_figures import payload_ms as payload

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
RATIOS = (1.1, 1.2, 1.15)


def move(who: str, rate: int, baud: int, apdus: str, *, times: float = 1.1) -> Move:
    floor = 300.0 if who == OURS else 400.0
    return Move(
        who=who,
        rate=rate,
        baud=baud,
        apdus=apdus,
        size=1000,
        took_ms=floor * times,
        cpu_ms=2.0,
        rf_ms=floor / 3,
        uart_ms=floor * 2 / 3,
        chip_ms=4.0,
        card_ms=0.0,
        frames=20,
        commands=10 if who == OURS else 40,
    )


def tap(kind: str, rate: int, baud: int) -> Engaging:
    steps = [
        Step(tap_steps.FOUND, 0.0, 10.0),
        Step(tap_steps.MESSAGE, 10.0, 30.0, 3),
        Step(tap_steps.WAITED, 30.0, 60.0),
        Step(tap_steps.MESSAGE, 60.0, 65.0, 2),
    ]
    return Engaging(kind=kind, rate=rate, baud=baud, steps=steps, floor_ms=20.0)


def measured(*, slow: float = 1.2) -> Measured:
    cases = [(OURS, rate, baud) for rate in RATES for baud in BAUDS] + [(NFCPY, 106, baud) for baud in BAUDS]
    polling = Polling(
        period_ms=100.0,
        watched_s=10.0,
        looks=98,
        cpu_share=0.01,
        noticed_ms=[float(value) for value in range(1, 101)],
        engaged_ms=[float(value) for value in range(101, 201)],
    )
    return Measured(
        machine="a machine",
        moves=[
            move(*case, apdus, times=slow if case == (OURS, 212, 115200) else times)
            for case in cases
            for apdus in LONG
            for times in RATIOS
        ],
        taps=[tap(kind, *setting) for kind in tap_steps.KINDS for setting in tap_steps.SETTINGS],
        looks=[Look(115200, True, [20.0, 22.0, 30.0], 0.7)],
        polling=[polling],
    )


def rows(page: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| ")]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_smallest_run_has_every_row() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "tap.py"), "--quick"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = rows(done.stdout)
    transfers = [row[:3] for row in told if row[0] in {"106", "212", "424"}]
    assert transfers == [[str(rate), str(baud), apdus] for baud in BAUDS for rate in RATES for apdus in LONG]
    assert [row[:2] for row in told if "KB" in row[2:3][0]] == [[str(baud), apdus] for baud in BAUDS for apdus in LONG]
    steps = {row[0]: row[1:] for row in told}
    assert all(any(steps[name]) for name in tap_steps.NAMES)
    assert [cell.partition("; ")[2] for cell in steps["in all"]] == ["6 APDUs"] * 2 + ["12 APDUs"] * 2
    assert int(steps["noticed"][0]) == int(steps["engaged (static)"][0]) == 3
    visits = [row for row in told if row[0].endswith((", NFC", ", Bluetooth"))]
    assert len(visits) == 4
    assert all(float(row[5]) > float(row[4]) > 0 for row in visits)


def test_ratios_spreads_and_aims() -> None:
    page, picture = tap_page.report(measured())
    told = rows(page)
    ours = next(row for row in told if row[:3] == ["106", "115200", "short"])
    assert ours[3:5] == ["345", "1.15 (1.12 to 1.17)"]
    peer = next(row for row in told if row[:3] == ["921600", "extended", "1 KB"])
    assert peer[5:7] == ["1.33 (1.33 to 1.33)", "10 / 40"]
    assert next(row for row in told if row[0] == tap_steps.MESSAGE)[1] == "25.0 (5)"
    assert "Aim: at most 1.25 times the floor: reached everywhere." in page
    assert "Aim: noticed within 150 ms: reached; 96 ms at the 95th percentile, 100 ms at most." in page
    labels = [text.text or "" for text in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314 - our own
    assert "65 ms, 5 APDUs" in labels
    assert "345 ms, 1.15 x its floor" in labels


def test_an_aim_that_is_missed_is_said_to_be() -> None:
    page, _ = tap_page.report(measured(slow=1.3))
    assert "not reached everywhere" in page
    assert "1.30 (1 KB, short APDUs, 212 kbit/s, 115200 baud)" in page


def test_the_payload_alone_is_bytes_on_air_and_line() -> None:
    # 2000 bytes: 9 bits each at 105.9 kbit/s, 10 bits each at 115200 baud.
    assert payload(1000, 106, 115200) == pytest.approx(2000 * (9 / 105.9375 + 10 / 115.2))
    assert payload(1000, 424, 921600) == pytest.approx(2000 * (9 / 423.75 + 10 / 921.6))


def test_the_figures_kept_make_the_page_kept() -> None:
    page, picture = tap_page.report(load(MEASURED))
    docs = BENCHMARKS.parent / "docs"
    assert (docs / "nfc.md").read_text(encoding="utf-8") == page
    assert (docs / "nfc.svg").read_text(encoding="utf-8") == picture


def test_a_spoilt_file_of_figures_is_named(tmp_path: Path) -> None:
    spoilt = tmp_path / "kept.json"
    spoilt.write_text('{"machine": 5}')
    with pytest.raises(ValueError, match=r"kept\.json"):
        load(spoilt)
