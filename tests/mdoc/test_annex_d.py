"""The worked example of ISO/IEC 18013-5 Annex D, read from $MDOC_VECTORS (its files are not part of this project)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from mdoc_reader.mdoc import cbor, cose, keys, mso, request, response, session, transcript

_DEFAULT = Path(__file__).resolve().parents[3] / "shared" / "vectors"
VECTORS = Path(os.environ.get("MDOC_VECTORS", _DEFAULT)) / "iso18013-5-annexD"

pytestmark = pytest.mark.skipif(
    not VECTORS.is_dir(), reason="ISO Annex D vectors are not here: set MDOC_VECTORS to the folder that holds them"
)


def vector(name: str) -> bytes:
    return bytes.fromhex((VECTORS / f"{name}.hex").read_text())


def secret(name: str) -> str:
    return str(json.loads((VECTORS / "keys.json").read_text())[name])


def private_key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int(secret(name), 16), ec.SECP256R1())


def bare_transcript() -> bytes:
    return transcript.unwrap(vector("session_transcript_bytes"))


def test_the_transcript_is_put_together_from_its_parts() -> None:
    bare = bare_transcript()
    parts = cbor.as_array(cbor.decode(bare), "")
    handover = cbor.as_array(parts[2], "")
    establishment = session.parse_session_establishment(vector("session_establishment"))
    built = transcript.session_transcript(
        cbor.as_embedded(parts[0], ""),
        establishment.e_reader_key,
        transcript.NfcHandover(vector("nfc_handover_select"), vector("nfc_handover_request")),
    )
    assert handover[0] == vector("nfc_handover_select")
    assert built == bare
    assert cbor.embed(built) == vector("session_transcript_bytes")


def test_both_ends_derive_the_same_keys_and_read_each_other() -> None:
    reader, device = private_key_of("ephemeral_reader_key"), private_key_of("ephemeral_device_key")
    assert keys.agree(reader, device.public_key()).hex() == secret("zab")
    at_reader = session.SessionCipher(reader, device.public_key(), bare_transcript())
    at_device = session.SessionCipher(device, reader.public_key(), bare_transcript(), reader=False)
    establishment = session.parse_session_establishment(vector("session_establishment"))
    assert establishment.encode() == vector("session_establishment")
    assert at_device.decrypt(establishment.data) == vector("device_request")
    assert at_reader.encrypt(vector("device_request")) == establishment.data
    data = session.parse_session_data(vector("session_data"))
    assert data.data is not None
    assert at_reader.decrypt(data.data) == vector("device_response")
    assert at_device.encrypt(vector("device_response")) == data.data
    assert data.encode() == vector("session_data")
    termination = session.parse_session_data(vector("session_termination"))
    assert termination == session.SessionData(status=session.Status.TERMINATION)
    assert termination.encode() == vector("session_termination")


def private_key_of(name: str) -> ec.EllipticCurvePrivateKey:
    numbers = json.loads((VECTORS / "keys.json").read_text())[name]
    return ec.derive_private_key(int(numbers["d"], 16), ec.SECP256R1())


def test_the_request_is_signed_by_its_reader() -> None:
    asked = request.parse_device_request(vector("device_request"))
    (doc_request,) = asked.doc_requests
    assert doc_request.items_request_bytes.endswith(vector("items_request"))
    assert doc_request.items.encode() == cbor.as_embedded(cbor.decode(doc_request.items_request_bytes), "")
    signed = request.reader_authentication_bytes(bare_transcript(), doc_request.items_request_bytes)
    assert signed == vector("reader_authentication_bytes")
    assert doc_request.reader_auth is not None
    assert cose.signature_structure(doc_request.reader_auth.protected_bytes, signed) == vector(
        "reader_auth_sig_structure"
    )
    chain, unprotected = cose.certificate_chain(doc_request.reader_auth, "x5chain")
    assert chain[0] == vector("reader_cert")
    assert unprotected
    public = x509.load_der_x509_certificate(chain[0]).public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert request.verify_reader_proof(doc_request.reader_auth, signed, public)
    assert not request.verify_reader_proof(doc_request.reader_auth, signed + b"\0", public)


def test_issuer_auth_device_mac_and_ident() -> None:
    answer = response.parse(vector("device_response"))
    (document,) = answer.documents
    chain, _ = cose.certificate_chain(document.issuer_auth, "x5chain")
    assert chain == (vector("ds_cert"),)
    payload = document.issuer_auth.payload
    assert payload is not None
    assert cose.signature_structure(document.issuer_auth.protected_bytes, payload) == vector(
        "issuer_auth_sig_structure"
    )
    signed = response.device_authentication_bytes(bare_transcript(), document)
    assert signed == vector("device_authentication_bytes")
    _, device_key = mso.parse(payload).device_key()
    key = session.e_mac_key(private_key_of("ephemeral_reader_key"), device_key, bare_transcript())
    assert key.hex() == secret("emackey")
    assert document.device_auth is not None
    assert document.device_auth_kind is response.DeviceAuthKind.MAC
    assert cose.mac_structure(document.device_auth.protected_bytes, signed) == vector("mac_structure")
    assert cose.verify_mac(document.device_auth, key, signed)
    assert not cose.verify_mac(document.device_auth, key, signed + b"\0")
    parts = cbor.as_array(cbor.decode(bare_transcript()), "")
    from mdoc_reader.mdoc import engagement

    engaged = engagement.parse(cbor.as_embedded(parts[0], ""), need_methods=False)
    assert session.ble_ident(engaged.e_device_key_bytes) == vector("ble_ident")


def test_engagements_read() -> None:
    import base64

    from mdoc_reader.mdoc import engagement
    from mdoc_reader.model.connection import BleMethod

    raw = vector("device_engagement_qr")
    engaged = engagement.from_qr("mdoc:" + base64.urlsafe_b64encode(raw).decode().rstrip("="))
    assert engaged.raw == raw
    assert isinstance(engaged.methods[0], BleMethod)
    asked = request.parse_device_request(vector("device_request_1_1_extended_2nd_ed_draft"))
    assert asked.version == "1.1"
    assert asked.device_request_info_bytes is not None
    assert asked.doc_requests[0].items.info is not None
