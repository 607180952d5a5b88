"""The panel's languages and portraits: what is said follows the language, and a portrait leaves no trace behind."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import replace

import pytest

from mdoc_reader.model.decision import Decision, Outcome
from mdoc_reader.model.sign import By, Sign
from mdoc_reader.outputs.display_owner import DisplayOwner
from mdoc_reader.outputs.languages import chosen, load
from mdoc_reader.outputs.panel import Panel
from mdoc_reader.outputs.ports import Picture, Screen
from mdoc_reader.outputs.signals import BLANK, inviting, naming, signals

LANGUAGES = chosen(["de", "uk", "en"])


def eventually(wanted: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Wait until something is true."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if wanted():
            return True
        time.sleep(0.005)
    return False


class Glass:
    """A display that keeps what it shows now, and no more."""

    def __init__(self) -> None:
        self.now: Screen | None = None
        self.drawn = 0
        self.portraits = 0
        self.broken = False
        self.gate = threading.Event()
        self.gate.set()

    def open(self) -> Glass:
        return self

    def show(self, screen: Screen) -> None:
        self.gate.wait(20)
        if self.broken:
            raise OSError("gone")
        self.portraits += screen.picture is not None
        self.now = replace(screen, picture=None)
        self.drawn += 1

    def close(self) -> None:
        self.now = None


class Pins:
    """Pins that count."""

    def __init__(self) -> None:
        self.healthy = True
        self.lit = self.sounded = 0

    def light(self, colour: object, blink: object) -> None:
        self.lit += blink is not None

    def tone(self, notes: object) -> None:
        self.sounded += 1

    def energise_relay(self, seconds: float) -> None:
        pass

    def on_contact(self, callback: object) -> None:
        pass

    def rest(self) -> None:
        pass

    def close(self) -> None:
        pass


class WatchedPicture(Picture):
    """A portrait that can be watched going."""

    __slots__ = ("__weakref__",)


def portrait() -> WatchedPicture:
    return WatchedPicture(3, 4, b"\x7f" * 36)


def said(tag: str, sign: Sign) -> Screen:
    return signals(load()[tag])[sign].screen


def test_the_first_language_speaks_until_another_is_asked_for() -> None:
    glass, pins = Glass(), Pins()
    with Panel(pins, glass.open, languages=LANGUAGES) as panel:
        assert (panel.language, panel.languages) == ("de", ("de", "uk", "en"))
        panel.signal(Sign.READY)
        assert eventually(lambda: glass.now == said("de", Sign.READY))
        lit, sounded = pins.lit, pins.sounded
        for tag in ("uk", "en", "de", "uk"):
            panel.next_language()
            assert panel.language == tag
            assert eventually(lambda tag=tag: glass.now == said(tag, Sign.READY))
        assert (pins.lit, pins.sounded) == (lit, sounded), "only the display speaks"
        panel.signal(Sign.CHECKING)
        assert eventually(lambda: glass.now == said("uk", Sign.CHECKING))
        panel.default_language()
        assert panel.language == "de"
        assert eventually(lambda: glass.now == said("de", Sign.CHECKING))
        drawn = glass.drawn
        panel.default_language()
        time.sleep(0.02)
        assert glass.drawn == drawn, "nothing changed"


def test_all_that_was_said_is_said_in_the_new_language() -> None:
    glass = Glass()
    with Panel(Pins(), glass.open, languages=LANGUAGES) as panel:
        panel.signal(Sign.READY, ("nfc",), (By.CODE, By.TAP))
        panel.next_language()
        words = load()["uk"]
        wanted = naming(inviting(said("uk", Sign.READY), (By.CODE, By.TAP), words), Sign.READY, ("nfc",), words)
        assert eventually(lambda: glass.now == wanted)
        panel.signal(Sign.ALARM, ("held",))
        assert eventually(lambda: glass.now is not None and glass.now.headline == words.alarms["held"].headline)
        panel.default_language()
        assert eventually(lambda: glass.now is not None and glass.now.headline == "Tür schließen")
        panel.signal(Sign.NOT_READABLE, code="https://example.org")
        panel.next_language()
        wanted = replace(said("uk", Sign.NOT_READABLE), code="https://example.org")
        assert eventually(lambda: glass.now == wanted)


def test_a_dark_panel_stays_dark_in_any_language() -> None:
    glass, pins = Glass(), Pins()
    with Panel(pins, glass.open, languages=LANGUAGES) as panel:
        panel.next_language()
        assert eventually(lambda: glass.now == BLANK)
        panel.signal(Sign.READY)
        lit = pins.lit
        panel.signal(Sign.ASLEEP)
        assert eventually(lambda: glass.now == BLANK)
        assert pins.lit == lit
        panel.next_language()
        panel.close()
        panel.next_language()
        panel.show_holder(portrait())
        panel.hide()


def test_english_speaks_where_nobody_chose() -> None:
    with Panel(Pins(), Glass().open) as panel:
        assert panel.language == "en"
        panel.next_language()
        assert panel.language == "en"


LATER: dict[str, Callable[[Panel], None]] = {
    "hide": lambda panel: panel.hide(),
    "another sign": lambda panel: panel.signal(Sign.REFUSED),
    "a grant": lambda panel: panel.grant(Decision(Outcome.GRANTED)),
    "rest": lambda panel: panel.rest(),
    "close": lambda panel: panel.close(),
    "sleep": lambda panel: panel.signal(Sign.ASLEEP),
}


@pytest.mark.parametrize("later", LATER)
def test_nothing_keeps_a_portrait(later: str) -> None:
    glass, pins = Glass(), Pins()
    with Panel(pins, glass.open, languages=LANGUAGES) as panel:
        panel.signal(Sign.CHECKING)
        picture = portrait()
        watched = weakref.ref(picture)
        panel.show_holder(picture)
        del picture
        assert panel.sign is Sign.COMPARE
        assert eventually(lambda: glass.portraits == 1)
        assert eventually(lambda: watched() is None), "drawn and let go of while it is still to be seen"
        drawn = glass.drawn
        LATER[later](panel)
        assert eventually(lambda: glass.drawn > drawn or later == "close")
        assert glass.portraits == 1
        gc.collect()
        assert watched() is None


def test_a_portrait_that_could_not_be_drawn_goes_too() -> None:
    glass = Glass()
    with Panel(Pins(), glass.open, back_off_s=(0.01, 0.02)) as panel:
        glass.broken = True
        picture = portrait()
        watched = weakref.ref(picture)
        panel.show_holder(picture)
        del picture
        time.sleep(0.1)
        panel.hide()
        assert eventually(lambda: watched() is None)
        glass.broken = False
        assert eventually(lambda: glass.now == said("en", Sign.COMPARE))
        assert glass.portraits == 0


def test_a_portrait_waits_for_a_display_that_comes_back() -> None:
    glass = Glass()
    with Panel(Pins(), glass.open, back_off_s=(0.01, 0.02)) as panel:
        glass.broken = True
        panel.show_holder(portrait())
        time.sleep(0.05)
        glass.broken = False
        assert eventually(lambda: glass.portraits == 1)
        glass.now = None
        assert not eventually(lambda: glass.drawn > 1, 0.05), "and is not drawn over by its own screen"


def test_a_portrait_stays_while_the_language_changes() -> None:
    glass = Glass()
    with Panel(Pins(), glass.open, languages=LANGUAGES) as panel:
        panel.show_holder(portrait())
        assert eventually(lambda: glass.portraits == 1)
        panel.next_language()
        assert not eventually(lambda: glass.drawn > 1, 0.05)
        panel.hide()
        assert eventually(lambda: glass.now == said("uk", Sign.COMPARE))
        drawn = glass.drawn
        panel.hide()
        assert not eventually(lambda: glass.drawn > drawn, 0.05), "there is nothing left to hide"


def test_the_holder_is_shown_with_lamps_and_sound_once() -> None:
    glass, pins = Glass(), Pins()
    with Panel(pins, glass.open) as panel:
        panel.show_holder(portrait())
        lit, sounded = pins.lit, pins.sounded
        assert (lit, sounded) == (1, 1)
        panel.show_holder(portrait())
        panel.hide()
        assert (pins.lit, pins.sounded) == (lit, sounded)
        panel.show_holder(portrait(), Sign.GRANTED)
        assert panel.sign is Sign.GRANTED
        assert pins.lit == lit + 1


def test_a_screen_posted_while_another_is_drawn_is_drawn_once() -> None:
    glass = Glass()
    owner = DisplayOwner(glass.open)
    glass.gate.clear()
    owner.show(Screen("tick", "one"))
    time.sleep(0.02)
    owner.show(Screen("faces", "two", picture=portrait()))
    glass.gate.set()
    assert eventually(lambda: glass.portraits == 1)
    assert not eventually(lambda: glass.drawn > 2, 0.05)
    assert owner.close()


def test_no_representation_tells_a_portrait() -> None:
    screen = Screen("faces", "Same person?", picture=portrait(), code="x")
    assert "7f" not in repr(screen)
    assert "\\x7f" not in repr(portrait())


def test_a_verdict_reaches_the_lamps_while_the_display_is_busy() -> None:
    glass, pins = Glass(), Pins()
    with Panel(pins, glass.open, languages=LANGUAGES) as panel:
        glass.gate.clear()
        panel.signal(Sign.CHECKING)
        times = []
        for _ in range(50):
            for decide in (lambda: panel.signal(Sign.REFUSED), lambda: panel.grant(Decision(Outcome.GRANTED))):
                before = time.monotonic()
                decide()
                assert panel.last_light is not None
                times.append(panel.last_light - before)
        glass.gate.set()
        assert sorted(times)[len(times) // 2] < 0.001
        assert sorted(times)[len(times) * 9 // 10] < 0.02
