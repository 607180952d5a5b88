"""Runs in a guest: the reader's own driver of pins, and one thing to do with them. `guest_board.py WIRING SCENE`.

Told to the service manager as ready once the scene is set. `stand`: nothing is granted until SIGUSR1. `grant`: in the
middle of a grant that is longer than the test. `hang`: the same, and then nothing feeds the watchdog. `inside` talks to
nobody and prints what it saw.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
import tomllib
from pathlib import Path

import msgspec

from mdoc_reader.drivers.gpiozero_pins import Options, open_pins
from mdoc_reader.outputs.ports import Blink, Colour, Contact, Note, Pins

FOLDER = Path("/run/door")
CHIP = Path("/run/chip")


def notify(text: str) -> None:
    """Tell the service manager."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])


def wiring(name: str) -> Options:
    """Return the options of a configuration file."""
    return msgspec.convert(tomllib.loads((FOLDER / f"{name}.toml").read_text())["pins"]["options"], Options)


def play(pins: Pins, scene: str) -> None:
    """Play a scene until the service manager ends it."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: ended.set())
    granted = threading.Event()
    signal.signal(signal.SIGUSR1, lambda _number, _frame: granted.set())
    if scene != "stand":
        pins.energise_relay(60.0)
    notify("READY=1")
    while not ended.wait(0.2):
        if granted.is_set():
            granted.clear()
            pins.energise_relay(60.0)
        if scene != "hang":
            notify("WATCHDOG=1")
    pins.close()


def pull(pin: int, level: int) -> float:
    """Move a line from outside; return when."""
    (CHIP / f"sim_gpio{pin}" / "pull").write_text("pull-up" if level else "pull-down")
    return time.monotonic()


def level(pin: int) -> int:
    """Return what the outside sees."""
    return int((CHIP / f"sim_gpio{pin}" / "value").read_text())


def until(truth: threading.Event) -> bool:
    """Wait for what has to come."""
    return truth.wait(20.0)


def inside(options: Options) -> dict[str, object]:
    """Light, sound, press and burn; return what was seen and when, for the test to judge."""
    pins = open_pins(options)
    told: list[tuple[str, bool]] = []
    known, freed, over, pressed = (threading.Event() for _ in range(4))

    def on_contact(contact: Contact, active: bool, _at: float) -> None:
        told.append((contact.value, active))
        match contact, active:
            case Contact.FIRE, True:
                freed.set()
            case Contact.FIRE, False:
                (over if freed.is_set() else known).set()
            case Contact.EXIT, True:
                pressed.set()

    pins.on_contact(on_contact)
    seen: dict[str, object] = {"known": until(known)}
    lamps = [options.green, options.amber, options.red]
    assert options.fire is not None
    assert options.exit is not None
    for colour in Colour:
        pins.light(colour, Blink())
        seen[colour.value] = [level(pin) for pin in lamps if pin is not None]
        pins.light(colour, None)
    pins.tone([Note(500, 0.2)])
    time.sleep(0.3)
    seen["pressed_at"] = pull(options.exit.pin, 0)
    seen["pressed"] = until(pressed)
    seen["fire_at"] = pull(options.fire.pin, 1)
    seen["freed"] = until(freed)
    pins.rest()
    seen["over_at"] = pull(options.fire.pin, 0)
    seen["over"] = until(over)
    seen["told"] = told
    seen["healthy"] = pins.healthy
    pins.close()
    return seen


def main() -> None:
    """Play what is asked for."""
    name, scene = sys.argv[1:]
    if scene == "inside":
        print(json.dumps(inside(wiring(name))))  # noqa: T201 -- what the test reads
    else:
        play(open_pins(wiring(name)), scene)


if __name__ == "__main__":
    main()
