"""Verification of one response against the bare cryptography it needs and against two other implementations.

All contenders take turns in every round of one run, so that what slows the machine slows them alike; a turn is a few
calls that warm up and some that count. Rounds walk through several responses with different keys, as presentations do.
Figures are microseconds of wall-clock time, on one thread.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import statistics
import time
from collections.abc import Callable

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

import figures
import verification_case
from figures import Quartiles
from mdoc_reader.lab import issuer
from mdoc_reader.mdoc import cbor, cose, response
from mdoc_reader.model.verdict import ResponseVerdict, Validity
from mdoc_reader.trust.anchors import TrustAnchors
from mdoc_reader.verification.certificate import SignerCache
from mdoc_reader.verification.document import Evidence
from mdoc_reader.verification.verify import verify_response
from peers.verifiers import Auth0, PyMdocCbor

FLOOR_FIRST, OURS_FIRST = "bare cryptography, signer first seen", "mdoc-reader, signer first seen"
BARE_CALLS = "the libraries' calls alone, no rules"
FLOOR_SEEN, OURS_SEEN = "bare cryptography, signer seen before", "mdoc-reader, signer seen before"
COMMAND = ".venv/bin/python benchmarks/verification.py --write"
TARGET = 1.5


def ours(case: verification_case.Case, signers: SignerCache) -> ResponseVerdict:
    """Verify as the reader does: from encoded bytes to a verdict, every check on."""
    evidence = Evidence(case.transcript, issuer.now(), signers, None, case.requested, (18,))
    return verify_response(response.parse(case.response), evidence)


def bare_calls(case: verification_case.Case) -> Callable[[], None]:
    """Return what no verifier on these libraries can leave out, without one rule, bound or finding of its own.

    Decode the response, its items and its MSO; load the certificate, its key and its extensions; load the device key
    from its point; then the cryptography of the floor, with the two keys fresh as a response brings them.
    """
    (document,) = response.parse(case.response).documents
    der, _ = cose.certificate_chain(document.issuer_auth, "")
    contents = [
        cbor.as_embedded(cbor2.loads(item.encoded), "") for items in document.namespaces.values() for item in items
    ]
    payload = document.issuer_auth.payload or b""
    security = cbor.as_embedded(cbor2.loads(payload), "")
    numbers = case.device.key.public_numbers()
    point = b"\x04" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
    curve, ecdsa = ec.SECP256R1(), ec.ECDSA(hashes.SHA256())

    def work() -> None:
        cbor2.loads(case.response)
        for content in contents:
            cbor2.loads(content)
        cbor2.loads(payload)
        cbor2.loads(security)
        certificate = x509.load_der_x509_certificate(der[0])
        signer = certificate.public_key()
        for extension in certificate.extensions:
            extension.value  # noqa: B018 -- reading it is what costs
        device = ec.EllipticCurvePublicKey.from_encoded_point(curve, point)
        case.path.key.verify(case.path.der, case.path.message, ecdsa)
        signer.verify(case.issuer.der, case.issuer.message, ecdsa)  # type: ignore[union-attr, call-arg, arg-type]
        device.verify(case.device.der, case.device.message, ecdsa)
        for data in case.hashed:
            hashlib.sha256(data).digest()

    return work


def altered(encoded: bytes) -> bytes:
    """Return the response with one bit of the portrait flipped: nobody may accept that."""
    place = len(encoded) // 2
    return encoded[:place] + bytes((encoded[place] ^ 1,)) + encoded[place + 1 :]


def timed(work: Callable[[], object], calls: int) -> float:
    """Return the microseconds one of `calls` calls in a row takes, after two that do not count."""
    work()
    work()
    started = time.perf_counter_ns()
    for _ in range(calls):
        work()
    return (time.perf_counter_ns() - started) / calls / 1000


def measure(
    rounds: int, calls: int, cases: int, roots: int
) -> tuple[dict[str, list[float]], list[tuple[str, str]], str]:
    """Run all contenders; return microseconds by contender, what each peer skips, and the peers' platform."""
    pool = [verification_case.make(roots) for _ in range(cases)]
    trusted = [verification_case.trusted(case) for case in pool]
    warm = [SignerCache(anchors) for anchors in trusted]
    for case, signers in zip(pool, warm, strict=True):
        verdict = ours(case, signers)
        if verdict.validity is not Validity.VALID or verdict.documents[0].findings:
            raise SystemExit(f"the response should hold without findings: {verdict}")
    floors = [(case.floor(first_seen=True), case.floor(first_seen=False)) for case in pool]
    bare = [bare_calls(case) for case in pool]
    # Peers are given the right root alone: neither has an index, and trying a hundred would be held against them.
    case_of_peers = pool[0]
    right = (case_of_peers.root,)
    times: dict[str, list[float]] = {name: [] for name in (FLOOR_FIRST, BARE_CALLS, OURS_FIRST, FLOOR_SEEN, OURS_SEEN)}
    python_peer = PyMdocCbor(right)
    with Auth0(right) as node_peer:
        peers = (python_peer, node_peer)
        for peer in peers:
            if not peer.verify(case_of_peers.response, case_of_peers.transcript, 50)[1]:
                raise SystemExit(f"{peer.name} does not accept the response")
            if peer.verify(altered(case_of_peers.response), case_of_peers.transcript, 1)[1]:
                raise SystemExit(f"{peer.name} accepts an altered portrait")
            times[peer.name] = []
        if ours(case_of_peers, warm[0]).validity is not Validity.VALID:
            raise SystemExit("the response should hold")
        gc.collect()
        for number in range(rounds):
            which = number % cases
            case, (floor_first, floor_seen) = pool[which], floors[which]
            anchors, known = trusted[which], warm[which]

            # A cache that knows nobody, as after a start; the anchors are loaded once, ahead of presentations.
            def first(case: verification_case.Case = case, anchors: TrustAnchors = anchors) -> object:
                return ours(case, SignerCache(anchors))

            def seen(case: verification_case.Case = case, known: SignerCache = known) -> object:
                return ours(case, known)

            turns: dict[str, Callable[[], object]] = {
                FLOOR_FIRST: floor_first,
                BARE_CALLS: bare[which],
                OURS_FIRST: first,
                FLOOR_SEEN: floor_seen,
                OURS_SEEN: seen,
            }
            for name, work in turns.items():
                times[name].append(timed(work, calls))
            for peer in peers:
                turn = 1 + max(1, calls // 10)
                nanoseconds, holds = peer.verify(case_of_peers.response, case_of_peers.transcript, turn)
                if not holds:
                    raise SystemExit(f"{peer.name} changed its mind")
                times[peer.name].append(statistics.mean(nanoseconds[1:]) / 1000)
        return times, [(peer.name, peer.skips) for peer in peers], node_peer.platform


def report(times: dict[str, list[float]], skips: list[tuple[str, str]]) -> str:
    """Return the table: medians with quartiles, and ratios to the floor of the same round."""
    rows = []
    for name, values in times.items():
        floor = FLOOR_SEEN if name in {FLOOR_SEEN, OURS_SEEN} else FLOOR_FIRST
        ratios = [value / base for value, base in zip(values, times[floor], strict=True)]
        left_out = dict(skips).get(name, "")
        cells = "1" if name == floor else Quartiles.of(ratios).text(2)
        rows.append((name, Quartiles.of(values).text(0), cells, left_out))
    return figures.table(("what", "µs: median (quartiles)", "times the floor", "leaves out"), rows)


def write(text: str, times: dict[str, list[float]]) -> None:
    """Write the section of docs/benchmarks.md and its picture."""
    floor = Quartiles.of(times[FLOOR_FIRST])
    colours = {FLOOR_FIRST: "#9aa5b1", FLOOR_SEEN: "#9aa5b1", OURS_FIRST: "#1f6f8b", OURS_SEEN: "#1f6f8b"}
    rows = [(name, Quartiles.of(values), colours.get(name, "#d08c3c")) for name, values in times.items()]
    picture = figures.bars(
        "Verifying one response with a 20 KB portrait", rows, "µs", (floor.median * TARGET, f"{TARGET} x floor")
    )
    (figures.DOCS / "benchmark_verification.svg").write_text(picture)
    figures.write_section("verification", text)


def main() -> None:
    """Measure, print, and with --write keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--quick", action="store_true", help="a few rounds, to see that it runs")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md and the picture")
    arguments = parser.parse_args()
    rounds, calls, cases, roots = (
        (4, 2, 2, 4) if arguments.quick else (arguments.rounds, 30, 8, verification_case.ROOTS)
    )
    times, skips, node = measure(rounds, calls, cases, roots)
    machine = f"{figures.machine('mdoc-reader', 'cryptography', 'cbor2', 'pymdoccbor')}, {node}"
    shown = report(times, skips)
    reached = Quartiles.of([a / b for a, b in zip(times[OURS_FIRST], times[FLOOR_FIRST], strict=True)]).median
    ahead = all(Quartiles.of(times[OURS_FIRST]).median < Quartiles.of(times[name]).median for name, _ in skips)
    aims = (
        f"Aim: at most {TARGET} times the floor for a signer first seen: "
        f"{'reached' if reached <= TARGET else 'not reached'} ({reached:.2f}). "
        f"The libraries' own calls, without one rule or bound, come to "
        f"{Quartiles.of([a / b for a, b in zip(times[BARE_CALLS], times[FLOOR_FIRST], strict=True)]).median:.2f}. "
        f"Aim: ahead of both peers: {'reached' if ahead else 'not reached'}."
    )
    text = f"""## Verification of one response

mDL with a portrait of 20 KB, six elements, {verification_case.DIGESTS} digests, ES256 throughout,
device signature, {roots} trusted roots; from encoded bytes to the verdict. The floor is three ECDSA
verifications (two for a signer seen before) and the SHA-256 of the same bytes, with keys loaded and
signatures converted. Peers keep nothing between calls, so they have one row each; they are given the one
right root.

{shown}

{aims}

![](benchmark_verification.svg)

{rounds} interleaved rounds of {calls} calls over {cases} responses: `{COMMAND}`
{machine}
"""
    print(text)
    if arguments.write:
        write(text, times)


if __name__ == "__main__":
    main()
