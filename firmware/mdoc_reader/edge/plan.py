"""What is to be fetched: the sources of the settings, and what trusted certificates and lists name themselves.

Both come as JSON files that the importer writes. Nothing in them is believed beyond its bounds.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from mdoc_reader.edge.codes import SpoolError, SpoolTrouble
from mdoc_reader.edge.connection import pin_of
from mdoc_reader.edge.http import ACCEPT, Question

MAX_FILE = 4 * 1024 * 1024
MAX_SOURCES = 64
MAX_FOLLOWED = 1000
MAX_HELD = 4000
_BIGGEST = 32 * 1024 * 1024

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}\Z")]
Url = Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
Period = Annotated[float, msgspec.Meta(ge=1, le=366 * 86400)]
Size = Annotated[int, msgspec.Meta(ge=1, le=_BIGGEST)]
Kind = Literal["vical", "lote", "trusted_list", "crl", "status_list", "identifier_list"]
Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class Source(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A source of the settings."""

    name: Name
    url: Url
    kind: Kind
    every: Period = 86400.0
    max_bytes: Size = 8 * 1024 * 1024
    tls_pin: Annotated[tuple[str, ...], msgspec.Meta(max_length=8)] = ()
    tls_ca: Annotated[str, msgspec.Meta(max_length=256)] | None = None
    insecure: bool = False


class Follow(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How what is named by certificates and lists is fetched, if at all."""

    enabled: bool = False
    every: Period = 86400.0
    max_bytes: Size = 8 * 1024 * 1024
    insecure: bool = False
    private: bool = False


class Sources(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The file of sources."""

    sources: Annotated[tuple[Source, ...], msgspec.Meta(max_length=MAX_SOURCES)] = ()
    follow: Follow = Follow()


class Address(msgspec.Struct, frozen=True):
    """One address that the importer saw in something it trusts."""

    url: Url
    kind: Kind


class Wanted(msgspec.Struct, frozen=True):
    """What the importer wants, and the digests of what it has taken."""

    wanted: Annotated[tuple[Address, ...], msgspec.Meta(max_length=MAX_FOLLOWED)] = ()
    held: Annotated[tuple[Digest, ...], msgspec.Meta(max_length=MAX_HELD)] = ()


@dataclass(frozen=True, slots=True)
class Errand:
    """One thing to fetch. `every`: seconds from one time to the next; `max_bytes`: how large it may be."""

    name: str
    kind: str
    every: float
    max_bytes: int
    question: Question


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything to fetch, and the digests of what need not be brought again."""

    errands: tuple[Errand, ...]
    held: frozenset[str] = frozenset()


_T = TypeVar("_T")


def read(sources: Path, wanted: Path) -> Plan:
    """Read both files; `wanted` may be missing or damaged. Raises SpoolError where nothing is known to fetch."""
    asked = _file(sources, Sources)
    try:
        more = _file(wanted, Wanted)
    except SpoolError:
        more = Wanted()
    errands = [_errand(source) for source in asked.sources]
    if len({errand.name for errand in errands}) != len(errands):
        raise SpoolError(SpoolTrouble.PLAN_UNREADABLE, "two sources have one name")
    if asked.follow.enabled:
        known = {errand.question.url for errand in errands}
        named = {errand.name for errand in errands}
        for address in dict.fromkeys(more.wanted):
            followed = _followed(address, asked.follow)
            if address.url not in known and followed.name not in named:
                errands.append(followed)
                named.add(followed.name)
    return Plan(tuple(errands), frozenset(more.held))


def _errand(source: Source) -> Errand:
    try:
        pins = tuple(pin_of(text) for text in source.tls_pin)
    except ValueError:
        raise SpoolError(SpoolTrouble.PLAN_UNREADABLE, f"{source.name}: tls_pin") from None
    question = Question(
        source.url,
        ACCEPT[source.kind],
        insecure=source.insecure,
        pins=pins,
        authorities=source.tls_ca,
        own_host=_host(source.url),
    )
    return Errand(source.name, source.kind, source.every, source.max_bytes, question)


def _followed(address: Address, follow: Follow) -> Errand:
    name = f"{address.kind.replace('_', '-')}-{hashlib.sha256(address.url.encode()).hexdigest()[:12]}"
    question = Question(address.url, ACCEPT[address.kind], insecure=follow.insecure, private=follow.private)
    return Errand(name, address.kind, follow.every, follow.max_bytes, question)


def _host(url: str) -> str | None:
    try:
        return parse_url(url).host
    except LocationParseError:
        return None


def _file(path: Path, kind: type[_T]) -> _T:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:  # noqa: PTH123 -- a descriptor, not a path
            raw = stream.read(MAX_FILE + 1)
    except OSError as error:
        raise SpoolError(SpoolTrouble.PLAN_UNREADABLE, f"{path.name}: {error.strerror}") from None
    if len(raw) > MAX_FILE:
        raise SpoolError(SpoolTrouble.PLAN_UNREADABLE, f"{path.name}: too large")
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise SpoolError(SpoolTrouble.PLAN_UNREADABLE, f"{path.name}: {error}") from None
