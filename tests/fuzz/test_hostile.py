"""Hostile bytes: a table of nasty inputs with their codes, and Hypothesis on every parser."""

from __future__ import annotations

import random

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutate import REPLACEMENTS, mutate
from targets import TARGETS

from mdoc_reader.mdoc import cbor
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
    for seed in target.seeds[:3]:
        for end in range(0, len(seed), max(1, len(seed) // 300)):
            target(seed[:end])
            target(seed + seed[:end])


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
