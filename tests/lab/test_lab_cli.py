"""The lab's command line: files that fit together, and refusals with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mdoc_reader.lab.cli import main
from mdoc_reader.mdoc import engagement, request, response, session, transcript


def test_an_issuer_in_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["issuer", str(tmp_path / "made"), "--curve", "brainpoolP256r1", "--signer-curve", "Ed25519"]) == 0
    folder = tmp_path / "made"
    found = {name: x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes()) for name in NAMES}
    found["ds"].verify_directly_issued_by(found["iaca"])
    found["reader"].verify_directly_issued_by(found["reader_ca"])
    for name, certificate in found.items():
        assert x509.load_der_x509_certificate((folder / f"{name}.der").read_bytes()) == certificate
        key_file = folder / f"{name}.key.pem"
        assert load_pem_private_key(key_file.read_bytes(), None).public_key() == certificate.public_key()
        assert key_file.stat().st_mode & 0o077 == 0
    assert "brainpoolP256r1" in capsys.readouterr().out


NAMES = ("iaca", "ds", "reader_ca", "reader")


def test_a_response_with_all_its_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--mac", "--device-curve", "P-384", "--element", "age_over_21", "--element", "given_name"]
    assert main(["response", str(tmp_path), *options]) == 0
    key = load_pem_private_key((tmp_path / "reader_key.pem").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    engaged = engagement.from_qr((tmp_path / "engagement.txt").read_text())
    establishment = session.parse_session_establishment((tmp_path / "establishment.cbor").read_bytes())
    bare = transcript.session_transcript(engaged.raw, establishment.e_reader_key)
    assert bare == (tmp_path / "transcript.cbor").read_bytes()
    (asked,) = request.parse_device_request((tmp_path / "request.cbor").read_bytes()).doc_requests
    assert asked.items.elements == {"org.iso.18013.5.1": {"age_over_21": False, "given_name": False}}
    (document,) = response.parse((tmp_path / "response.cbor").read_bytes()).documents
    assert document.device_auth_kind is response.DeviceAuthKind.MAC
    cipher = session.SessionCipher(key, engaged.e_device_key, bare)
    data = session.parse_session_data((tmp_path / "session_data.cbor").read_bytes()).data
    assert data is not None
    assert response.parse(cipher.decrypt(data)).documents[0].namespaces == document.namespaces
    assert "mdoc-reader verify" in capsys.readouterr().out


def test_refusals_say_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["response", str(tmp_path), "--mac", "--session-curve", "P-384"]) == 2
    assert "needs the reader's key on the same curve" in capsys.readouterr().err
    occupied = tmp_path / "file"
    occupied.write_text("in the way")
    assert main(["issuer", str(occupied)]) == 2
    assert "mdoc-lab issuer:" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["response", str(tmp_path), "--behaviour", "unheard_of"])
