"""CBOR with bounds: the one door through which encoded bytes become values (RFC 8949, ISO 18013-5 clause 8.3).

cbor2 does the decoding. This module adds what hostile input needs and cbor2 does not do: a bound on the number of
items, refusal of trailing bytes, tags that stay tags (no dates, regular expressions, shared references or big numbers
are built from outside bytes), and one exception type. It also finds the exact slice of a message that a tag 24 value
came from, because what is hashed or signed must be the bytes as received and never a re-encoding.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import cbor2
from cbor2 import CBORTag, frozendict

from mdoc_reader.model.reasons import Malformed, MalformedCode

ENCODED_CBOR = 24
TDATE = 0
FULL_DATE = 1004


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one decoding: bytes, nesting, items (every value, key and tag counts as one), entries of one map.

    Data of up to `uncounted` bytes is decoded without counting first: its size alone bounds what it can cost.
    """

    max_bytes: int = 4 * 1024 * 1024
    max_depth: int = 24
    max_items: int = 100_000
    max_entries: int = 2048
    uncounted: int = 32 * 1024


DEFAULT_LIMITS = Limits()
# Python's hashes of numbers, arrays and tags are no secret: whoever chooses such keys can make all of them collide, and
# a map then costs the square of its entries. Numbers are held by the number of entries; arrays, maps and tags as keys,
# for which no format here has a use, by this.
_MAX_COMPOSITE_KEYS = 64


class Tally:
    """What the embedded parts of one message may hold together: many small ones must not be a way around one bound."""

    __slots__ = ("items", "uncounted")

    def __init__(self, items: int = 100_000, uncounted: int = 64 * 1024) -> None:
        """Allow so many items, and so many bytes that are decoded without being counted."""
        self.items = items
        self.uncounted = uncounted


def _keep(tag: int) -> Callable[..., CBORTag]:
    def keep(value: object, *_: object) -> CBORTag:
        return CBORTag(tag, value)

    return keep


# Every tag for which cbor2 has a decoder of its own: all are kept as plain CBORTag instead.
_BUILT_IN_TAGS = (0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799)
_KEEP_TAGS = {tag: _keep(tag) for tag in _BUILT_IN_TAGS}


def decode(data: bytes, limits: Limits = DEFAULT_LIMITS, tally: Tally | None = None) -> object:
    """Decode exactly one item that spans all of `data`; with a tally, as one of several parts of a message.

    Maps are dict, arrays list, tags CBORTag; below a tag they are frozendict and tuple. Raises Malformed.
    """
    size = len(data)
    if size > limits.max_bytes:
        raise Malformed(MalformedCode.TOO_LARGE, detail=f"{size} bytes, at most {limits.max_bytes}")
    if tally is not None:
        tally.uncounted -= size
        if size > limits.uncounted or tally.uncounted < 0:
            tally.items -= _measure(data, 0, limits, min(limits.max_items, tally.items))[1]
    elif size > limits.uncounted:
        _measure(data, 0, limits, limits.max_items)
    stream = io.BytesIO(data)
    decoder = cbor2.CBORDecoder(
        stream,
        semantic_decoders=_KEEP_TAGS,
        max_depth=limits.max_depth,
        allow_indefinite=False,
        allow_duplicate_keys=False,
    )
    try:
        value = decoder.decode()
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise _complaint(error, stream.tell()) from None
    if stream.tell() != size:
        raise Malformed(MalformedCode.TRAILING_BYTES, offset=stream.tell())
    return cast("object", value)


def _complaint(error: BaseException, offset: int) -> Malformed:
    text = str(error)
    if isinstance(error, cbor2.CBORDecodeEOF):
        return Malformed(MalformedCode.TRUNCATED, offset=offset)
    if "Duplicate map key" in text:
        return Malformed(MalformedCode.DUPLICATE_KEY)
    if "indefinite length" in text:
        return Malformed(MalformedCode.INDEFINITE_LENGTH)
    if "nesting depth" in text:
        return Malformed(MalformedCode.TOO_DEEP)
    if "text string" in text:
        return Malformed(MalformedCode.BAD_TEXT)
    return Malformed(MalformedCode.NOT_CBOR)


