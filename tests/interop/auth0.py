"""Responses of a wallet this project did not write: @auth0/mdl on Node.js, installed from its lock file."""

from __future__ import annotations

import base64
import fcntl
import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric import ec

from mdoc_reader.lab import certificates
from mdoc_reader.mdoc import cbor, keys, request, session, transcript

FOLDER = Path(__file__).with_name("auth0_mdl")
MDL, NAMESPACE = "org.iso.18013.5.1.mDL", "org.iso.18013.5.1"
SMALL: Mapping[str, Mapping[str, object]] = {NAMESPACE: {"family_name": "Muster", "age_over_18": True}}
Kind = Literal["signature", "mac"]
_ALGORITHMS = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}


@dataclass(frozen=True, slots=True)
class Presented:
    """One presentation as the reader has it: what was asked, what came back, and what to check it with."""

    response: bytes
    transcript: bytes
    reader_key: keys.AgreementPrivateKey
    iaca_der: bytes
    request: bytes


def install() -> None:
    """Install the packages of the lock file once; later runs see that it is done."""
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("npm is missing: ./dev test installs it")
    done = FOLDER / "node_modules" / ".installed-lock.json"
    with (FOLDER / "package-lock.json").open("rb") as guard:
        lock = guard.read()
        fcntl.flock(guard, fcntl.LOCK_EX)  # several test runs may begin at once
        if done.is_file() and done.read_bytes() == lock:
            return
        command = [npm, "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
        result = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=300, check=False)
        if result.returncode:
            raise RuntimeError(f"npm ci failed in {FOLDER}: {result.stderr.strip() or result.stdout.strip()}")
        done.write_bytes(lock)


def run_wallet(task: Mapping[str, object]) -> bytes:
    """Let the wallet answer one task; see wallet.mjs for its keys. Returns the encoded DeviceResponse."""
    node = shutil.which("node")
    if node is None:
        raise RuntimeError("node is missing: ./dev test installs it")
    result = subprocess.run(
        [node, "wallet.mjs"],
        cwd=FOLDER,
        input=json.dumps(task),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if result.returncode:
        raise RuntimeError(f"the wallet failed: {result.stderr.strip()}")
    return bytes.fromhex(json.loads(result.stdout.splitlines()[-1])["deviceResponse"])


def present(
    kind: Kind,
    *,
    elements: Mapping[str, Mapping[str, object]] = SMALL,
    asked: Mapping[str, Mapping[str, bool]] | None = None,
    curve: str = "P-256",
    issuer_curve: str = "P-256",
) -> Presented:
    """Ask the wallet for elements of an mDL over a transcript of our own making.

    `elements` is what its document holds, as JSON has it; `asked` defaults to all of that. Device key and session are
    on `curve`, one of the NIST ones.
    """
    iaca = certificates.make_iaca(issuer_curve)
    signer = certificates.make_document_signer(iaca, issuer_curve)
    row = keys.CURVES_BY_NAME[curve]
    reader_key, e_device_key = keys.generate_agreement_key(row), keys.generate_agreement_key(row)
    device_key = certificates.generate_signing_key(curve)
    e_reader_key = keys.encode_cose_key(reader_key.public_key())
    security = [1, cbor.decode(cbor.embed(keys.encode_cose_key(e_device_key.public_key())))]
    bare = transcript.session_transcript(cbor.encode({0: "1.0", 1: security}), e_reader_key)
    wanted = asked or {name: dict.fromkeys(given, False) for name, given in elements.items()}
    asking = request.build_device_request([request.ItemsRequest(MDL, wanted).encode()], bare)
    now = certificates.now()
    times = {"signed": now - timedelta(days=1), "validFrom": now - timedelta(days=1), "validUntil": now + timedelta(30)}
    response = run_wallet(
        {
            "kind": kind,
            "alg": _ALGORITHMS[curve],
            "issuerAlg": _ALGORITHMS[issuer_curve],
            "deviceRequest": asking.hex(),
            "sessionTranscriptBytes": cbor.embed(bare).hex(),
            "eReaderKey": e_reader_key.hex(),
            "issuerKey": jwk(signer.key),
            "issuerCertificate": signer.pem.decode(),
            "deviceKey": jwk(device_key),
            "elements": elements,
            "validity": {name: moment.isoformat() for name, moment in times.items()},
        }
    )
    return Presented(response, bare, reader_key, iaca.der, asking)


def mac_key(presented: Presented, device_key: keys.PublicKey) -> bytes:
    """Return EMacKey as the reader derives it."""
    return session.e_mac_key(presented.reader_key, device_key, presented.transcript)


def jwk(key: object) -> dict[str, str]:
    """Return a private EC key as JWK."""
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("an EC key is expected")
    numbers, row = key.private_numbers(), keys.curve_of(key)

    def encoded(number: int) -> str:
        return base64.urlsafe_b64encode(number.to_bytes(row.octets, "big")).decode().rstrip("=")

    public = numbers.public_numbers
    coordinates = {"x": encoded(public.x), "y": encoded(public.y), "d": encoded(numbers.private_value)}
    return {"kty": "EC", "crv": row.name, **coordinates}
