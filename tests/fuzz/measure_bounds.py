"""Feed each parser the worst megabytes and print what each cost, as JSON: `measure_bounds.py [KIND ...]`.

Every input is made in one process of its own and met by each parser in another, fresh from fork: the first call counts,
and the kernel's account of resident memory sees what libraries take outside Python's allocator too. `seconds` is
processor time, `mebibytes` the growth at its highest. The address space is limited: a parser that believes a declared
size fails here instead of taking the machine with it.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from targets import TARGETS, Target, vectors

from mdoc_reader.mdoc import cbor, response

MIB = 1024 * 1024
ADDRESS_SPACE = 1024 * MIB
_N = MIB - 16
_HASH_MASK = 2**64 - 1
_HASH_PRIMES = 11400714785074694791, 14029467366897019727, 2870177450012600261
_TEXT = "x" * 4096


def embedded_items(count: int, size: int) -> list[bytes]:
    """Return embedded byte strings that are alike up to their last bytes."""
    return [cbor.embed(cbor.bstr(b"\x55" * (size - 4) + index.to_bytes(4, "big"))) for index in range(count)]


def element(value: bytes, number: int = 0) -> bytes:
    """Return an IssuerSignedItemBytes that can be read, around an encoded value."""
    parts = cbor.tstr("digestID") + cbor.head(0, number) + cbor.tstr("random") + b"\x40"
    return cbor.embed(
        b"\xa4" + parts + cbor.tstr("elementIdentifier") + cbor.tstr("e") + cbor.tstr("elementValue") + value
    )


def colliding_keys(count: int) -> list[bytes]:
    """Return encoded arrays of two integers whose tuples all have one hash (xxHash without a secret, run backwards)."""
    first, second, start = _HASH_PRIMES
    undo_first, undo_second = pow(first, -1, 2**64), pow(second, -1, 2**64)
    final = (0x1234567 - (2 ^ start ^ 3527539)) & _HASH_MASK
    before = final * undo_first & _HASH_MASK
    before = (before >> 31 | before << 33) & _HASH_MASK
    keys: list[bytes] = []
    number = 0
    while len(keys) < count:
        number += 1
        state = (start + number * second) & _HASH_MASK
        state = (state << 31 | state >> 33) * first & _HASH_MASK
        partner = (before - state) * undo_second & _HASH_MASK
        if 0 < partner < 2**61 - 1:
            keys.append(b"\x82" + cbor.head(0, number) + cbor.head(0, partner))
    if len({hash(tuple(cbor.as_array(cbor.decode(key), ""))) for key in keys[:50]}) != 1:
        raise SystemExit("these keys do not collide on this Python: the attack needs another look")
    return keys


def table(keys: list[bytes]) -> bytes:
    """Return a map from keys to nought."""
    return cbor.head(5, len(keys)) + b"".join(key + b"\x00" for key in keys)


def proof() -> bytes:
    """Return an issuerAuth that carries a readable MSO and certificate."""
    answer = cbor.as_map(cbor.decode(a_response()), "")
    document = cbor.as_map(cbor.as_array(answer["documents"], "")[0], "")
    return cbor.encode(cbor.as_map(document["issuerSigned"], "")["issuerAuth"])


def a_response() -> bytes:
    """Return a valid response."""
    return next(data for name, data in vectors().items() if "device_response" in name)


def document(
    items: list[bytes],
    *,
    names: str = "n",
    per_namespace: int = 1000,
    device: bytes = b"\xa0",
    device_first: bool = False,
) -> bytes:
    """Return one Document whose namespaces hold `items`."""
    groups = [items[start : start + per_namespace] for start in range(0, len(items), per_namespace)][:64]
    spaces = cbor.head(5, len(groups)) + b"".join(
        cbor.tstr(f"{number}{names}") + cbor.head(4, len(group)) + b"".join(group)
        for number, group in enumerate(groups)
    )
    issuer = cbor.tstr("issuerSigned") + b"\xa2" + cbor.tstr("nameSpaces") + spaces + cbor.tstr("issuerAuth") + proof()
    signed = cbor.tstr("deviceSigned") + b"\xa1" + cbor.tstr("nameSpaces") + cbor.embed(device)
    return b"\xa3" + cbor.tstr("docType") + cbor.tstr("d") + (signed + issuer if device_first else issuer + signed)


def response_of(*documents: bytes, behind: bytes = b"") -> bytes:
    """Return a DeviceResponse; `behind` is what an unknown key at its end holds."""
    parts = [cbor.tstr("version") + cbor.tstr("1.0"), cbor.tstr("status") + b"\x00"]
    parts.append(cbor.tstr("documents") + cbor.head(4, len(documents)) + b"".join(documents))
    if behind:
        parts.append(cbor.tstr("zz") + behind)
    return cbor.head(5, len(parts)) + b"".join(parts)


def planted_jump() -> bytes:
    """Return a response whose first document makes the search for slices jump to the end, before all others' items."""
    named = b"\xa1" + cbor.tstr("jump!") + b"\xa0"
    # Each differs from the others early on: only its own place looks like it, and that lies far behind.
    items = [cbor.embed(cbor.bstr(number.to_bytes(4, "big") + b"\x55" * 54)) for number in range(14_000)]
    first = document(items[:1], device=named, device_first=True)
    return response_of(first, document(items[1:]), behind=cbor.embed(named))


