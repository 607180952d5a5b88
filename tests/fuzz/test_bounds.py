"""What the worst megabyte costs: under a second and under 64 MiB over its size, for every parser that may meet it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import measure_bounds
import pytest
from targets import TARGETS

from mdoc_reader.mdoc import cbor
from mdoc_reader.model.reasons import Malformed, MalformedCode

# Attacks that must get past the door: refused outright, they would measure nothing.
GET_IN = (
    "look_alikes", "look_alikes_device_first", "large_look_alikes", "planted_jump", "long_forms", "unreadable_items",
    "one_item_again_and_again", "elements_again_and_again", "elements_under_long_names", "thirty_two_documents",
    "maps_in_items", "maps_of_one_in_items", "maps_in_small_items", "colliding_keys_in_items", "device_elements",
    "colliding_keys_in_large_items", "digests_in_documents", "errors",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_worst_megabyte_is_bounded_in_time_and_memory() -> None:
    command = [sys.executable, str(Path(measure_bounds.__file__))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=380)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert len(told) == len(TARGETS) * len(measure_bounds.WORST)
    refused = [kind for kind in GET_IN if not told[f"response: {kind}"]["accepted"]]
    assert not refused, refused
    slow = {name: cost for name, cost in told.items() if cost["seconds"] > 1.0}
    assert not slow, slow
    large = {name: cost for name, cost in told.items() if cost["mebibytes"] > 64}
    assert not large, large


@pytest.mark.parametrize(
    "data",
    [
        b"\x82" + cbor.bstr(bytes(8192)) + measure_bounds.table(measure_bounds.colliding_keys(2000)),  # arrays as keys
        measure_bounds.table([cbor.head(0, number) for number in range(100_000, 112_000)]),  # too many entries
        cbor.head(4, 100_001) + b"\x00" * 100_001,
    ],
)
def test_what_could_cost_the_square_of_its_size_is_refused_before_it_is_built(data: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        cbor.decode(data)
    assert caught.value.code is MalformedCode.TOO_MANY_ITEMS


def test_parts_of_one_message_share_one_account() -> None:
    part, tally = cbor.head(4, 1000) + b"\x00" * 1000, cbor.Tally(items=2500, uncounted=5000)
    for _ in range(6):  # four uncounted, two counted
        cbor.decode(part, cbor.DEFAULT_LIMITS, tally)
    with pytest.raises(Malformed) as caught:
        cbor.decode(part, cbor.DEFAULT_LIMITS, tally)
    assert caught.value.code is MalformedCode.TOO_MANY_ITEMS
