"""Tells others of contacts on a thread of its own, in order, one at a time.

Whoever is told may be slow or broken; the board's clock, which ends pulses and watches for fire, never waits for that.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable

from mdoc_reader.outputs.ports import Contact, ContactCallback

MAX_WAITING = 256

State = tuple[Contact, bool, float]


class Teller:
    """Owns the callbacks. Its thread lives from the first callback to `close`."""

    def __init__(self) -> None:
        """Nobody to tell."""
        self._callbacks: list[ContactCallback] = []
        self._waiting: deque[tuple[tuple[ContactCallback, ...], State]] = deque()
        self._more = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False

    @property
    def healthy(self) -> bool:
        """Whether everybody who asked is told."""
        return self._thread is None or self._thread.is_alive() or self._closing

    def add(self, callback: ContactCallback, known: Iterable[State]) -> None:
        """Tell `callback` what is known, then all that is told from now on."""
        with self._more:
            if self._closing:
                return
            self._callbacks.append(callback)
            self._waiting.extend(((callback,), state) for state in known)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="panel-contacts", daemon=True)
                self._thread.start()
            self._more.notify()

    def tell(self, state: State, known: Iterable[State]) -> None:
        """Tell everybody of a change. Somebody who lags 256 behind is told what is `known` now, without what was."""
        with self._more:
            if self._closing or not self._callbacks:
                return
            everybody = tuple(self._callbacks)
            if len(self._waiting) < MAX_WAITING:
                self._waiting.append((everybody, state))
            else:
                self._waiting.clear()
                self._waiting.extend((everybody, one) for one in known)
            self._more.notify()

    def close(self, timeout_s: float = 1.0) -> None:
        """Tell nobody any more. May be called by one who is being told."""
        with self._more:
            self._closing = True
            self._waiting.clear()
            self._more.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._more:
                while not self._waiting:
                    if self._closing:
                        return
                    self._more.wait()
                callbacks, state = self._waiting.popleft()
            for callback in callbacks:
                callback(*state)
