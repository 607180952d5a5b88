"""When to fetch, and when to fetch again after a failure: nothing here reads a clock or throws dice itself.

`chance` is a number from 0 to 1: many readers that failed together must not come back together.
"""

from __future__ import annotations

FIRST_WAIT = 60.0
"""Seconds after the first failure, doubled with every further one."""
RETRIES = 3
"""How often one fetch is tried before it counts as failed."""
MAX_PAUSE = 30.0
"""Seconds between two tries of one fetch, at most."""


def after_success(now: float, every: float, chance: float) -> float:
    """Return when the next fetch is due: up to a tenth of the period early."""
    return now + every * (1 - 0.1 * chance)


def after_failure(now: float, every: float, failures: int, chance: float, asked: float | None = None) -> float:
    """Return when the next fetch is due after `failures` in a row; `asked`: seconds the server asked us to wait."""
    wait = min(every, FIRST_WAIT * 2.0 ** min(failures - 1, 20)) * (0.5 + chance)
    return now + max(wait, asked or 0.0)


def pause(tries: int, chance: float, asked: float | None = None) -> float | None:
    """Return the seconds until the next try of one fetch; None where it is not worth waiting."""
    if tries >= RETRIES or (asked is not None and asked > MAX_PAUSE):
        return None
    return max(min(MAX_PAUSE, 2.0**tries) * (0.5 + chance) / 2, asked or 0.0)


def is_due(due: float, now: float, every: float) -> bool:
    """Say whether a fetch is due. A moment too far ahead was written under another clock, and does not count."""
    return due <= now or due > now + 2 * max(every, 86400.0)
