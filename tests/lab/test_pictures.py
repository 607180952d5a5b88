"""Pictures: sheets of screens, timelines, and the terminal's drawing of the panel."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from mdoc_reader.drivers.draw import draw_screen
from mdoc_reader.lab.bench_panel import PanelState, PanelView, PinEvent, braille, half_blocks, read_display
from mdoc_reader.lab.pictures import display_sheet, timeline
from mdoc_reader.outputs.ports import Screen


def screens(folder: Path, count: int) -> list[Path]:
    """Write some screens as a display does."""
    for number in range(count):
        draw_screen(Screen("tick", f"Number {number}")).save(folder / f"screen_{number:06}.png")
    return sorted(folder.glob("screen_*.png"))


def test_a_sheet_holds_every_screen(tmp_path: Path) -> None:
    paths = screens(tmp_path, 5)
    (tmp_path / "latest.png").hardlink_to(paths[-1])
    target = tmp_path / "out.bin.png"
    display_sheet(paths, target, columns=2, scale=2, captions=["a", "b" * 500])
    with Image.open(target) as by_list:
        listed = by_list.size
    target.unlink()
    sheet = tmp_path / "sheets"
    sheet.mkdir()
    display_sheet(tmp_path, sheet / "out.png", columns=2, scale=2)
    with Image.open(sheet / "out.png") as by_folder:
        assert by_folder.size == listed, "the folder's latest.png is not shown twice"
        assert by_folder.width > 2 * 128 * 2
        assert by_folder.height > 3 * 64 * 2
        assert len(by_folder.getcolors(100_000) or ()) > 3


def test_a_sheet_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="screens"):
        display_sheet(tmp_path, tmp_path / "out.png")


def colours(path: Path) -> set[tuple[int, int, int]]:
    """Return every colour of a picture."""
    with Image.open(path) as picture:
        return set(picture.convert("RGB").get_flattened_data())


def test_a_timeline_shows_each_phase_in_its_colour(tmp_path: Path) -> None:
    target = tmp_path / "timeline.png"
    one = ("adult", [("connecting", 0.0, 100.0), ("response", 100.0, 400.0)], "granted")
    timeline([one], target)
    with Image.open(target) as picture:
        short = picture.height
    found = colours(target)
    assert {(0x00, 0x72, 0xB2), (0xE6, 0x9F, 0x00)} <= found
    assert (0x00, 0x9E, 0x73) not in found
    timeline([one, ("silent" * 30, [("silence", 0.0, 90_000.0)], "timed_out" * 20), ("nothing", [], "failed")], target)
    assert (0x00, 0x9E, 0x73) in colours(target)
    with Image.open(target) as picture:
        assert picture.height > short


def test_a_timeline_of_one_instant_and_of_many_phases(tmp_path: Path) -> None:
    target = tmp_path / "timeline.png"
    timeline([("instant", [("engagement", 0.0, 0.0)], "not_an_mdoc")], target)
    timeline([("many", [(f"phase number {n}", n * 10.0, n * 10.0 + 9) for n in range(40)], "granted")], target)
    assert target.stat().st_size > 0


@pytest.mark.parametrize(
    "phase", [("x", 5.0, 1.0), ("x", -1.0, 1.0), ("x", 0.0, float("nan")), ("x", 0.0, float("inf"))]
)
def test_a_phase_without_sense_is_refused(tmp_path: Path, phase: tuple[str, float, float]) -> None:
    with pytest.raises(ValueError, match="sensible"):
        timeline([("adult", [phase], "granted")], tmp_path / "out.png")
    with pytest.raises(ValueError, match="presentations"):
        timeline([], tmp_path / "out.png")


def test_letters_carry_every_pixel() -> None:
    picture = draw_screen(Screen("cross", "No entry", ("Please ask the staff",)))
    lit = picture.convert("L").point(lambda grey: 1 if grey else 0).tobytes().count(1)
    dots = braille(picture)
    assert sum((ord(letter) - 0x2800).bit_count() for letter in dots if letter != "\n") == lit
    assert {len(line) for line in dots.splitlines()} == {64}
    blocks = half_blocks(picture)
    assert sum({"█": 2, "▀": 1, "▄": 1}.get(letter, 0) for letter in blocks) == lit
    assert len(blocks.splitlines()) == 32


def test_a_missing_or_broken_picture_is_dark(tmp_path: Path) -> None:
    assert read_display(tmp_path / "none.png").getbbox() is None
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    assert read_display(tmp_path / "bad.png").getbbox() is None


def drawn(view: PanelView) -> str:
    console = Console(width=140, record=True, file=None, quiet=True)
    with console.capture() as capture:
        console.quiet = False
        console.print(view)
    return capture.get()


def test_the_live_panel_follows_lamps_relay_and_display(tmp_path: Path) -> None:
    state = PanelState()
    latest = tmp_path / "latest.png"
    view = PanelView(state, latest)
    dark = drawn(view)
    assert "○ green" in dark
    assert "relay at rest" in dark
    state.apply(PinEvent(1.0, 17, "green", 1, 1))
    state.apply(PinEvent(1.0, 23, "relay", 1, 1))
    state.apply(PinEvent(1.0, 18, "buzzer", 1, 1, 880))
    draw_screen(Screen("tick", "Welcome")).save(latest)
    lit = drawn(view)
    assert "● green" in lit
    assert "relay energised" in lit
    assert "880 Hz" in lit
    assert "⣿" in lit
    state.apply(PinEvent(2.0, 18, "buzzer", 0))
    assert "silent" in drawn(PanelView(state, latest, large=True))
    assert [event.t for event in state.events("buzzer", 1.5)] == [2.0]
