"""Settings of trust: the store, what its findings weigh, and what a clock in doubt means."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class TrustSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What is believed beside `reader.trust_anchors`."""

    store: Name | None = None
    """The folder of the store that `mdoc-reader trust` keeps; a new generation is taken up while running."""
    untrusted_clock: Literal["refuse", "warn"] = "refuse"
    """Whether nothing opens while the time cannot be relied on."""
    clock: Literal["detect", "kept"] = "detect"
    """Whether to find out if anybody has set the clock since the start (a battery, a time service), or know that
    somebody looks after it."""
    grade: dict[str, str] = {}
    """Codes of findings about certificates, and what they weigh here: error, warning or info."""
