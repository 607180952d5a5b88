"""One owner thread for a display that may be slow, absent or stuck.

The caller posts a screen and goes on; the owner draws the latest one and drops those it had no time for. A device that
is gone (OSError) is reopened with growing pauses. A thread cannot be cancelled, so one that overruns is quarantined:
another takes its place, and should the first ever return it releases its device and the screen is drawn once more.

A portrait is drawn once and let go of at once: what is drawn again later is the same screen without it. Only a thread
that is stuck in its driver can hold one for longer.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from mdoc_reader.outputs.ports import Display, Screen

MAX_QUARANTINED = 3
"""Stuck threads that are tolerated at once; after that the display stays dark until one of them returns."""


class _Hand:
    """One owner thread and what it is doing. Guarded by the owner's condition."""

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        self.busy_since = math.inf
        self.dismissed = False
        self.finished = False


class DisplayOwner:
    """Shows the latest screen on a display, from a thread of its own.

    Args:
        open_display: opens the device; called on the owner thread; OSError when it is not there.
        overrun_s: how long opening, drawing or closing may take before the thread is quarantined.
        back_off_s: the first and the longest pause between attempts to open.
        on_change: called with the new state after health changed, from the owner thread or from the caller's.
    """

    def __init__(
        self,
        open_display: Callable[[], Display],
        *,
        overrun_s: float = 2.0,
        back_off_s: tuple[float, float] = (0.5, 30.0),
        on_change: Callable[[bool], None] = lambda works: None,
    ) -> None:
        """Start the owner thread; the device is opened with the first screen."""
        self._open = open_display
        self._overrun_s = overrun_s
        self._back_off_s = back_off_s
        self._on_change = on_change
        self._wake = threading.Condition()
        self._screen: Screen | None = None
        self._number = 0  # of screens posted; a hand that has shown a smaller number has work
        self._works = True
        self._closing = False
        self._quarantined: list[_Hand] = []
        self._not_before = 0.0
        self._hand: _Hand | None = self._hire()

    @property
    def healthy(self) -> bool:
        """Whether the display shows what it was told. Asking also replaces a thread that is stuck."""
        with self._wake:
            changed = self._inspect()
            works = self._works
        if changed:
            self._on_change(works)
        return works

    @property
    def quarantined(self) -> int:
        """How many stuck threads have not come back."""
        with self._wake:
            return sum(not hand.finished for hand in self._quarantined)

    def show(self, screen: Screen) -> None:
        """Have this screen shown as soon as the device can. Returns at once; never raises."""
        with self._wake:
            if self._closing:
                return
            self._screen = screen
            self._number += 1
            changed = self._inspect()
            works = self._works
            self._wake.notify_all()
        if changed:
            self._on_change(works)

    def close(self, timeout_s: float = 1.0) -> bool:
        """Blank and release the display. False when its thread did not end within `timeout_s`; it dies with us."""
        with self._wake:
            self._closing = True
            self._screen = None
            self._wake.notify_all()
            hands = [hand for hand in (self._hand, *self._quarantined) if hand is not None]
        ends = time.monotonic() + timeout_s
        for hand in hands:
            if hand.thread is not None and hand.thread is not threading.current_thread():
                hand.thread.join(max(0.0, ends - time.monotonic()))
        return all(hand.finished for hand in hands)

    def _hire(self) -> _Hand:
        hand = _Hand()
        hand.thread = threading.Thread(target=self._work, args=(hand,), name="panel-display", daemon=True)
        hand.thread.start()
        return hand

    def _inspect(self) -> bool:
        """Replace a hand that is stuck or dead, as far as that is allowed; return whether health changed."""
        if self._closing:
            return False
        now = time.monotonic()
        hand = self._hand
        if hand is not None and not hand.finished and now - hand.busy_since > self._overrun_s:
            hand.dismissed = True
            self._quarantined.append(hand)
            self._hand = None
        elif hand is not None and hand.finished:
            self._hand = None  # its driver raised what no driver may raise; a new one starts after a pause
        if self._hand is not None:
            return False
        self._quarantined = [hand for hand in self._quarantined if not hand.finished]
        if len(self._quarantined) < MAX_QUARANTINED and now >= self._not_before:
            self._hand = self._hire()
        return self._set_works(False)

    def _set_works(self, works: bool) -> bool:
        changed = works != self._works
        self._works = works
        return changed

    def _work(self, hand: _Hand) -> None:
        display: Display | None = None
        shown = 0
        pause = self._back_off_s[0]
        orderly, drawn = False, 0
        try:
            while self._next(hand, shown):
                try:
                    if display is None:
                        display = self._open()
                    drawn = self._draw(display)
                    failed = False
                except OSError:
                    failed = True
                    display = self._release(display)
                self._report(hand, works=not failed)
                if failed:
                    self._rest_for(hand, pause)
                    pause = min(pause * 2, self._back_off_s[1])
                else:
                    shown, pause = drawn, self._back_off_s[0]
            orderly = True
        finally:
            self._release(display)
            with self._wake:
                hand.finished = True
                hand.busy_since = math.inf
                if hand.dismissed:
                    # Releasing the old handle may have blanked the device that the new hand draws on.
                    self._number += 1
                elif not orderly:
                    self._not_before = time.monotonic() + self._back_off_s[1]
                self._wake.notify_all()
            if not orderly:
                self._report(hand, works=False)

    def _next(self, hand: _Hand, shown: int) -> bool:
        """Wait for a screen newer than `shown`. False when the hand's work is over."""
        with self._wake:
            self._wake.wait_for(lambda: self._closing or hand.dismissed or self._number > shown)
            hand.busy_since = time.monotonic()  # closing counts as work too: it can get stuck like anything else
            return not (self._closing or hand.dismissed)

    def _draw(self, display: Display) -> int:
        """Draw the latest screen and forget its portrait; return its number."""
        with self._wake:
            number, screen = self._number, self._screen
        if screen is None:  # the panel was closed meanwhile
            return number
        display.show(screen)
        if screen.picture is not None:
            with self._wake:
                if self._screen is screen:
                    self._screen = replace(screen, picture=None)
        return number

    def _report(self, hand: _Hand, *, works: bool) -> None:
        with self._wake:
            hand.busy_since = math.inf
            changed = not hand.dismissed and self._set_works(works)
        if changed:
            self._on_change(works)

    def _rest_for(self, hand: _Hand, seconds: float) -> None:
        with self._wake:
            self._wake.wait_for(lambda: self._closing or hand.dismissed, seconds)

    @staticmethod
    def _release(display: Display | None) -> None:
        if display is not None:
            with contextlib.suppress(OSError):
                display.close()
