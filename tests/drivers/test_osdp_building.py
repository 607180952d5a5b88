"""The OSDP peripheral against libosdp's own panel on joined pseudo-terminals."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

pytest.importorskip("osdp", reason="libosdp is not installed")

import osdp
from osdp_bench import RAW, Panel, Wire, until

from mdoc_reader.drivers import osdp_building, osdp_device, osdp_key
from mdoc_reader.drivers.osdp_building import Options, OsdpBuilding, open_building
from mdoc_reader.drivers.osdp_device import PanelAsks, PanelCommand
from mdoc_reader.drivers.osdp_frames import reply_code
from mdoc_reader.model.badge import Badge
from mdoc_reader.model.check import Health

KEY = bytes.fromhex("00112233445566778899aabbccddeeff")
OTHER = bytes.fromhex("ffeeddccbbaa99887766554433221100")
NUMBER = 0x1234_5678_9ABC_DEF1
BEEP = {"reader": 0, "control_code": 2, "on_count": 1, "off_count": 1, "rep_count": 1}


class Bench:
    """A reader and its wire; panels come and go."""

    def __init__(self, folder: Path) -> None:
        self.wire = Wire(folder)
        self.key_file = folder / "panel.key"
        osdp_key.store(self.key_file, KEY)
        self.reader: OsdpBuilding | None = None
        self._panels: list[Panel] = []

    def options(self, **changes: Any) -> Options:
        given = {"port": str(self.wire.port), "address": 5, "key_file": str(self.key_file), "baud": 115200}
        return msgspec.convert({**given, **changes}, Options)

    def start(self, **changes: Any) -> OsdpBuilding:
        self.reader = open_building(self.options(**changes))
        return self.reader

    def panel(self, key: bytes | None = KEY, **changes: Any) -> Panel:
        panel = Panel(self.wire, key, **changes)
        self._panels.append(panel)
        return panel

    def meet(self, key: bytes | None = KEY) -> Panel:
        """Have a panel come, and wait until both sides are content.

        On a busy machine an answer comes too late for libosdp's panel, which then stays away for minutes: another one.
        """
        reader = self.reader
        assert reader is not None
        for _ in range(4):
            panel = self.panel(key)
            with contextlib.suppress(AssertionError):
                until(lambda panel=panel: reader.healthy and panel.online and panel.secure, 4.0)  # type: ignore[misc]
                return panel
            self.leave()
        raise AssertionError("no panel is content with the reader")

    def leave(self) -> None:
        """Have the last panel go: one that met trouble would hold the reader offline for minutes."""
        self._panels.pop().close()
        time.sleep(0.1)  # the reader's last word to it is on its way

    def close(self) -> None:
        for panel in self._panels:
            panel.close()
        if self.reader is not None:
            self.reader.close()
            self.reader.close()
        self.wire.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def bits_of(event: dict[str, Any]) -> str:
    return "".join(f"{octet:08b}" for octet in event["data"])[: event["length"]]


@pytest.mark.parametrize(
    ("settings", "expected", "form"),
    [
        # Each half of 0xBCDEF1 has eight ones.
        ({"format": 26}, "0" + f"{0xBCDEF1:024b}" + "1", osdp.CardFormat.Wiegand),
        ({"format": 37, "facility": 7}, None, osdp.CardFormat.Wiegand),
        ({"format": 64}, f"{NUMBER:064b}", osdp.CardFormat.Unspecified),
    ],
)
def test_a_badge_arrives(bench: Bench, settings: dict[str, Any], expected: str | None, form: int) -> None:
    reader = bench.start(serial_number=4711, **settings)
    assert not reader.healthy
    panel = bench.meet()
    reader.present(Badge(NUMBER))
    until(lambda: panel.cards)
    until(lambda: reader.sent == 1)
    (card,) = panel.cards
    assert card["format"] == form
    if expected is None:
        assert bits_of(card)[1:17] == f"{7:016b}"
        assert bits_of(card)[17:36] == f"{NUMBER & 0x7FFFF:019b}"
    else:
        assert bits_of(card) == expected
    assert card["data"] not in bytes(bench.wire.seen)  # the number is not readable on the line
    identity = panel.identity
    assert (identity.vendor_code, identity.serial_number) == (0, 4711)
    assert panel.capability(osdp.Capability.OutputControl) == (0, 0)
    assert panel.capability(osdp.Capability.CommunicationSecurity)[0] == 1
    assert reader.dropped == 0


def test_one_at_a_time_and_none_without_a_panel(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    reader = bench.start(hold_s=0.4)
    reader.present(Badge(NUMBER))
    assert reader.dropped == 1
    panel = bench.meet()
    reader.present(Badge(NUMBER))
    reader.present(Badge(NUMBER))
    assert reader.dropped == 2
    until(lambda: reader.sent == 1)
    assert len(panel.cards) == 1
    assert str(NUMBER) not in caplog.text
    assert f"{NUMBER:x}" not in caplog.text.lower()


def test_a_wrong_key_is_refused(bench: Bench) -> None:
    reader = bench.start()
    panel = bench.panel(OTHER)
    time.sleep(0.8)
    assert not panel.secure
    assert not reader.healthy
    reader.present(Badge(NUMBER))
    assert (reader.sent, reader.dropped) == (0, 1)
    bench.leave()
    # Its panel would hold the reader offline for minutes: a new one has the right key.
    bench.meet(KEY)


@pytest.mark.parametrize("key", [None, osdp_key.DEFAULT])
def test_plain_text_and_the_default_key_are_refused(bench: Bench, key: bytes | None) -> None:
    reader = bench.start()
    panel = bench.panel(key, secure=False)
    time.sleep(0.8)
    assert not reader.healthy
    reader.present(Badge(NUMBER))
    assert panel.cards == []


def test_plain_text_where_it_is_asked_for(bench: Bench) -> None:
    reader = bench.start(secure=False, key_file=None, format=34)
    panel = bench.panel(None, secure=False)
    until(lambda: reader.healthy and panel.online)
    reader.present(Badge(NUMBER))
    until(lambda: panel.cards)
    assert panel.cards[0]["length"] == 34


def test_the_panel_goes_and_comes_back(bench: Bench) -> None:
    reader = bench.start(silent_s=1.0, hold_s=0.5)
    bench.meet()
    bench.wire.cut = True
    until(lambda: not reader.healthy, 3.0)
    reader.present(Badge(NUMBER))
    assert reader.dropped == 1
    bench.leave()
    bench.wire.cut = False
    panel = bench.meet()
    time.sleep(0.3)
    assert panel.cards == []  # what was dropped stays dropped
    reader.present(Badge(NUMBER))
    until(lambda: len(panel.cards) == 1)


def test_a_badge_that_meets_a_cut_is_not_sent_later(bench: Bench) -> None:
    reader = bench.start(hold_s=0.3)
    bench.meet()
    bench.wire.cut = True
    time.sleep(0.1)
    reader.present(Badge(NUMBER))
    until(lambda: reader.dropped == 1, 2.0)
    bench.wire.cut = False
    bench.leave()
    panel = bench.meet()
    time.sleep(0.3)
    assert panel.cards == []


def test_a_lost_reply_is_said_again(bench: Bench) -> None:
    reader = bench.start(hold_s=8.0)
    panel = bench.meet()
    lost = 0

    def lose(frame: bytes) -> bytes:
        nonlocal lost
        if reply_code(frame) == RAW and not lost:
            lost += 1
            return b""
        return frame

    bench.wire.to_panel = lose
    reader.present(Badge(NUMBER))
    until(lambda: panel.cards, 9.0)
    until(lambda: reader.sent == 1)
    assert lost == 1
    assert reader.dropped == 0


def test_the_port_goes_and_comes_back(bench: Bench) -> None:
    reader = bench.start()
    bench.meet()
    bench.wire.unplug()
    until(lambda: not reader.healthy, 2.0)
    reader.present(Badge(NUMBER))
    assert reader.dropped == 1
    bench.wire.plug()
    bench.leave()
    panel = bench.meet()
    reader.present(Badge(NUMBER))
    until(lambda: panel.cards)


def test_commands_are_told_and_outputs_refused(bench: Bench) -> None:
    heard: list[PanelCommand] = []
    reader = bench.start()
    reader.on_command(heard.append)
    panel = bench.meet()
    lamp = {"reader": 0, "led_number": 0, "control_code": 1, "on_count": 10, "off_count": 10, "temporary": True}
    colours = {"on_color": osdp.CommandLEDColor.Green, "off_color": osdp.CommandLEDColor.Black, "timer_count": 10}
    assert panel.send(command=osdp.Command.LED, **lamp, **colours)
    assert panel.send(command=osdp.Command.Buzzer, **BEEP)
    until(lambda: len(heard) == 2)
    assert [each.asks for each in heard] == [PanelAsks.LAMP, PanelAsks.BUZZER]
    assert heard[0].fields["on_color"] == osdp.CommandLEDColor.Green
    panel.send(command=osdp.Command.Comset, address=9, baud_rate=9600)
    time.sleep(0.3)
    reader.present(Badge(NUMBER))
    until(lambda: panel.cards)  # at the old address and speed
    panel.send(command=osdp.Command.Output, output_no=0, control_code=5, timer_count=10)
    until(lambda: not panel.online)  # libosdp's panel takes a refusal for a fault of the reader
    assert len(heard) == 2


def test_many_commands_leave_no_trace(bench: Bench) -> None:
    """The binding gives back references that it never took: an answer without any would end the process."""
    reader = bench.start()
    heard: list[PanelCommand] = []
    reader.on_command(heard.append)
    panel = bench.meet()
    before = sys.getrefcount(osdp_device._NOTHING)
    for count in range(1, 13):
        panel.send(command=osdp.Command.Buzzer, **BEEP)
        until(lambda count=count: len(heard) == count)  # type: ignore[misc]
    assert abs(sys.getrefcount(osdp_device._NOTHING) - before) < 3


def test_a_key_is_set(bench: Bench) -> None:
    bench.start(store_keys=True)
    panel = bench.meet()
    assert panel.send(command=osdp.Command.Keyset, type=1, data=OTHER)
    until(lambda: bench.key_file.read_text() == OTHER.hex() + "\n")
    assert stat.S_IMODE(bench.key_file.stat().st_mode) == 0o600
    assert sorted(each.name for each in bench.key_file.parent.iterdir()) == ["panel.key", "ttyPanel"]
    bench.leave()
    bench.meet(OTHER)


@pytest.mark.parametrize("case", ["not allowed", "no room", "the default key"])
def test_a_key_is_not_set(bench: Bench, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    bench.start(store_keys=case != "not allowed")
    panel = bench.meet()
    if case == "no room":
        monkeypatch.setattr(osdp_building.osdp_key, "store", _full)
    panel.send(command=osdp.Command.Keyset, type=1, data=osdp_key.DEFAULT if case == "the default key" else OTHER)
    until(lambda: not panel.online)
    assert bench.key_file.read_text() == KEY.hex() + "\n"
    bench.leave()
    bench.meet(KEY)


def _full(path: Path, key: bytes) -> None:
    raise OSError(28, os.strerror(28))


def test_install_mode(bench: Bench) -> None:
    bench.key_file.unlink()
    reader = bench.start(store_keys=True, install_minutes=1)
    panel = bench.panel(OTHER, secure=False)  # refused under its own key, it tries the default one and sets its own
    until(bench.key_file.exists)
    assert bench.key_file.read_text() == OTHER.hex() + "\n"
    until(lambda: reader.healthy)
    reader.present(Badge(NUMBER))
    until(lambda: panel.cards)


def test_install_mode_ends(bench: Bench) -> None:
    bench.key_file.unlink()
    bench.start(store_keys=True, install_minutes=0.005)
    time.sleep(0.5)
    bench.panel(OTHER, secure=False)
    time.sleep(1.0)
    assert not bench.key_file.exists()


def _crc(data: bytes) -> bytes:
    value = 0x1D0F
    for octet in data:
        value ^= octet << 8
        for _ in range(8):
            value = (value << 1 ^ 0x1021 if value & 0x8000 else value << 1) & 0xFFFF
    return value.to_bytes(2, "little")


def _frame(chance: random.Random) -> bytes:
    """A frame whose checksum is right and whose content is anything: other lengths, commands, security blocks."""
    body = bytes([chance.choice([0x60, 0x61, 0x62, 0x68, 0x69, 0x6A, 0x6B, 0x6E, 0x75, 0x76, 0x77, 0x7C, 0x80, 0xA1])])
    body += chance.randbytes(chance.randrange(60))
    control = chance.choice([0x04, 0x05, 0x06, 0x0C, 0x0D])
    if control & 8:
        body = bytes([chance.choice([0, 2, 3, 255]), chance.choice([0x11, 0x13, 0x15, 0x17, 0x99]), 0]) + body
    said = len(body) + 7
    head = bytes([0x53, chance.choice([5, 0x7F, 6])]) + said.to_bytes(2, "little") + bytes([control])
    return b"\xff" * chance.randrange(2) + head + body + _crc(head + body)


HOSTILE: dict[str, Callable[[random.Random], bytes]] = {
    "noise": lambda chance: chance.randbytes(chance.randrange(1, 300)),
    "cut short": lambda chance: _frame(chance)[: chance.randrange(1, 9)],
    "said to be long": lambda chance: b"\xff\x53\x05\xff\xff\x04" + chance.randbytes(600),
    "well formed": _frame,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_else_is_on_the_line_changes_nothing(bench: Bench, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(kind)
    heard: list[PanelCommand] = []
    reader = bench.start(store_keys=True, silent_s=1.0)
    reader.on_command(heard.append)
    for _ in range(150 if kind == "well formed" else 25):
        bench.wire.inject(HOSTILE[kind](chance))
        time.sleep(0.002)
    time.sleep(0.3)
    assert not reader.healthy
    assert heard == []
    assert bench.key_file.read_text() == KEY.hex() + "\n"
    panel = bench.meet()
    reader.present(Badge(NUMBER))
    until(lambda: panel.cards)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"key_file": None}, "has a key"),
        ({"key_credential": "osdp"}, "one of"),
        ({"key_file": None, "key_credential": "a/b"}, "file name"),
        ({"key_file": None, "key_credential": "osdp", "store_keys": True}, "key_file"),
        ({"install_minutes": 5}, "store_keys"),
        ({"format": 64, "facility": 1}, "no facility"),
        ({"format": 26, "facility": 256}, "0 to 255"),
        ({"baud": 1200}, "baud"),
        ({"address": 127}, "address"),
    ],
)
def test_settings_that_cannot_be(bench: Bench, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=says):
        bench.options(**changes)


@pytest.mark.parametrize(
    "text", ["", "0011", KEY.hex() * 2, "30313233343536373839" + "3a3b3c3d3e3f", "00" * 16, "zz" * 16]
)
def test_a_key_that_cannot_be(bench: Bench, text: str) -> None:
    bench.key_file.write_text(text + "\n")
    with pytest.raises(OSError, match="no OSDP key") as failure:
        bench.start()
    assert not text or text not in str(failure.value)


def test_a_key_that_others_can_read(bench: Bench) -> None:
    bench.key_file.chmod(0o644)
    with pytest.raises(OSError, match="chmod 600"):
        bench.start()


def test_doctor(bench: Bench, run: Any) -> None:
    (check,) = run(osdp_building.examine(bench.options()))
    assert check.health is Health.OK
    bench.key_file.unlink()
    found = run(osdp_building.examine(bench.options(port="/dev/nothing", secure=False)))
    assert [each.health for each in found] == [Health.FAULT, Health.FAULT, Health.WARNING]
    assert all(each.advice for each in found)
