"""Make this project's known-answer vectors: tests/vectors/*.json, one conversation each.

Keys, salts and times are fixed, so that a new run changes nothing but ECDSA signatures (and the serial numbers of
certificates), which are random by nature. Run it when a vector is to be added, never to make a failing test pass.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec, x448, x25519

from mdoc_reader.lab import certificates, issuer, people
from mdoc_reader.lab.wallet import Holding, Wallet, WalletBehaviour
from mdoc_reader.mdoc import keys, session
from mdoc_reader.mdoc.request import ItemsRequest, build_device_request
from mdoc_reader.mdoc.response import DeviceAuthKind
from mdoc_reader.mdoc.transcript import session_transcript
from mdoc_reader.model.connection import BleMethod

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "vectors"
SIGNED, UNTIL, AT = (datetime(2026, month, 1, 12, tzinfo=UTC) for month in (1, 6, 3))
AUTHORITY = datetime(2025, 6, 1, tzinfo=UTC), datetime(2035, 6, 1, tzinfo=UTC)
SIGNER = datetime(2025, 9, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
ASKED = ("family_name", "birth_date", "age_over_18")
# name: (curve of the session and of the MAC's device key, curve of everything that signs)
CONVERSATIONS = {
    "p256": ("P-256", "P-256"),
    "p384": ("P-384", "P-384"),
    "brainpoolp256r1": ("brainpoolP256r1", "brainpoolP256r1"),
    "x25519": ("X25519", "P-256"),
}


def fixed_bytes(label: str) -> Callable[[int], bytes]:
    """Return a source of bytes that is the same in every run."""
    calls = 0

    def draw(count: int) -> bytes:
        nonlocal calls
        calls += 1
        return hashlib.shake_256(f"mdoc-reader vectors {label} {calls}".encode()).digest(count)

    return draw


def fixed_agreement_key(curve: str, label: str) -> tuple[keys.AgreementPrivateKey, str]:
    """Return a private key and its secret number or octets in hexadecimal."""
    row = keys.CURVES_BY_NAME[curve]
    secret = fixed_bytes(f"{curve} {label}")(row.octets)
    if curve == "X25519":
        return x25519.X25519PrivateKey.from_private_bytes(secret), secret.hex()
    if curve == "X448":
        return x448.X448PrivateKey.from_private_bytes(secret), secret.hex()
    if row.ec is None:
        raise ValueError(f"no key on {curve}")
    # Halved, it is below the order of every curve used here.
    number = int.from_bytes(secret, "big") >> 1
    return ec.derive_private_key(number, row.ec), number.to_bytes(row.octets, "big").hex()


def fixed_signing_key(curve: str, label: str) -> tuple[ec.EllipticCurvePrivateKey, str]:
    """Return a private EC key and its secret number in hexadecimal."""
    key, secret = fixed_agreement_key(curve, label)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"no signatures on {curve}")
    return key, secret


def conversation(name: str, session_curve: str, signing_curve: str) -> dict[str, object]:
    """Play one conversation: a request, an answer with a signature, a request, an answer with a MAC, the end."""
    identities = {label: fixed_signing_key(signing_curve, label) for label in ("iaca", "ds", "reader_ca", "reader")}
    iaca = certificates.make_iaca(
        signing_curve, not_before=AUTHORITY[0], not_after=AUTHORITY[1], key=identities["iaca"][0]
    )
    signer = certificates.make_document_signer(
        iaca, signing_curve, not_before=SIGNER[0], not_after=SIGNER[1], key=identities["ds"][0]
    )
    reader_ca = certificates.make_reader_ca(
        signing_curve, not_before=AUTHORITY[0], not_after=AUTHORITY[1], key=identities["reader_ca"][0]
    )
    reader = certificates.make_reader(
        reader_ca, signing_curve, not_before=SIGNER[0], not_after=SIGNER[1], key=identities["reader"][0]
    )
    device_signing, device_signing_secret = fixed_signing_key(signing_curve, "device signing key")
    device_mac, device_mac_secret = fixed_agreement_key(session_curve, "device MAC key")
    e_device, e_device_secret = fixed_agreement_key(session_curve, "ephemeral device key")
    e_reader, e_reader_secret = fixed_agreement_key(session_curve, "ephemeral reader key")
    person = people.adult(SIGNED.date())
    elements = people.mdl_elements(person, date(2026, 1, 1), ages=(16, 18, 21), portrait_jpeg=b"\xff\xd8\xff\xd9")

    def wallet(device_key: issuer.DevicePrivateKey, kind: DeviceAuthKind) -> Wallet:
        document = issuer.issue(
            signer,
            device_key.public_key(),
            people.MDL_DOCTYPE,
            elements,
            signed=SIGNED,
            valid_until=UNTIL,
            random_bytes=fixed_bytes(f"{name} {kind}"),
        )
        behaviour = WalletBehaviour(device_auth=kind, require_reader_auth=True)
        return Wallet([Holding(document, device_key)], behaviour, trusted_readers=[reader_ca.certificate])

    signing, mac = wallet(device_signing, DeviceAuthKind.SIGNATURE), wallet(device_mac, DeviceAuthKind.MAC)
    uuid = UUID(bytes=fixed_bytes(f"{name} uuid")(16), version=4)
    ble = BleMethod(peripheral_server=True, central_client=True, peripheral_uuid=uuid, central_uuid=uuid)
    engaged = signing.engage(session_curve, ble, private_key=e_device)
    e_reader_key = keys.encode_cose_key(e_reader.public_key())
    bare = session_transcript(engaged.encoded, e_reader_key)
    items = ItemsRequest(people.MDL_DOCTYPE, {people.MDL_NAMESPACE: dict.fromkeys(ASKED, False)}).encode()
    request = build_device_request([items], bare, reader=certificates.reader_identity(reader))
    at_reader = session.SessionCipher(e_reader, e_device.public_key(), bare)
    establishment = session.SessionEstablishment(e_reader_key, at_reader.encrypt(request)).encode()
    begun, asked = signing.handle_establishment(engaged, establishment)
    answer = signing.respond(asked, bare, reader_key=e_reader.public_key())
    answer_message = session.SessionData(begun.encrypt(answer)).encode()
    second_message = session.SessionData(at_reader.encrypt(request)).encode()
    asked_again = begun.handle_message(second_message)
    if asked_again is None:
        raise RuntimeError("the second request got lost")
    mac_answer = mac.respond(asked_again, bare, reader_key=e_reader.public_key())
    mac_message = session.SessionData(begun.encrypt(mac_answer)).encode()
    secret, salt = keys.agree(e_reader, e_device.public_key()), session.transcript_salt(bare)
    return {
        "about": f"Session on {session_curve}; issuer, readers and the signing device key on {signing_curve}.",
        "session_curve": session_curve,
        "signing_curve": signing_curve,
        "at": AT.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "elements": {"family_name": "Muster", "birth_date": person.birth_date.isoformat(), "age_over_18": True},
        "private_keys": {
            "e_device_key": e_device_secret,
            "e_reader_key": e_reader_secret,
            "device_key_signature": device_signing_secret,
            "device_key_mac": device_mac_secret,
        },
        "certificates": {
            "iaca": iaca.der.hex(),
            "ds": signer.der.hex(),
            "reader_ca": reader_ca.der.hex(),
            "reader": reader.der.hex(),
        },
        "uuid": str(uuid),
        "qr": engaged.qr_text,
        "ident": engaged.ident.hex(),
        "session_transcript": bare.hex(),
        "shared_secret": secret.hex(),
        "sk_reader": session.hkdf_sha256(secret, salt, b"SKReader").hex(),
        "sk_device": session.hkdf_sha256(secret, salt, b"SKDevice").hex(),
        "e_mac_key": session.e_mac_key(e_reader, device_mac.public_key(), bare).hex(),
        "device_request": request.hex(),
        "session_establishment": establishment.hex(),
        "device_response_signature": answer.hex(),
        "session_data_signature": answer_message.hex(),
        "session_data_second_request": second_message.hex(),
        "device_response_mac": mac_answer.hex(),
        "session_data_mac": mac_message.hex(),
        "session_termination": session.SessionData(status=session.Status.TERMINATION).encode().hex(),
    }


def main() -> int:
    """Write those that are missing, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--all", action="store_true", help="make the existing ones anew as well")
    everything = parser.parse_args().all
    for name, (session_curve, signing_curve) in CONVERSATIONS.items():
        path = FOLDER / f"{name}.json"
        if path.exists() and not everything:
            continue
        path.write_text(json.dumps(conversation(name, session_curve, signing_curve), indent=1) + "\n")
        print(f"{path.name}: {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
