"""The key in a file: encrypted, for its owner alone, or a credential of the service manager."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from mdoc_reader.drivers import disabled_key, file_key
from mdoc_reader.drivers.file_key import Options, make_key, open_key
from mdoc_reader.drivers.key_curves import CURVES
from mdoc_reader.drivers.secret_file import MAX_BYTES, read_secret
from mdoc_reader.mdoc import cose, keys, request
from mdoc_reader.model.check import Health
from mdoc_reader.model.signer import ReaderSigner, SignerError, SignerTrouble

PASSPHRASE = "correct horse"  # noqa: S105 -- opens keys of these tests alone


@pytest.fixture
def options(tmp_path: Path) -> Options:
    guarded(tmp_path / "passphrase", PASSPHRASE.encode() + b"\n")
    return Options(path=str(tmp_path / "reader.key.pem"), passphrase_file=str(tmp_path / "passphrase"))


def guarded(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def refused(options: Options) -> SignerTrouble:
    with pytest.raises(SignerError) as caught:
        open_key(options)
    assert PASSPHRASE not in repr(caught.value)
    return caught.value.code


def holds(signer: ReaderSigner) -> bool:
    """Whether readerAuth verifies by our own check."""
    encoded = request.ReaderIdentity(signer, (b"certificate",)).sign(b"payload")
    proof = cose.parse(request.cbor.decode(encoded), "COSE_Sign1", "")
    return request.verify_reader_proof(proof, b"payload", signer.public_key)


@pytest.mark.parametrize("curve", CURVES)
def test_a_key_is_made_and_opened(options: Options, curve: str) -> None:
    made = make_key(options, curve)
    signer = open_key(options)
    assert signer.public_key == made.public_key
    assert keys.curve_of(signer.public_key).name == curve
    assert holds(signer)
    assert not signer.waits
    signer.close()
    with pytest.raises(SignerError):
        signer.sign(b"")


def test_what_is_written_is_encrypted_and_the_owner_s(options: Options) -> None:
    make_key(options, "P-256")
    path = Path(options.path or "")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert load_pem_private_key(path.read_bytes(), PASSPHRASE.encode())
    assert sorted(item.name for item in path.parent.iterdir()) == ["passphrase", "reader.key.pem"], "no draft is left"


def test_no_key_is_made_over_another(options: Options) -> None:
    first = make_key(options, "P-256")
    with pytest.raises(SignerError) as caught:
        make_key(options, "P-256")
    assert caught.value.code is SignerTrouble.EXISTS
    assert open_key(options).public_key == first.public_key
    assert len(list(Path(options.path or "").parent.iterdir())) == 2


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644, 0o660, 0o602])
@pytest.mark.parametrize("which", ["key", "passphrase"])
def test_a_file_that_others_can_reach_is_refused(options: Options, which: str, mode: int) -> None:
    make_key(options, "P-256")
    path = Path((options.path if which == "key" else options.passphrase_file) or "")
    path.chmod(mode)
    with pytest.raises(SignerError) as caught:
        open_key(options)
    assert caught.value.code is SignerTrouble.UNSAFE
    assert "chmod 600" in str(caught.value)
    path.chmod(0o400)
    assert open_key(options)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_is_refused(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    make_key(options, "P-256")
    os.chown(options.path or "", 12345, -1)
    assert open_key(options), "root reads what is a service's"
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    assert refused(options) is SignerTrouble.UNSAFE


def test_what_is_not_there_has_its_own_reason(options: Options) -> None:
    assert refused(options) is SignerTrouble.NO_KEY
    make_key(options, "P-256")
    Path(options.passphrase_file or "").unlink()
    assert refused(options) is SignerTrouble.NO_SECRET


@pytest.mark.parametrize("secret", [b"", b"\n", b"two\nlines", b"nul\0", b"x" * 2000])
def test_a_passphrase_is_one_line(options: Options, secret: bytes) -> None:
    guarded(Path(options.passphrase_file or ""), secret)
    with pytest.raises(SignerError) as caught:
        read_secret(options.passphrase_file, None)
    assert caught.value.code is SignerTrouble.NO_SECRET


def test_a_wrong_passphrase_and_a_broken_file_are_told_apart(options: Options) -> None:
    make_key(options, "P-256")
    guarded(Path(options.passphrase_file or ""), b"wrong")
    assert refused(options) is SignerTrouble.WRONG_SECRET
    guarded(Path(options.path or ""), b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    assert refused(options) is SignerTrouble.UNSUITABLE
    guarded(Path(options.path or ""), b"\0" * (MAX_BYTES + 1))
    assert refused(options) is SignerTrouble.UNSUITABLE


def test_what_is_no_file_does_not_hang(options: Options) -> None:
    os.mkfifo(options.path or "", 0o600)
    assert refused(options) is SignerTrouble.UNSAFE
    Path(options.path or "").unlink()
    Path(options.path or "").mkdir(mode=0o700)
    assert refused(options) is SignerTrouble.UNSAFE


def test_a_plain_key_at_a_path_is_refused(options: Options) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    guarded(Path(options.path or ""), key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert refused(options) is SignerTrouble.UNSAFE


@pytest.mark.parametrize("kind", ["rsa", "koblitz"])
def test_keys_that_sign_no_requests(options: Options, kind: str) -> None:
    key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256K1())
    locked = BestAvailableEncryption(PASSPHRASE.encode())
    guarded(Path(options.path or ""), key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))
    assert refused(options) is SignerTrouble.UNSUITABLE


def test_a_key_that_is_a_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = Options(credential="reader-key")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert refused(options) is SignerTrouble.NO_SECRET
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert refused(options) is SignerTrouble.NO_KEY
    key = ed25519.Ed25519PrivateKey.generate()
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    guarded(tmp_path / "reader-key", plain, 0o440)  # an ACL's mask looks like the group's right
    assert holds(open_key(options))
    (tmp_path / "reader-key").chmod(0o444)
    assert refused(options) is SignerTrouble.UNSAFE
    locked = BestAvailableEncryption(PASSPHRASE.encode())
    guarded(tmp_path / "reader-key", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))
    assert refused(options) is SignerTrouble.NO_SECRET
    guarded(tmp_path / "word", PASSPHRASE.encode())
    assert holds(open_key(msgspec.structs.replace(options, passphrase_credential="word")))  # noqa: S106 -- a name
    with pytest.raises(SignerError) as caught:
        make_key(options, "P-256")
    assert "systemd-creds" in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"path": "a", "credential": "b"},
        {"path": "a"},
        {"path": "a", "passphrase_file": "b", "passphrase_credential": "c"},
        {"credential": "../a"},
        {"credential": "a", "passphrase_credential": ""},
        {"path": "a", "passphrase_file": "b", "more": 1},
    ],
)
def test_options_that_cannot_be(wrong: dict[str, str]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, Options)


def test_unknown_curves_are_named(options: Options) -> None:
    with pytest.raises(SignerError, match="P-384"):
        make_key(options, "secp256k1")


def test_nothing_tells_key_or_passphrase(options: Options, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    signer = make_key(options, "P-256")
    identity = request.ReaderIdentity(signer, (b"certificate",))
    told = [repr(signer), str(signer), signer.words, repr(identity), repr(options), caplog.text]
    assert not [text for text in told if PASSPHRASE in text or "PRIVATE" in text]


def test_the_doctor_looks(options: Options) -> None:
    (missing,) = asyncio.run(file_key.examine(options))
    assert missing.health is Health.FAULT
    assert "key create" in missing.advice
    make_key(options, "P-256")
    (good,) = asyncio.run(file_key.examine(options))
    assert good.health is Health.OK


def test_no_key_at_all() -> None:
    for refuse in (
        lambda: disabled_key.open_key(disabled_key.Options()),
        lambda: disabled_key.make_key(disabled_key.Options(), "P-256"),
    ):
        with pytest.raises(SignerError) as caught:
            refuse()
        assert caught.value.code is SignerTrouble.DISABLED
