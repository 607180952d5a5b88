"""One measurement of `trust.py`, in a process of its own that ends with it: prints one object of JSON.

Everything is imported, and one certificate read, before anything is counted. Memory is resident memory of the process's
own (`RssAnon`), which falls back to where it was only as far as the allocator gives pages back: the most a measurement
took is the kernel's high-water mark (`VmHWM`), reset before.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import random
import re
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from cryptography import x509

from mdoc_reader.lab.certificates import now
from mdoc_reader.mdoc.status import Status, StatusListInfo
from mdoc_reader.reader.beliefs import Beliefs
from mdoc_reader.trust import anchors, der, generation, held, revocation_list, status_list, store
from mdoc_reader.trust.anchors import TrustAnchors
from mdoc_reader.trust.facts import MAX_CERTIFICATE_BYTES
from mdoc_reader.trust.revocation import Revocations
from mdoc_reader.trust.store import Believed
from mdoc_reader.verification.certificate import read_signer
from trust_case import SEED, STATUS_URI, Place, unflat

Result = dict[str, float]
_LOOKS = 20_000
_BATCH = 1000


def memory() -> dict[str, float]:
    """Return megabytes: resident and the process's own (`RssAnon`), resident (`VmRSS`), the most so far (`VmHWM`)."""
    status = Path("/proc/self/status").read_text()
    found = re.findall(r"^(RssAnon|VmRSS|VmHWM):\s+(\d+) kB", status, re.MULTILINE)
    return {name: int(value) * 1024 / 1e6 for name, value in found}


def _begin() -> dict[str, float]:
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark falls to what is resident now
    except OSError as error:
        raise SystemExit(f"the high-water mark cannot be reset: {error}") from None
    return memory()


def timed(act: Callable[[], object]) -> Result:
    """Do a thing once, keeping what it returns: processor and clock time in ms, memory kept and the most, in MB."""
    before = _begin()
    clock, cpu = time.perf_counter(), time.process_time()
    kept = act()
    took, used = time.perf_counter() - clock, time.process_time() - cpu
    most = memory()["VmHWM"]
    gc.collect()
    after = memory()
    result = {
        "ms": took * 1000,
        "cpu_ms": used * 1000,
        "kept_mb": after["RssAnon"] - before["RssAnon"],
        "most_mb": most - before["VmRSS"],
        "process_mb": after["VmRSS"],
    }
    del kept
    return result


def traced(act: Callable[[], object]) -> Result:
    """Do a thing once and return how much memory Python says that it keeps, in MB."""
    tracemalloc.start()
    begin = tracemalloc.get_traced_memory()[0]
    kept = act()
    gc.collect()
    held_now, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return {"traced_mb": (held_now - begin) / 1e6, "traced_most_mb": (most - begin) / 1e6}


def _parse(certificates: Iterable[bytes]) -> None:
    for each in certificates:
        x509.load_der_x509_certificate(each)


def floor_of_store(place: Place) -> None:
    """The least that the store's answer costs: the bytes of its anchors and lists read, each certificate parsed."""
    found = generation.current(place.store)
    for one in held.contents_of(found.facts).lists:
        if one.compiled is not None:
            (found.folder / one.compiled).read_bytes()
    _parse(unflat(place.flat.read_bytes()))


def floor_of_folder(place: Place) -> None:
    """The same for a folder: each file read, and parsed."""
    with os.scandir(place.folder) as entries:
        for name in sorted(entry.path for entry in entries):
            descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
            x509.load_der_x509_certificate(os.read(descriptor, MAX_CERTIFICATE_BYTES))
            os.close(descriptor)


def beliefs(place: Place) -> Beliefs:
    """Load a store as the daemon does, with the signer cache and the index of lists."""
    made = Beliefs(None, place.store)
    made.load()
    if made.signers is None:
        raise SystemExit("nothing was loaded")
    return made


def again(place: Place) -> Result:
    """Load the same store a second time while the first is still believed, as when a new generation comes."""
    made = beliefs(place)
    return timed(made.load)


