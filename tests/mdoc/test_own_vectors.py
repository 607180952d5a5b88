"""Known answers of this project's own: whole conversations on several curves, in tests/vectors.

Keys are derived a second time by other means (the crypto library's HKDF, plain cbor2), so that a mistake shared by
both ends of our own code would show.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mdoc_reader.mdoc import cbor, cose, engagement, keys, mso, request, response, session, transcript
from mdoc_reader.model.connection import BleMethod

FOLDER = Path(__file__).resolve().parents[1] / "vectors"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


class Vector:
    """One conversation; entries in hexadecimal become bytes."""

    def __init__(self, name: str) -> None:
        self.entries: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())

    def __getitem__(self, name: str) -> bytes:
        return bytes.fromhex(self.entries[name])

    def certificate(self, name: str) -> x509.Certificate:
        return x509.load_der_x509_certificate(bytes.fromhex(self.entries["certificates"][name]))

    def private_key(self, name: str) -> Any:
        secret = self.entries["private_keys"][name]
        curve = self.entries["signing_curve" if name.endswith("_signature") else "session_curve"]
        if curve == "X25519":
            return x25519.X25519PrivateKey.from_private_bytes(bytes.fromhex(secret))
        row = keys.CURVES_BY_NAME[curve]
        assert row.ec is not None
        return ec.derive_private_key(int(secret, 16), row.ec)

    @property
    def transcript(self) -> bytes:
        return self["session_transcript"]


@pytest.fixture(params=NAMES)
def vector(request: pytest.FixtureRequest) -> Vector:
    return Vector(request.param)


def derived(material: bytes, salt: bytes | None, info: bytes, length: int = 32) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(material)


def test_all_vectors_are_here() -> None:
    assert NAMES == ["brainpoolp256r1", "p256", "p384", "x25519"]


def test_the_engagement_is_read(vector: Vector) -> None:
    engaged = engagement.from_qr(vector.entries["qr"])
    assert engaged.curve.name == vector.entries["session_curve"]
    assert engaged.version == "1.0"
    (ble,) = engaged.methods
    assert isinstance(ble, BleMethod)
    assert (ble.peripheral_server, ble.central_client) == (True, True)
    assert str(ble.peripheral_uuid) == str(ble.central_uuid) == vector.entries["uuid"]
    public = vector.private_key("e_device_key").public_key()
    assert keys.encode_cose_key(engaged.e_device_key) == keys.encode_cose_key(public)
    assert session.ble_ident(engaged.e_device_key_bytes) == vector["ident"]
    assert derived(engaged.e_device_key_bytes, None, b"BLEIdent", 16) == vector["ident"]


def test_the_transcript_and_the_keys_are_derived(vector: Vector) -> None:
    engaged = engagement.from_qr(vector.entries["qr"])
    e_reader = vector.private_key("e_reader_key")
    e_reader_key = keys.encode_cose_key(e_reader.public_key())
    assert transcript.session_transcript(engaged.raw, e_reader_key) == vector.transcript
    tagged = [cbor2.CBORTag(24, part) for part in (engaged.raw, e_reader_key)]
    assert cbor2.dumps([*tagged, None]) == vector.transcript
    secret = keys.agree(e_reader, engaged.e_device_key)
    assert secret == vector["shared_secret"]
    assert keys.agree(vector.private_key("e_device_key"), e_reader.public_key()) == secret
    salt = hashlib.sha256(cbor2.dumps(cbor2.CBORTag(24, vector.transcript))).digest()
    assert session.transcript_salt(vector.transcript) == salt
    assert derived(secret, salt, b"SKReader") == vector["sk_reader"]
    assert derived(secret, salt, b"SKDevice") == vector["sk_device"]
    device_public = vector.private_key("device_key_mac").public_key()
    assert session.e_mac_key(e_reader, device_public, vector.transcript) == vector["e_mac_key"]
    assert derived(keys.agree(e_reader, device_public), salt, b"EMacKey") == vector["e_mac_key"]


def test_both_ends_say_and_understand_every_message(vector: Vector) -> None:
    e_reader, e_device = vector.private_key("e_reader_key"), vector.private_key("e_device_key")
    at_reader = session.SessionCipher(e_reader, e_device.public_key(), vector.transcript)
    at_device = session.SessionCipher(e_device, e_reader.public_key(), vector.transcript, reader=False)
    establishment = session.parse_session_establishment(vector["session_establishment"])
    assert establishment.encode() == vector["session_establishment"]
    assert at_reader.encrypt(vector["device_request"]) == establishment.data
    assert at_device.decrypt(establishment.data) == vector["device_request"]
    for message, plaintext, sender, receiver in (
        ("session_data_signature", "device_response_signature", at_device, at_reader),
        ("session_data_second_request", "device_request", at_reader, at_device),
        ("session_data_mac", "device_response_mac", at_device, at_reader),
    ):
        data = session.parse_session_data(vector[message])
        assert data.encode() == vector[message]
        assert data.data is not None
        assert sender.encrypt(vector[plaintext]) == data.data
        assert receiver.decrypt(data.data) == vector[plaintext]
    assert session.parse_session_data(vector["session_termination"]) == session.SessionData(status=20)
    # By hand, the second message of the device: identifier 1, counter 2.
    second = cbor2.loads(vector["session_data_mac"])["data"]
    iv = bytes.fromhex("000000000000000100000002")
    assert AESGCM(vector["sk_device"]).decrypt(iv, second, None) == vector["device_response_mac"]


def test_the_request_round_trips_and_its_reader_signed_it(vector: Vector) -> None:
    asked = request.parse_device_request(vector["device_request"])
    assert asked.version == "1.0"
    (doc_request,) = asked.doc_requests
    assert doc_request.items.doctype == "org.iso.18013.5.1.mDL"
    (wanted,) = doc_request.items.elements.values()
    assert set(wanted) == set(vector.entries["elements"])
    assert cbor.embed(doc_request.items.encode()) == doc_request.items_request_bytes
    proof = doc_request.reader_auth
    assert proof is not None
    (leaf,), _ = cose.certificate_chain(proof, "readerAuth")
    certificate = x509.load_der_x509_certificate(leaf)
    assert certificate == vector.certificate("reader")
    certificate.verify_directly_issued_by(vector.certificate("reader_ca"))
    signed = request.reader_authentication_bytes(vector.transcript, doc_request.items_request_bytes)
    assert request.verify_reader_proof(proof, signed, certificate.public_key())  # type: ignore[arg-type]
    moved = request.reader_authentication_bytes(vector.transcript[:-1] + b"\x80", doc_request.items_request_bytes)
    assert not request.verify_reader_proof(proof, moved, certificate.public_key())  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["signature", "mac"])
def test_every_proof_of_a_response_holds(vector: Vector, kind: str) -> None:
    message = vector[f"device_response_{kind}"]
    answer = response.parse(message)
    assert (answer.version, answer.status, answer.document_errors) == ("1.0", 0, ())
    (document,) = answer.documents
    issuer_auth = document.issuer_auth
    (leaf,), _ = cose.certificate_chain(issuer_auth, "issuerAuth")
    signer = x509.load_der_x509_certificate(leaf)
    assert signer == vector.certificate("ds")
    signer.verify_directly_issued_by(vector.certificate("iaca"))
    signer_key: Any = signer.public_key()
    row = keys.curve_of(signer_key)
    algorithm = cose.algorithm_for(issuer_auth, row)
    assert algorithm is not None
    assert issuer_auth.payload is not None
    assert cose.verify_signature(issuer_auth, signer_key, row, algorithm, issuer_auth.payload)
    security = mso.parse(issuer_auth.payload)
    assert security.doctype == document.doctype
    at = datetime.fromisoformat(vector.entries["at"])
    assert security.validity.valid_from < at < security.validity.valid_until
    values: dict[str, object] = {}
    for namespace, items in document.namespaces.items():
        for item in items:
            assert item.encoded in message
            assert security.value_digests[namespace][item.digest_id] == hashlib.sha256(item.encoded).digest()
            values[item.identifier] = item.value.value if isinstance(item.value, cbor2.CBORTag) else item.value
    assert values == vector.entries["elements"]
    device_row, device_key = security.device_key()
    public = vector.private_key(f"device_key_{kind}").public_key()
    assert keys.encode_cose_key(device_key) == keys.encode_cose_key(public)
    signed = response.device_authentication_bytes(vector.transcript, document)
    by_hand = ["DeviceAuthentication", cbor2.loads(vector.transcript), document.doctype, cbor2.CBORTag(24, b"\xa0")]
    assert signed == cbor2.dumps(cbor2.CBORTag(24, cbor2.dumps(by_hand)))
    proof = document.device_auth
    assert proof is not None
    assert document.device_auth_kind == f"device{kind.title()}"
    if kind == "mac":
        assert cose.verify_mac(proof, vector["e_mac_key"], signed)
        assert not cose.verify_mac(proof, vector["e_mac_key"], signed + b"\0")
    else:
        device_algorithm = cose.algorithm_for(proof, device_row)
        assert device_algorithm is not None
        assert cose.verify_signature(proof, device_key, device_row, device_algorithm, signed)
        assert not cose.verify_signature(proof, device_key, device_row, device_algorithm, signed + b"\0")
