"""`mdoc-reader inspect`: every kind is recognised in every form, and nothing from outside brings it down."""

from __future__ import annotations

import argparse
import base64
import io
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mdoc_reader.app import inspect
from mdoc_reader.app.inputs import InputError
from mdoc_reader.mdoc import cbor, cose, keys, session, transcript
from mdoc_reader.model.reasons import Malformed

KEY = ec.derive_private_key(11, ec.SECP256R1())
COSE_KEY = keys.encode_cose_key(KEY.public_key())
SECURITY = b"\x82\x01" + cbor.embed(COSE_KEY)
BLE_UUID = bytes(range(16))
ENGAGEMENT = (
    b"\xa3\x00\x631.0\x01" + SECURITY + b"\x02" + cbor.encode([[2, 1, {0: False, 1: True, 11: BLE_UUID}]])
)  # fmt: skip
PORTRAIT = b"\xff\xd8\xff\xe0" + b"secret picture" * 40


def certificate() -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test signer")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, KEY.public_key(), 0x1234, start, start + timedelta(days=30))
    purpose = x509.ObjectIdentifier("1.0.18013.5.1.2")
    builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


CERTIFICATE = certificate()
MSO = cbor.encode(
    {
        "version": "1.0",
        "digestAlgorithm": "SHA-256",
        "valueDigests": {"org.iso.18013.5.1": {0: bytes(32), 1: bytes(32)}},
        "deviceKeyInfo": {"deviceKey": cbor2.loads(COSE_KEY)},
        "docType": "org.iso.18013.5.1.mDL",
        "validityInfo": {},
    }
)
ISSUER_AUTH = cbor.encode(cose.sign(KEY, cbor.embed(MSO), unprotected={33: CERTIFICATE}))
ITEM = {"digestID": 0, "random": bytes(16), "elementIdentifier": "portrait", "elementValue": PORTRAIT}
DOCUMENT = {
    "docType": "org.iso.18013.5.1.mDL",
    "issuerSigned": {
        "nameSpaces": {"org.iso.18013.5.1": [cbor2.CBORTag(24, cbor.encode(ITEM))]},
        "issuerAuth": cbor2.loads(ISSUER_AUTH),
    },
}
ITEMS = cbor.encode({"docType": "org.iso.18013.5.1.mDL", "nameSpaces": {"org.iso.18013.5.1": {"portrait": False}}})
REQUEST = cbor.encode({"version": "1.0", "docRequests": [{"itemsRequest": cbor2.CBORTag(24, ITEMS)}]})
RESPONSE = cbor.encode({"version": "1.0", "documents": [DOCUMENT], "status": 0})
BLE_RECORD = b"\x5a\x20\x03\x01application/vnd.bluetooth.le.oob0\x02\x1c\x01"
SELECT = (
    b"\x91\x02\x0aHs\x15\xd1\x02\x04ac\x01\x010\x00"
     b"\x1c\x1e" + bytes([len(ENGAGEMENT)]) + b"\x04iso.org:18013:deviceengagementmdoc" + ENGAGEMENT
    + BLE_RECORD
)  # fmt: skip
KINDS = {
    "DeviceEngagement": ENGAGEMENT,
    "SessionEstablishment": session.SessionEstablishment(COSE_KEY, bytes(40)).encode(),
    "SessionData": session.SessionData(bytes(40), 20).encode(),
    "DeviceRequest": REQUEST,
    "DeviceResponse": RESPONSE,
    "issuerAuth": ISSUER_AUTH,
    "MSO": MSO,
    "SessionTranscript": transcript.session_transcript(ENGAGEMENT, COSE_KEY),
    "NFC handover message": SELECT,
    "certificate": CERTIFICATE,
    "COSE_Key": COSE_KEY,
    "CBOR": cbor.encode([1, {"a": [None, True, 1.5, "text"]}]),
}
FORMS: dict[str, Callable[[bytes], bytes]] = {
    "raw": bytes,
    "hex": lambda data: data.hex().encode(),
    "hex in lines": lambda data: b"\r\n".join(data.hex(" ").upper().encode()[i : i + 60] for i in range(0, 9999, 60)),
    "base64url": lambda data: base64.urlsafe_b64encode(data).rstrip(b"="),
    "base64": base64.encodebytes,
}


def run(path: Path, data: bytes, *, as_json: bool = False) -> int:
    path.write_bytes(data)
    return inspect.inspect_main(argparse.Namespace(input=str(path), json=as_json))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_recognised_in_every_form(
    kind: str, form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "in", FORMS[form](KINDS[kind]), as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == kind
    assert run(tmp_path / "in", FORMS[form](KINDS[kind])) == 0
    assert capsys.readouterr().out.splitlines()[0] == kind


def test_the_text_of_a_qr_code_is_opened_from_the_command_line_and_from_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "mdoc:" + base64.urlsafe_b64encode(ENGAGEMENT).decode().rstrip("=")
    assert inspect.inspect_main(argparse.Namespace(input=text, json=False)) == 0
    told = capsys.readouterr().out
    assert "00010203-0405-0607-0809-0a0b0c0d0e0f" in told
    assert "P-256" in told
    assert run(tmp_path / "in", text.encode() + b"\n") == 0
    assert capsys.readouterr().out == told


def test_a_pem_certificate_is_summarised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pem = x509.load_der_x509_certificate(CERTIFICATE).public_bytes(Encoding.PEM)
    assert run(tmp_path / "in", pem) == 0
    told = capsys.readouterr().out
    for expected in ("CN=Test signer", "1234", "2026-01-31", "P-256", "mDL document signer"):
        assert expected in told


def test_embedded_structures_are_opened_and_pictures_only_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "in", RESPONSE) == 0
    told = capsys.readouterr().out
    for expected in ("deviceKeyInfo", "ES256", "CN=Test signer", "portrait", "digest, 32 bytes"):
        assert expected in told
    assert f"JPEG image ({len(PORTRAIT)} bytes)" in told
    assert PORTRAIT[4:20].hex() not in told


