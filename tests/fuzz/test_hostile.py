"""Hostile bytes: a table of nasty inputs with their codes, and Hypothesis on every parser."""

from __future__ import annotations

import random

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutate import REPLACEMENTS, TAGS, mutate
from targets import TARGETS

from mdoc_reader.mdoc import cbor, mso
from mdoc_reader.model.reasons import Malformed, MalformedCode

NASTY = {
    "": MalformedCode.TRUNCATED,
    "a2616101616102": MalformedCode.DUPLICATE_KEY,
    "a2010af50b": MalformedCode.DUPLICATE_KEY,  # 1 and true are one key to Python, and no format has both
    "bf616101ff": MalformedCode.INDEFINITE_LENGTH,
    "9f01ff": MalformedCode.INDEFINITE_LENGTH,
    "5f41aaff": MalformedCode.INDEFINITE_LENGTH,
    "7f6161ff": MalformedCode.INDEFINITE_LENGTH,
    "0102": MalformedCode.TRAILING_BYTES,
    "a0f6": MalformedCode.TRAILING_BYTES,
    "a26161": MalformedCode.TRUNCATED,
    "9affffffff": MalformedCode.TRUNCATED,
    "9b7fffffffffffffff": MalformedCode.TRUNCATED,
    "bb0000010000000000": MalformedCode.TRUNCATED,
    "5b0000000100000000": MalformedCode.TRUNCATED,
    "5b4000000000000000": MalformedCode.TRUNCATED,
    "62c328": MalformedCode.BAD_TEXT,
    "81" * 40 + "01": MalformedCode.TOO_DEEP,
    "c6" * 40 + "01": MalformedCode.TOO_DEEP,
    "1c": MalformedCode.NOT_CBOR,
    "f810": MalformedCode.NOT_CBOR,
    "ff": MalformedCode.NOT_CBOR,
}


