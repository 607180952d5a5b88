"""Feed each parser the worst megabytes and print what each cost, as JSON: CPU seconds, and peak memory over its size.

Run by test_bounds; by hand it shows where time goes: `python tests/fuzz/measure_bounds.py`.
"""

from __future__ import annotations

import json
import sys
import time
import tracemalloc

from targets import TARGETS, vectors

from mdoc_reader.mdoc import cbor

MIB = 1024 * 1024
NAMESPACE = "org.iso.18013.5.1"


def near_misses(count: int, size: int) -> list[bytes]:
    """Return embedded items that are alike up to their last bytes."""
    return [cbor.embed(cbor.bstr(b"\x55" * (size - 4) + index.to_bytes(4, "big"))) for index in range(count)]


def response_of(items: list[bytes], *, many: int = 1, backwards: bool = False) -> bytes:
    """Return a DeviceResponse whose namespaces hold `items`, a thousand in each."""
    groups = [items[start : start + 1000] for start in range(0, len(items), 1000)][:64]
    spaces = cbor.head(5, len(groups)) + b"".join(
        cbor.tstr(f"n{number}") + cbor.head(4, len(group)) + b"".join(group) for number, group in enumerate(groups)
    )
    proof = cbor.encode([b"\xa1\x01\x26", {}, b"", b""])
    issuer = cbor.tstr("issuerSigned") + b"\xa2" + cbor.tstr("nameSpaces") + spaces + cbor.tstr("issuerAuth") + proof
    device = cbor.tstr("deviceSigned") + b"\xa2" + cbor.tstr("nameSpaces") + cbor.embed(b"\xa0")
    device += cbor.tstr("deviceAuth") + b"\xa1" + cbor.tstr("deviceSignature") + proof
    parts = [device, issuer] if backwards else [issuer, device]
    document = b"\xa3" + cbor.tstr("docType") + cbor.tstr("d") + b"".join(parts)
    return (
        b"\xa3"
        + cbor.tstr("version")
        + cbor.tstr("1.0")
        + cbor.tstr("documents")
        + cbor.head(4, many)
        + document * many
        + cbor.tstr("status")
        + b"\x00"
    )


def long_form(item: bytes) -> bytes:
    """Return an embedded byte string with an eight-octet length."""
    content = cbor.as_embedded(cbor.decode(item), "")
    return b"\xd8\x18\x5b" + len(content).to_bytes(8, "big") + content


def worst() -> dict[str, bytes]:
    """Return the inputs, each of about one mebibyte."""
    n = MIB - 16
    small = near_misses(12_000, 60)
    large = near_misses(240, 4000)
    answer = next(data for name, data in vectors().items() if "device_response" in name)
    return {
        "ints": cbor.head(4, n) + b"\x01" * n,
        "empty maps": cbor.head(4, n) + b"\xa0" * n,
        "empty arrays": cbor.head(4, n) + b"\x80" * n,
        "small maps": cbor.head(4, n // 3) + b"\xa1\x01\x02" * (n // 3),
        "just uncounted maps": cbor.head(4, 65_000) + b"\xa0" * 65_000,
        "nested": b"\x81" * n + b"\x01",
        "tags": b"\xc6" * n + b"\x01",
        "wide and deep": (b"\x81" * 20 + b"\x01") * 3 + b"\x00" * n,
        "text": cbor.tstr("x" * n),
        "bytes": cbor.bstr(b"\xd8" * n),
        "big number": b"\xc2" + cbor.bstr(b"\xff" * n),
        "distinct keys": cbor.head(5, n // 6)
        + b"".join(b"\x1a" + i.to_bytes(4, "big") + b"\x00" for i in range(n // 6)),
        "colliding keys": cbor.head(5, n // 10)
        + b"".join(b"\x1b" + (i * ((1 << 61) - 1) % 2**64).to_bytes(8, "big") + b"\x00" for i in range(n // 10)),
        "colliding keys, uncounted": cbor.head(5, 6500)
        + b"".join(b"\x1b" + (i * ((1 << 61) - 1) % 2**64).to_bytes(8, "big") + b"\x00" for i in range(6500)),
        "embedded in embedded": b"\xd8\x18\x5a\x00\x0f\xff\xf0" * 3 + b"\x00" * n,
        "many embedded": cbor.head(4, n // 4) + b"\xd8\x18\x41\xa0" * (n // 4),
        "look-alikes": response_of(small),
        "look-alikes, backwards": response_of(small, backwards=True),
        "large look-alikes": response_of(large),
        "long forms": response_of([long_form(item) for item in small]),
        "one item again and again": response_of(small[:1] * 12_000),
        "thirty-two documents": response_of(small[:300], many=32),
        "trailing": answer + b"\x00" * n,
        "zeros": b"\x00" * MIB,
        "0xff": b"\xff" * MIB,
        "digits": b"mdoc:" + b"A" * n,
        "certificates": b"-----BEGIN CERTIFICATE-----\n" * (n // 28),
        "one-byte chunks": b"\x00\x01" * (n // 2),
    }


def main() -> None:
    """Measure."""
    told: dict[str, dict[str, float]] = {}
    inputs = worst()
    for target in TARGETS.values():
        target.seeds  # noqa: B018 -- what is made once is not charged to an input
        target(b"\xa0")
    for kind, data in inputs.items():
        for name, target in TARGETS.items():
            if name == "walk" and kind not in {"ints", "many embedded"}:
                continue
            began = time.process_time()
            target(data)
            seconds = time.process_time() - began
            if seconds < 0.002:
                continue  # too little happened to cost memory worth telling
            tracemalloc.start()
            target(data)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            told[f"{name}: {kind}"] = {"seconds": round(seconds, 3), "mebibytes": round(peak / MIB, 1)}
    json.dump(told, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
