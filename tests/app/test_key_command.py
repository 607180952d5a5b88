"""`mdoc-reader key` from the first key to the renewal, in a file and in a token, and the identity it gives."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from mdoc_reader.app import identity, key_command, wiring
from mdoc_reader.app.settings import DriverSettings, SettingsError
from mdoc_reader.lab import certificates, soft_token
from mdoc_reader.lab.certificates import Changes, Credential
from mdoc_reader.lab.soft_token import SoftToken
from mdoc_reader.lab.wallet import Wallet
from mdoc_reader.mdoc import request
from mdoc_reader.model.check import Health
from mdoc_reader.model.signer import SignerError

SECRET = "4711-open-sesame"  # noqa: S105 -- of these tests alone
READER_CA = certificates.make_reader_ca()
SUBJECT = "CN=Door 3,O=Example,C=UT"


@dataclass
class Desk:
    """A configuration file, and the commands on it."""

    config: Path
    capture: pytest.CaptureFixture[str]

    @property
    def folder(self) -> Path:
        return self.config.parent

    @property
    def installed(self) -> Path:
        return self.folder / "reader.cert.pem"

    def run(self, action: str, *more: str) -> int:
        parser = argparse.ArgumentParser()
        key_command.add_parser(parser.add_subparsers())
        arguments = parser.parse_args(["key", action, "--config", str(self.config), *more])
        code: int = arguments.function(arguments)
        return code

    def said(self) -> str:
        out, error = self.capture.readouterr()
        return out + error

    def csr(self) -> x509.CertificateSigningRequest:
        assert self.run("csr", "--subject", SUBJECT) == 0
        return x509.load_pem_x509_csr(self.capture.readouterr().out.encode())

    def answer(self, *certificates_: bytes) -> str:
        path = self.folder / "answer.pem"
        path.write_bytes(b"".join(certificates_))
        return str(path)

    def driver(self) -> wiring.Driver:
        return key_command._place(self.config).driver


@pytest.fixture(params=["file", "pkcs11"])
def desk(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    token = None
    if request.param == "pkcs11":
        if SoftToken.missing():
            pytest.skip(SoftToken.missing())
        token = SoftToken(tmp_path / "hsm")
        token.make("reader", SECRET)
        options = f'module = "{soft_token.MODULE}"\ntoken = "reader"\nkey_label = "auth"\npin_file = "{secret}"'
    else:
        options = f'path = "{tmp_path}/reader.key.pem"\npassphrase_file = "{secret}"'
    config = tmp_path / "reader.toml"
    config.write_text(
        f'[reader]\nreader_certificates = "{tmp_path}/reader.cert.pem"\n'
        f'[key]\ndriver = "{request.param}"\n[key.options]\n{options}\n'
    )
    yield Desk(config, capsys)
    if token is not None:
        token.close()


def certify(
    asked: x509.CertificateSigningRequest,
    authority: Credential = READER_CA,
    changes: Changes = certificates.PROFILE,
    *,
    begins: timedelta = timedelta(days=-30),
    ends: timedelta = timedelta(days=900),
) -> bytes:
    """What a reader authority answers: the lab's profile around the key and the name of the request."""
    now = certificates.now()
    like = certificates.make_reader(authority, not_before=now + begins, not_after=now + ends, changes=changes)
    builder = (
        x509.CertificateBuilder()
        .subject_name(asked.subject)
        .issuer_name(authority.certificate.subject)
        .public_key(asked.public_key())  # type: ignore[arg-type]
        .serial_number(x509.random_serial_number())
        .not_valid_before(like.certificate.not_valid_before_utc)
        .not_valid_after(like.certificate.not_valid_after_utc)
    )
    for extension in like.certificate.extensions:
        value = extension.value
        if isinstance(value, x509.SubjectKeyIdentifier):
            value = x509.SubjectKeyIdentifier.from_public_key(asked.public_key())  # type: ignore[arg-type]
        builder = builder.add_extension(value, extension.critical)
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.PEM)  # type: ignore[arg-type]


def believed(reader: request.ReaderIdentity, authority: Credential = READER_CA) -> bool:
    """Whether a wallet that trusts the authority takes a request for authenticated."""
    asked = request.ItemsRequest("org.iso.18013.5.1.mDL", {"org.iso.18013.5.1": {"age_over_18": False}})
    encoded = request.build_device_request([asked.encode()], b"\x83\xf6\xf6\xf6", reader=reader)
    wallet = Wallet([], trusted_readers=[authority.certificate])
    return bool(wallet.trusts(request.parse_device_request(encoded), 0, b"\x83\xf6\xf6\xf6"))


