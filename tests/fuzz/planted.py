"""Bugs planted on purpose, in copies of small parsers and in our own: what the coverage-guided run must find.

Each of the second kind takes one check out of a parser while it runs; the parser itself is the real one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType

from targets import TARGETS, Target

from mdoc_reader.mdoc import cbor, engagement, handover, ndef, request, response
from mdoc_reader.model.reasons import Malformed, MalformedCode


def length_unchecked(data: bytes) -> int:
    """Believe a length byte: IndexError once it lies."""
    if len(data) < 4 or data[:2] != b"\xd8\x18":
        raise Malformed(MalformedCode.WRONG_TYPE)
    return data[3 + data[2]]


def type_unchecked(data: bytes) -> int:
    """Take a map's entry for text: AttributeError for any other type."""
    top = cbor.as_map(cbor.decode(data), "top")
    version = cbor.need(top, "version", "")
    return len(version.partition("."))  # type: ignore[attr-defined]


def recursion_unbounded(data: bytes) -> int:
    """Follow nested tags by recursion: RecursionError."""

    def follow(position: int) -> int:
        return follow(position + 1) if position < len(data) and data[position] == 0xC6 else position

    return follow(0)


def wrong_error(data: bytes) -> str:
    """Let a decoding error of the standard library out: UnicodeDecodeError."""
    if data[:1] != b"\x64":
        raise Malformed(MalformedCode.WRONG_TYPE)
    return data[1:5].decode()


def deep_assertion(data: bytes) -> None:
    """Break only behind a structured door: a map with two particular keys, one of a particular value."""
    top = cbor.as_map(cbor.decode(data), "top")
    status = top.get("status")
    if isinstance(status, int) and not isinstance(status, bool) and status == 11 and isinstance(top.get("data"), bytes):
        raise AssertionError("reached")


@contextmanager
def replaced(module: ModuleType, name: str, by: object) -> Iterator[None]:
    """Put another object in the place of a module's own for as long as the block lasts."""
    original = getattr(module, name)
    setattr(module, name, by)
    try:
        yield
    finally:
        setattr(module, name, original)


def engagement_without_tag_check(data: bytes) -> None:
    """Take whatever stands in the key's place for a tag: AttributeError."""
    with replaced(cbor, "as_embedded", lambda value, _path: value.value):
        engagement.parse(data)


def request_without_text_check(data: bytes) -> None:
    """Take whatever stands in the version's place for text: AttributeError or TypeError."""
    with replaced(cbor, "as_text", lambda value, _path, **_bounds: value):
        request.parse_device_request(data)


def handover_without_lengths(data: bytes) -> None:
    """Slice records by lengths nobody checked: IndexError."""
    with replaced(ndef, "_take", lambda message, at, length, _path: message[at : at + length]):
        handover.parse(data)


def assertion_in_an_item(data: bytes) -> None:
    """Break on an empty value inside the embedded items of a whole response."""
    for document in response.parse(data).documents:
        for items in document.namespaces.values():
            if any(item.problem is None and item.value in ({}, [], None) for item in items):
                raise AssertionError("reached")


def _planted(parse: Callable[[bytes], object], seed: bytes | str) -> Target:
    """Return a target; `seed` is an example, or names the parser whose examples serve."""

    def seeds() -> tuple[bytes, ...]:
        return TARGETS[seed].seeds if isinstance(seed, str) else (seed,)

    return Target(f"planted:{parse.__name__}", parse, functools.cache(seeds))


PLANTED: Mapping[str, Target] = {
    target.name.removeprefix("planted:"): target
    for target in (
        _planted(length_unchecked, b"\xd8\x18\x01\x00\x00"),
        _planted(type_unchecked, cbor.encode({"version": "1.0"})),
        _planted(recursion_unbounded, b"\xc6" * 600),
        _planted(wrong_error, b"\x64abcd"),
        _planted(deep_assertion, cbor.encode({"data": b"x", "status": 10})),
        _planted(engagement_without_tag_check, "engagement"),
        _planted(request_without_text_check, "request"),
        _planted(handover_without_lengths, "handover"),
        _planted(assertion_in_an_item, "response"),
    )
}


def find(name: str) -> Target:
    """Return a target by its name, `planted:` before those of this module. Raises KeyError."""
    return PLANTED[name.removeprefix("planted:")] if name.startswith("planted:") else TARGETS[name]


def names() -> list[str]:
    """Return every name that `find` knows."""
    return [*TARGETS, *(target.name for target in PLANTED.values())]
