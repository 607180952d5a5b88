"""What the reader believes now: anchors and their cache, taken from folders and from a store that may change.

A new generation is loaded beside whatever goes on and swapped in between two look-ups: a presentation goes on with what
it began with, the next one has the new. What cannot be used changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from mdoc_reader.trust import anchors, clock
from mdoc_reader.trust.anchors import TrustAnchors
from mdoc_reader.trust.clock import Clock
from mdoc_reader.trust.codes import AS_WRITTEN, Grading
from mdoc_reader.trust.revocation import Revocations
from mdoc_reader.trust.store import Believed, Watched
from mdoc_reader.verification.certificate import SignerCache

log = logging.getLogger(__name__)

_LOOK_S = 2.0


class Beliefs:
    """Anchors from folders and from a store; swapped, never changed.

    Args:
        fixed: the anchors of folders; None without any.
        store: the folder of a store; None without one.
        grading: how findings about certificates weigh here.
        keeps_time: the clock whose floor signed lists raise.
        ages: how long after its issue a list of revocation is believed at most, by document type.
        floor: where that floor is kept over a restart; None to forget it.
    """

    def __init__(
        self,
        fixed: TrustAnchors | None,
        store: Path | None = None,
        *,
        grading: Grading = AS_WRITTEN,
        keeps_time: Clock | None = None,
        floor: Path | None = None,
        ages: Mapping[str, timedelta] | None = None,
    ) -> None:
        """Begin with the folders; `load` takes the store."""
        self._fixed = fixed
        self._watched = None if store is None else Watched(store)
        self._grading = grading
        self._clock = keeps_time
        self._floor = floor
        self._cache = None if fixed is None else SignerCache(fixed, grading)
        self._ages = dict(ages or {})
        self._revocations: Revocations | None = None
        self._believed: Believed | None = None
        self.generation = 0
        """The number of the store's generation that is believed; 0 without one."""

    @property
    def signers(self) -> SignerCache | None:
        """What signers are judged by; None where nobody is trusted at all."""
        return self._cache

    @property
    def revocations(self) -> Revocations | None:
        """The lists of revocation that are held; None without a store."""
        return self._revocations

    @property
    def fixed(self) -> TrustAnchors | None:
        """The anchors of folders; None without any."""
        return self._fixed

    @property
    def believed(self) -> Believed | None:
        """The store's generation that was loaded last; None without a store that could be used."""
        return self._believed

    def load(self) -> None:
        """Take the store as it is now. Blocks for as long as reading it takes; never raises for what is in it."""
        if self._watched is None:
            return
        believed = self._watched.load()
        if believed is not None:
            self._take(believed)

    async def watch(self) -> None:
        """Take every new generation as it comes, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if self._watched is not None and self._watched.changed:
                await asyncio.to_thread(self.load)

    def _take(self, believed: Believed) -> None:
        together = believed.anchors
        if self._fixed is not None and len(self._fixed):
            together = anchors.joined([self._fixed, believed.anchors])[0]
        self._cache = SignerCache(together, self._grading)
        self._revocations = Revocations(believed.revocations, self._ages)
        self._believed = believed
        self.generation = believed.number
        log.info("trust: generation %d, %d anchors", believed.number, len(together))
        if self._clock is not None and self._clock.raise_floor(believed.signed_moments) and self._floor is not None:
            try:
                clock.store_floor(self._floor, self._clock.floor)
            except OSError as error:
                log.warning("the clock's floor cannot be kept: %s", error.strerror)