def long_form(item: bytes) -> bytes:
    """Return an embedded byte string with an eight-octet length."""
    content = cbor.as_embedded(cbor.decode(item), "")
    return b"\xd8\x18\x5b" + len(content).to_bytes(8, "big") + content


def large_mso(spaces: int, digests: int = 2000) -> bytes:
    """Return an MSO with so many digests."""
    security = cbor.as_map(cbor.decode(_own_mso()), "")
    space = cbor.head(5, digests) + b"".join(cbor.head(0, number) + cbor.bstr(bytes(32)) for number in range(digests))
    parts = [cbor.tstr(str(key)) + cbor.encode(value) for key, value in security.items() if key != "valueDigests"]
    parts.append(
        cbor.tstr("valueDigests") + cbor.head(5, spaces) + b"".join(cbor.tstr(f"n{n}") + space for n in range(spaces))
    )
    return cbor.head(5, len(parts)) + b"".join(parts)


def _own_mso() -> bytes:
    payload = response.parse(a_response()).documents[0].issuer_auth.payload or b""
    return cbor.as_embedded(cbor.decode(payload), "MSO")


def with_msos(spaces: int, count: int) -> bytes:
    """Return a response of `count` documents that each carry a large MSO."""
    parts = cbor.as_array(cbor.decode(proof()), "")
    payload = cbor.embed(large_mso(spaces))
    made = b"\x84" + cbor.encode(parts[0]) + cbor.encode(parts[1]) + cbor.bstr(payload) + cbor.encode(parts[3])
    one = (
        b"\xa2" + cbor.tstr("docType") + cbor.tstr("d") + cbor.tstr("issuerSigned") + b"\xa1" + cbor.tstr("issuerAuth")
    )
    return response_of(*[one + made] * count)


def device_elements(spaces: int, elements: int) -> bytes:
    """Return DeviceNameSpaces whose names are as long as names may be."""
    space = table([cbor.tstr(f"{number:05}") for number in range(elements)])
    return cbor.head(5, spaces) + b"".join(cbor.tstr(f"{number}{_TEXT[:4000]}") + space for number in range(spaces))


def with_proofs(protected: bytes, count: int) -> bytes:
    """Return a response of `count` documents whose proofs have this protected header."""
    made = b"\x84" + cbor.bstr(protected) + b"\xa0\xf6\x40"
    one = (
        b"\xa2" + cbor.tstr("docType") + cbor.tstr("d") + cbor.tstr("issuerSigned") + b"\xa1" + cbor.tstr("issuerAuth")
    )
    return response_of(*[one + made] * count)


def many_records() -> bytes:
    """Return an NDEF message of as many records as one may have, all under one name."""
    record = b"\x01" + (1000).to_bytes(4, "big") + b"\x01x1" + bytes(1000)
    return b"\x89" + record + (b"\x09" + record) * 62 + b"\x49" + record


