"""Bugs planted on purpose in copies of small parsers: what the coverage-guided run must find to be worth running."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mdoc_reader.mdoc import cbor
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
    """Break only behind a structured door: a map with two particular keys, one of them negative."""
    top = cbor.as_map(cbor.decode(data), "top")
    status = top.get("status")
    if isinstance(status, int) and not isinstance(status, bool) and status == 11 and isinstance(top.get("data"), bytes):
        raise AssertionError("reached")


PLANTED: Mapping[str, tuple[Callable[[bytes], object], bytes]] = {
    "length_unchecked": (length_unchecked, b"\xd8\x18\x01\x00\x00"),
    "type_unchecked": (type_unchecked, cbor.encode({"version": "1.0"})),
    "recursion_unbounded": (recursion_unbounded, b"\xc6" * 900),
    "wrong_error": (wrong_error, b"\x64abcd"),
    "deep_assertion": (deep_assertion, cbor.encode({"data": b"x", "status": 10})),
}