def looks(calls: Iterable[Callable[[], object]]) -> Result:
    """Return nanoseconds of processor time a call, the median of batches."""
    todo = list(calls)
    each = []
    for at in range(0, len(todo), _BATCH):
        batch = todo[at : at + _BATCH]
        begin = time.thread_time_ns()
        for call in batch:
            call()
        each.append((time.thread_time_ns() - begin) / len(batch))
    each.sort()
    return {"ns": each[len(each) // 2]}


def look_up(kind: str, place: Place) -> Result:
    """Ask a loaded store, each time for something chosen by chance, in fresh bytes as a phone would send them."""
    believed = store.load(place.store)
    chance = random.Random(SEED)
    trusted = believed.anchors
    if kind == "signer":
        return _signers(place, trusted)
    if kind in {"status", "document"}:
        return _status(kind, believed, chance)
    calls: list[Callable[[], object]] = []
    for _ in range(_LOOKS):
        one = chance.choice(trusted.anchors)
        if kind == "exact":
            calls.append(_Call(trusted.exact, bytes(bytearray(one.der))))
        elif kind == "candidates":
            key = bytes(bytearray(one.key_identifier or b""))
            calls.append(_Call(trusted.candidates, key, bytes(bytearray(one.subject))))
        else:  # a signer of nobody known
            calls.append(_Call(trusted.candidates, chance.randbytes(20), chance.randbytes(60)))
    return looks(calls)


class _Call:
    """A call with its arguments; `functools.partial` with less to it than a closure, and the same for all kinds."""

    __slots__ = ("arguments", "function")

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.function = function
        self.arguments = arguments

    def __call__(self) -> object:
        return self.function(*self.arguments)


def _signers(place: Place, trusted: TrustAnchors) -> Result:
    """Judge document signers seen for the first time, each under another anchor that was never opened before."""
    each = []
    for one in unflat(place.signers.read_bytes()):
        begin = time.thread_time_ns()
        read_signer(one, trusted)
        each.append(time.thread_time_ns() - begin)
    each.sort()
    return {"ns": each[len(each) // 2]}


def _status(kind: str, believed: Believed, chance: random.Random) -> Result:
    one = believed.revocations[0]
    places = [chance.randrange(one.count) for _ in range(_LOOKS)]
    if kind == "status":
        return looks(_Call(one.status, place) for place in places)
    asked, at = Revocations(believed.revocations), now()
    anchor = believed.anchors.anchors[0]  # who signed the list's signer
    named = [Status(StatusListInfo(place, STATUS_URI)) for place in places]
    if asked.of_document(named[0], anchor, at).value is None:
        raise SystemExit("the list does not tell")
    return looks(_Call(asked.of_document, each, anchor, at) for each in named)


def open_status(place: Place) -> Callable[[], object]:
    """Return what opens a status list as the importer does: verified, inflated, compiled."""
    trusted = store.load(place.store).anchors
    data, at = place.status.read_bytes(), now()
    return lambda: status_list.open_status_list(data, trusted, at).compiled


def read_status(place: Place) -> Callable[[], object]:
    """Return what reads a compiled list at load: its digest compared, its header read."""
    found = generation.current(place.store)
    name = next(one.compiled for one in held.contents_of(found.facts).lists if one.compiled is not None)
    return lambda: revocation_list.read(found.read(name))


def warm(place: Place) -> None:
    """Call once whatever sets itself up at its first call."""
    with place.flat.open("rb") as stream:
        first = stream.read(int.from_bytes(stream.read(4), "big"))
    x509.load_der_x509_certificate(first)
    der.index(first)
    anchors.build([("", first)])


MEASURED: Mapping[str, Callable[[Place], Result]] = {
    "floor": lambda place: timed(lambda: floor_of_store(place)),
    "load": lambda place: timed(lambda: store.load(place.store)),
    "folder_floor": lambda place: timed(lambda: floor_of_folder(place)),
    "folder_load": lambda place: timed(lambda: anchors.load([place.folder])),
    "believe": lambda place: timed(lambda: beliefs(place)),
    "again": again,
    "traced": lambda place: traced(lambda: beliefs(place)),
    "read_traced": lambda place: traced(read_status(place)),
    "open": lambda place: timed(open_status(place)),
    "read": lambda place: timed(read_status(place)),
    **{kind: lambda place, kind=kind: look_up(kind, place) for kind in ("exact", "candidates", "unknown")},  # type: ignore[misc]
    **{kind: lambda place, kind=kind: look_up(kind, place) for kind in ("signer", "status", "document")},  # type: ignore[misc]
}


def main() -> None:
    """Measure one thing of one place."""
    what, root = sys.argv[1:3]
    logging.disable(logging.WARNING)
    place = Place(Path(root))
    warm(place)
    print(json.dumps(MEASURED[what](place)))


if __name__ == "__main__":
    main()
