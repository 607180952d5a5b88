"""`mdoc-reader verify`: the contract that others rely on: truth table, JSON, exit codes, every form of input."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mdoc_reader.app import cli
from mdoc_reader.lab import certificates, people
from mdoc_reader.lab.situations import SITUATIONS
from mdoc_reader.mdoc import cbor, keys, request, session, transcript
from mdoc_reader.mdoc.keys import CURVES_BY_NAME, generate_agreement_key
from mdoc_reader.mdoc.request import ItemsRequest, build_device_request
from mdoc_reader.trust.anchors import certificates_in

ALL_PASSED = dict.fromkeys(
    ["certificate_path", "issuer_signature", "digests", "device_authentication", "validity", "doctype"], "passed"
)


@dataclass
class Case:
    """Files of one conversation."""

    folder: Path
    reader_key: object

    def run(self, *more: str, anchors: str | None = "iaca.pem", capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
        arguments = ["verify", str(self.folder / "response.cbor"), "--transcript", str(self.folder / "transcript.cbor")]
        if anchors is not None:
            arguments += ["--anchors", str(self.folder / anchors)]
        code = cli.main([*arguments, *more])
        captured = capsys.readouterr()
        return code, captured.out + captured.err


@pytest.fixture
def case(tmp_path: Path) -> Callable[..., Case]:
    def make(situation: str = "adult", curve: str = "P-256") -> Case:
        iaca = certificates.make_iaca()
        wallet = SITUATIONS[situation].wallet(iaca, certificates.make_document_signer(iaca), device_curve="P-256")
        engagement = wallet.engage(curve)
        private = generate_agreement_key(CURVES_BY_NAME[curve])
        public = keys.encode_cose_key(private.public_key())
        bare = transcript.session_transcript(engagement.encoded, public)
        asked = ItemsRequest(people.MDL_DOCTYPE, {people.MDL_NAMESPACE: {"age_over_18": False, "birth_date": False}})
        sent = build_device_request([asked.encode()], bare)
        cipher = session.SessionCipher(private, engagement.private_key.public_key(), bare)
        message = session.SessionEstablishment(public, cipher.encrypt(sent)).encode()
        begun, received = wallet.handle_establishment(engagement, message)
        answer = wallet.respond(received, begun.transcript, reader_key=begun.reader_key)
        (tmp_path / "response.cbor").write_bytes(answer)
        (tmp_path / "transcript.cbor").write_bytes(bare)
        (tmp_path / "request.cbor").write_bytes(sent)
        (tmp_path / "iaca.pem").write_bytes(iaca.pem)
        (tmp_path / "other.pem").write_bytes(certificates.make_iaca().pem)
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (tmp_path / "key.pem").write_bytes(pem)
        return Case(tmp_path, private)

    return make


def told(output: str) -> dict[str, object]:
    value = json.loads(output)
    assert isinstance(value, dict)
    return value


def test_valid(case: Callable[..., Case], capsys: pytest.CaptureFixture[str]) -> None:
    code, output = case().run("--json", capsys=capsys)
    answer = told(output)
    assert code == 0
    assert set(answer) == {"verdict", "documents", "findings"}
    assert answer["verdict"] == "valid"
    (document,) = answer["documents"]  # type: ignore[misc, attr-defined]
    assert set(document) == {"doctype", "verdict", "checks", "findings", "elements"}
    assert document["checks"] == {**ALL_PASSED, "revocation": "unchecked"}
    elements = document["elements"]["org.iso.18013.5.1"]
    assert elements["age_over_18"] is True
    assert len(elements["birth_date"]) == len("2000-01-31")


@pytest.mark.parametrize(
    ("situation", "check", "reason"),
    [
        ("altered_age", "digests", "digest_mismatch"),
        ("unknown_issuer", "certificate_path", "issuer_unknown"),
        ("forged_issuer", "issuer_signature", "issuer_signature_invalid"),
        ("expired", "validity", "expired"),
        ("wrong_device_key", "device_authentication", "device_signature_invalid"),
        ("no_device_auth", "device_authentication", "device_auth_missing"),
        ("wrong_doctype", "doctype", "doctype_mismatch"),
    ],
)
def test_invalid_by_one_check(
    case: Callable[..., Case], capsys: pytest.CaptureFixture[str], situation: str, check: str, reason: str
) -> None:
    code, output = case(situation).run("--json", capsys=capsys)
    assert code == 1
    answer = told(output)
    assert answer["verdict"] == "invalid"
    (document,) = answer["documents"]  # type: ignore[misc, attr-defined]
    assert document["checks"][check] == "failed"
    found = {finding["code"]: finding for finding in document["findings"]}
    assert found[reason]["severity"] == "error"
    assert found[reason]["message"]
    if situation == "altered_age":
        assert "age_over_18" not in document["elements"].get("org.iso.18013.5.1", {}), "only what the digests cover"


def test_anchors_missing_empty_and_wrong(case: Callable[..., Case], capsys: pytest.CaptureFixture[str]) -> None:
    made = case()
    code, output = made.run("--json", anchors=None, capsys=capsys)
    assert code == 3
    assert told(output)["documents"][0]["checks"]["certificate_path"] == "undetermined"  # type: ignore[index]
    code, output = made.run("--json", anchors="other.pem", capsys=capsys)
    assert code == 1
    assert told(output)["documents"][0]["checks"]["certificate_path"] == "failed"  # type: ignore[index]
    (made.folder / "empty").mkdir()
    code, output = made.run("--json", anchors="empty", capsys=capsys)
    assert code == 1
    der = certificates_in((made.folder / "iaca.pem").read_bytes())[0]
    for name, content in {"iaca.der": der, "iaca.hex": der.hex().encode() + b"\n"}.items():
        (made.folder / name).write_bytes(content)
        assert made.run(anchors=name, capsys=capsys)[0] == 0, name
    code, output = made.run("--anchors", str(made.folder / "iaca.pem"), anchors="other.pem", capsys=capsys)
    assert code == 0, "several anchors may be given"


@pytest.mark.parametrize("curve", ["P-256"])
def test_a_mac_needs_the_readers_key(case: Callable[..., Case], capsys: pytest.CaptureFixture[str], curve: str) -> None:
    made = case("adult_mac", curve)
    code, output = made.run("--json", capsys=capsys)
    assert code == 3
    assert told(output)["documents"][0]["checks"]["device_authentication"] == "unchecked"  # type: ignore[index]
    private = made.reader_key
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    numbers = private.private_numbers()
    secret = numbers.private_value.to_bytes(32, "big")
    b64 = base64.urlsafe_b64encode(secret).decode().rstrip("=")
    forms = {
        "key.pem": (made.folder / "key.pem").read_bytes(),
        "key.jwk": json.dumps({"kty": "EC", "crv": "P-256", "x": "", "y": "", "d": b64}).encode(),
        "key.cbor": cbor.encode({1: 2, -1: 1, -4: secret}),
        "key.hex": cbor.encode({1: 2, -1: 1, -4: secret}).hex().encode(),
    }
    for name, content in forms.items():
        (made.folder / name).write_bytes(content)
        code, output = made.run("--reader-key", str(made.folder / name), "--json", capsys=capsys)
        assert code == 0, (name, output)
    other = x25519.X25519PrivateKey.generate()
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (made.folder / "wrong.pem").write_bytes(pem)
    code, _ = made.run("--reader-key", str(made.folder / "wrong.pem"), capsys=capsys)
    assert code == 1, "a MAC under a key of another curve"


def test_every_form_of_input(case: Callable[..., Case], capsys: pytest.CaptureFixture[str]) -> None:
    made = case()
    for name in ("response.cbor", "transcript.cbor", "request.cbor"):
        path = made.folder / name
        raw = path.read_bytes()
        wrapped = cbor.embed(raw) if name == "transcript.cbor" else raw
        for data in (raw.hex().encode(), raw.hex().upper().encode() + b"\n", base64.urlsafe_b64encode(raw), wrapped):
            path.write_bytes(data)
            code, output = made.run("--request", str(made.folder / "request.cbor"), capsys=capsys)
            assert code == 0, (name, data[:20], output)
        path.write_bytes(raw)


def test_the_moment_can_be_moved(case: Callable[..., Case], capsys: pytest.CaptureFixture[str]) -> None:
    made = case()
    later = (certificates.now() + timedelta(days=400)).strftime("%Y-%m-%dT%H:%M:%SZ")
    code, output = made.run("--at", later, "--json", capsys=capsys)
    assert code == 1
    assert told(output)["documents"][0]["checks"]["validity"] == "failed"  # type: ignore[index]
    code, output = made.run("--at", "yesterday", capsys=capsys)
    assert code == 2
    assert "RFC 3339" in output


def test_a_request_that_did_not_ask_for_it(case: Callable[..., Case], capsys: pytest.CaptureFixture[str]) -> None:
    made = case()
    other = ItemsRequest("org.iso.23220.photoid.1", {"org.iso.23220.1": {"age_over_18": False}})
    path = made.folder / "other_request.cbor"
    path.write_bytes(build_device_request([other.encode()], b"\x80"))
    code, output = made.run("--request", str(path), "--json", capsys=capsys)
    assert code == 1
    assert told(output)["documents"][0]["checks"]["doctype"] == "failed"  # type: ignore[index]


@pytest.mark.parametrize(("situation", "reason"), [("declined", "no_documents"), ("general_error", "response_status")])
def test_no_documents_are_invalid_with_their_code(
    case: Callable[..., Case], capsys: pytest.CaptureFixture[str], situation: str, reason: str
) -> None:
    code, output = case(situation).run("--json", capsys=capsys)
    assert code == 1
    answer = told(output)
    assert answer["documents"] == []
    codes = [finding["code"] for finding in answer["findings"]]  # type: ignore[attr-defined]
    assert reason in codes
    assert "no_documents" in codes


@pytest.mark.parametrize("content", [b"", b"hello", b"\xa1\x01", b"\xff" * 100, b"\xa0", b"{}", b"\x83\x01\x02\x03"])
def test_what_cannot_be_read_is_exit_code_2_with_one_line(
    case: Callable[..., Case], capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    made = case()
    (made.folder / "response.cbor").write_bytes(content)
    code, output = made.run("--json", capsys=capsys)
    assert code == 2
    assert len(output.strip().splitlines()) == 1
    assert output.startswith("response: ")


def test_files_that_are_not_there(case: Callable[..., Case], capsys: pytest.CaptureFixture[str]) -> None:
    made = case()
    for option in ("--reader-key", "--request"):
        code, output = made.run(option, str(made.folder / "nothing"), capsys=capsys)
        assert code == 2
        assert "nothing" in output
    code, output = made.run(anchors="nowhere", capsys=capsys)
    assert code == 2


def test_for_people_and_as_a_process(case: Callable[..., Case], capsys: pytest.CaptureFixture[str]) -> None:
    made = case()
    code, output = made.run(capsys=capsys)
    assert code == 0
    assert output.startswith("VALID\n")
    assert "certificate_path" in output
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mdoc_reader.app.cli",
            "verify",
            "-",
            "--transcript",
            str(made.folder / "transcript.cbor"),
            "--anchors",
            str(made.folder),
            "--json",
        ],
        input=(made.folder / "response.cbor").read_bytes(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert told(done.stdout.decode())["verdict"] == "valid"
    assert request.parse_device_request((made.folder / "request.cbor").read_bytes()).version == "1.0"