# What is wrong with a message as such, parser by parser: the first thing wrong is what is told.
WRONG: list[tuple[str, object, MalformedCode]] = [
    ("engagement", {}, MalformedCode.MISSING_KEY),
    ("engagement", [], MalformedCode.WRONG_TYPE),
    ("engagement", {0: "2.0", 1: [1, 0]}, MalformedCode.UNSUPPORTED),
    ("engagement", {0: "1.0", 1: [2, 0]}, MalformedCode.UNSUPPORTED),
    ("engagement", {0: "1.0", 1: [True, 0]}, MalformedCode.UNSUPPORTED),
    ("engagement", {0: "1.0", 1: [1, b""]}, MalformedCode.WRONG_TYPE),
    ("engagement", {0: "1.0", 1: [1, cbor2.CBORTag(24, b"\x81" * 40)]}, MalformedCode.TOO_DEEP),
    ("qr", b"mdoc:A", MalformedCode.BAD_TEXT),
    ("qr", b"mdoc:" + b"A" * 8192, MalformedCode.NOT_AN_MDOC),
    ("cose_key", {1: 2, -1: 1, -2: bytes(31), -3: bytes(32)}, MalformedCode.BAD_KEY),
    ("cose_key", {1: 2, -1: 1, -2: bytes(32), -3: b"\x01" * 32}, MalformedCode.BAD_KEY),
    ("cose_key", {1: 2, -1: 1, -2: b"\xff" * 32, -3: True}, MalformedCode.BAD_KEY),
    ("cose_key", {1: 2, -1: True, -2: bytes(32)}, MalformedCode.UNSUPPORTED),
    ("cose_key", {1: 2, -1: 6, -2: bytes(32)}, MalformedCode.UNSUPPORTED),
    ("cose_key", {1: 2, -1: 257, -2: bytes(40), -3: bytes(40)}, MalformedCode.UNSUPPORTED),
    ("cose_key", {1: 2, -1: float("nan"), -2: bytes(32)}, MalformedCode.UNSUPPORTED),
    ("cose", [b"", {}, None], MalformedCode.WRONG_TYPE),
    ("cose", [b"\x81" * 40, {}, None, b""], MalformedCode.TOO_DEEP),
    ("cose", [b"\xa1\x02\x81\x01", {}, None, b""], MalformedCode.UNSUPPORTED),
    ("cose", [b"", {33: b""}, None, b""], MalformedCode.TOO_LARGE),
    ("cose", [b"", {33: [b"x"] * 9}, None, b""], MalformedCode.TOO_MANY_ITEMS),
    ("session_data", {}, MalformedCode.MISSING_KEY),
    ("session_data", {"data": "text"}, MalformedCode.WRONG_TYPE),
    ("session_data", {"status": True}, MalformedCode.WRONG_TYPE),
    ("session_data", {"status": -1}, MalformedCode.BAD_VALUE),
    ("establishment", {"eReaderKey": b"\xa0", "data": b""}, MalformedCode.WRONG_TYPE),
    ("request", {"version": "2.0", "docRequests": []}, MalformedCode.UNSUPPORTED),
    ("request", {"version": "1.0", "docRequests": []}, MalformedCode.BAD_VALUE),
    ("request", {"version": "1.0", "docRequests": [{}] * 33}, MalformedCode.TOO_MANY_ITEMS),
    ("response", {"version": b"1.0", "status": 0}, MalformedCode.WRONG_TYPE),
    ("response", {"version": "1.0"}, MalformedCode.MISSING_KEY),
    ("response", {"version": "1.0", "status": 0, "documents": {}}, MalformedCode.WRONG_TYPE),
    ("response", {"version": "1.0", "status": 0, "documents": [{}] * 33}, MalformedCode.TOO_MANY_ITEMS),
    ("response", {"version": "1.0", "status": 2**64}, MalformedCode.WRONG_TYPE),  # a big number stays a tag
    ("transcript", [], MalformedCode.WRONG_TYPE),
    ("transcript", cbor2.CBORTag(24, b"\x9f\xff"), MalformedCode.INDEFINITE_LENGTH),
    ("mso", {"version": "1.0", "digestAlgorithm": "MD5"}, MalformedCode.UNSUPPORTED),
    ("ndef", b"", MalformedCode.TRUNCATED),
    ("ndef", b"\xc1\x01\xff\xff\xff\xffx", MalformedCode.TRUNCATED),
    ("ndef", b"\xf1\x01\x00x", MalformedCode.UNSUPPORTED),  # chunked
    ("ndef", b"\x90\x00\x00" + b"\x10\x00\x00" * 64, MalformedCode.TOO_MANY_ITEMS),
    ("ndef", bytes(65537), MalformedCode.TOO_LARGE),
    ("ndef", b"\xd0\x00\x00\x00", MalformedCode.TRAILING_BYTES),
]


@pytest.mark.parametrize(("name", "message", "code"), WRONG)
def test_each_wrong_message_has_its_code(name: str, message: object, code: MalformedCode) -> None:
    with pytest.raises(Malformed) as caught:
        TARGETS[name].parse(message if isinstance(message, bytes) else cbor2.dumps(message))
    assert caught.value.code is code


@pytest.mark.parametrize(
    "date",
    [
        "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-01-01T24:61:00Z",
        "2026-01-01T00:00:00",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2026-01-01T00:00:00+99:99",
        "-200-01-01T00:00:00Z",
        "\u0662\u0660\u0662\u0666-01-01T00:00:00Z",
    ],
)
def test_dates_that_are_none(date: str) -> None:
    with pytest.raises(Malformed) as caught:
        mso.parse_tdate(cbor2.CBORTag(0, date), "validFrom")
    assert caught.value.code is MalformedCode.BAD_VALUE