def places(tree: dict[str, Any]) -> list[dict[str, Any]]:
    return [tree, *(place for child in tree.get("children", []) for place in places(child))]


def test_programs_get_types_and_every_byte(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path / "in", cbor.encode({1: {}, "1": "null", 2: None, 3: b"null", 4: [], 5: float("nan")}), as_json=True)
    children = json.loads(capsys.readouterr().out)["tree"]["children"]
    assert [(child.get("key"), child["type"]) for child in children] == [
        (1, "map"), ("1", "text"), (2, "null"), (3, "bytes"), (4, "array"), (5, "float"),
    ]  # fmt: skip
    run(tmp_path / "in", RESPONSE, as_json=True)
    found = places(json.loads(capsys.readouterr().out)["tree"])
    told = {place.get("value") for place in found if isinstance(place.get("value"), str)}
    encoded = {place.get("encoded") for place in found}
    assert base64.urlsafe_b64encode(PORTRAIT).decode().rstrip("=") in told
    assert base64.urlsafe_b64encode(CERTIFICATE).decode().rstrip("=") in encoded
    assert base64.urlsafe_b64encode(cbor.encode(ITEM)).decode().rstrip("=") in encoded


def test_hostile_text_does_not_reach_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "in", cbor.encode({"\x1b[2J": "\x1b]0;title\x07\n\u202e"})) == 0
    told = capsys.readouterr().out
    assert not set(told) & {"\x1b", "\x07", "\u202e"}
    assert len(told.splitlines()) == 3


def test_a_terminal_without_the_characters_gets_escapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for as_json in (False, True):
        raw = io.BytesIO()
        terminal = io.TextIOWrapper(raw, encoding="ascii")
        monkeypatch.setattr(sys, "stdout", terminal)
        assert run(tmp_path / "in", cbor.encode({"Zürich": bytes(90)}), as_json=as_json) == 0
        terminal.flush()
        assert b"rich" in raw.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"\xa2\x61\x61", "truncated (byte"),
        (b"\xa0\xa0", "trailing_bytes (byte 1)"),
        (b"\x81\x9f\x01\xff", "indefinite_length (byte 1)"),
        (b"\x81" * 60 + b"\x00", "too_deep (byte"),
        (b"\xa2\x01\x02\x01\x03", "duplicate_key"),
        (b"mdoc:!", "not_an_mdoc"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "bad_certificate"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(
    data: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "in", data) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    assert said in told.err


def test_a_file_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect.inspect_main(argparse.Namespace(input=str(tmp_path / "none"), json=False)) == 2
    assert "none" in capsys.readouterr().err


def test_a_certificate_of_an_unknown_version_is_no_crash(tmp_path: Path) -> None:
    at = CERTIFICATE.index(b"\xa0\x03\x02\x01\x02") + 4
    assert run(tmp_path / "in", CERTIFICATE[:at] + b"\x09" + CERTIFICATE[at + 1 :]) == 2


@pytest.mark.parametrize(
    "data",
    [
        b"\x9a\x00\x01\x86\x00" + bytes(99_840),
        cbor.head(4, 50) + cbor.embed(b"\x99\x4e\x20" + bytes(20_000)) * 50,
        cbor.tstr("\x1b" * 2**20),
        b"00" * 2**19,
        b"A" * 2**20,
    ],
    ids=["one array", "arrays in arrays", "controls", "hex", "base64"],
)
def test_a_mebibyte_takes_bounded_time(data: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for as_json in (False, True):
        begun = time.process_time()
        assert run(tmp_path / "in", data, as_json=as_json) in {0, 2}
        assert time.process_time() - begun < 3  # a second on a quiet machine; unbounded was ten
        capsys.readouterr()


def shown(data: bytes) -> None:
    try:
        _, tree = inspect.identify(data)
    except (Malformed, InputError):
        return
    assert tree.lines()
    json.dumps(tree.as_json(), allow_nan=False)


@given(st.binary(max_size=300))
def test_any_bytes_make_a_tree_or_a_complaint(data: bytes) -> None:
    shown(data)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=300, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=4))
def test_damaged_messages_make_a_tree_or_a_complaint(kind: str, changes: list[tuple[int, int]]) -> None:
    data = bytearray(KINDS[kind])
    for place, byte in changes:
        data[place % len(data)] = byte
    shown(bytes(data))
