"""The store as the reader sees it: it only reads, and takes a new generation up without stopping.

Nothing is verified here again: the importer has verified it, and the digests say that it is what the importer wrote.
What depends on the time, such as a list past its end, is looked at when it is used.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mdoc_reader.trust import anchors, generation, held, packed
from mdoc_reader.trust.anchors import Skipped, TrustAnchors
from mdoc_reader.trust.generation import Generation, StoreError
from mdoc_reader.trust.held import Contents
from mdoc_reader.trust.importer import lookup
from mdoc_reader.trust.revocation_list import RevocationList

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Believed:
    """One generation, as the reader believes it."""

    number: int
    contents: Contents
    anchors: TrustAnchors
    revocations: tuple[RevocationList, ...] = ()

    @property
    def signed_moments(self) -> tuple[datetime, ...]:
        """When its signed lists were issued: moments that are certainly over."""
        return tuple(one.origin.issued for one in self.contents.lists if one.origin.issued is not None)


def is_store(path: Path) -> bool:
    """Say whether a folder is a store, rather than a folder of certificates."""
    return generation.pointed_to(path) is not None or (path / "generations").is_dir()


def load(path: Path) -> Believed:
    """Read the generation now believed. Raises StoreError."""
    found = generation.current(path)
    contents = held.contents_of(found.facts)
    trusted = packed.held_anchors(found, contents)
    revocations = tuple(lookup(found.read(one.compiled)) for one in contents.lists if one.compiled is not None)
    return Believed(found.number, contents, trusted, revocations)


def load_all(paths: Iterable[Path]) -> tuple[TrustAnchors, tuple[Skipped, ...]]:
    """Read certificates from files and folders, and what stores believe, together.

    Raises OSError for a path that is not there, and StoreError.
    """
    folders: list[Path] = []
    stores: list[TrustAnchors] = []
    for path in paths:
        if is_store(path):
            stores.append(load(path).anchors)
        else:
            folders.append(path)
    trusted, skipped = anchors.load(folders)
    if stores:
        trusted, more = anchors.joined([trusted, *stores])
        skipped += more
    return trusted, skipped


def contents_of(found: Generation) -> Contents:
    """Return what a generation's manifest says. Raises StoreError."""
    return held.contents_of(found.facts)


class Watched:
    """A store that may get a new generation at any time; looked at cheaply, loaded beside whatever else goes on."""

    def __init__(self, path: Path) -> None:
        """Look at a store; nothing is read yet."""
        self.path = path
        self._name: str | None = None

    @property
    def changed(self) -> bool:
        """Whether another generation is pointed to than was loaded last. One system call."""
        name = generation.pointed_to(self.path)
        return name is not None and name != self._name

    def load(self) -> Believed | None:
        """Load what is pointed to now; None where it cannot be used, which costs nothing of what is believed.

        A generation that cannot be used is not tried again until the pointer moves.
        """
        self._name = generation.pointed_to(self.path)
        try:
            return load(self.path)
        except StoreError as error:
            log.warning("the store of trust cannot be used: %s", error)
            return None