def test_from_nothing_to_a_request_that_a_wallet_believes(desk: Desk) -> None:
    assert desk.run("create") == 0
    made = desk.said()
    asked = desk.csr()
    assert asked.is_signature_valid
    usage = asked.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    purposes = asked.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert [purpose.dotted_string for purpose in purposes.value] == ["1.0.18013.5.1.6"]
    assert asked.subject.rfc4514_string() == SUBJECT

    assert desk.run("install", desk.answer(certify(asked), READER_CA.pem)) == 0
    assert "installed 1 certificate" in desk.said(), "the root is left out"
    assert desk.installed.stat().st_mode & 0o777 == 0o644

    assert desk.run("show", "--json") == 0
    shown = json.loads(desk.said())
    assert shown["certificate_is_of_this_key"] is True
    assert shown["public_key_sha256"] in made
    assert shown["certificates"][0]["subject"] == SUBJECT
    assert desk.run("show") == 0
    assert SUBJECT in desk.said()
    assert desk.run("check") == 0
    assert "valid until" in desk.said()

    reader = identity.identity_from(desk.driver(), desk.installed, "reader.toml")
    assert reader is not None
    assert believed(reader)
    assert not believed(reader, certificates.make_reader_ca())
    reader.signer.close()


@pytest.mark.parametrize("curve", ["P-384", "P-521"])
def test_other_curves(desk: Desk, curve: str) -> None:
    assert desk.run("create", "--curve", curve) == 0
    desk.said()
    asked = desk.csr()
    assert asked.is_signature_valid
    assert desk.run("install", desk.answer(certify(asked))) == 0
    reader = identity.identity_from(desk.driver(), desk.installed, "reader.toml")
    assert reader is not None
    assert believed(reader)
    reader.signer.close()