@pytest.mark.parametrize("text", NASTY)
def test_each_nasty_input_has_its_code(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        cbor.decode(bytes.fromhex(text))
    assert caught.value.code is NASTY[text]


@pytest.mark.parametrize("text", NASTY)
def test_the_scanner_agrees_with_the_decoder_on_structure(text: str) -> None:
    data = bytes.fromhex(text)
    structural = {MalformedCode.TRUNCATED, MalformedCode.INDEFINITE_LENGTH, MalformedCode.TOO_DEEP}
    if NASTY[text] in structural:
        with pytest.raises(Malformed) as caught:
            cbor.scan(data)
        assert caught.value.code is NASTY[text]


@pytest.mark.parametrize(
    "text",
    [
        "c074323032302d30312d30315430303a30303a30305a",  # date
        "c16161",
        "c25820" + "ff" * 32,  # big number
        "c4821a3b9aca0001",  # decimal of a thousand million digits
        "c5821b00000000ffffffff01",
        "d81c81d81d00",  # an array that holds itself
        "d81e820100",  # one over nought
        "d8236628612b292b24",  # regular expression
        "d82470" + "00" * 16,  # mail message
        "d82541aa",  # UUID
        "d90100820102",
        "d90102820102",  # set
        "d9d9f701",
        "d903ec6a323032302d30312d3031",
    ],
)
def test_no_tag_becomes_anything(text: str) -> None:
    value = cbor.decode(bytes.fromhex(text))
    assert isinstance(value, cbor2.CBORTag)


def test_size_is_bounded_before_anything_is_read() -> None:
    with pytest.raises(Malformed) as caught:
        cbor.decode(b"\x00" * 20, cbor.Limits(max_bytes=10))
    assert caught.value.code is MalformedCode.TOO_LARGE


@pytest.mark.parametrize("name", TARGETS)
def test_every_seed_is_accepted(name: str) -> None:
    assert all(TARGETS[name](seed) for seed in TARGETS[name].seeds if seed != b"\xa0")
    assert TARGETS[name].seeds != (b"\xa0",), "this parser has no valid example"


@pytest.mark.parametrize("name", TARGETS)
def test_truncation_at_every_offset(name: str) -> None:
    target = TARGETS[name]
    for seed in target.seeds:
        for end in range(len(seed)):
            target(seed[:end])
            target(seed + seed[:end])


@pytest.mark.parametrize("name", TARGETS)
def test_a_tag_around_everything(name: str) -> None:
    target = TARGETS[name]
    for seed in target.seeds[:2]:
        try:
            spans = [(at, cbor.scan(seed, at)) for at, _, _ in cbor.walk(seed)]
        except Malformed:
            continue  # not every format is CBOR
        for tag in TAGS:
            for start, end in spans[:80]:
                target(seed[:start] + cbor.head(6, tag) + seed[start:])
                target(seed[:start] + cbor.head(6, tag) + cbor.bstr(seed[start:end]) + seed[end:])


def walked(data: bytes, limits: cbor.Limits) -> int | MalformedCode:
    end = 0
    try:
        for _, _, behind in cbor.walk(data, 0, limits):
            end = behind
    except Malformed as error:
        return error.code
    return end


@settings(max_examples=1500, deadline=None)
@given(st.binary(max_size=40), st.integers(0, 2**32))
def test_the_scanner_and_the_walk_agree(data: bytes, seed: int) -> None:
    """They are two readings of the same heads: one in a hurry, one for those who want each place."""
    limits = cbor.Limits(max_depth=4, max_items=30)
    for tried in (data, mutate(TARGETS["session_data"].seeds[0][:60], random.Random(seed))):
        try:
            scanned: int | MalformedCode = cbor.scan(tried, limits=limits)
        except Malformed as error:
            scanned = error.code
        assert scanned == walked(tried, limits)


@pytest.mark.parametrize("name", TARGETS)
def test_one_item_replaced(name: str) -> None:
    target, dice = TARGETS[name], random.Random(name)
    for _ in range(1500):
        data = dice.choice(target.seeds)
        for _ in range(dice.randrange(1, 4)):
            data = mutate(data, dice)
        target(data)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_bytes_at_large(name: str, data: st.DataObject) -> None:
    target = TARGETS[name]
    target(data.draw(st.binary(max_size=300)))
    seed = data.draw(st.sampled_from(target.seeds))
    at = data.draw(st.integers(0, len(seed)))
    put = data.draw(st.one_of(st.sampled_from(REPLACEMENTS), st.binary(max_size=20)))
    gone = data.draw(st.integers(0, 20))
    target(seed[:at] + put + seed[at + gone :])