def encode(value: object) -> bytes:
    """Encode a value of our own making, shortest lengths, keys in the order given."""
    return cbor2.dumps(value)


def head(major: int, argument: int) -> bytes:
    """Return the shortest item head of a major type and argument."""
    if argument < 24:
        return bytes((major << 5 | argument,))
    for code, width in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << (8 * width):
            return bytes((major << 5 | code,)) + argument.to_bytes(width, "big")
    raise ValueError("argument does not fit 64 bits")


def bstr(content: bytes) -> bytes:
    """Encode a byte string."""
    return head(2, len(content)) + content


def tstr(content: str) -> bytes:
    """Encode a text string."""
    raw = content.encode()
    return head(3, len(raw)) + raw


def embed(encoded: bytes) -> bytes:
    """Wrap encoded CBOR as `#6.24(bstr .cbor)`."""
    return _wrapper(len(encoded)) + encoded


def _wrapper(length: int) -> bytes:
    """Return what stands before `length` bytes of embedded CBOR, in its usual, shortest form."""
    return _SHORT_WRAPPERS[length] if length < 256 else b"\xd8\x18" + head(2, length)


_SHORT_WRAPPERS = tuple(b"\xd8\x18" + head(2, length) for length in range(256))


def unwrap(data: bytes, path: str, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Return the content of one tag 24 item that spans all of `data`. Raises Malformed."""
    for width in (1, 2, 3):
        length = len(data) - 2 - width
        if length >= 0 and data[: 2 + width] == _wrapper(length) and length <= limits.max_bytes:
            return data[2 + width :]
    return as_embedded(decode(data, limits), path)


def scan(data: bytes, start: int = 0, limits: Limits = DEFAULT_LIMITS) -> int:
    """Walk one item's heads without building values; return the offset behind it. Raises Malformed.

    Bounds items, depth, entries of a map and composite keys, so that what cbor2 then builds is bounded too.
    """
    return _measure(data, start, limits, limits.max_items)[0]


def _measure(data: bytes, position: int, limits: Limits, max_items: int) -> tuple[int, int]:
    """Return the offset behind one item, and how many items it holds. What `walk` does, in one go and with all bounds.

    Two lists say what is open: how many children are still to come, and whether they are a map's. A key is due in a map
    that still expects an even number of them.
    """
    size, max_depth, max_entries = len(data), limits.max_depth, limits.max_entries
    remaining, in_map = [1], [False]
    items = composite_keys = 0
    while remaining:
        left = remaining[-1]
        if left == 0:
            remaining.pop()
            in_map.pop()
            continue
        remaining[-1] = left - 1
        items += 1
        if items > max_items:
            raise Malformed(MalformedCode.TOO_MANY_ITEMS, offset=position)
        head_at = position
        if position < size and data[position] & 31 < 24:
            initial = data[position]
            major, argument = initial >> 5, initial & 31
            position += 1
        else:
            major, argument, position = _read_head(data, position, size)
        if major in {2, 3}:
            position += argument
            if position > size:
                raise Malformed(MalformedCode.TRUNCATED, offset=head_at)
        elif major in {4, 5, 6}:
            if in_map[-1] and not left & 1:
                composite_keys += 1
                if composite_keys > _MAX_COMPOSITE_KEYS:
                    raise Malformed(MalformedCode.TOO_MANY_ITEMS, offset=head_at, detail="keys that are no plain value")
            children = 1 if major == 6 else argument * (major - 3)
            # Every child takes a byte at least: a declared count beyond that is a lie and is not walked.
            if children > size - position:
                raise Malformed(MalformedCode.TRUNCATED, offset=head_at)
            if major == 5 and argument > max_entries:
                raise Malformed(MalformedCode.TOO_MANY_ITEMS, offset=head_at, detail=f"at most {max_entries} entries")
            remaining.append(children)
            in_map.append(major == 5)
            if len(remaining) > max_depth + 1:
                raise Malformed(MalformedCode.TOO_DEEP, offset=head_at)
    return position, items


def walk(data: bytes, start: int = 0, limits: Limits = DEFAULT_LIMITS) -> Iterator[tuple[int, int, int]]:
    """Yield (offset of the head, major type, offset behind the head and any string content) of every item in order."""
    size = len(data)
    open_counts = [1]
    position = start
    items = 0
    while open_counts:
        if open_counts[-1] == 0:
            open_counts.pop()
            continue
        open_counts[-1] -= 1
        items += 1
        if items > limits.max_items:
            raise Malformed(MalformedCode.TOO_MANY_ITEMS, offset=position)
        major, argument, body = _read_head(data, position, size)
        head_at, position = position, body
        if major in {2, 3}:
            position += argument
            if position > size:
                raise Malformed(MalformedCode.TRUNCATED, offset=head_at)
        elif major in {4, 5, 6}:
            children = 1 if major == 6 else argument * (major - 3)
            # Every child takes a byte at least: a declared count beyond that is a lie and is not walked.
            if children > size - position:
                raise Malformed(MalformedCode.TRUNCATED, offset=head_at)
            open_counts.append(children)
            if len(open_counts) > limits.max_depth + 1:
                raise Malformed(MalformedCode.TOO_DEEP, offset=head_at)
        yield head_at, major, position


_EXTENDED = {24: 1, 25: 2, 26: 4, 27: 8}


def _read_head(data: bytes, position: int, size: int) -> tuple[int, int, int]:
    if position >= size:
        raise Malformed(MalformedCode.TRUNCATED, offset=position)
    initial = data[position]
    major, low = initial >> 5, initial & 31
    position += 1
    if low < 24:
        return major, low, position
    width = _EXTENDED.get(low)
    if width is None:
        code = MalformedCode.INDEFINITE_LENGTH if low == 31 else MalformedCode.NOT_CBOR
        raise Malformed(code, offset=position - 1)
    if position + width > size:
        raise Malformed(MalformedCode.TRUNCATED, offset=position)
    return major, int.from_bytes(data[position : position + width], "big"), position + width


# So many places may look like an item and not be it, and so many items may lie before the last one found, before every
# item is looked at instead: either way the work stays in proportion to the message.
_NEAR_MATCHES = 32
_LOOKS_BACK = 64


class Slices:
    """Finds, in the message as received, the encoded tag 24 items whose content was decoded from it.

    Ask in the order of the message: each search starts where the last one ended.
    """

    __slots__ = ("_looks_back", "_message", "_position", "_spans")

    def __init__(self, message: bytes) -> None:
        """Search in `message`, which `decode` accepted."""
        self._message = message
        self._position = 0
        self._looks_back = 0
        self._spans: dict[bytes, bytes] | None = None

    def of(self, content: bytes) -> bytes:
        """Return the slice `#6.24(content)` as it was received, whatever length form its sender chose."""
        if self._spans is not None:
            return self._unusual(content)
        message = self._message
        wrapper = _wrapper(len(content))
        needle = wrapper + content[:40]
        for origin in (self._position, 0):
            at = message.find(needle, origin)
            for _ in range(_NEAR_MATCHES):
                if at < 0:
                    break
                body = at + len(wrapper)
                if message.startswith(content, body):
                    end = body + len(content)
                    self._position = max(self._position, end)
                    return message[at:end]
                at = message.find(needle, at + 1)
            self._looks_back += 1
            if self._looks_back > _LOOKS_BACK:
                break
        return self._unusual(content)

    def _unusual(self, content: bytes) -> bytes:
        """Look through every item, once: the sender chose longer forms than needed, or planted look-alikes."""
        if self._spans is None:
            self._spans = {}
            tag_at = -1
            for at, major, end in walk(self._message):
                if major == 6:
                    tag_at = at if _read_head(self._message, at, len(self._message))[1] == ENCODED_CBOR else -1
                elif major == 2 and tag_at >= 0:
                    _, length, body = _read_head(self._message, at, len(self._message))
                    self._spans.setdefault(self._message[body : body + length], self._message[tag_at:end])
                    tag_at = -1
                else:
                    tag_at = -1
        found = self._spans.get(content)
        if found is None:
            raise Malformed(MalformedCode.BAD_VALUE, detail="embedded item not found in the message")
        return found


def as_map(value: object, path: str) -> Mapping[object, object]:
    """Return a map or raise WRONG_TYPE."""
    if isinstance(value, dict):
        return value
    if isinstance(value, frozendict):
        return cast("Mapping[object, object]", value)
    raise Malformed(MalformedCode.WRONG_TYPE, path, detail="a map is expected")


def as_array(value: object, path: str, *, maximum: int = 10_000) -> Sequence[object]:
    """Return an array of at most `maximum` items, or raise WRONG_TYPE or TOO_MANY_ITEMS."""
    if not isinstance(value, (list, tuple)):
        raise Malformed(MalformedCode.WRONG_TYPE, path, detail="an array is expected")
    if len(value) > maximum:
        raise Malformed(MalformedCode.TOO_MANY_ITEMS, path, detail=f"at most {maximum}")
    return value


def as_text(value: object, path: str, *, maximum: int = 4096, empty: bool = False) -> str:
    """Return text, by default not empty, or raise."""
    if not isinstance(value, str):
        raise Malformed(MalformedCode.WRONG_TYPE, path, detail="text is expected")
    if len(value) > maximum:
        raise Malformed(MalformedCode.TOO_LARGE, path, detail=f"at most {maximum} characters")
    if not value and not empty:
        raise Malformed(MalformedCode.BAD_VALUE, path, detail="must not be empty")
    return value


def as_bytes(value: object, path: str) -> bytes:
    """Return a byte string or raise WRONG_TYPE."""
    if not isinstance(value, bytes):
        raise Malformed(MalformedCode.WRONG_TYPE, path, detail="a byte string is expected")
    return value


def as_int(value: object, path: str, *, minimum: int = 0, maximum: int = 2**64 - 1) -> int:
    """Return an integer within bounds (no bool), or raise."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise Malformed(MalformedCode.WRONG_TYPE, path, detail="an integer is expected")
    if not minimum <= value <= maximum:
        raise Malformed(MalformedCode.BAD_VALUE, path, detail=f"must be from {minimum} to {maximum}")
    return value


def as_bool(value: object, path: str) -> bool:
    """Return true or false, or raise WRONG_TYPE."""
    if not isinstance(value, bool):
        raise Malformed(MalformedCode.WRONG_TYPE, path, detail="true or false is expected")
    return value


def as_embedded(value: object, path: str) -> bytes:
    """Return the content of a tag 24 byte string, or raise WRONG_TYPE."""
    if isinstance(value, CBORTag) and value.tag == ENCODED_CBOR and isinstance(value.value, bytes):
        return value.value
    raise Malformed(MalformedCode.WRONG_TYPE, path, detail="encoded CBOR in tag 24 is expected")


def need(mapping: Mapping[object, object], key: object, path: str) -> object:
    """Return a required entry or raise MISSING_KEY. `key` is one of ours, so it may be named."""
    try:
        return mapping[key]
    except KeyError:
        raise Malformed(MalformedCode.MISSING_KEY, _below(path, key)) from None


# The next three are `need` and `as_…` in one: a reader's hot path, so the path is put together only for a complaint.


def need_text(mapping: Mapping[object, object], key: str, path: str, *, maximum: int = 4096) -> str:
    """Return a required entry that is text and not empty, or raise."""
    value = mapping.get(key)
    if isinstance(value, str) and 0 < len(value) <= maximum:
        return value
    return as_text(need(mapping, key, path), _below(path, key), maximum=maximum)


def need_bytes(mapping: Mapping[object, object], key: object, path: str) -> bytes:
    """Return a required entry that is a byte string, or raise."""
    value = mapping.get(key)
    if isinstance(value, bytes):
        return value
    return as_bytes(need(mapping, key, path), _below(path, key))


def need_map(mapping: Mapping[object, object], key: str, path: str) -> Mapping[object, object]:
    """Return a required entry that is a map, or raise."""
    value = mapping.get(key)
    if isinstance(value, dict):
        return value
    return as_map(need(mapping, key, path), _below(path, key))


def _below(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)