def test_a_chain_in_any_order_is_installed_leaf_first(desk: Desk) -> None:
    desk.run("create")
    desk.said()
    middle_changes = Changes(put=[(x509.BasicConstraints(ca=True, path_length=0), True)])
    middle = certificates.make_reader_ca(common_name="Between")
    above = certificates.make_reader_ca(
        common_name="Root", changes=Changes(put=[(x509.BasicConstraints(True, 1), True)])
    )
    between = (
        x509.CertificateBuilder()
        .subject_name(middle.certificate.subject)
        .issuer_name(above.certificate.subject)
        .public_key(middle.certificate.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(above.certificate.not_valid_before_utc)
        .not_valid_after(above.certificate.not_valid_after_utc)
        .add_extension(*middle_changes.put[0])
    )
    for extension in middle.certificate.extensions:
        if not isinstance(extension.value, x509.BasicConstraints):
            between = between.add_extension(extension.value, extension.critical)
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(above.certificate.public_key())  # type: ignore[arg-type]
    signed = between.add_extension(issuer_key, critical=False).sign(above.key, hashes.SHA256())  # type: ignore[arg-type]
    pem = signed.public_bytes(Encoding.PEM)
    leaf = certify(desk.csr(), middle)
    assert desk.run("install", desk.answer(above.pem, pem, leaf)) == 0, desk.said()
    chain = identity.load_chain(desk.installed)
    assert [read.common_name for read in chain.facts] == ["Door 3", "Between"]
    wrong = certificates.make_reader_ca(common_name="Root")  # of the same name, and did not sign
    assert desk.run("install", desk.answer(leaf, pem, wrong.pem)) == 1
    assert "path_signature" in desk.said()


def test_renewal_is_warned_of_in_time(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.run("create")
    desk.said()
    assert (
        desk.run("install", desk.answer(certify(desk.csr(), begins=timedelta(days=-90), ends=timedelta(days=20)))) == 0
    )
    assert "19 days" in desk.said()
    assert desk.run("check") == 1
    assert "key csr" in desk.said()
    caplog.set_level(logging.WARNING)
    ends = identity.load_chain(desk.installed).ends
    for at, word in ((ends - timedelta(days=1), "1 days from now"), (ends + timedelta(days=1), "expired")):
        caplog.clear()
        reader = identity.identity_from(desk.driver(), desk.installed, "reader.toml", at)
        assert reader is not None, "the door goes on asking"
        assert word in caplog.text
        reader.signer.close()
    caplog.clear()
    reader = identity.identity_from(desk.driver(), desk.installed, "reader.toml", ends - timedelta(days=61))
    assert reader is not None
    assert not caplog.records
    reader.signer.close()


def refused(desk: Desk, *certificates_: bytes) -> str:
    """Install, be refused, and find that nothing changed."""
    before = desk.installed.read_bytes() if desk.installed.exists() else None
    assert desk.run("install", desk.answer(*certificates_)) == 1
    assert (desk.installed.read_bytes() if desk.installed.exists() else None) == before
    return desk.said()


def test_what_is_wrong_is_not_installed(desk: Desk) -> None:
    desk.run("create")
    desk.said()
    asked = desk.csr()
    other = certificates.make_reader(READER_CA)
    good = certify(asked)
    assert "not that of the configured key" in refused(desk, other.pem)
    assert "signer_expired" in refused(desk, certify(asked, begins=timedelta(days=-90), ends=timedelta(days=-1)))
    assert "signer_not_yet_valid" in refused(desk, certify(asked, begins=timedelta(days=1)))
    signer = Changes(put=[(x509.ExtendedKeyUsage([certificates.MDL_SIGNER]), True)])
    assert "signer_eku_other" in refused(desk, certify(asked, changes=signer))
    assert "signer_eku_missing" in refused(desk, certify(asked, changes=Changes(leave_out=[x509.ExtendedKeyUsage])))
    authority = Changes(put=[(x509.BasicConstraints(True, 0), True)])
    assert "signer_is_authority" in refused(desk, certify(asked, changes=authority))
    assert "path_signature" in refused(desk, good, certificates.make_reader_ca().pem)
    assert desk.run("install", desk.answer(good)) == 0
    desk.said()
    assert "one chain" in refused(desk, good, other.pem)
    assert "private key" in refused(desk, good, other.key_pem)
    assert "one chain" in refused(desk, READER_CA.pem)
    assert "PEM" in refused(desk, b"-----BEGIN nothing")
    assert "cannot be read" in refused(desk, b"noise")
    assert "one to" in refused(desk, *(certificates.make_reader(READER_CA).pem for _ in range(9)))


def test_a_certificate_of_another_key_stops_the_start(desk: Desk) -> None:
    desk.run("create")
    desk.installed.write_bytes(certificates.make_reader(READER_CA).pem)
    with pytest.raises(SettingsError, match="not that of the key"):
        identity.identity_from(desk.driver(), desk.installed, "reader.toml")
    desk.said()
    assert desk.run("check") == 2
    assert "not that of the configured key" in desk.said()
    assert desk.run("show") == 0
    assert "not those of this key" in desk.said()


def test_what_is_missing_is_said(desk: Desk) -> None:
    assert desk.run("csr", "--subject", SUBJECT) == 1
    assert "key_missing" in desk.said()
    assert desk.run("check") == 2
    assert "key create" in desk.said()
    with pytest.raises(SettingsError, match="key_missing"):
        identity.identity_from(desk.driver(), desk.installed, "reader.toml")
    desk.run("create")
    assert desk.run("create") == 1
    assert "key_exists" in desk.said()
    with pytest.raises(SettingsError, match="No such file"):
        identity.identity_from(desk.driver(), desk.installed, "reader.toml")
    with pytest.raises(SettingsError, match="reader_certificates"):
        identity.identity_from(desk.driver(), None, "reader.toml")
    desk.said()
    for subject in ("nothing", "O=Example", ""):
        assert desk.run("csr", "--subject", subject) == 1
    assert "common name" in desk.said()


def test_a_wrong_secret_is_said_and_not_told(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    desk.run("create")
    (desk.folder / "secret").write_text("4711-wrong")
    assert desk.run("check") == 2
    assert desk.run("csr", "--subject", SUBJECT) == 1
    with pytest.raises(SettingsError) as caught:
        identity.identity_from(desk.driver(), desk.installed, "reader.toml")
    said = desk.said()
    assert "key_wrong_secret" in said
    assert "4711" not in said + caplog.text + repr(caught.value) + repr(desk.driver())
    (desk.folder / "secret").chmod(0o644)
    assert desk.run("check") == 2
    assert "key_unsafe" in desk.said()


def test_a_csr_to_a_file(desk: Desk) -> None:
    desk.run("create")
    out = desk.folder / "door.csr"
    assert desk.run("csr", "--subject", SUBJECT, "--out", str(out)) == 0
    assert x509.load_pem_x509_csr(out.read_bytes()).is_signature_valid
    assert desk.run("csr", "--subject", SUBJECT, "--out", str(desk.folder / "nowhere" / "door.csr")) == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no \\[key\\] table"),
        ("[key", "not TOML"),
        ('[key]\ndrivr = "file"', "did you mean 'driver'"),
        ('[key]\ndriver = "paper"', "disabled, file, pkcs11"),
        ('[key]\ndriver = "file"\n[key.options]\npath = "a"', "is encrypted"),
        ('[reader]\nname = 1\n[key]\ndriver = "disabled"', "reader.name"),
    ],
)
def test_configurations_that_name_no_key(tmp_path: Path, text: str, why: str) -> None:
    config = tmp_path / "reader.toml"
    config.write_text(text)
    with pytest.raises(SettingsError, match=why):
        key_command._place(config)


def test_no_key_by_choice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "reader.toml"
    config.write_text('[key]\ndriver = "disabled"\n')
    desk = Desk(config, capsys)
    assert identity.identity_from(desk.driver(), None, "reader.toml") is None
    assert desk.run("create") == 1
    assert desk.run("check") == 2
    with pytest.raises(SignerError):
        key_command._place(config).driver.module.open_key(desk.driver().options)


def test_checks_of_a_chain_without_its_key(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    path = tmp_path / "chain.pem"
    (missing,) = identity.chain_checks(path, None, now)
    assert missing.health is Health.FAULT
    path.write_bytes(certificates.make_reader(READER_CA).pem)
    (good,) = identity.chain_checks(path, None, now)
    assert good.health is Health.OK
    path.write_bytes(certificates.make_reader(READER_CA, changes=Changes(leave_out=[x509.KeyUsage])).pem)
    assert [check.health for check in identity.chain_checks(path, None, now)] == [Health.FAULT, Health.OK]
    (early,) = identity.chain_checks(path, None, now - timedelta(days=400))[1:]
    assert "clock" in early.advice
    assert wiring.load_driver("key", DriverSettings(driver="disabled"), product=True, file="").disabled
