"""JSON with bounds: nesting, items and size are known before anything is built, and no name may come twice (RFC 8259).

The standard library does the reading. Brackets and commas are counted first, outside of strings, at the speed of a
search; numbers that no other reader would understand the same way are refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn, cast

from mdoc_reader.model.reasons import Malformed, MalformedCode


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one reading: bytes, nesting, and items, of which every value counts as one."""

    max_bytes: int = 4 * 1024 * 1024
    max_depth: int = 32
    max_items: int = 100_000


DEFAULT_LIMITS = Limits()
# A string, or the rest of the data where it is not closed: no start is looked at twice.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def decode(data: bytes, path: str, limits: Limits = DEFAULT_LIMITS) -> object:
    """Read one JSON value in UTF-8 that spans all of `data`. Raises Malformed."""
    if len(data) > limits.max_bytes:
        raise Malformed(MalformedCode.TOO_LARGE, path, detail=f"{len(data)} bytes, at most {limits.max_bytes}")
    _count(data, path, limits)
    try:
        return cast(
            "object", json.loads(data.decode("utf-8"), object_pairs_hook=_no_twins, parse_constant=_no_constant)
        )
    except Malformed as error:
        raise error.under(path) from None
    except UnicodeDecodeError:
        raise Malformed(MalformedCode.BAD_TEXT, path, detail="not UTF-8") from None
    except (ValueError, RecursionError) as error:
        offset = error.pos if isinstance(error, json.JSONDecodeError) else None
        raise Malformed(MalformedCode.BAD_VALUE, path, offset, "not JSON") from None


def _count(data: bytes, path: str, limits: Limits) -> None:
    bare = _STRING.sub(b'"', data)
    opened = bare.count(b"[") + bare.count(b"{")
    if bare.count(b",") + opened > limits.max_items:
        raise Malformed(MalformedCode.TOO_MANY_ITEMS, path, detail=f"at most {limits.max_items}")
    depth = 0
    for bracket in bare.translate(None, _NOT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > limits.max_depth:
            raise Malformed(MalformedCode.TOO_DEEP, path)


def _no_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Malformed(MalformedCode.DUPLICATE_KEY)
    return found


def _no_constant(_: str) -> NoReturn:
    raise Malformed(MalformedCode.BAD_VALUE, detail="not a number")


def as_object(value: object, path: str) -> Mapping[str, object]:
    """Return an object or raise WRONG_TYPE."""
    if not isinstance(value, dict):
        raise Malformed(MalformedCode.WRONG_TYPE, path, detail="an object is expected")
    return value


def as_list(value: object, path: str, *, maximum: int = 10_000) -> Sequence[object]:
    """Return an array of at most `maximum` items, or raise WRONG_TYPE or TOO_MANY_ITEMS."""
    if not isinstance(value, list):
        raise Malformed(MalformedCode.WRONG_TYPE, path, detail="an array is expected")
    if len(value) > maximum:
        raise Malformed(MalformedCode.TOO_MANY_ITEMS, path, detail=f"at most {maximum}")
    return value


def as_text(value: object, path: str, *, maximum: int = 4096) -> str:
    """Return text that is not empty, or raise."""
    if not isinstance(value, str):
        raise Malformed(MalformedCode.WRONG_TYPE, path, detail="text is expected")
    if not 0 < len(value) <= maximum:
        raise Malformed(MalformedCode.BAD_VALUE, path, detail=f"from 1 to {maximum} characters")
    return value
