"""`mdoc-reader rest`: it reads `[pins]` alone, claims outputs alone, and lets fire have its say."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

import pytest
from gpiozero.pins.mock import MockFactory

from mdoc_reader.app import rest_command
from mdoc_reader.app.settings import SettingsError
from mdoc_reader.drivers import gpiozero_pins
from mdoc_reader.drivers.board import Board

RELAY, GREEN, FIRE = 23, 17, 5
PINS = f'[pins]\ndriver = "gpiozero"\noptions.relay = {RELAY}\noptions.green = {GREEN}\n'


class _Factory(MockFactory):  # type: ignore[misc]  # gpiozero carries no types
    """Mock pins that remember how they were left."""

    def __init__(self) -> None:
        super().__init__()
        self.left: dict[str, int] = {}

    def close(self) -> None:
        self.left = self.left or {info.name: int(pin.state) for info, pin in self.pins.items()}
        super().close()


class _Bench:
    """The driver of pins over mock ones; this machine has no chip."""

    def __init__(self) -> None:
        self.wired: list[gpiozero_pins.Options] = []
        self.factory = _Factory()
        self.burning = False

    def open_pins(self, options: gpiozero_pins.Options) -> Board:
        self.wired.append(options)
        board = Board(self.factory, options)
        if options.fire is not None and not self.burning:
            self.factory.pin(options.fire.pin).drive_low()  # the loop is whole
        return board


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> _Bench:
    bench = _Bench()
    monkeypatch.setattr(gpiozero_pins, "open_pins", bench.open_pins)
    return bench


def written(folder: Path, text: str) -> Path:
    file = folder / "reader.toml"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("options", "level"),
    [
        ("", 0),
        ("options.relay_active_high = false\n", 1),
        ('options.relay_rest = "energised"\n', 1),
        ('options.relay_rest = "energised"\noptions.relay_active_high = false\n', 0),
    ],
)
def test_relay_and_lamps_are_left_at_rest(bench: _Bench, tmp_path: Path, options: str, level: int) -> None:
    rest_command.rest(written(tmp_path, PINS + options))
    assert bench.factory.left == {f"GPIO{RELAY}": level, f"GPIO{GREEN}": 0}


@pytest.mark.parametrize("burning", [False, True])
def test_a_door_that_fire_frees_stays_free(bench: _Bench, tmp_path: Path, burning: bool) -> None:
    bench.burning = burning
    rest_command.rest(written(tmp_path, PINS + f"options.fire = {{ pin = {FIRE} }}\n"))
    assert bench.factory.left[f"GPIO{RELAY}"] == burning


def test_an_error_elsewhere_in_the_file_keeps_nothing_from_its_rest(bench: _Bench, tmp_path: Path) -> None:
    others = "options.door = { pin = 6 }\noptions.relay_until_open = true\n[camera]\ndriver = 7\n[no.such]\ntable = 1\n"
    rest_command.rest(written(tmp_path, PINS + others))
    (wired,) = bench.wired
    assert wired.relay == RELAY
    assert not wired.inputs()


@pytest.mark.parametrize("text", ["", '[pins]\ndriver = "disabled"\n', '[pins]\ndriver = "simulated"\n'])
def test_where_there_are_no_pins_there_is_nothing_to_do(bench: _Bench, tmp_path: Path, text: str) -> None:
    rest_command.rest(written(tmp_path, text))
    assert not bench.wired


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[pins", "not TOML"),
        ("\N{LATIN SMALL LETTER E WITH ACUTE} = [", "not TOML"),
        ('[pins]\ndriver = "levers"\n', "no driver 'levers'"),
        ('[pins]\ndriver = "gpiozero"\noptions.relay = 99\n', "relay"),
        ("#" * 300_000, "larger than"),
    ],
)
def test_pins_that_cannot_be_known_are_said(bench: _Bench, tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        rest_command.rest(written(tmp_path, text))
    assert not bench.wired


def test_pins_that_cannot_be_had_end_with_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def gone(_options: gpiozero_pins.Options) -> Board:
        raise OSError("no chip")

    monkeypatch.setattr(gpiozero_pins, "open_pins", gone)
    parser = ArgumentParser()
    rest_command.add_parser(parser.add_subparsers())
    chosen = parser.parse_args(["rest", "--config", str(written(tmp_path, PINS))])
    assert chosen.function(chosen) == 1
    assert "could not be brought to rest: no chip" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        rest_command.rest(tmp_path / "none.toml")