def _repeat(piece: bytes, size: int = _N) -> bytes:
    return piece * (size // len(piece))


WORST: Mapping[str, Callable[[], bytes]] = {
    "ints": lambda: cbor.head(4, _N) + b"\x01" * _N,
    "empty_maps": lambda: cbor.head(4, _N) + b"\xa0" * _N,
    "empty_arrays": lambda: cbor.head(4, _N) + b"\x80" * _N,
    "maps_of_one": lambda: cbor.head(4, _N // 3) + b"\xa1\x01\x02" * (_N // 3),
    "maps_to_the_bound": lambda: cbor.head(4, 99_990) + b"\xa0" * 99_990,
    "maps_uncounted": lambda: cbor.head(4, 32_700) + b"\xa0" * 32_700,
    "tagged_maps_to_the_bound": lambda: cbor.head(4, 24_990) + b"\xc6\xa1\x00\x00" * 24_990,
    "nested": lambda: b"\x81" * _N + b"\x01",
    "tags": lambda: b"\xc6" * _N + b"\x01",
    "nested_maps": lambda: b"\xa1\x00" * (_N // 2) + b"\x01",
    "text": lambda: cbor.tstr("x" * _N),
    "bytes": lambda: cbor.bstr(b"\xd8" * _N),
    "big_number": lambda: b"\xc2" + cbor.bstr(b"\xff" * _N),
    "small_texts": lambda: cbor.head(4, 99_990) + b"".join(b"\x65" + b"%05d" % n for n in range(99_990)),
    "distinct_keys": lambda: table([b"\x1a" + n.to_bytes(4, "big") for n in range(49_990)]),
    "maps_of_many_keys": lambda: b"\x98\x18" + table([b"\x1a" + n.to_bytes(4, "big") for n in range(2048)]) * 24,
    "colliding_keys": lambda: table(colliding_keys(24_900)),
    "colliding_keys_uncounted": lambda: table(colliding_keys(2200)),
    "colliding_keys_in_items": lambda: response_of(document([element(table(colliding_keys(250)))] * 280)),
    "colliding_keys_in_large_items": lambda: response_of(document([element(table(colliding_keys(2200)))] * 32)),
    "colliding_keys_in_documents": lambda: with_proofs(table(colliding_keys(2200)), 32),
    "maps_in_items": lambda: response_of(document([element(cbor.head(4, 30_000) + b"\xa0" * 30_000)] * 34)),
    "maps_of_one_in_items": lambda: response_of(document([element(cbor.head(4, 10_000) + b"\xa1\0\0" * 10_000)] * 34)),
    "maps_in_small_items": lambda: response_of(document([element(cbor.head(4, 900) + b"\xa0" * 900)] * 1080)),
    "maps_in_headers": lambda: with_proofs(b"\xa1\x04" + cbor.head(4, 32_000) + b"\xa0" * 32_000, 32),
    "embedded_in_embedded": lambda: b"\xd8\x18\x5a\x00\x0f\xff\xf0" * 3 + b"\x00" * _N,
    "many_embedded": lambda: cbor.head(4, _N // 4) + b"\xd8\x18\x41\xa0" * (_N // 4),
    "look_alikes": lambda: response_of(document(embedded_items(14_000, 60))),
    "look_alikes_device_first": lambda: response_of(document(embedded_items(14_000, 60), device_first=True)),
    "large_look_alikes": lambda: response_of(document(embedded_items(250, 4000))),
    "planted_jump": planted_jump,
    "long_forms": lambda: response_of(document([long_form(item) for item in embedded_items(12_000, 60)])),
    "one_item_again_and_again": lambda: response_of(document(embedded_items(1, 60) * 14_000)),
    "elements_again_and_again": lambda: response_of(document([element(b"\x00")] * 11_000)),
    "elements_under_long_names": lambda: response_of(
        document([element(b"\x00")] * 15_300, names=_TEXT[:4090], per_namespace=900)
    ),
    "unreadable_items": lambda: response_of(document([b"\xd8\x18\x40"] * 48_000)),
    "thirty_two_documents": lambda: response_of(*[document(embedded_items(300, 60))] * 32),
    "device_elements": lambda: response_of(document([], device=device_elements(12, 2000))),
    "errors": lambda: (
        b"\xa3"
        + (cbor.tstr("version") + cbor.tstr("1.0") + cbor.tstr("status") + b"\x00")
        + (cbor.tstr("documentErrors") + cbor.head(4, 32))
        + table([cbor.tstr(f"{number:05}") for number in range(1500)]) * 32
    ),
    "digests": lambda: large_mso(12),
    "digests_in_documents": lambda: with_msos(1, 14),
    "trailing": lambda: a_response() + b"\x00" * _N,
    "declared_sizes": lambda: _repeat(b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff"),
    "declared_bytes": lambda: b"\x5b\x00\x00\x00\xff\xff\xff\xff\xff" + b"\x00" * _N,
    "zeros": lambda: b"\x00" * MIB,
    "ones": lambda: b"\xff" * MIB,
    "qr_digits": lambda: b"mdoc:" + b"A" * _N,
    "pem_beginnings": lambda: _repeat(b"-----BEGIN CERTIFICATE-----\n"),
    "pem_blocks": lambda: _repeat(b"-----BEGIN CERTIFICATE----------END CERTIFICATE-----"),
    "one_byte_chunks": lambda: b"\x00\x01" * (_N // 2),
    "records": many_records,
}


def _resident(field: str) -> int:
    """Return a field of this process's memory in bytes: VmRSS now, VmHWM at its highest."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def _apart(work: Callable[[], bytes]) -> bytes:
    """Return what `work` returns, from a child that is gone afterwards. Raises SystemExit when it failed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reader)
            with os.fdopen(writer, "wb") as stream:
                stream.write(work())
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        told = stream.read()
    if os.waitpid(child, 0)[1] != 0:
        raise SystemExit("a measurement failed")
    return told


def cost(target: Target, data: bytes) -> bytes:
    """Return what one parser costs on one input, as JSON."""
    before, began = _resident("VmRSS"), time.process_time()
    accepted = target(data)
    seconds = time.process_time() - began
    grown = (_resident("VmHWM") - before) / MIB
    return json.dumps({"accepted": accepted, "seconds": round(seconds, 3), "mebibytes": round(grown, 1)}).encode()


def main() -> None:
    """Measure."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    for target in TARGETS.values():
        target(target.seeds[0])  # what is made once is not charged to an input
    told: dict[str, dict[str, object]] = {}
    for kind in sys.argv[1:] or WORST:
        data = _apart(WORST[kind])
        for name, target in TARGETS.items():
            told[f"{name}: {kind}"] = json.loads(_apart(functools.partial(cost, target, data)))
    json.dump(told, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
